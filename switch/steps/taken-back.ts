// A reversal of a refund or an increment by its acquirer: what it takes back, and how much of it.

import {
  type Advance,
  type Payment,
  type PaymentEvent,
  type ReversedStep,
  standingOf,
} from '../payment.ts'
import type { Attempt, Transaction } from '../store/index.ts'
import { originalOf } from './step-record.ts'
import type { StepRequest } from './step-request.ts'

export interface TakenBack {
  readonly of: ReversedStep
  /** In the numbers that the issuer knows. */
  readonly original: Attempt
  /** Integer minor units: what the issuer approved, and what is left of it after this step. */
  readonly approved: number
  readonly standing: number
}

/** A reversal may name a refund or an increment of its own; no other step names another one. */
export function canBeTakenBack({ kind }: StepRequest, { intent }: Transaction): boolean {
  return kind === 'reversal' && (intent.kind === 'refund' || intent.kind === 'increment')
}

export function reversedStepOf({ intent, outcome }: Transaction): ReversedStep {
  const isUndone = outcome?.outcome === 'declined' && outcome.reversal !== null
  return { id: intent.id, kind: intent.kind === 'refund' ? 'refund' : 'increment', isUndone }
}

/** Reversed by us already: the acquirer hears yes, and the payment stands as it stood. */
export function nothingOf(target: Transaction | undefined, before: Payment): Advance {
  const amount = Number(target?.intent.request.amount)
  return { kind: 'legal', amount, after: before }
}

/** Undefined: the amounts that the message says can't be those of this step. */
export function takeBackOf(
  { amount, wire }: StepRequest,
  target: Transaction,
  steps: readonly Transaction[],
): PaymentEvent | undefined {
  const standing = standingOf(target, steps)
  const kind = target.intent.kind === 'refund' ? 'refund_reversal' : 'increment_reversal'
  if (wire?.whole === undefined) return { kind, amount, standing }
  const asked = Number(target.intent.request.amount)
  if (wire.whole !== standing && wire.whole !== asked) return undefined
  if (wire.standing === undefined) return { kind, amount: undefined, standing }
  return wire.standing < standing ? { kind, amount: standing - wire.standing, standing } : undefined
}

export function takenBackOf(
  target: Transaction | undefined,
  of: ReversedStep,
  event: PaymentEvent,
  amount: number,
): TakenBack {
  const original = target === undefined ? undefined : originalOf(target)
  if (original === undefined) throw new Error(`${of.id} was asked of nobody`)
  const approved = Number(target?.outcome?.answer.amount)
  return { of, original, approved, standing: (event.standing ?? 0) - amount }
}
