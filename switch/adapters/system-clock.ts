// Adapter: time, timers and randomness of the operating system.

import { randomFillSync } from 'node:crypto'
import type { Clock, Random, Timers } from '../ports.ts'

/** setTimeout takes 31 bits; beyond them it would fire at once. */
const DELAY_MAX_MS = 2_147_483_647

/**
 * Random bytes are drawn 4 KiB at a time, since one call costs about 5 µs whatever its length.
 * What was handed out is wiped from the pool.
 */
const POOL_BYTES = 4_096

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
}

export const systemTimers: Timers = {
  set: (delayMs, callback) => setTimeout(callback, Math.min(delayMs, DELAY_MAX_MS)),
  clear: (handle) => clearTimeout(handle as NodeJS.Timeout),
}

/** Cryptographically secure bytes of node:crypto. */
export function createSystemRandom(): Random {
  const pool = new Uint8Array(POOL_BYTES)
  let next = POOL_BYTES
  return {
    fill(target) {
      if (target.length > POOL_BYTES) return randomFillSync(target)
      if (next + target.length > POOL_BYTES) {
        randomFillSync(pool)
        next = 0
      }
      const end = next + target.length
      target.set(pool.subarray(next, end))
      pool.fill(0, next, end)
      next = end
      return target
    },
  }
}
