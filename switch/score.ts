// Step: the risk decision, within its deadline.

import type { Decision } from '#scoring'
import type { RunningAuthorization } from './transaction.ts'
import type { World } from './world.ts'

/** Never rejects: what is missing is named in the decision's `degraded`. */
export async function score(world: World, running: RunningAuthorization): Promise<Decision> {
  const startedMs = world.clock.monotonic()
  const decision = await world.scorer.score(running.scoring, world.config.deadlines.scoreMs)
  world.journal.scored(decision, world.clock.monotonic() - startedMs)
  return decision
}
