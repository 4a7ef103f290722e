// Group commit into a database: while one batch is on its way, everything that arrives waits and
// goes in the next one. One batch is in flight at a time, one round trip each.
//
//   arrivals ──> waiting batches ──> in flight ──commit_batch──> waiters told
//                                       │
//                          connection lost: connect again, look up ──> there: told
//                                       ^                    │
//                                       └──── not there: sent again
//
// A batch has a number, which the database keeps with the owner: a batch takes effect only after
// the one before it, and never twice. So what a lost connection left is looked up, not assumed.

import type { Clock, TimerHandle, Timers } from '../../ports.ts'
import type { Flush } from '../group-commit.ts'
import { STOOD_STILL_MS } from '../limits.ts'
import { StoreFault } from '../transaction-store.ts'
import { Batch, type Exceptions } from './batch.ts'
import { DatabaseError, type DatabaseSession, isPassing } from './database.ts'
import { isLeaseOver } from './fitness.ts'
import type { PostgresLimits } from './limits.ts'
import type { SteadySession } from './steady-session.ts'

/**
 * The order in which `commit_batch` does things. Writes about one subject share a batch only where
 * they came in this order.
 */
export const STAGE = {
  claim: 0,
  queue: 1,
  notSent: 2,
  attempt: 3,
  outcome: 4,
  late: 5,
  delivery: 6,
  label: 7,
} as const
export type Stage = (typeof STAGE)[keyof typeof STAGE]

export interface Write {
  /** What it is about: transactions and payments. */
  readonly subjects: readonly string[]
  readonly stage: Stage
  /** Adds it to a batch; returns its index. */
  add(batch: Batch): number
  /** Durable, or refused by what stands in the database: `code` is its exception, or undefined. */
  decided(code: number | undefined, exceptions: Exceptions): void
  failed(fault: Error): void
}

class Group {
  readonly batch = new Batch()
  readonly writes: Write[] = []
  readonly indexes: number[] = []
  deadline: TimerHandle
}

export interface BatchCommitOptions {
  readonly session: SteadySession
  readonly owner: string
  readonly leaseEpoch: number
  readonly slot: number
  readonly keyRetentionMs: number
  readonly clock: Clock
  readonly timers: Timers
  readonly limits: PostgresLimits
  readonly onFlush?: (flush: Flush) => void
  /** Once: nothing can be written any more. */
  readonly onFault: (reason: string) => void
}

const COMMIT = {
  name: 'commit_batch_1',
  text: `SELECT switchyard.commit_batch(${parameters(60)}) AS exceptions`,
}

const LOOK_UP = {
  name: 'look_up_1',
  // Waits for a transaction of ours that the server has not ended yet.
  text: `SELECT last_batch, exceptions, ended_at IS NOT NULL AS is_ended FROM switchyard.owner
    WHERE owner = $1 AND lease_epoch = $2 FOR NO KEY UPDATE`,
}

function parameters(count: number): string {
  return Array.from({ length: count }, (_, i) => `$${i + 1}`).join(', ')
}

export class BatchCommit {
  readonly #options: BatchCommitOptions
  readonly #waiting: Group[] = []
  /** The last batch of each subject, and its stage there. */
  readonly #latest = new Map<string, { readonly group: Group; readonly stage: Stage }>()
  #inFlight: Group | undefined
  #waitingWrites = 0
  #number = 0
  #isRunning = false
  #isClosing = false
  #fault: StoreFault | null = null
  #interruption: string | null = null
  #onIdle: (() => void) | undefined

  constructor(options: BatchCommitOptions) {
    this.#options = options
  }

  get fault(): StoreFault | null {
    return this.#fault
  }

  /** Why the last try to reach the database failed, while it goes on trying. */
  get interruption(): string | null {
    return this.#interruption
  }

  get isOpen(): boolean {
    return this.#fault === null && !this.#isClosing
  }

  append(write: Write): void {
    if (!this.isOpen) {
      write.failed(this.#fault ?? new StoreFault('the store is closed'))
      return
    }
    if (this.#waitingWrites >= this.#options.limits.waitingWritesMax) {
      throw new Error(`${this.#waitingWrites} writes wait for the database`)
    }
    const group = this.#groupFor(write)
    group.indexes.push(write.add(group.batch))
    group.writes.push(write)
    this.#waitingWrites++
    for (const subject of write.subjects) this.#latest.set(subject, { group, stage: write.stage })
    if (this.#isRunning) return
    this.#isRunning = true
    // One tick later, so that everything that the current event brings is in the first batch.
    queueMicrotask(() => void this.#run())
  }

  /** Takes nothing more; resolves when what was taken is durable or has failed. */
  async close(): Promise<void> {
    this.#isClosing = true
    if (!this.#isRunning || this.#fault !== null) return
    await new Promise<void>((resolve) => {
      this.#onIdle = resolve
    })
  }

  /** Ends writing for ever; whoever waits is told that the outcome is unknown. */
  fail(reason: string): void {
    if (this.#fault !== null) return
    this.#fault = new StoreFault(reason)
    const groups = [...(this.#inFlight === undefined ? [] : [this.#inFlight]), ...this.#waiting]
    this.#waiting.length = 0
    this.#latest.clear()
    for (const group of groups) {
      this.#options.timers.clear(group.deadline)
      for (const write of group.writes.splice(0)) write.failed(this.#fault)
    }
    this.#options.session.drop()
    this.#options.onFault(reason)
    this.#onIdle?.()
  }

  #groupFor({ subjects, stage }: Write): Group {
    let from = 0
    for (const subject of subjects) {
      const latest = this.#latest.get(subject)
      if (latest === undefined) continue
      const at = this.#waiting.indexOf(latest.group)
      if (at >= 0) from = Math.max(from, latest.stage < stage ? at : at + 1)
    }
    const { batchWritesMax, commitDeadlineMs } = this.#options.limits
    for (let i = from; i < this.#waiting.length; i++) {
      const group = this.#waiting[i] as Group
      if (group.writes.length < batchWritesMax) return group
    }
    const group = new Group()
    const { clock, timers } = this.#options
    const startedAt = clock.monotonic()
    group.deadline = timers.set(commitDeadlineMs, () => {
      // As for a flush to a disk: time in which this process stood still is not the database's.
      const stillMs = clock.monotonic() - startedAt - commitDeadlineMs
      if (stillMs < STOOD_STILL_MS) this.#tooLate()
      else group.deadline = timers.set(Math.min(stillMs, commitDeadlineMs), () => this.#tooLate())
    })
    this.#waiting.push(group)
    return group
  }

  #tooLate(): void {
    const why = this.#interruption === null ? '' : `: ${this.#interruption}`
    this.fail(`a write was not durable within ${this.#options.limits.commitDeadlineMs} ms${why}`)
  }

  async #run(): Promise<void> {
    for (;;) {
      const group = this.#waiting.shift()
      if (group === undefined || this.#fault !== null) break
      this.#inFlight = group
      await this.#commit(group)
      this.#inFlight = undefined
    }
    this.#isRunning = false
    this.#onIdle?.()
  }

  async #commit(group: Group): Promise<void> {
    const { clock, timers, onFlush } = this.#options
    const startedAt = clock.monotonic()
    const codes = await this.#settle(++this.#number, group.batch)
    if (codes === undefined) return
    timers.clear(group.deadline)
    const seconds = (clock.monotonic() - startedAt) / 1000
    onFlush?.({ records: group.batch.size, bytes: group.batch.bytes, seconds })
    const exceptions = new Map(codes.map((code) => [Math.floor(code / 10), code % 10]))
    this.#waitingWrites -= group.writes.length
    for (const [i, write] of group.writes.entries()) {
      for (const subject of write.subjects) {
        if (this.#latest.get(subject)?.group === group) this.#latest.delete(subject)
      }
      write.decided(exceptions.get(group.indexes[i] as number), exceptions)
    }
  }

  /** The batch's exceptions once it is committed; undefined where writing has ended. */
  async #settle(number: number, batch: Batch): Promise<readonly number[] | undefined> {
    const { session, owner, leaseEpoch, slot, clock, keyRetentionMs, limits } = this.#options
    const lease = [owner, leaseEpoch, number, slot]
    const values = [...lease, clock.now(), keyRetentionMs, limits.labelsMax, ...batch.values()]
    for (let mayBeThere = false; this.#fault === null; ) {
      try {
        const connected = await session.get()
        if (mayBeThere) {
          const found = await this.#lookUp(connected, number)
          if (found !== 'not there') return found
        }
        mayBeThere = true
        const [row] = await connected.query(COMMIT, values)
        this.#interruption = null
        return row?.exceptions as readonly number[]
      } catch (error) {
        if (!(error instanceof DatabaseError)) throw error
        if (this.#fault !== null) return undefined
        if (!isPassing(error) && !isLeaseOver(error)) {
          this.fail(`the database refused a batch: ${error.message} (${error.sqlState})`)
          return undefined
        }
        this.#interruption = error.message
        if (!isLeaseOver(error)) await this.#pause()
      }
    }
    return undefined
  }

  /** Whether the last batch is there; undefined where the lease was ended without it. */
  async #lookUp(
    session: DatabaseSession,
    number: number,
  ): Promise<readonly number[] | 'not there' | undefined> {
    const { owner, leaseEpoch } = this.#options
    const [row] = await session.query(LOOK_UP, [owner, leaseEpoch])
    this.#interruption = null
    if (Number(row?.last_batch) === number) return row?.exceptions as readonly number[]
    if (row?.is_ended === false) return 'not there'
    this.fail(LEASE_ENDED)
    return undefined
  }

  #pause(): Promise<void> {
    const { timers, limits } = this.#options
    return new Promise((resolve) => {
      timers.set(limits.reconnectMs, resolve)
    })
  }
}

export const LEASE_ENDED =
  'its lease ran out and another process took over its work: start this one again'
