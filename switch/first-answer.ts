// A key that another process took first: its answer is this one's too. Within a process `admit` sees
// to that; between processes the claim itself finds out.

import { timingSafeEqual } from 'node:crypto'
import { refuseReuse, refuseRunning } from './admit.ts'
import { FIRST_ANSWER_POLL_MS } from './limits.ts'
import { type Reply, respondAgain } from './respond.ts'
import { type ClaimResult, isTombstone, type KeyEntry, StoreFault } from './store/index.ts'
import type { World } from './world.ts'

/** Thrown by a step that lost its key between admission and claim. Nothing was stored. */
export class KeyTaken extends Error {
  override readonly name = 'KeyTaken'
  readonly entry: KeyEntry

  constructor(entry: KeyEntry) {
    super(`the key belongs to ${entry.transactionId}`)
    this.entry = entry
  }
}

/** Throws KeyTaken where another claim holds the key. */
export function mustBeTaken(result: ClaimResult): asserts result is { readonly kind: 'claimed' } {
  if (result.kind === 'existing') throw new KeyTaken(result.entry)
  if (result.kind === 'stale') throw new Error('an authorization is a step of no payment')
}

/** The first one's answer, awaited within the acquirer's deadline; else it runs still. */
export async function answerOfFirst(
  world: World,
  { entry }: KeyTaken,
  fingerprint: Uint8Array,
): Promise<Reply> {
  const isSame = timingSafeEqual(entry.fingerprint, fingerprint) || isTombstone(entry)
  if (!isSame) return refuseReuse()
  if (entry.state === 'recorded') return respondAgain(world, entry.transactionId)
  const endMs = world.clock.monotonic() + world.config.deadlines.acquirerMs
  while (world.clock.monotonic() < endMs) {
    await pause(world)
    if (await isRecorded(world, entry.transactionId)) {
      return respondAgain(world, entry.transactionId)
    }
  }
  return refuseRunning()
}

/** A read that fails is tried again: the deadline ends it. */
async function isRecorded(world: World, transactionId: string): Promise<boolean> {
  try {
    return (await world.store.read(transactionId))?.outcome != null
  } catch (error) {
    if (error instanceof StoreFault) return false
    throw error
  }
}

function pause({ timers }: World): Promise<void> {
  return new Promise((resolve) => {
    timers.set(FIRST_ANSWER_POLL_MS, resolve)
  })
}
