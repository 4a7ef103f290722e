// Leaf of a step that the issuer must agree to: its attempt is durable before its bytes leave, and
// what nobody knows is declined 91 with one reversal of this step.

import type { OpenCard } from '../card-data/index.ts'
import type { Refusal } from '../errors.ts'
import { timeLeftMs } from '../fail-over.ts'
import { KeyTaken } from '../first-answer.ts'
import { type AskResult, NO_STAN, originalDataElements } from '../issuers/index.ts'
import { apply } from '../payment.ts'
import { concludeAsked, queuedReversal } from '../record.ts'
import { stepBody } from '../respond.ts'
import { noteUnreadable, refuseTraceNumber } from '../shed.ts'
import type { Attempt, Outcome, SealedCard } from '../store/index.ts'
import type { World } from '../world.ts'
import { answeredStep, lastAttempt, originalOf, stepIntent } from './step-record.ts'
import { type RunningStep, refuseInProgress } from './take-step.ts'

/** What the issuer is asked for, besides the original's own fields. */
export type StepQuestion = Pick<Attempt, 'mti' | 'processingCode'> & {
  /** A part of it is of use. */
  readonly acceptsPartialApproval: boolean
}

/**
 * Claims, asks, records: as an authorization does. Where the issuer was not told of the steps
 * before this one yet it has to be first: it would judge, or undo, what it does not know.
 */
export async function askStep(
  world: World,
  step: RunningStep,
  question: StepQuestion,
): Promise<Outcome | Refusal | 'stale'> {
  const issuer = world.issuers.get(lastAttempt(step).issuer)
  if (issuer?.isUp === true) {
    const waitMs = Math.min(issuer.timeoutMs, timeLeftMs(world, step) / 2)
    // What was told of the authorization, and of the steps that it was asked for or told of.
    const known = step.steps.flatMap((one) => originalOf(one) ?? [])
    const heard = [lastAttempt(step), ...known].map((original) =>
      world.storeAndForward.heard(original, waitMs),
    )
    if ((await Promise.all(heard)).includes(false)) return refuseInProgress()
  }
  const attempt = attemptOf(world, step, question)
  if (attempt.stan === NO_STAN) return refuseTraceNumber(world)
  const claimed = await world.store.claim(stepIntent(step, attempt))
  if (claimed.kind === 'existing') throw new KeyTaken(claimed.entry)
  if (claimed.kind === 'stale') return 'stale'
  world.attemptOwners.set(attempt, step.id)
  const asked = await ask(world, step, attempt)
  return record(world, step, attempt, question, asked)
}

function attemptOf(world: World, step: RunningStep, question: StepQuestion): Attempt {
  const original = lastAttempt(step)
  const trace = world.traceNumbers(original.issuer).drawTraceNumbers('request')
  return {
    ...original,
    mti: question.mti,
    processingCode: question.processingCode,
    ...trace,
    amount: step.amount,
    originalDataElements: originalDataElements(original),
  }
}

async function ask(world: World, step: RunningStep, attempt: Attempt): Promise<AskResult> {
  const issuer = world.issuers.get(attempt.issuer)
  // Its link is no longer configured, or its card's ciphertext is erased: nothing can leave.
  if (issuer === undefined || attempt.card === null) return { kind: 'not_sent' }
  const card = unseal(world, step, attempt.card)
  if (card === undefined) return { kind: 'not_sent' }
  const startedMs = world.clock.monotonic()
  const timeoutMs = Math.min(issuer.timeoutMs, timeLeftMs(world, step))
  const result = await issuer.ask(attempt, { ...card, cvv: undefined }, timeoutMs)
  world.journal.asked(issuer.name, result, world.clock.monotonic() - startedMs)
  return result
}

/** Undefined: its key is gone from the key file, or it is damaged. It is declined 91, not a bug. */
function unseal(world: World, { id }: RunningStep, card: SealedCard): OpenCard | undefined {
  try {
    return world.vault.unseal(card)
  } catch (error) {
    noteUnreadable(world, error, { what: 'a stored card', transactionId: id })
    return undefined
  }
}

async function record(
  world: World,
  step: RunningStep,
  attempt: Attempt,
  question: StepQuestion,
  asked: AskResult,
): Promise<Outcome> {
  const { acceptsPartialApproval } = question
  const terms = { amount: step.amount, isInquiry: false, isVerification: false }
  const conclusion = concludeAsked({ ...terms, acceptsPartialApproval }, asked)
  const { kind } = step.request
  const numbers = world.traceNumbers(attempt.issuer)
  const approved = conclusion.issuerAnswer?.amount ?? step.amount
  const payment =
    conclusion.outcome === 'approved' ? apply(step.before, kind, approved) : step.before
  const outcome: Outcome = {
    id: step.id,
    recordedAtMs: world.clock.now(),
    outcome: conclusion.outcome,
    responseCode: conclusion.responseCode,
    cause: conclusion.cause,
    issuerResponseCode: conclusion.issuerAnswer?.responseCode ?? null,
    answer: stepBody(answeredStep(step), conclusion, payment),
    decision: null,
    reversal:
      conclusion.reversal === null
        ? null
        : queuedReversal(world, step.id, attempt, numbers, conclusion.reversal, kind),
  }
  // One group: the mark lies before the outcome in the log, so a crash between finds it.
  const marked = asked.kind === 'not_sent' ? world.store.markNotSent(step.id) : undefined
  const [recorded] = await Promise.all([world.store.record(outcome), marked])
  if (recorded.reversal !== null) {
    world.storeAndForward.enqueue(recorded.reversal)
    world.journal.reversalQueued(recorded.reversal.cause)
  }
  return recorded
}
