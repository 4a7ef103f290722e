// Stops asking on a connection that takes requests and gives no answers in time.
//
//              N time-outs in a row             wait over: an echo
//   closed ───────────────────────────> open ──────────────────────> probing
//     ^                                  ^ ^                           │  │
//     │                                  │ └── echo not answered ──────┘  │ echo answered
//     │ a request answered in time       │ a request timed out            v
//     └──────────────────────────────────┴──────────────────────────── half_open
//
// An echo is answered by the issuer's front, which may live while its host hangs. So the echo alone
// does not close the breaker: it lets a few requests through, and those decide. Each opening in a
// row waits twice as long as the one before. A connection that is lost has no breaker: its next one
// begins closed, and remembers how often it was opened.

import type { TimerHandle, Timers } from '../ports.ts'
import { BREAKER_TRIALS_MAX } from './limits.ts'

export type BreakerState = 'closed' | 'open' | 'half_open'

export interface BreakerOptions {
  /** Requests that timed out with none answered in between. */
  readonly timeoutsInARow: number
  /** How long the first opening waits for its echo, and the longest that any waits. */
  readonly openMinMs: number
  readonly openMaxMs: number
}

export interface BreakerOwner {
  /** Sends an echo; `probeAnswered` or `probeFailed` follows, or `connectionLost`. */
  probe(): void
  breakerChanged(state: BreakerState): void
}

export class Breaker {
  readonly #options: BreakerOptions
  readonly #timers: Timers
  readonly #owner: BreakerOwner
  #state: BreakerState = 'closed'
  #timeoutsInARow = 0
  /** Openings since a request was last answered in time. */
  #openings = 0
  /** Requests in flight that were let through half open. */
  #trials = 0
  #isProbing = false
  #timer: TimerHandle | undefined

  constructor(options: BreakerOptions, timers: Timers, owner: BreakerOwner) {
    this.#options = options
    this.#timers = timers
    this.#owner = owner
  }

  get state(): BreakerState {
    return this.#state
  }

  /** Whether a request may leave now; a reversal may while the breaker is not open. */
  get admitsRequest(): boolean {
    return (
      this.#state === 'closed' || (this.#state === 'half_open' && this.#trials < BREAKER_TRIALS_MAX)
    )
  }

  /** True: it is one of those that decide. */
  requestLeft(): boolean {
    if (this.#state !== 'half_open') return false
    this.#trials++
    return true
  }

  /** In time; a late answer says nothing good. */
  requestAnswered(): void {
    this.#timeoutsInARow = 0
    // What was asked before it opened and is still answered in time: the host is slow, not gone.
    if (this.#state === 'open') return
    this.#openings = 0
    if (this.#state === 'half_open') this.#change('closed')
  }

  requestTimedOut(wasTrial: boolean): void {
    this.#timeoutsInARow++
    if (this.#state === 'half_open') {
      // What was asked before it opened times out now and says nothing new.
      if (wasTrial) this.#open()
    } else if (this.#state === 'closed') {
      if (this.#timeoutsInARow >= this.#options.timeoutsInARow) this.#open()
    }
  }

  probeAnswered(): void {
    if (!this.#isProbing) return
    this.#isProbing = false
    this.#change('half_open')
  }

  probeFailed(): void {
    if (!this.#isProbing) return
    this.#isProbing = false
    this.#open()
  }

  /** The next connection begins closed. */
  connectionLost(): void {
    this.#clearTimer()
    this.#isProbing = false
    this.#timeoutsInARow = 0
    if (this.#state !== 'closed') this.#change('closed')
  }

  #open(): void {
    const { openMinMs, openMaxMs } = this.#options
    const waitMs = Math.min(openMaxMs, openMinMs * 2 ** Math.min(this.#openings++, 30))
    this.#clearTimer()
    this.#timer = this.#timers.set(waitMs, () => {
      this.#timer = undefined
      this.#isProbing = true
      this.#owner.probe()
    })
    if (this.#state !== 'open') this.#change('open')
  }

  #change(state: BreakerState): void {
    this.#state = state
    this.#trials = 0
    this.#owner.breakerChanged(state)
  }

  #clearTimer(): void {
    if (this.#timer === undefined) return
    this.#timers.clear(this.#timer)
    this.#timer = undefined
  }
}
