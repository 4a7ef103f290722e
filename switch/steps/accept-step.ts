// Leaf of a step that needs nobody's answer: accepted durably, and the issuer is told until it knows.

import type { Refusal } from '../errors.ts'
import { KeyTaken } from '../first-answer.ts'
import { NO_STAN } from '../issuers/index.ts'
import { stepBody } from '../respond.ts'
import { RESPONSE_CODE } from '../response-codes.ts'
import { refuseTraceNumber } from '../shed.ts'
import type { Outcome, QueuedMessage } from '../store/index.ts'
import type { World } from '../world.ts'
import { answeredStep, lastAttempt, stepIntent } from './step-record.ts'
import type { RunningStep } from './take-step.ts'

/** What the issuer is told besides the original's own fields. */
export type Told = Pick<QueuedMessage, 'mti' | 'cause'> &
  Partial<Pick<QueuedMessage, 'amount' | 'replacementAmount' | 'approvalCode' | 'processingCode'>>

/** The message for the issuer, with wire numbers of its own, fixed from here on. */
export function tell(world: World, step: RunningStep, told: Told): QueuedMessage | Refusal {
  const original = step.takenBack?.original ?? lastAttempt(step)
  const trace = world.traceNumbers(original.issuer).drawTraceNumbers('reversal')
  if (trace.stan === NO_STAN) return refuseTraceNumber(world)
  return {
    transactionId: step.id,
    step: step.request.kind,
    issuer: original.issuer,
    ...trace,
    original,
    queuedAtMs: world.clock.now(),
    ...told,
  }
}

/** Durable when it resolves, and on its way to the issuer. Null: there is nothing to tell. */
export async function acceptStep(
  world: World,
  step: RunningStep,
  message: QueuedMessage | null,
): Promise<Outcome | 'stale'> {
  const ruling = {
    outcome: 'approved',
    responseCode: RESPONSE_CODE.approved,
    issuerAnswer: undefined,
  } as const
  const outcome: Outcome = {
    id: step.id,
    recordedAtMs: world.clock.now(),
    outcome: ruling.outcome,
    responseCode: ruling.responseCode,
    cause: 'accepted',
    issuerResponseCode: null,
    answer: stepBody(answeredStep(step), ruling, step.after),
    decision: null,
    reversal: message?.mti === '0420' ? message : null,
    ...(message?.mti === '0220' ? { advice: message } : {}),
  }
  const result = await world.store.accept(stepIntent(step, null), outcome)
  if (result.kind === 'existing') throw new KeyTaken(result.entry)
  if (result.kind === 'stale') return 'stale'
  if (message !== null) world.storeAndForward.enqueue(message)
  return outcome
}
