// A reversal by the acquirer: give back what was not taken, all of it or a part. Accepted durably,
// then told to the issuer (0420) until it has it. Of an authorization that is still in flight it
// decides the outcome: declined, and whatever the issuer does is undone.

import { refuseAtTheDoor, refuseRunning } from './admit.ts'
import { TOMBSTONE_MINUTES } from './limits.ts'
import { isReversedAlready, queuedReversal } from './record.ts'
import { answeredOf } from './recover.ts'
import { answerBody, type Reply, respondUnknown } from './respond.ts'
import { RESPONSE_CODE } from './response-codes.ts'
import {
  type AbsentOriginal,
  acceptStep,
  leaveTombstone,
  matchOriginal,
  type OriginalName,
  type OriginalReversal,
  type RunningStep,
  type StepRequest,
  type TakenBack,
  takeStep,
  tell,
} from './steps/index.ts'
import { type Outcome, type QueuedMessage, StoreFault } from './store/index.ts'
import type { Acquirer, World } from './world.ts'

export function reverse(
  world: World,
  acquirer: Acquirer,
  idempotencyKey: string,
  request: StepRequest,
): Promise<Reply> {
  return takeStep(world, acquirer, idempotencyKey, request, reverseOnce)
}

/**
 * The same where the acquirer does not know our id, after a time-out of its own. Of an original
 * that has not come yet it is kept, and that original is answered 94 when it does.
 */
export async function reverseOriginal(
  world: World,
  acquirer: Acquirer,
  idempotencyKey: string,
  reversal: OriginalReversal,
): Promise<Reply> {
  const match = await matchOriginal(world, acquirer, reversal.name)
  if (match.kind === 'found') {
    return reverse(world, acquirer, idempotencyKey, { ...reversal.request, paymentId: match.id })
  }
  const absent = match.code === 'not_found' ? absentOriginal(world, reversal) : undefined
  if (absent === undefined) return match
  const refusal = await keepAbsent(world, acquirer, absent)
  return refusal ?? reverseOriginal(world, acquirer, idempotencyKey, reversal)
}

/**
 * Undefined: something is known of the original now. It counts as in flight while it is written,
 * so that a flood of reversals is turned away at the door like any other.
 */
async function keepAbsent(
  world: World,
  acquirer: Acquirer,
  absent: AbsentOriginal,
): Promise<Reply | undefined> {
  // No key begins with a new line: this is nobody else's place.
  const place = `${acquirer.id}\n\n${absent.idempotencyKey}`
  if (world.inFlight.find(place) !== undefined) return awaitKept(world, place)
  const refusal = refuseAtTheDoor(world, 'accepted')
  if (refusal !== undefined) return refusal
  world.inFlight.enter(place, NO_FINGERPRINT)
  let unknown: Reply | undefined
  try {
    await leaveTombstone(world, acquirer, absent)
  } catch (error) {
    if (!(error instanceof StoreFault)) throw error
    unknown = respondUnknown()
  }
  world.inFlight.leave(place, unknown ?? refuseRunning())
  return unknown
}

/** Another reversal of it is being kept: it ends with a flush, or its deadline. */
function awaitKept(world: World, place: string): Promise<Reply | undefined> {
  return new Promise((resolve) => {
    const waiting = world.inFlight.wait(place, () => resolve(undefined))
    if (waiting === undefined) resolve(refuseRunning())
  })
}

const NO_FINGERPRINT = new Uint8Array(0)

/** Undefined: not enough is known of it, or it would have come long ago. */
function absentOriginal(
  world: World,
  { name, request, rrn, sentAtMs }: OriginalReversal,
): AbsentOriginal | undefined {
  const { currency, wire } = request
  const amount = wire?.whole ?? request.amount
  const idempotencyKey = keyOf(name)
  if (idempotencyKey === undefined || amount === undefined || currency === undefined) {
    return undefined
  }
  // An inquiry: there is nothing to keep for it.
  if (amount === 0) return undefined
  // A part of it can't be given back by who never had an answer to it.
  if (wire?.standing) return undefined
  if (sentAtMs === undefined) return undefined
  const windowMs = (world.config.tombstoneMinutes ?? TOMBSTONE_MINUTES) * 60_000
  if (Math.abs(world.clock.now() - sentAtMs) > windowMs) return undefined
  return { idempotencyKey, rrn, amount, currency }
}

/** Where the original will have no other key than this one. */
function keyOf(name: OriginalName): string | undefined {
  if (name.kind === 'key') return name.idempotencyKey
  return name.kind === 'wire' && name.isComplete ? name.keys[0] : undefined
}

async function reverseOnce(world: World, step: RunningStep) {
  const { before, after, takenBack } = step
  if (takenBack !== undefined) return takeBack(world, step, takenBack)
  if (before.state === 'in_flight') {
    const isDeclined = await declineOriginal(world, step)
    return isDeclined ? acceptStep(world, step, null) : 'stale'
  }
  // Reversed by us already: the acquirer hears yes, the issuer hears nothing twice.
  if (before.state === 'undone') return acceptStep(world, step, null)
  const standing = after.authorized - after.reversed
  const reversal = tell(world, step, {
    mti: '0420',
    cause: 'acquirer',
    amount: before.authorized,
    ...(standing === 0 ? {} : { replacementAmount: standing }),
  })
  return 'kind' in reversal ? reversal : acceptReversal(world, step, reversal)
}

/** A refund or an increment that its acquirer takes back. */
async function takeBack(world: World, step: RunningStep, { of, approved, standing }: TakenBack) {
  if (of.isUndone) return acceptStep(world, step, null)
  const reversal = tell(world, step, {
    mti: '0420',
    cause: 'acquirer',
    amount: approved,
    ...(standing === 0 ? {} : { replacementAmount: standing }),
  })
  return 'kind' in reversal ? reversal : acceptReversal(world, step, reversal)
}

async function acceptReversal(world: World, step: RunningStep, reversal: QueuedMessage) {
  const outcome = await acceptStep(world, step, reversal)
  if (outcome !== 'stale') world.journal.reversalQueued(reversal.cause)
  return outcome
}

/** False: the authorization had its outcome first. */
async function declineOriginal(world: World, { authorization }: RunningStep): Promise<boolean> {
  const { intent } = authorization
  const attempt = authorization.attempts.at(-1)
  const ruling = {
    outcome: 'declined',
    responseCode: RESPONSE_CODE.duplicate,
    issuerAnswer: undefined,
  } as const
  const outcome: Outcome = {
    id: intent.id,
    recordedAtMs: world.clock.now(),
    outcome: ruling.outcome,
    responseCode: ruling.responseCode,
    cause: 'acquirer_reversal',
    issuerResponseCode: null,
    answer: answerBody(answeredOf(authorization), ruling, null),
    decision: null,
    reversal:
      attempt === undefined || isReversedAlready(authorization, attempt)
        ? null
        : queuedReversal(
            world,
            intent.id,
            attempt,
            world.traceNumbers(attempt.issuer),
            'acquirer',
            authorization.deliveries.length === 0 ? 'authorization' : 'fail_over',
          ),
  }
  const recorded = await world.store.record(outcome)
  if (recorded.cause !== 'acquirer_reversal') return false
  if (recorded.reversal === null) return true
  // While the authorization runs here its own last step hands the reversal over, so that it can't
  // overtake the request; its place among those of its card is from now.
  const place = `${intent.acquirer}\n${intent.idempotencyKey}`
  const runsHere = world.inFlight.isWorking(place, intent.id)
  if (runsHere) world.storeAndForward.reserve(recorded.reversal)
  else world.storeAndForward.enqueue(recorded.reversal)
  return true
}
