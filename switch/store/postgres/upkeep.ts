// What a database of the switch needs now and then: partitions ahead and the end of old ones, the
// end of keys, counters and owners that nobody asks for any more, and what becomes of sealed cards.
// Any process does it; two at once do no harm, and one whose lease is over changes nothing.

import type { Clock, TimerHandle, Timers } from '../../ports.ts'
import { decodeRecord } from '../log-record.ts'
import type { CardKeys } from '../retention.ts'
import { type CardFate, sweepCards } from './card-sweep.ts'
import { DAYS, EARLY_DAY } from './card-tables.ts'
import { DatabaseError, type Statement } from './database.ts'
import { dayOfTime } from './day.ts'
import { LEASE_HOLDS } from './lease.ts'
import {
  FIRST_UPKEEP_MS,
  type PostgresLimits,
  PRUNED_CLAIMS_MAX,
  SWEEP_PAUSE_MS,
  UPKEEP_MS,
} from './limits.ts'
import { PARTITIONED, PARTITIONS, partitionDays } from './partitions.ts'
import type { Reader } from './reader.ts'

const PRUNE_CLAIMS: Statement = {
  name: 'prune_claims_2',
  text: `DELETE FROM switchyard.claim WHERE ctid IN (
      SELECT k.ctid FROM switchyard.claim k
      WHERE k.created_at_ms < $3 AND NOT EXISTS (
        SELECT 1 FROM switchyard.open_claim o WHERE o.transaction_id = k.transaction_id)
      LIMIT $4) AND ${LEASE_HOLDS}
    RETURNING 1`,
}

const PRUNE_COUNTERS: Statement = {
  name: 'prune_counters_2',
  text: `DELETE FROM switchyard.stand_in WHERE window_end_ms < $3 AND ${LEASE_HOLDS}`,
}

/** A day later nobody asks how its last batch ended. */
const PRUNE_OWNERS: Statement = {
  name: 'prune_owners_2',
  text: `DELETE FROM switchyard.owner o WHERE o.ended_at < now() - interval '1 day'
    AND NOT EXISTS (SELECT 1 FROM switchyard.open_claim k WHERE k.owner = o.owner)
    AND NOT EXISTS (SELECT 1 FROM switchyard.lane l WHERE l.owner = o.owner) AND ${LEASE_HOLDS}`,
}

/** One partition of the table, the oldest that may go. */
const DROP_PARTITION: Statement = {
  name: 'drop_partition_1',
  text: 'SELECT switchyard.drop_partition($1, $2, $3, $4) AS dropped',
}

/** Open, or with a message that waits; with its claim where it is a step of a payment. */
const WAITING: Statement = {
  name: 'waiting_1',
  text: `WITH waiting AS (
      SELECT o.transaction_id, o.day FROM switchyard.open_claim o
      UNION SELECT d.transaction_id, d.day FROM switchyard.delivery d WHERE d.state = 0)
    SELECT w.transaction_id AS id,
      (SELECT t.intent FROM switchyard.transaction t
        WHERE t.transaction_id = w.transaction_id AND t.day = w.day AND t.is_step) AS step
    FROM waiting w`,
}

const NOTE: Statement = {
  name: 'note_1',
  text: 'SELECT value FROM switchyard.setting WHERE name = $1',
}

const SET_NOTE: Statement = {
  name: 'set_note_1',
  text: `INSERT INTO switchyard.setting AS s (name, value) SELECT $3::text, $4::text WHERE ${LEASE_HOLDS}
    ON CONFLICT (name) DO UPDATE SET value = excluded.value`,
}

/** Cards of days up to this one are erased. */
const ERASED = 'cards_erased_through'
/** `<key id> <day>`: cards of days up to this one are under this key. */
const RESEALED = 'cards_under_key'

/** What is kept, and for how long. */
export interface SharedRetention {
  /** Transactions, by the day of their claim. */
  readonly retentionMs: number
  /** Their sealed cards. */
  readonly panRetentionMs: number
  readonly keys?: CardKeys
}

/** What an upkeep did about age and keys. */
export interface UpkeepDone {
  readonly kind: 'tended'
  readonly droppedPartitions: readonly string[]
  readonly erasedCards: number
  readonly resealedCards: number
}

export interface UpkeepOptions {
  readonly reader: Reader
  readonly lease: readonly [owner: string, leaseEpoch: number]
  readonly clock: Clock
  readonly timers: Timers
  readonly limits: PostgresLimits
  readonly keyRetentionMs: number
  readonly retention: SharedRetention | undefined
  readonly onDone: (done: UpkeepDone) => void
  readonly onFailed: (reason: string) => void
}

export class Upkeep {
  readonly #options: UpkeepOptions
  #timer: TimerHandle | undefined
  #isStopped = false
  #isResealed = false
  #erasedCards = 0
  #resealedCards = 0

  constructor(options: UpkeepOptions) {
    this.#options = options
    this.#isResealed = options.retention?.keys?.isRotating !== true
  }

  start(afterMs = FIRST_UPKEEP_MS): void {
    if (this.#isStopped) return
    this.#timer = this.#options.timers.set(afterMs, () => void this.#tryOnce())
  }

  stop(): void {
    this.#isStopped = true
    this.#options.timers.clear(this.#timer)
  }

  /** Once, now. Rejects with DatabaseError. */
  async run(): Promise<void> {
    const { reader, lease, clock, limits, keyRetentionMs, retention } = this.#options
    const nowMs = clock.now()
    await reader.query(PARTITIONS, partitionDays(nowMs, limits.partitionsAheadDays))
    await reader.query(PRUNE_COUNTERS, [...lease, nowMs - keyRetentionMs])
    await reader.query(PRUNE_OWNERS, [...lease])
    for (let removed = PRUNED_CLAIMS_MAX; removed === PRUNED_CLAIMS_MAX && !this.#isStopped; ) {
      const oldest = nowMs - keyRetentionMs
      removed = (await reader.query(PRUNE_CLAIMS, [...lease, oldest, PRUNED_CLAIMS_MAX])).length
    }
    if (retention === undefined) return
    this.#erasedCards = 0
    this.#resealedCards = 0
    const droppedPartitions = await this.#drop(dayOfTime(nowMs - retention.retentionMs))
    await this.#erase(dayOfTime(nowMs - retention.panRetentionMs))
    await this.#reseal(dayOfTime(nowMs))
    const [erasedCards, resealedCards] = [this.#erasedCards, this.#resealedCards]
    if (droppedPartitions.length + erasedCards + resealedCards === 0) return
    this.#options.onDone({ kind: 'tended', droppedPartitions, erasedCards, resealedCards })
  }

  /** Days before `day`, table by table: its transactions first, so that none loses its records. */
  async #drop(day: number): Promise<readonly string[]> {
    const { reader, lease } = this.#options
    const dropped: string[] = []
    for (const table of PARTITIONED) {
      for (;;) {
        if (this.#isStopped) return dropped
        const [row] = await reader.query(DROP_PARTITION, [...lease, table, day])
        if (typeof row?.dropped !== 'string') break
        dropped.push(row.dropped)
      }
    }
    return dropped
  }

  /** Of days before `day`. What a message still needs stays, and its day is looked at again. */
  async #erase(day: number): Promise<void> {
    const through = Number((await this.#note(ERASED)) ?? EARLY_DAY - 1)
    let isAllErased = true
    for (const one of await this.#days(through, day)) {
      const waiting = await this.#waiting()
      let kept = 0
      const isWhole = await this.#sweep(one, (id, card) => {
        if (waiting.has(id)) {
          kept++
          return card
        }
        this.#erasedCards++
        return null
      })
      if (!isWhole) return
      isAllErased &&= kept === 0
      if (isAllErased) await this.#setNote(ERASED, String(one))
    }
  }

  /**
   * Once in a process whose key file has more than one key: what it seals itself is under the
   * newest. Of a day that is not over others may write under an older one until they start again.
   */
  async #reseal(today: number): Promise<void> {
    const keys = this.#options.retention?.keys
    if (keys === undefined || this.#isResealed) return
    const [keyId, known] = ((await this.#note(RESEALED)) ?? '0 0').split(' ').map(Number)
    const through = keyId === keys.currentKeyId ? (known ?? 0) : EARLY_DAY - 1
    for (const day of await this.#days(through, today + 1)) {
      const isWhole = await this.#sweep(day, (_, card) => {
        if (card.keyId === keys.currentKeyId) return card
        const fresh = keys.reseal(card)
        if (fresh !== card) this.#resealedCards++
        return fresh
      })
      if (!isWhole) return
      if (day < today - 1) await this.#setNote(RESEALED, `${keys.currentKeyId} ${day}`)
    }
    this.#isResealed = true
  }

  #sweep(day: number, fate: CardFate): Promise<boolean> {
    const { reader, lease, timers } = this.#options
    return sweepCards({
      ...{ reader, lease, day, fate },
      pause: () => new Promise((resolve) => void timers.set(SWEEP_PAUSE_MS, resolve)),
      isStopped: () => this.#isStopped,
    })
  }

  /** Behind `through` and before `before`, oldest first. */
  async #days(through: number, before: number): Promise<readonly number[]> {
    const rows = await this.#options.reader.query(DAYS, [])
    const days = [EARLY_DAY, ...rows.map(({ day }) => Number(day))]
    return days.filter((day) => day > through && day < before)
  }

  /** Transactions whose cards are still needed: what waits, and the payments that it is about. */
  async #waiting(): Promise<ReadonlySet<string>> {
    const waiting = new Set<string>()
    for (const { id, step } of await this.#options.reader.query(WAITING, [])) {
      waiting.add(String(id))
      if (!(step instanceof Uint8Array)) continue
      const record = decodeRecord(step)
      if (record.kind === 'claim' && record.intent.payment !== undefined) {
        waiting.add(record.intent.payment.paymentId)
      }
    }
    return waiting
  }

  async #note(name: string): Promise<string | undefined> {
    const [row] = await this.#options.reader.query(NOTE, [name])
    return row === undefined ? undefined : String(row.value)
  }

  async #setNote(name: string, value: string): Promise<void> {
    await this.#options.reader.query(SET_NOTE, [...this.#options.lease, name, value])
  }

  async #tryOnce(): Promise<void> {
    try {
      await this.run()
    } catch (error) {
      // Partitions are a month ahead, and what is old may be older: the next hour is early enough.
      if (!(error instanceof DatabaseError)) throw error
      if (!this.#isStopped) this.#options.onFailed(error.message)
    }
    this.start(UPKEEP_MS)
  }
}
