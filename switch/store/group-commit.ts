// Group commit: while one append and its flush run, everything that arrives waits and goes in the
// next group. No timer delays a group, and nothing is answered before the flush that covers it.
// What nobody hurries for (`patient`: how a queued message's delivery goes on) starts no flush of
// its own for a while: it goes in the next group of the others, so a backlog costs them no flush.
//
//   arrivals ──> filling ──swap──> flushing ──append + fdatasync──> waiters told, in log order
//                   ^                  │
//                   └──── next group ──┘
//
// The first flush that fails or is late ends writing for ever: what is on disk is unknown then, so
// nothing is retried as if it hadn't happened.

import type { Clock, TimerHandle, Timers } from '../ports.ts'
import { GROUP_BUFFER_BYTES, PATIENT_MS, STOOD_STILL_MS } from './limits.ts'
import { FRAME_BYTES, writeFrame } from './segment.ts'
import { StoreFault } from './transaction-store.ts'

/** One who waits for a record to be durable. Exactly one of the two is called, once. */
export interface Waiter {
  /** `position`: the record's, in the log; of `afterAppended`, -1. */
  durable(position: number): void
  failed(fault: StoreFault): void
}

/** What one flush was, for the metrics. */
export interface Flush {
  readonly records: number
  readonly bytes: number
  readonly seconds: number
}

export interface GroupCommitOptions {
  /** Where groups go; `seed` is what its frames' CRC starts from. */
  readonly log: { readonly seed: number; append(group: Uint8Array): Promise<number> }
  readonly clock: Clock
  readonly timers: Timers
  readonly flushDeadlineMs: number
  readonly recordBytesMax: number
  readonly waitingRecordsMax: number
  readonly waitingBytesMax: number
  readonly onFlush?: (flush: Flush) => void
  readonly onFault?: (reason: string) => void
  /** Asked before each group: a promise holds it back until it settles. */
  readonly hold?: () => Promise<void> | undefined
}

interface Between {
  run(): Promise<void>
  refuse(fault: StoreFault): void
}

const CLOSED = 'the store is closed'

class Group {
  buffer = Buffer.allocUnsafe(GROUP_BUFFER_BYTES)
  bytes = 0
  records = 0
  /** Something in it does not wait for others to start its flush. */
  isDue = false
  /** A waiter and its record's offset in the group, side by side. */
  readonly waiters: Waiter[] = []
  readonly offsets: number[] = []

  reserve(bytes: number): void {
    if (this.bytes + bytes <= this.buffer.length) return
    const larger = Buffer.allocUnsafe(Math.max(this.buffer.length * 2, this.bytes + bytes))
    this.buffer.copy(larger, 0, 0, this.bytes)
    this.buffer = larger
  }

  reset(): void {
    // A peak's buffer is given back once a group no longer needs a quarter of it.
    if (this.buffer.length > GROUP_BUFFER_BYTES && this.bytes < this.buffer.length / 4) {
      this.buffer = Buffer.allocUnsafe(GROUP_BUFFER_BYTES)
    }
    this.bytes = 0
    this.records = 0
    this.isDue = false
    this.waiters.length = 0
    this.offsets.length = 0
  }
}

export class GroupCommit {
  readonly #options: GroupCommitOptions
  #filling = new Group()
  #flushing = new Group()
  #isRunning = false
  #isClosing = false
  #fault: StoreFault | null = null
  #onIdle: (() => void) | null = null
  #patience: TimerHandle | undefined
  readonly #between: Between[] = []

  constructor(options: GroupCommitOptions) {
    this.#options = options
  }

  /** Why nothing can be written any more; null while all is well. */
  get fault(): string | null {
    return this.#fault?.message ?? null
  }

  get isWritable(): boolean {
    return this.#fault === null && !this.#isClosing
  }

  /**
   * Takes one record, copied at once. Throws where a limit is broken, which is the caller's bug:
   * admission keeps what is in flight below it. `isPatient`: it may wait PATIENT_MS for a group
   * that something else starts.
   */
  append(payload: Uint8Array, waiter: Waiter, isPatient = false): void {
    if (!this.isWritable) {
      this.#refuse(waiter)
      return
    }
    const group = this.#filling
    const { recordBytesMax, waitingRecordsMax, waitingBytesMax } = this.#options
    const bytes = FRAME_BYTES + payload.length
    if (payload.length > recordBytesMax) {
      throw new Error(`a record of ${payload.length} bytes; ${recordBytesMax} at most`)
    }
    if (group.records >= waitingRecordsMax || group.bytes + bytes > waitingBytesMax) {
      throw new Error(`${group.records} records of ${group.bytes} bytes wait for a flush`)
    }
    group.reserve(bytes)
    writeFrame(group.buffer, group.bytes, payload, group.bytes, this.#options.log.seed)
    group.waiters.push(waiter)
    group.offsets.push(group.bytes)
    group.bytes += bytes
    group.records++
    if (isPatient) this.#waitForOthers()
    else this.#hurry()
  }

  /** Tells the waiter once everything that was appended so far is durable. */
  afterAppended(waiter: Waiter): void {
    if (this.#fault !== null) {
      this.#refuse(waiter)
      return
    }
    const group = this.#filling.records > 0 ? this.#filling : this.#flushing
    if (group.records === 0) {
      waiter.durable(-1)
      return
    }
    group.waiters.push(waiter)
    group.offsets.push(-1)
    if (group === this.#filling) this.#hurry()
  }

  /**
   * Does something to the log while no append is under way, before the next group. Rejects as it
   * does, or with StoreFault where writing has ended.
   */
  between(work: () => Promise<void>): Promise<void> {
    if (!this.isWritable) return Promise.reject(this.#fault ?? new StoreFault(CLOSED))
    return new Promise<void>((resolve, reject) => {
      this.#between.push({ run: () => work().then(resolve, reject), refuse: reject })
      this.#start()
    })
  }

  /** Takes nothing more, and resolves when what was taken is durable or has failed. */
  async close(): Promise<void> {
    this.#isClosing = true
    if (this.#filling.records > 0 && this.#fault === null) this.#hurry()
    if (this.#isRunning && this.#fault === null) {
      await new Promise<void>((resolve) => {
        this.#onIdle = resolve
      })
    }
  }

  /** Ends writing for ever. Everything that waits is rejected. */
  fail(reason: string): void {
    if (this.#fault !== null) return
    this.#fault = new StoreFault(reason)
    this.#endPatience()
    for (const group of [this.#flushing, this.#filling]) {
      const waiters = group.waiters.splice(0)
      group.reset()
      for (const waiter of waiters) waiter.failed(this.#fault)
    }
    for (const { refuse } of this.#between.splice(0)) refuse(this.#fault)
    this.#options.onFault?.(reason)
    // A flush that never returns must not keep `close` waiting.
    this.#onIdle?.()
  }

  #refuse(waiter: Waiter): void {
    waiter.failed(this.#fault ?? new StoreFault(CLOSED))
  }

  /** The group that fills is flushed as soon as the one before it is. */
  #hurry(): void {
    this.#filling.isDue = true
    this.#endPatience()
    this.#start()
  }

  #waitForOthers(): void {
    if (this.#filling.isDue) return
    this.#patience ??= this.#options.timers.set(PATIENT_MS, () => {
      this.#patience = undefined
      if (this.#filling.records > 0) this.#hurry()
    })
  }

  #endPatience(): void {
    if (this.#patience === undefined) return
    this.#options.timers.clear(this.#patience)
    this.#patience = undefined
  }

  #start(): void {
    if (this.#isRunning) return
    this.#isRunning = true
    // One tick later, so that everything that the current event brings is in the first group.
    queueMicrotask(() => void this.#run())
  }

  async #run(): Promise<void> {
    while (this.#filling.isDue || this.#between.length > 0) {
      for (const { run } of this.#between.splice(0)) await run()
      if (!this.#filling.isDue) continue
      const hold = this.#options.hold?.()
      if (hold !== undefined) await hold
      if (this.#fault !== null) break
      const group = this.#filling
      this.#filling = this.#flushing
      this.#flushing = group
      await this.#flush(group)
      if (this.#fault !== null) break
    }
    this.#isRunning = false
    this.#onIdle?.()
  }

  async #flush(group: Group): Promise<void> {
    const { clock, timers, flushDeadlineMs } = this.#options
    const startedAt = clock.monotonic()
    const tooLate = () => this.fail(`a flush took longer than ${flushDeadlineMs} ms`)
    let deadline: TimerHandle = timers.set(flushDeadlineMs, () => {
      // A process that stood still (stopped, or out of CPU) did not look: the disk gets that time.
      const stillMs = clock.monotonic() - startedAt - flushDeadlineMs
      if (stillMs < STOOD_STILL_MS) tooLate()
      else deadline = timers.set(Math.min(stillMs, flushDeadlineMs), tooLate)
    })
    let position: number
    try {
      position = await this.#options.log.append(group.buffer.subarray(0, group.bytes))
    } catch (error) {
      this.fail(`a flush failed: ${describe(error)}`)
      return
    } finally {
      timers.clear(deadline)
    }
    if (this.#fault !== null) return
    this.#options.onFlush?.({
      records: group.records,
      bytes: group.bytes,
      seconds: (clock.monotonic() - startedAt) / 1000,
    })
    // By index: telling a waiter may bring further ones, which wait for this very group.
    for (let i = 0; i < group.waiters.length; i++) {
      const offset = group.offsets[i] as number
      ;(group.waiters[i] as Waiter).durable(offset === -1 ? -1 : position + offset)
    }
    group.reset()
  }
}

/** `ENOSPC: no space left on device, write`: the system's message names no card data. */
function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
