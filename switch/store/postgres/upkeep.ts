// What a database of the switch needs now and then: partitions ahead, and the end of keys, counters
// and owners that nobody asks for any more. Any process does it; two at once do no harm.

import type { Clock, TimerHandle, Timers } from '../../ports.ts'
import { DatabaseError, type Statement } from './database.ts'
import { type PostgresLimits, PRUNED_CLAIMS_MAX, UPKEEP_MS } from './limits.ts'
import { PARTITIONS, partitionDays } from './partitions.ts'
import type { Reader } from './reader.ts'

const PRUNE_CLAIMS: Statement = {
  name: 'prune_claims_1',
  text: `DELETE FROM switchyard.claim WHERE ctid IN (
      SELECT k.ctid FROM switchyard.claim k
      WHERE k.created_at_ms < $1 AND NOT EXISTS (
        SELECT 1 FROM switchyard.open_claim o WHERE o.transaction_id = k.transaction_id)
      LIMIT $2)
    RETURNING 1`,
}

const PRUNE_COUNTERS: Statement = {
  name: 'prune_counters_1',
  text: 'DELETE FROM switchyard.stand_in WHERE window_end_ms < $1',
}

/** A day later nobody asks how its last batch ended. */
const PRUNE_OWNERS: Statement = {
  name: 'prune_owners_1',
  text: `DELETE FROM switchyard.owner o WHERE o.ended_at < now() - interval '1 day'
    AND NOT EXISTS (SELECT 1 FROM switchyard.open_claim k WHERE k.owner = o.owner)
    AND NOT EXISTS (SELECT 1 FROM switchyard.lane l WHERE l.owner = o.owner)`,
}

export interface UpkeepOptions {
  readonly reader: Reader
  readonly clock: Clock
  readonly timers: Timers
  readonly limits: PostgresLimits
  readonly keyRetentionMs: number
}

export class Upkeep {
  readonly #options: UpkeepOptions
  #timer: TimerHandle | undefined
  #isStopped = false

  constructor(options: UpkeepOptions) {
    this.#options = options
  }

  start(): void {
    if (this.#isStopped) return
    this.#timer = this.#options.timers.set(UPKEEP_MS, () => void this.#tryOnce())
  }

  stop(): void {
    this.#isStopped = true
    this.#options.timers.clear(this.#timer)
  }

  /** Claims removed. Rejects with DatabaseError. */
  async run(): Promise<number> {
    const { reader, clock, limits, keyRetentionMs } = this.#options
    const nowMs = clock.now()
    await reader.query(PARTITIONS, partitionDays(nowMs, limits.partitionsAheadDays))
    await reader.query(PRUNE_COUNTERS, [nowMs - keyRetentionMs])
    await reader.query(PRUNE_OWNERS, [])
    let removed = 0
    for (;;) {
      const rows = await reader.query(PRUNE_CLAIMS, [nowMs - keyRetentionMs, PRUNED_CLAIMS_MAX])
      removed += rows.length
      if (rows.length < PRUNED_CLAIMS_MAX || this.#isStopped) return removed
    }
  }

  async #tryOnce(): Promise<void> {
    try {
      await this.run()
    } catch (error) {
      // Partitions are a month ahead: the next hour is early enough.
      if (!(error instanceof DatabaseError)) throw error
    }
    this.start()
  }
}
