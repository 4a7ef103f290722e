// Step: the answer. Its body is made once, from the recorded outcome, and stored with it, so that
// every retry and every GET gets the same bytes.

import type { Decision } from '#scoring'
import { type Refusal, refuseForNow } from './errors.ts'
import type { AnswerPassThrough, IssuerAnswer } from './issuers/index.ts'
import { RETRY_AFTER_SECONDS } from './limits.ts'
import type { Payment } from './payment.ts'
import { refuseUnreadable } from './shed.ts'
import type { Outcome, StepKind, Transaction } from './store/index.ts'
import type { World } from './world.ts'

export type AnswerBody = Readonly<Record<string, unknown>>

/** What an acquirer gets: an answer with an outcome, or a refusal. A decline is an answer. */
export type Reply =
  | {
      readonly kind: 'answer'
      readonly body: AnswerBody
      readonly isReplay: boolean
      /** The issuer's word to the terminal: not part of what is stored, so no replay has it. */
      readonly passThrough?: AnswerPassThrough
    }
  | Refusal

/** What the answer says of the request; of a running authorization or of a record. */
export interface Answered {
  readonly id: string
  readonly type: string
  /** What was asked for, integer minor units. */
  readonly amount: number
  readonly currency: string
  readonly stan: string | undefined
  readonly rrn: string
  readonly issuer: string | undefined
  /** Undefined where no card is kept under it. */
  readonly cardToken: string | undefined
  readonly maskedPan: string
  readonly createdAtMs: number
}

/** The outcome's fields that the answer's body is made of. */
export interface Ruling {
  readonly outcome: Outcome['outcome']
  readonly responseCode: string
  /** Where the issuer's word decided. */
  readonly issuerAnswer: IssuerAnswer | undefined
  /** The switch answered in the issuer's place. */
  readonly isStandIn?: boolean
}

/**
 * The body of the answer: the fields of docs/connect.md, in its order. `decision` is null where the acquirer
 * may not see it or none is known.
 */
export function answerBody(
  answered: Answered,
  ruling: Ruling,
  decision: Decision | null,
): AnswerBody {
  const isApproved = ruling.outcome === 'approved'
  const amount = isApproved ? (ruling.issuerAnswer?.amount ?? answered.amount) : answered.amount
  const approvalCode = isApproved ? ruling.issuerAnswer?.approvalCode : undefined
  return {
    id: answered.id,
    type: answered.type,
    outcome: ruling.outcome,
    responseCode: ruling.responseCode,
    ...(approvalCode ? { approvalCode } : {}),
    amount,
    ...(amount === answered.amount ? {} : { requestedAmount: answered.amount }),
    currency: answered.currency,
    ...(answered.stan === undefined ? {} : { stan: answered.stan }),
    rrn: answered.rrn,
    ...(answered.issuer === undefined ? {} : { issuer: answered.issuer }),
    standIn: ruling.isStandIn === true,
    card: {
      ...(answered.cardToken === undefined ? {} : { token: answered.cardToken }),
      masked: answered.maskedPan,
    },
    ...(decision === null ? {} : { risk: riskBody(decision) }),
    createdAt: new Date(answered.createdAtMs).toISOString(),
  }
}

/** What the answer to a step says of it. */
export interface AnsweredStep {
  readonly id: string
  readonly kind: StepKind
  /** The step that a reversal takes back; undefined where it is about the authorization. */
  readonly of?: string | undefined
  /** The authorization's id. */
  readonly paymentId: string
  /** What was asked for, integer minor units. */
  readonly amount: number
  readonly currency: string
  readonly stan: string | undefined
  readonly rrn: string
  readonly issuer: string | undefined
  readonly createdAtMs: number
}

/** The body of the answer to a step; `payment` is what the payment stands at after it. */
export function stepBody(step: AnsweredStep, ruling: Ruling, payment: Payment): AnswerBody {
  const { issuerAnswer, outcome } = ruling
  const isApproved = outcome === 'approved'
  const approvalCode = isApproved ? issuerAnswer?.approvalCode : undefined
  const amount = isApproved ? (issuerAnswer?.amount ?? step.amount) : step.amount
  const { state, authorized, captured, reversed, refunded } = payment
  return {
    id: step.id,
    type: step.kind,
    authorization: step.paymentId,
    ...(step.of === undefined ? {} : { of: step.of }),
    outcome,
    responseCode: ruling.responseCode,
    ...(approvalCode ? { approvalCode } : {}),
    amount,
    ...(amount === step.amount ? {} : { requestedAmount: step.amount }),
    currency: step.currency,
    ...(step.stan === undefined ? {} : { stan: step.stan }),
    rrn: step.rrn,
    ...(step.issuer === undefined ? {} : { issuer: step.issuer }),
    payment: { state, authorized, captured, reversed, refunded },
    createdAt: new Date(step.createdAtMs).toISOString(),
  }
}

function riskBody(decision: Decision): Record<string, unknown> {
  return {
    outcome: decision.outcome,
    // Four decimals tell bands apart and don't hand out the model to whoever probes it.
    score: decision.score === null ? null : Math.round(decision.score * 10_000) / 10_000,
    reasons: decision.disclosedReasons,
    degraded: decision.degraded,
  }
}

export function respond(outcome: Outcome): Reply {
  return { kind: 'answer', body: outcome.answer, isReplay: false }
}

/** The first answer again, from the store; a refusal where its disk does not read. */
export async function respondAgain(world: World, transactionId: string): Promise<Reply> {
  let transaction: Transaction | undefined
  try {
    transaction = await world.store.read(transactionId)
  } catch (error) {
    // Not `store_unavailable`, which says that nothing was taken: over ISO 8583 that is a 91, and 91
    // to the repeat of an approval would be taken for its outcome.
    return refuseUnreadable(world, error, {
      what: 'a first answer',
      transactionId,
      code: 'outcome_unknown',
      detail: 'the first answer could not be read: retry with the same Idempotency-Key',
    })
  }
  const outcome = transaction?.outcome
  if (!outcome) throw new Error(`the index knows a recorded ${transactionId}, the log does not`)
  world.journal.replayed()
  return { kind: 'answer', body: outcome.answer, isReplay: true }
}

/** The outcome may be on disk or not: recovery decides, so nobody may be told it failed. */
export function respondUnknown(): Refusal {
  return refuseForNow(
    'outcome_unknown',
    'the outcome could not be made durable: retry with the same Idempotency-Key',
    RETRY_AFTER_SECONDS,
  )
}
