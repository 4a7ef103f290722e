// An issuer's answer after its attempt was given up: recorded, and it changes no outcome.

import { isVerification } from './claim.ts'
import type { LateIssuerAnswer } from './issuers/index.ts'
import { isApproval } from './response-codes.ts'
import { isOperatingError, StoreFault } from './store/index.ts'
import type { World } from './world.ts'

/**
 * Records the answer and tells store-and-forward of an approval, so that a reversal which the
 * issuer could not find yet goes out again. The time-out queued that reversal; none is added here.
 */
export async function takeLateAnswer(
  world: Pick<World, 'attemptOwners' | 'clock' | 'journal' | 'store' | 'storeAndForward'>,
  late: LateIssuerAnswer,
): Promise<void> {
  const transactionId = world.attemptOwners.get(late.attempt)
  if (transactionId === undefined) throw new Error('a late answer matched an attempt of nobody')
  const approved = isApproval(late.answer.responseCode, isVerification(late.attempt))
  world.journal.linkEvent(late.attempt.issuer, approved ? 'late_approval' : 'late_decline')
  try {
    await world.store.recordLateAnswer({
      transactionId,
      at: world.clock.now(),
      issuer: late.attempt.issuer,
      responseCode: late.answer.responseCode,
      approved,
    })
  } catch (error) {
    // The store says so itself and the process ends; the next start has the reversal in its log.
    if (error instanceof StoreFault) return
    if (!isOperatingError(error)) throw error
    const { code, message } = error
    // A record that does not read is the disk's fault: the reversal is told all the same.
    world.journal.log.error({ code, error: message, transactionId }, "a late answer can't be kept")
  }
  if (approved) world.storeAndForward.lateApproval(late.attempt)
}
