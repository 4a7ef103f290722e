// Step: ask the route's issuers, one after another. Each attempt is durable, so its bytes may leave.

import { failOver } from './fail-over.ts'
import type { AskResult, Issuer } from './issuers/index.ts'
import type { Attempt, QueuedMessage } from './store/index.ts'
import type { RunningAuthorization } from './transaction.ts'
import type { World } from './world.ts'

/** An attempt that is durable, and may be made once. */
export interface Asking {
  readonly issuer: Issuer
  readonly attempt: Attempt
  readonly timeoutMs: number
  /** What the reversal of this attempt is called, where it needs one. */
  readonly reversalStep: Extract<QueuedMessage['step'], 'authorization' | 'fail_over'>
}

/** The last attempt, and how it ended; whatever came before it needs nothing more. */
export interface AskedAttempt extends Asking {
  readonly result: AskResult
}

/** An outcome that nobody knows is `unknown`, not failed. Rejects with StoreFault only. */
export async function ask(world: World, running: RunningAuthorization): Promise<AskedAttempt> {
  const { issuer, attempt, route } = running
  if (issuer === undefined || attempt === null) throw new Error('asked without a route')
  const { timeoutMs } = issuer
  const first: Asking = { issuer, attempt, timeoutMs, reversalStep: 'authorization' }
  // Its acquirer may have reversed it while it was scored: then nothing needs to leave any more.
  const known = world.store.findKey(running.acquirer.id, running.idempotencyKey)
  if (known?.state === 'recorded') return { ...first, result: { kind: 'not_sent' } }
  let asked = await askOnce(world, running, first)
  for (let i = 1; i < route.length && asked.result.kind !== 'answered'; i++) {
    const next = await failOver(world, running, asked, route[i] as string)
    if (next !== undefined) asked = await askOnce(world, running, next)
  }
  return asked
}

async function askOnce(
  world: World,
  running: RunningAuthorization,
  asking: Asking,
): Promise<AskedAttempt> {
  const { issuer, attempt, timeoutMs } = asking
  const { request, card } = running
  const startedMs = world.clock.monotonic()
  const { cvv, passThrough } = request.card
  const { pan, expiry } = card
  const cardData = { pan, expiry, cvv, passThrough }
  const result = await issuer.ask(attempt, cardData, timeoutMs)
  world.journal.asked(issuer.name, result, world.clock.monotonic() - startedMs)
  return { ...asking, result }
}
