// Step: tell others. Metrics, one canonical line, and velocity; none of it may fail the payment.

import type { Outcome } from './store/index.ts'
import type { RunningAuthorization } from './transaction.ts'
import type { World } from './world.ts'

export function publish(world: World, running: RunningAuthorization, outcome: Outcome): void {
  const durationMs = world.clock.monotonic() - running.startedMs
  world.journal.authorized(running, outcome, durationMs)
  const isApproved = outcome.outcome === 'approved'
  world.scorer.publish({
    request: running.scoring,
    kind: isApproved ? 'approved' : 'declined',
    ...(isApproved ? {} : { responseCode: outcome.responseCode }),
  })
}
