// A refusal where every trace number toward an issuer is taken: like any other queue that is full.

import { type Refusal, refuseForNow } from './errors.ts'
import { RETRY_AFTER_SECONDS } from './limits.ts'
import type { World } from './world.ts'

export function refuseTraceNumber(world: Pick<World, 'journal'>): Refusal {
  world.journal.shed('trace_numbers')
  const detail = 'too much is in flight to this issuer: retry'
  return refuseForNow('overloaded', detail, RETRY_AFTER_SECONDS)
}
