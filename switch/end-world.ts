// How a world ends in order: nothing new comes in, what runs is answered, and the links are closed.
// The store stays open for whoever still reads; closing it is the caller's.

import type { TimerHandle, Timers } from '#scoring'
import type { World } from './world.ts'

/**
 * What a reversal's answer, or a sign-off, may take once all requests have ended. With the slowest
 * issuer's 8 s it stays below `drainMs`.
 */
export const ENDINGS_MS_MAX = 2_000

/** Resolves when nothing is in flight toward acquirers or issuers. */
export async function endWorld(world: World): Promise<void> {
  world.door.isOpen = false
  // What is queued is durable and goes out at the next start: a silent issuer may cost its time
  // to the requests in flight and to reversals side by side, not one after the other.
  const deliveriesEnded = world.storeAndForward.close()
  await world.inFlight.whenEmpty()
  await within(world.timers, ENDINGS_MS_MAX, deliveriesEnded)
  const issuers = [...world.issuers.values()]
  const linksEnded = Promise.all(issuers.map((issuer) => issuer.close()))
  await within(world.timers, ENDINGS_MS_MAX, linksEnded)
}

/** Resolves with the work, or without it after `timeoutMs`. */
export async function within(
  timers: Timers,
  timeoutMs: number,
  work: Promise<unknown>,
): Promise<void> {
  let timer: TimerHandle
  const late = new Promise<void>((resolve) => {
    timer = timers.set(timeoutMs, resolve)
  })
  await Promise.race([work, late])
  timers.clear(timer)
}
