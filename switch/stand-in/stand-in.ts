// Step, where no issuer of the route answered: approve in the place of the one that was asked last,
// if its policy allows it. The reversal of what may have left, the advice and the counters are one
// store transaction with the outcome, so that a crash leaves all of them or none.
//
//   certainly not sent ──> outcome, counters, advice
//   may have left ───────> outcome, counters, reversal of the request, advice behind it

import type { Decision } from '#scoring'
import type { AskedAttempt } from '../ask.ts'
import { NO_STAN } from '../issuers/index.ts'
import { answered, type Ending, handOver, queuedAdvice, queuedReversal } from '../record.ts'
import { answerBody } from '../respond.ts'
import { RESPONSE_CODE } from '../response-codes.ts'
import type { Outcome, QueuedMessage, StandInMove } from '../store/index.ts'
import type { RunningAuthorization } from '../transaction.ts'
import type { World } from '../world.ts'
import {
  approvalCodeFor,
  mayStandIn,
  movesOf,
  type StandInPolicy,
  type StandInRefusal,
} from './policy.ts'

/** Message reason codes of ISO 8583:1993: stand-in, and why the issuer gave no answer. */
const REASON = { timedOut: '1002', unavailable: '1003' } as const

/**
 * What is recorded, once durable: the approval, or what came first. Undefined: there is an answer,
 * or the policy does not allow it, so that the authorization ends as it would without. Rejects with
 * StoreFault.
 */
export async function standIn(
  world: World,
  running: RunningAuthorization,
  decision: Decision,
  ending: Ending,
): Promise<Outcome | undefined> {
  if (ending.by !== 'issuer' || ending.asked.result.kind === 'answered') return undefined
  const { asked } = ending
  const { name } = asked.issuer
  const policy = world.config.issuers.find((one) => one.name === name)?.standIn
  if (policy === undefined) return undefined
  const startedMs = world.clock.monotonic()
  const recorded = await record(world, running, decision, asked, policy)
  if (typeof recorded === 'string') {
    world.journal.standInRefused(name, recorded)
    return undefined
  }
  await handOver(world, running, ending, recorded)
  world.journal.step('record', world.clock.monotonic() - startedMs)
  return recorded
}

async function record(
  world: World,
  running: RunningAuthorization,
  decision: Decision,
  asked: AskedAttempt,
  policy: StandInPolicy,
): Promise<Outcome | StandInRefusal> {
  const { type, amount, currency, merchant, card: sent } = running.request
  const hasPin = sent.passThrough?.pinBlock !== undefined
  const purchase = { type, amount, currency, mcc: merchant.mcc, hasPin }
  const refusal = mayStandIn(policy, purchase, decision)
  if (refusal !== undefined) return refusal
  const messages = tell(world, running, asked)
  if (messages === undefined) return 'trace_numbers'
  const card = { token: running.cardToken, bin: running.card.pan.bin }
  const moves = movesOf(policy, asked.issuer.name, card, amount, world.clock.now())
  const outcome = outcomeOf(world, running, decision, asked, messages, moves)
  // One group: the mark lies before the outcome in the log, so a crash between finds it.
  const isUnsent = asked.result.kind === 'not_sent'
  const marked = isUnsent ? world.store.markNotSent(running.id) : undefined
  const [recorded] = await Promise.all([world.store.recordStandIn(outcome), marked])
  return recorded === 'over_limit' ? 'limit' : recorded
}

interface Messages {
  readonly reversal: QueuedMessage | null
  readonly advice: QueuedMessage
}

/** What the issuer has to hear, in that order; undefined where no trace number is free for it. */
function tell(
  world: World,
  running: RunningAuthorization,
  { issuer, attempt, result, reversalStep }: AskedAttempt,
): Messages | undefined {
  const { id } = running
  const reversal =
    result.kind === 'unknown'
      ? queuedReversal(world, id, attempt, issuer, 'timeout', reversalStep)
      : null
  const trace = issuer.drawTraceNumbers('reversal')
  if (trace.stan === NO_STAN || reversal?.stan === NO_STAN) return undefined
  const isLate = result.kind === 'unknown' && result.why === 'timeout'
  const advice = queuedAdvice(world, id, attempt, trace, {
    cause: 'stand_in',
    approvalCode: approvalCodeFor(id),
    responseCode: RESPONSE_CODE.approved,
    reasonCode: isLate ? REASON.timedOut : REASON.unavailable,
  })
  return { reversal, advice }
}

function outcomeOf(
  world: World,
  running: RunningAuthorization,
  decision: Decision,
  asked: AskedAttempt,
  messages: Messages,
  moves: readonly StandInMove[],
): Outcome {
  const approvalCode = approvalCodeFor(running.id)
  const { amount } = running.request
  const ruling = {
    outcome: 'approved',
    responseCode: RESPONSE_CODE.approved,
    issuerAnswer: { responseCode: RESPONSE_CODE.approved, approvalCode, amount },
    isStandIn: true,
  } as const
  return {
    id: running.id,
    recordedAtMs: world.clock.now(),
    outcome: ruling.outcome,
    responseCode: ruling.responseCode,
    cause: 'stand_in',
    issuerResponseCode: null,
    answer: answerBody(
      answered(running, asked.issuer.name),
      ruling,
      running.acquirer.discloseRisk ? decision : null,
    ),
    decision,
    reversal: messages.reversal,
    advice: messages.advice,
    standIn: moves,
  }
}
