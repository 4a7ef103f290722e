// Step, where an attempt got no answer: may the route's next issuer be asked? Only where the first
// certainly got nothing, or after the reversal of what it may have got is durable.
//
//   not sent ── mark, next attempt ────────────┐
//                                              ├─ one flush ──> the next issuer is asked
//   unknown ─── its reversal, next attempt ────┘

import type { AskedAttempt, Asking } from './ask.ts'
import { attemptAt } from './claim.ts'
import { NO_STAN } from './issuers/index.ts'
import { FAIL_OVER_MS_MIN } from './limits.ts'
import { isInquiry } from './payment.ts'
import { queuedReversal } from './record.ts'
import type { Attempt } from './store/index.ts'
import type { RunningAuthorization } from './transaction.ts'
import type { World } from './world.ts'

/**
 * The next attempt, durable; undefined where that issuer may not or can't be asked. Rejects with
 * StoreFault.
 */
export async function failOver(
  world: World,
  running: RunningAuthorization,
  ended: AskedAttempt,
  nextName: string,
): Promise<Asking | undefined> {
  const issuer = world.issuers.get(nextName)
  if (issuer?.isUp !== true) return undefined
  if (timeLeftMs(world, running) < FAIL_OVER_MS_MIN) return undefined
  const mayHaveLeft = ended.result.kind === 'unknown'
  // An inquiry has no reversal; and a second unknown attempt is enough for one authorization.
  if (mayHaveLeft && (isInquiry(running.request.type) || ended.reversalStep === 'fail_over')) {
    return undefined
  }
  const attempt = attemptAt(world, running, issuer)
  if (attempt.stan === NO_STAN) return undefined
  const isOpen = mayHaveLeft
    ? await reverseAndAdd(world, running, ended, attempt)
    : await markAndAdd(world, running, attempt)
  if (!isOpen) return undefined
  world.attemptOwners.set(attempt, running.id)
  world.journal.failedOver(ended.issuer.name, issuer.name)
  const reversalStep = mayHaveLeft ? 'fail_over' : ended.reversalStep
  // What the flush took is gone; where nothing is left, the attempt is refused and marked not sent.
  const timeoutMs = Math.min(issuer.timeoutMs, timeLeftMs(world, running))
  return { issuer, attempt, timeoutMs, reversalStep }
}

/** What the acquirer's deadline leaves, with one more flush for the outcome. */
export function timeLeftMs(world: World, { startedMs }: { readonly startedMs: number }): number {
  const { acquirerMs, durabilityMs } = world.config.deadlines
  return acquirerMs - durabilityMs - (world.clock.monotonic() - startedMs)
}

/** One group: the mark lies before the attempt in the log. */
async function markAndAdd(
  world: World,
  running: RunningAuthorization,
  attempt: Attempt,
): Promise<boolean> {
  const [, isOpen] = await Promise.all([
    world.store.markNotSent(running.id),
    world.store.addAttempt(running.id, attempt),
  ])
  return isOpen
}

/** One group: the reversal lies before the attempt in the log. */
async function reverseAndAdd(
  world: World,
  running: RunningAuthorization,
  ended: AskedAttempt,
  attempt: Attempt,
): Promise<boolean> {
  const { issuer, reversalStep } = ended
  const reversal = queuedReversal(world, running.id, ended.attempt, issuer, 'timeout', reversalStep)
  const [isQueued, isOpen] = await Promise.all([
    world.store.queue(reversal),
    world.store.addAttempt(running.id, attempt),
  ])
  if (isQueued) {
    world.storeAndForward.enqueue(reversal)
    world.journal.reversalQueued(reversal.cause)
  }
  return isOpen
}
