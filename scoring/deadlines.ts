// Many deadlines, one timer: a timer a message costs more than the rest of the queueing together.

import type { Clock, TimerHandle, Timers } from './ports.ts'

/** Something that must be over at `deadlineAtMs` (monotonic). */
export interface Expiring {
  readonly deadlineAtMs: number
  /** Set by its owner; what is settled never expires. */
  settled: boolean
}

/** Timers fire up to a millisecond off; this close to its deadline something counts as expired. */
const TIMER_SLACK_MS = 0.5

/** A timer later than this was held up by our own thread, not by those we wait for. */
const OWN_STALL_MS = 2

/** Below this length a sweep is not worth its while: 1,024 settled messages hold about 2 MB. */
const SWEEP_LENGTH_MIN = 1024

/**
 * Calls `expire` for each item that is not settled at its deadline. Settled items are swept out
 * when the timer fires, and whenever they outnumber the others.
 */
export class Deadlines<T extends Expiring> {
  readonly #clock: Clock
  readonly #timers: Timers
  readonly #expire: (item: T) => void
  #items: T[] = []
  #sweepAtLength = SWEEP_LENGTH_MIN
  #timer: TimerHandle
  /** Infinity: no timer is set. */
  #timerAtMs = Number.POSITIVE_INFINITY

  constructor(clock: Clock, timers: Timers, expire: (item: T) => void) {
    this.#clock = clock
    this.#timers = timers
    this.#expire = expire
  }

  add(item: T): void {
    this.#items.push(item)
    if (this.#items.length >= this.#sweepAtLength) this.#dropSettled()
    if (item.deadlineAtMs < this.#timerAtMs) this.#arm(item.deadlineAtMs, this.#clock.monotonic())
  }

  /** Stops the timer and gives back what is not settled. */
  clear(): readonly T[] {
    this.#disarm()
    this.#dropSettled()
    const left = this.#items
    this.#items = []
    return left
  }

  #arm(atMs: number, nowMs: number): void {
    this.#disarm()
    this.#timerAtMs = atMs
    const delayMs = Math.max(1, Math.ceil(atMs - nowMs))
    this.#timer = this.#timers.set(delayMs, () => this.#onTimer())
  }

  #disarm(): void {
    if (this.#timerAtMs !== Number.POSITIVE_INFINITY) this.#timers.clear(this.#timer)
    this.#timerAtMs = Number.POSITIVE_INFINITY
  }

  #onTimer(): void {
    const nowMs = this.#clock.monotonic()
    const stalled = nowMs - this.#timerAtMs > OWN_STALL_MS
    this.#timerAtMs = Number.POSITIVE_INFINITY
    // Timers run before messages from other threads are read: after a stall of this thread the
    // results may be here already. One more turn of the loop, then the deadline counts.
    if (stalled) this.#timer = this.#timers.set(1, () => this.#sweep())
    else this.#sweep()
  }

  #sweep(): void {
    const nowMs = this.#clock.monotonic()
    for (const item of this.#items) {
      if (!item.settled && item.deadlineAtMs - nowMs <= TIMER_SLACK_MS) this.#expire(item)
    }
    this.#dropSettled()
    let earliestAtMs = Number.POSITIVE_INFINITY
    for (const item of this.#items) earliestAtMs = Math.min(earliestAtMs, item.deadlineAtMs)
    if (earliestAtMs < this.#timerAtMs) this.#arm(earliestAtMs, nowMs)
  }

  #dropSettled(): void {
    this.#items = this.#items.filter((item) => !item.settled)
    this.#sweepAtLength = Math.max(SWEEP_LENGTH_MIN, this.#items.length * 2)
  }
}
