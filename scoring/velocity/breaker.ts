// A breaker: after failures in a row the store isn't asked for a while; then one call is let
// through to find out, and decides.
//
//   closed -- failuresMax failures in a row --> open -- openMs --> half open: one probe
//     ^                                          ^                    |        |
//     +---------------- success -----------------|--------------------+        |
//                                                +--------- failure -----------+

import type { Clock } from '../ports.ts'

export interface BreakerOptions {
  readonly clock: Clock
  /** Failures in a row that open it; at least 1. */
  readonly failuresMax: number
  readonly openMs: number
}

export interface Breaker {
  readonly state: 'closed' | 'open' | 'half-open'
  /** Whether to ask now. True when half open at most once, until that call has ended. */
  allows(): boolean
  succeeded(): void
  failed(): void
}

export function createBreaker(options: BreakerOptions): Breaker {
  const { clock, failuresMax, openMs } = options
  let state: Breaker['state'] = 'closed'
  let failures = 0
  let openedAtMs = 0
  return {
    get state() {
      return state
    },
    allows() {
      if (state === 'closed') return true
      if (state === 'half-open' || clock.monotonic() - openedAtMs < openMs) return false
      state = 'half-open'
      return true
    },
    succeeded() {
      // What was asked before it opened says nothing about now.
      if (state === 'open') return
      state = 'closed'
      failures = 0
    },
    failed() {
      if (state === 'open') return
      failures++
      if (state === 'closed' && failures < failuresMax) return
      state = 'open'
      openedAtMs = clock.monotonic()
    },
  }
}
