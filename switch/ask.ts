// Step: ask the issuer. The attempt is durable, so its bytes may leave.

import type { AskResult } from './issuers/index.ts'
import type { RunningAuthorization } from './transaction.ts'
import type { World } from './world.ts'

/** Asks once. Never rejects: an outcome that nobody knows is `unknown`, not failed. */
export async function ask(world: World, running: RunningAuthorization): Promise<AskResult> {
  const { issuer, attempt, request, card } = running
  if (issuer === undefined || attempt === null) throw new Error('asked without a route')
  // Its acquirer may have reversed it while it was scored: then nothing needs to leave any more.
  const known = world.store.findKey(running.acquirer.id, running.idempotencyKey)
  if (known?.state === 'recorded') return { kind: 'not_sent' }
  const startedMs = world.clock.monotonic()
  const result = await issuer.ask(
    attempt,
    { pan: card.pan, expiry: card.expiry, cvv: request.card.cvv },
    issuer.timeoutMs,
  )
  world.journal.asked(issuer.name, result, world.clock.monotonic() - startedMs)
  return result
}
