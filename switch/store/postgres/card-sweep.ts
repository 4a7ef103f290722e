// Goes through the sealed cards of one day: erases those that are past their retention, or brings
// them under the newest key. A day at a time, a page at a time, with a pause behind each.

import { changeCards, decodeRecord, encodeRecord } from '../log-record.ts'
import type { SealedCard } from '../transaction-store.ts'
import { CARD_TABLES, type CardTable } from './card-tables.ts'
import type { Reader } from './reader.ts'

/** What becomes of a card: another one, the same, or null. */
export type CardFate = (transactionId: string, card: SealedCard) => SealedCard | null

export interface CardSweep {
  readonly reader: Reader
  /** Owner and lease epoch: once they are over, nothing is changed. */
  readonly lease: readonly [owner: string, leaseEpoch: number]
  readonly day: number
  readonly fate: CardFate
  /** Between two pages. */
  readonly pause: () => Promise<void>
  readonly isStopped: () => boolean
}

/** Resolves with whether the day was gone through to its end. Rejects with DatabaseError. */
export async function sweepCards(sweep: CardSweep): Promise<boolean> {
  for (const table of CARD_TABLES) {
    let after = table.first
    for (;;) {
      if (sweep.isStopped()) return false
      const rows = await sweep.reader.query(table.page, [sweep.day, ...after])
      const last = rows.at(-1)
      if (last === undefined) break
      await changePage(sweep, table, rows)
      after = table.keyOf(last)
      await sweep.pause()
    }
  }
  return true
}

type Rows = Awaited<ReturnType<Reader['query']>>

async function changePage(
  { reader, lease, day, fate }: CardSweep,
  { keyOf, first, change }: CardTable,
  rows: Rows,
): Promise<void> {
  const known: unknown[] = []
  const fresh: unknown[] = []
  const keys: unknown[][] = first.map(() => [])
  for (const row of rows) {
    const record = decodeRecord(row.bytes as Uint8Array)
    const changed = changeCards(record, (card) => fate(String(row.id), card))
    if (changed === record) continue
    known.push(row.bytes)
    fresh.push(Buffer.from(encodeRecord(changed)))
    for (const [i, part] of keyOf(row).entries()) keys[i]?.push(part)
  }
  if (known.length === 0) return
  await reader.query(change, [...lease, day, known, fresh, ...keys])
}
