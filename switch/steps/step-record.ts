// What is kept of a step of a payment, and what is read of it again.

import type { Payment, ReversedStep } from '../payment.ts'
import type { AnsweredStep } from '../respond.ts'
import type { Attempt, Intent, StepKind, Transaction } from '../store/index.ts'
import type { RunningStep } from './take-step.ts'

/** A step's request as it is stored. */
export interface StoredStep {
  readonly amount: number
  readonly currency: string
  readonly stan: string | undefined
  readonly transmittedAt: string | undefined
  /** What the payment stood at before it. */
  readonly before: Payment
  /** Of a reversal that takes another step back: which. */
  readonly of?: ReversedStep
}

/** `attempt`: the step's own, where the issuer is asked. */
export function stepIntent(step: RunningStep, attempt: Attempt | null): Intent {
  const { amount, currency, before, request } = step
  const { stan, transmittedAt } = request
  const of = step.takenBack?.of
  const own = { amount, currency, stan, transmittedAt, before }
  const stored: StoredStep = of === undefined ? own : { ...own, of }
  return {
    id: step.id,
    kind: request.kind,
    acquirer: step.acquirer.id,
    idempotencyKey: step.idempotencyKey,
    fingerprint: step.fingerprint,
    createdAtMs: step.arrivedAtMs,
    rrn: step.authorization.intent.rrn,
    cardToken: step.authorization.intent.cardToken,
    request: { ...stored },
    attempt,
    payment: { paymentId: step.authorization.intent.id, version: step.version },
  }
}

export function answeredStep(step: RunningStep): AnsweredStep {
  return {
    id: step.id,
    kind: step.request.kind,
    of: step.takenBack?.of.id,
    paymentId: step.authorization.intent.id,
    amount: step.amount,
    currency: step.currency,
    stan: step.request.stan,
    rrn: step.authorization.intent.rrn,
    issuer: step.authorization.attempts.at(-1)?.issuer,
    createdAtMs: step.arrivedAtMs,
  }
}

/** The same from the records, and what the payment stood at; `stepIntent` wrote them. */
export function storedStep(
  step: Transaction,
): { readonly answered: AnsweredStep; readonly before: Payment } | undefined {
  const { id, kind, payment, request, rrn, createdAtMs } = step.intent
  if (payment === undefined) return undefined
  const { amount, currency, stan, before } = request as unknown as StoredStep
  const issuer = step.attempts.at(-1)?.issuer
  const { paymentId } = payment
  const own = { id, kind: kind as StepKind, paymentId, amount, currency, stan: stan ?? undefined }
  return { answered: { ...own, rrn, issuer, createdAtMs }, before }
}

/**
 * What the issuer knows a transaction by: the request that it answered last, or the advice that
 * told it of what it was not asked. Undefined where it was neither asked nor told.
 */
export function originalOf({ attempts, outcome }: Transaction): Attempt | undefined {
  const advice = outcome?.advice
  if (advice === undefined || advice.step === 'capture') return attempts.at(-1)
  const { mti, stan, transmittedAt, rrn, original } = advice
  const { processingCode = original.processingCode, amount = original.amount } = advice
  return { ...original, mti, stan, transmittedAt, rrn, processingCode, amount }
}

/** What a step of the payment is about, in the numbers that the issuer knows. */
export function lastAttempt(step: RunningStep): Attempt {
  const original = originalOf(step.authorization)
  if (original === undefined) throw new Error('a payment that holds money was asked of nobody')
  return original
}

/** DE38 of the authorization, where the issuer gave one. */
export function approvalCodeOf(authorization: Transaction): string | undefined {
  const code = (authorization.outcome?.answer as { approvalCode?: string } | undefined)
    ?.approvalCode
  return code
}
