// Deadlines of what is in flight: one timer for all of them.
//
//   head ── earliest ... latest ── tail      a doubly linked list, the links inside the entries
//
// Time-outs of a link are nearly all equal, so a new entry belongs at the tail and putting it in
// costs one comparison; taking one out, as every answer does, costs none. The timer stands for the
// head at the time of arming; where that one was taken out meanwhile, it fires early and is armed
// again: at most one idle firing a time-out.

import type { Clock, TimerHandle, Timers } from '../ports.ts'

/** What can stand in the list: one list at a time. The list owns the two links. */
export interface DeadlineEntry<Entry> {
  deadlineMs: number
  earlier: Entry | null
  later: Entry | null
}

export class Deadlines<Entry extends DeadlineEntry<Entry>> {
  readonly #clock: Clock
  readonly #timers: Timers
  readonly #onDue: (entry: Entry) => void
  #head: Entry | null = null
  #tail: Entry | null = null
  #size = 0
  #timer: TimerHandle | undefined
  #armedForMs = 0
  readonly #fire = (): void => this.#fired()

  /** `onDue` gets each entry, already taken out, at its deadline or as soon after as timers allow. */
  constructor(clock: Clock, timers: Timers, onDue: (entry: Entry) => void) {
    this.#clock = clock
    this.#timers = timers
    this.#onDue = onDue
  }

  get size(): number {
    return this.#size
  }

  /** Puts an entry in that is in no list; its `deadlineMs` (monotonic) is set and stays. */
  add(entry: Entry): void {
    let earlier = this.#tail
    while (earlier !== null && earlier.deadlineMs > entry.deadlineMs) earlier = earlier.earlier
    const later = earlier === null ? this.#head : earlier.later
    entry.earlier = earlier
    entry.later = later
    if (earlier === null) this.#head = entry
    else earlier.later = entry
    if (later === null) this.#tail = entry
    else later.earlier = entry
    this.#size++
    if (this.#timer === undefined) {
      this.#arm(entry.deadlineMs)
    } else if (earlier === null && entry.deadlineMs < this.#armedForMs) {
      this.#timers.clear(this.#timer)
      this.#arm(entry.deadlineMs)
    }
  }

  /** Takes an entry out that is in this list. */
  remove(entry: Entry): void {
    if (entry.earlier === null) this.#head = entry.later
    else entry.earlier.later = entry.later
    if (entry.later === null) this.#tail = entry.earlier
    else entry.later.earlier = entry.earlier
    entry.earlier = null
    entry.later = null
    this.#size--
    if (this.#head === null) this.#disarm()
  }

  /** The entry with the earliest deadline. */
  get earliest(): Entry | null {
    return this.#head
  }

  #arm(deadlineMs: number): void {
    this.#armedForMs = deadlineMs
    this.#timer = this.#timers.set(Math.max(0, deadlineMs - this.#clock.monotonic()), this.#fire)
  }

  #disarm(): void {
    if (this.#timer === undefined) return
    this.#timers.clear(this.#timer)
    this.#timer = undefined
  }

  #fired(): void {
    this.#timer = undefined
    const nowMs = this.#clock.monotonic()
    for (let due = this.#head; due !== null && due.deadlineMs <= nowMs; due = this.#head) {
      this.remove(due)
      this.#onDue(due)
    }
    if (this.#head !== null && this.#timer === undefined) this.#arm(this.#head.deadlineMs)
  }
}
