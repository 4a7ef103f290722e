// The lease of this process: renewed while it lives, and lost for ever once another process has
// ended it. What it may send to issuers depends on how long it lasts by the monotonic clock, which
// is counted from before the renewal was asked for, so it ends here before it does in the database.

import type { Clock, TimerHandle, Timers } from '../../ports.ts'
import { LEASE_ENDED } from './batch-commit.ts'
import { DatabaseError, type Statement } from './database.ts'
import { isLeaseOver } from './fitness.ts'
import { type PostgresLimits, RENEWALS_PER_LEASE } from './limits.ts'
import type { Reader } from './reader.ts'

const KEEP: Statement = {
  name: 'keep_lease_1',
  text: `SELECT adopted, lanes
    FROM switchyard.keep_lease($1, $2, $3, $4, $5::text[])`,
}

/** For statements beside the batches: $1 and $2 are the owner and the epoch of its lease. */
export const LEASE_HOLDS = `EXISTS (SELECT 1 FROM switchyard.owner holder
  WHERE holder.owner = $1 AND holder.lease_epoch = $2 AND holder.ended_at IS NULL)`

/** What a renewal found. */
export interface Kept {
  /** Open claims of ended leases may be ours now: surely so, or the last answer was lost. */
  readonly mayHaveAdopted: boolean
  /** Ours since the last renewal that was answered. */
  readonly lanesTaken: readonly string[]
}

export interface LeaseOptions {
  readonly reader: Reader
  readonly owner: string
  readonly leaseEpoch: number
  readonly issuers: readonly string[]
  readonly clock: Clock
  readonly timers: Timers
  readonly limits: PostgresLimits
  readonly onKept: (kept: Kept) => void
  /** Once: the lease is another's. */
  readonly onLost: (reason: string) => void
}

export class Lease {
  readonly #options: LeaseOptions
  /** Monotonic. */
  #validUntilMs = Number.NEGATIVE_INFINITY
  /** Since when it was never without a valid lease; monotonic. */
  #steadySinceMs = Number.NEGATIVE_INFINITY
  #lanes: ReadonlySet<string> = new Set()
  #timer: TimerHandle | undefined
  #renewing: Promise<void> | undefined
  #isOver = false
  #problem: string | null = null

  constructor(options: LeaseOptions) {
    this.#options = options
  }

  /** Why the last renewal failed; null while all is well. */
  get problem(): string | null {
    return this.#problem
  }

  get isValid(): boolean {
    return !this.#isOver && this.#options.clock.monotonic() < this.#validUntilMs
  }

  outlives(durationMs: number): boolean {
    return !this.#isOver && this.#options.clock.monotonic() + durationMs < this.#validUntilMs
  }

  ownsLane(issuer: string): boolean {
    return !this.#isOver && this.#lanes.has(issuer)
  }

  get lanes(): readonly string[] {
    return this.#isOver ? [] : [...this.#lanes]
  }

  /** Renews once. Rejects with DatabaseError. */
  async renew(): Promise<Kept> {
    const { reader, owner, leaseEpoch, clock, limits, issuers } = this.#options
    const askedAtMs = clock.monotonic()
    const values = [owner, leaseEpoch, limits.leaseMs, this.#mayEndOthers(askedAtMs), issuers]
    const [row] = await reader.queryOnce(KEEP, values)
    if (row === undefined) throw new DatabaseError('a renewal was not answered', null)
    if (!this.isValid) this.#steadySinceMs = askedAtMs
    this.#validUntilMs = askedAtMs + limits.leaseMs
    const before = this.#lanes
    this.#lanes = new Set(row.lanes as string[])
    const mayHaveAdopted = this.#problem !== null || (row.adopted as string[]).length > 0
    this.#problem = null
    return { mayHaveAdopted, lanesTaken: this.lanes.filter((issuer) => !before.has(issuer)) }
  }

  /** Renews from now on. */
  keep(): void {
    const { timers, limits } = this.#options
    this.#timer = timers.set(limits.leaseMs / RENEWALS_PER_LEASE, () => {
      this.#renewing = this.#renewOrSay().then(() => {
        if (!this.#isOver) this.keep()
      })
    })
  }

  /** Stops renewing; resolves when a renewal under way has ended. */
  async stop(): Promise<void> {
    this.#isOver = true
    this.#options.timers.clear(this.#timer)
    await this.#renewing
  }

  /**
   * After an outage that all had, the first one back must not end the others' leases: they get a
   * lease's length to renew.
   */
  #mayEndOthers(nowMs: number): boolean {
    return this.isValid && nowMs - this.#steadySinceMs > this.#options.limits.leaseMs
  }

  async #renewOrSay(): Promise<void> {
    try {
      const kept = await this.renew()
      if (!this.#isOver) this.#options.onKept(kept)
    } catch (error) {
      if (!(error instanceof DatabaseError)) throw error
      this.#problem = error.message
      if (!isLeaseOver(error)) return
      this.#isOver = true
      this.#options.onLost(LEASE_ENDED)
    }
  }
}
