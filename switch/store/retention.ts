// What becomes of a record when its segment is rewritten:
//
//   its transaction is          record                 cards in it
//   open, or with a message     kept                   kept, under the newest key
//   waiting for an issuer
//   older than the records'     dropped, unless it     -
//   retention                   has a dead letter
//   older than the PANs'        kept                   erased
//   younger                     kept                   kept, under the newest key
//
// A transaction's age counts from its claim. Records of one that is no longer known are dropped.

import type { RewrittenRecord } from './compacted-writer.ts'
import { changeCards, decodeRecord, encodeRecord, transactionOf } from './log-record.ts'
import type { SealedCard } from './transaction-store.ts'

/** The key that cards are to be under, and how one gets there. */
export interface CardKeys {
  readonly currentKeyId: number
  /** Older keys are in the ring: cards may be under them. */
  readonly isRotating: boolean
  /** Under the current key; the same card where it can't be opened. */
  reseal(card: SealedCard): SealedCard
}

export interface Retention {
  /** Transactions claimed before go; milliseconds since 1970. */
  readonly expireBeforeMs: number
  /** Cards of transactions claimed before are erased. */
  readonly eraseBeforeMs: number
  /** Leases of older epochs go. */
  readonly leaseEpoch: number
  readonly keys: CardKeys | null
  /** By id: these stay with their cards. */
  readonly waiting: ReadonlySet<string>
  /** By id: these stay. */
  readonly waitingOrDead: ReadonlySet<string>
  /** When a transaction was claimed; undefined where it is not known. */
  claimedAtMs(transactionId: string): number | undefined
}

export class RecordKeeper {
  readonly #retention: Retention
  /** Of the claims that went by. */
  readonly #claimed = new Map<string, number>()
  /** Transactions that go. */
  readonly dropped: string[] = []
  erasedCards = 0
  resealedCards = 0

  constructor(retention: Retention) {
    this.#retention = retention
  }

  /** The record as it stays, or null. The payload is the caller's until this returns. */
  keep(payload: Uint8Array): RewrittenRecord | null {
    const { expireBeforeMs, leaseEpoch, waitingOrDead } = this.#retention
    const record = decodeRecord(payload)
    if (record.kind === 'lease') {
      return record.ownership.leaseEpoch < leaseEpoch ? null : { payload, keyIds: [] }
    }
    const id = transactionOf(record) as string
    const isClaim = record.kind === 'claim' || record.kind === 'accepted'
    if (isClaim) this.#claimed.set(id, record.intent.createdAtMs)
    const claimedAtMs = this.#claimed.get(id) ?? this.#retention.claimedAtMs(id)
    const isExpired = claimedAtMs === undefined || claimedAtMs < expireBeforeMs
    if (isExpired && !waitingOrDead.has(id)) {
      if (isClaim) this.dropped.push(id)
      return null
    }
    const keyIds: number[] = []
    const kept = changeCards(record, (card) => this.#keepCard(id, claimedAtMs ?? 0, card, keyIds))
    return { payload: kept === record ? payload : encodeRecord(kept), keyIds }
  }

  #keepCard(
    id: string,
    claimedAtMs: number,
    card: SealedCard,
    keyIds: number[],
  ): SealedCard | null {
    const { eraseBeforeMs, keys, waiting } = this.#retention
    if (claimedAtMs < eraseBeforeMs && !waiting.has(id)) {
      this.erasedCards++
      return null
    }
    const isOld = keys !== null && card.keyId !== keys.currentKeyId
    const kept = isOld ? keys.reseal(card) : card
    if (kept !== card) this.resealedCards++
    keyIds.push(kept.keyId)
    return kept
  }
}
