// Step: make the outcome durable, its reversal in the same store transaction.

import type { Decision } from '#scoring'
import type { AskedAttempt } from './ask.ts'
import { adviceMti, isVerification } from './claim.ts'
import type { AskResult, Issuer, IssuerAnswer, TraceNumbers } from './issuers/index.ts'
import { isInquiry } from './payment.ts'
import { type Answered, answerBody, type Ruling } from './respond.ts'
import { isApproval, isResponseCode, RESPONSE_CODE } from './response-codes.ts'
import type { RiskEffect } from './step-up.ts'
import {
  type Attempt,
  type Outcome,
  type OutcomeCause,
  type QueuedMessage,
  queuedBy,
  type Transaction,
} from './store/index.ts'
import type { RunningAuthorization } from './transaction.ts'
import type { World } from './world.ts'

/** How an authorization ended, before it is durable. */
export type Ending =
  | { readonly by: 'risk'; readonly effect: Exclude<RiskEffect, { kind: 'forward' }> }
  | { readonly by: 'no_route' }
  | { readonly by: 'issuer'; readonly asked: AskedAttempt }

/** What was asked, as far as the issuer's answer is judged by it. */
export interface Terms {
  readonly amount: number
  readonly isInquiry: boolean
  readonly isVerification: boolean
  readonly acceptsPartialApproval: boolean
}

export interface Conclusion extends Ruling {
  readonly cause: OutcomeCause
  /** Why the issuer must be told to undo, or null. */
  readonly reversal: QueuedMessage['cause'] | null
}

/**
 * Records the outcome and hands its reversal to store-and-forward. Resolves with what is recorded
 * once durable. Rejects with StoreFault.
 */
export async function record(
  world: World,
  running: RunningAuthorization,
  decision: Decision,
  ending: Ending,
): Promise<Outcome> {
  const startedMs = world.clock.monotonic()
  const conclusion = conclude(running, ending)
  const reversal = reversalOf(world, running, ending, conclusion.reversal)
  const outcome: Outcome = {
    id: running.id,
    recordedAtMs: world.clock.now(),
    outcome: conclusion.outcome,
    responseCode: conclusion.responseCode,
    cause: conclusion.cause,
    issuerResponseCode: conclusion.issuerAnswer?.responseCode ?? null,
    answer: answerBody(
      answered(running, issuerOf(running, ending)),
      conclusion,
      running.acquirer.discloseRisk ? decision : null,
    ),
    decision,
    reversal,
  }
  const wasNotSent = ending.by === 'issuer' && ending.asked.result.kind === 'not_sent'
  // One group: the mark lies before the outcome in the log, so a crash between finds it.
  const marked = wasNotSent ? world.store.markNotSent(running.id) : undefined
  const [recorded] = await Promise.all([world.store.record(outcome), marked])
  await handOver(world, running, ending, recorded)
  world.journal.step('record', world.clock.monotonic() - startedMs)
  return recorded
}

/** Gives what is recorded to store-and-forward, whoever recorded it. Rejects with StoreFault. */
export async function handOver(
  world: World,
  running: RunningAuthorization,
  ending: Ending,
  recorded: Outcome,
): Promise<void> {
  for (const message of queuedBy(recorded)) world.storeAndForward.enqueue(message)
  if (recorded.cause === 'acquirer_reversal' && ending.by === 'issuer') {
    await reverseFurther(world, running, ending, recorded)
  }
}

function reversalOf(
  world: World,
  running: RunningAuthorization,
  ending: Ending,
  cause: QueuedMessage['cause'] | null,
): QueuedMessage | null {
  if (cause === null || ending.by !== 'issuer') return null
  const { attempt, issuer, reversalStep } = ending.asked
  return queuedReversal(world, running.id, attempt, issuer, cause, reversalStep)
}

/** What the answer says of the request. `issuer`: who was asked or told. */
export function answered(running: RunningAuthorization, issuer: string | undefined): Answered {
  return {
    id: running.id,
    type: running.request.type,
    amount: running.request.amount,
    currency: running.request.currency,
    stan: running.request.stan,
    rrn: running.rrn,
    issuer,
    // Nothing sealed, nothing behind the token: it could not be used.
    cardToken: running.attempt === null ? undefined : running.cardToken,
    maskedPan: running.card.pan.masked,
    createdAtMs: running.arrivedAtMs,
  }
}

function issuerOf(running: RunningAuthorization, ending: Ending): string | undefined {
  return ending.by === 'issuer' ? ending.asked.issuer.name : running.issuer?.name
}

function conclude(running: RunningAuthorization, ending: Ending): Conclusion {
  switch (ending.by) {
    case 'risk':
      return {
        ...declined('risk', ending.effect.responseCode),
        outcome: ending.effect.kind === 'challenge' ? 'challenged' : 'declined',
      }
    case 'no_route':
      return declined('no_route', RESPONSE_CODE.noRoute)
    case 'issuer':
      return concludeAsked(termsOf(running), ending.asked.result)
  }
}

function termsOf({ request, acquirer, attempt }: RunningAuthorization): Terms {
  return {
    amount: request.amount,
    isInquiry: isInquiry(request.type),
    isVerification: attempt !== null && isVerification(attempt),
    acceptsPartialApproval: acquirer.acceptsPartialApproval,
  }
}

const UNKNOWN_CAUSES = {
  timeout: 'issuer_timeout',
  connection_lost: 'connection_lost',
  bad_answer: 'issuer_fault',
} as const

/** What an issuer's word, or its absence, comes to. */
export function concludeAsked(terms: Terms, asked: AskResult): Conclusion {
  switch (asked.kind) {
    case 'not_sent':
      return declined('issuer_unreachable', RESPONSE_CODE.issuerUnavailable)
    case 'unknown':
      return {
        ...declined(UNKNOWN_CAUSES[asked.why], RESPONSE_CODE.issuerUnavailable),
        reversal: undo(terms),
      }
    case 'answered':
      return concludeAnswer(terms, asked.answer)
  }
}

/** The issuer's word, with the cases in which it can't be taken as it is. */
function concludeAnswer(terms: Terms, answer: IssuerAnswer): Conclusion {
  if (!isResponseCode(answer.responseCode)) {
    return { ...declined('issuer_fault', RESPONSE_CODE.fault), reversal: undo(terms) }
  }
  if (!isApproval(answer.responseCode, terms.isVerification)) {
    return { ...declined('issuer', answer.responseCode), issuerAnswer: answer }
  }
  // The link lets no partial approval through that is not below what was asked.
  const isPartial = !terms.isInquiry && answer.amount < terms.amount
  if (isPartial && !terms.acceptsPartialApproval) {
    // An approval that the acquirer can't take is money held for nobody.
    const cause = 'partial_not_supported'
    return { ...declined(cause, RESPONSE_CODE.insufficientFunds), reversal: cause }
  }
  return {
    outcome: 'approved',
    responseCode: answer.responseCode,
    issuerAnswer: terms.isInquiry ? { ...answer, amount: 0 } : answer,
    cause: 'issuer',
    reversal: null,
  }
}

/**
 * Why to reverse what may be an approval; an inquiry holds no money, so there is nothing to undo.
 */
function undo({ isInquiry }: Terms): QueuedMessage['cause'] | null {
  return isInquiry ? null : 'timeout'
}

function declined(cause: OutcomeCause, responseCode: string): Conclusion {
  return { outcome: 'declined', responseCode, issuerAnswer: undefined, cause, reversal: null }
}

/** A reversal with wire numbers of its own, fixed from here on. */
export function queuedReversal(
  world: Pick<World, 'clock'>,
  transactionId: string,
  original: Attempt,
  issuer: Pick<Issuer, 'drawTraceNumbers'>,
  cause: QueuedMessage['cause'],
  step: QueuedMessage['step'] = 'authorization',
): QueuedMessage {
  const trace = issuer.drawTraceNumbers('reversal')
  return {
    transactionId,
    step,
    issuer: original.issuer,
    mti: '0420',
    stan: trace.stan,
    transmittedAt: trace.transmittedAt,
    rrn: trace.rrn,
    original,
    cause,
    queuedAtMs: world.clock.now(),
  }
}

/** What was decided without the issuer, to be told in these numbers until it knows. */
export function queuedAdvice(
  world: Pick<World, 'clock'>,
  transactionId: string,
  original: Attempt,
  trace: TraceNumbers,
  told: Pick<QueuedMessage, 'cause' | 'approvalCode' | 'responseCode' | 'reasonCode'>,
): QueuedMessage {
  const { stan, transmittedAt, rrn } = trace
  return {
    transactionId,
    step: 'advice',
    issuer: original.issuer,
    mti: adviceMti(original.mti),
    stan,
    transmittedAt,
    rrn,
    original,
    queuedAtMs: world.clock.now(),
    ...told,
  }
}

/** Whether a queued reversal names that attempt: one reversal an attempt. */
export function isReversedAlready(
  { deliveries }: Pick<Transaction, 'deliveries'>,
  attempt: Attempt | undefined,
): boolean {
  return deliveries.some(({ message }) => isSameAttempt(message.original, attempt))
}

function isSameAttempt(one: Attempt | undefined, other: Attempt | undefined): boolean {
  return (
    one?.issuer === other?.issuer &&
    one?.stan === other?.stan &&
    one?.transmittedAt === other?.transmittedAt
  )
}

/**
 * The acquirer's reversal came first, and may have read the record before a further attempt was
 * added: what left after it is reversed too.
 */
async function reverseFurther(
  world: World,
  running: RunningAuthorization,
  { asked }: Extract<Ending, { by: 'issuer' }>,
  recorded: Outcome,
): Promise<void> {
  const { issuer, attempt, result, reversalStep } = asked
  const isFurther = attempt !== running.attempt
  if (!isFurther || result.kind === 'not_sent') return
  if (isSameAttempt(recorded.reversal?.original, attempt)) return
  const step = recorded.reversal === null ? reversalStep : 'fail_over'
  const reversal = queuedReversal(world, running.id, attempt, issuer, 'acquirer', step)
  if (await world.store.queue(reversal)) {
    world.storeAndForward.enqueue(reversal)
    world.journal.reversalQueued(reversal.cause)
  }
}
