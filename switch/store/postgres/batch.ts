// A group of writes on its way to the database: what `commit_batch` takes, column by column. Bytes
// of all rows lie in one buffer, which goes over the wire as it is.

import { encodeRecord, type LogRecord } from '../log-record.ts'
import type {
  Delivery,
  Intent,
  Label,
  Ownership,
  QueuedMessage,
  StandInMove,
} from '../transaction-store.ts'
import { dayOf } from './day.ts'

/** What `commit_batch` says of a write that did not go as usual. */
export const EXCEPTION = {
  existing: 1,
  stale: 2,
  decided: 3,
  unknown: 4,
  queued: 5,
  acknowledged: 6,
  overLimit: 7,
  known: 8,
  tooMany: 9,
} as const

/** What a record needs (`commit_batch` knows the numbers). */
export const RULE = { outcome: 1, open: 2, known: 3, accepted: 4 } as const
export type Rule = (typeof RULE)[keyof typeof RULE]

/** Exceptions of a batch by index: of writes, and of the messages beside them. */
export type Exceptions = ReadonlyMap<number, number>

const DELIVERY_STATES: readonly Delivery['state'][] = ['queued', 'acknowledged', 'dead']

export function deliveryStateOf(state: number): Delivery['state'] {
  return DELIVERY_STATES[state] as Delivery['state']
}

const FIRST_BYTES = 64 * 1024

export class Batch {
  /** Writes, and messages beside them: each has an index of its own. */
  size = 0
  #buffer = Buffer.allocUnsafe(FIRST_BYTES)
  #bytes = 0
  /**
   * Claims: i, id, day, acquirer, key, created, rrn, token, card, open, payment, its day, version,
   * at, length.
   */
  readonly #claims: unknown[][] = columns(15)
  /** Records: i, op, id, day, rule, at, length. */
  readonly #records: unknown[][] = columns(7)
  /** Messages: i, op, id, day, step, issuer, original, at, length. */
  readonly #messages: unknown[][] = columns(9)
  /** Delivery updates: i, id, day, step, state, sends, code. */
  readonly #deliveries: unknown[][] = columns(7)
  /** Stand-in moves: op, counter, window, amount, moves at most, total at most. */
  readonly #moves: unknown[][] = columns(6)
  /** Labels: i, id, day, kind, known, recorded. */
  readonly #labels: unknown[][] = columns(6)
  readonly #stans = new Map<string, string>()

  get bytes(): number {
    return this.#bytes
  }

  /** Takes the key; `isOpen` false where its outcome is in this batch too. Returns its index. */
  claim(intent: Intent, ownership: Ownership, isOpen: boolean): number {
    const i = this.size++
    const at = this.#bytes
    this.#put(intent.fingerprint)
    const length = this.#put(encodeRecord({ kind: 'claim', intent, ownership }))
    const { payment, attempt } = intent
    push(this.#claims, [
      i,
      intent.id,
      dayOf(intent.id),
      intent.acquirer,
      intent.idempotencyKey,
      intent.createdAtMs,
      intent.rrn,
      intent.cardToken,
      attempt?.card != null,
      isOpen,
      payment?.paymentId ?? null,
      payment === undefined ? null : dayOf(payment.paymentId),
      payment?.version ?? null,
      at,
      length,
    ])
    return i
  }

  /** Appends to a transaction's history. `op`: the claim that it belongs to. Returns its op. */
  record(id: string, rule: Rule, record: LogRecord, op?: number): number {
    const i = this.size++
    const at = this.#bytes
    const length = this.#put(encodeRecord(record))
    push(this.#records, [i, op ?? i, id, dayOf(id), rule, at, length])
    return op ?? i
  }

  /** Queues a message where the write `op` took effect; without one, by itself. */
  message(message: QueuedMessage, op?: number): number {
    const i = this.size++
    const at = this.#bytes
    const length = this.#put(encodeRecord({ kind: 'queued', message }))
    const { transactionId: id, step, issuer } = message
    const original = originalOf(message)
    push(this.#messages, [i, op ?? i, id, dayOf(id), step, issuer, original, at, length])
    return i
  }

  /** What the outcome `op` moves, all or nothing with it. */
  move({ counter, windowEndMs, amount, countMax, sumMax }: StandInMove, op: number): void {
    push(this.#moves, [op, counter, windowEndMs, amount, countMax, sumMax])
  }

  label({ transactionId: id, kind, knownAtMs, recordedAtMs }: Label): number {
    const i = this.size++
    push(this.#labels, [i, id, dayOf(id), kind, knownAtMs, recordedAtMs])
    return i
  }

  updateDelivery(
    id: string,
    step: QueuedMessage['step'],
    { state, sends, lastResponseCode }: Pick<Delivery, 'state' | 'sends' | 'lastResponseCode'>,
  ): number {
    const i = this.size++
    const stateNumber = DELIVERY_STATES.indexOf(state)
    push(this.#deliveries, [i, id, dayOf(id), step, stateNumber, sends, lastResponseCode])
    return i
  }

  /** The newest STAN toward an issuer, durable with this batch. */
  noteStan(issuer: string, stan: string): void {
    this.#stans.set(issuer, stan)
  }

  /** The values of `commit_batch` from `p_blob` on. */
  values(): readonly unknown[] {
    return [
      this.#buffer.subarray(0, this.#bytes),
      ...this.#claims,
      ...this.#records,
      ...this.#messages,
      ...this.#deliveries,
      ...this.#moves,
      ...this.#labels,
      [...this.#stans.keys()],
      [...this.#stans.values()].map(Number),
    ]
  }

  #put(bytes: Uint8Array): number {
    const end = this.#bytes + bytes.length
    if (end > this.#buffer.length) {
      const larger = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, end))
      this.#buffer.copy(larger, 0, 0, this.#bytes)
      this.#buffer = larger
    }
    this.#buffer.set(bytes, this.#bytes)
    this.#bytes = end
    return bytes.length
  }
}

/** Names an original within its issuer: the numbers that we sent. */
export function originalOf({ original }: Pick<QueuedMessage, 'original'>): string {
  return `${original.stan}${original.transmittedAt}${original.rrn}`
}

function columns(count: number): unknown[][] {
  return Array.from({ length: count }, () => [])
}

function push(table: unknown[][], row: readonly unknown[]): void {
  for (let i = 0; i < row.length; i++) (table[i] as unknown[]).push(row[i])
}
