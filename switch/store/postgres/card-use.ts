// Under which keys the sealed cards of a database are, and who may be sealing more.

import { changeCards, decodeRecord } from '../log-record.ts'
import { CARD_TABLES, DAYS, EARLY_DAY } from './card-tables.ts'
import type { Database, DatabaseSession, Statement } from './database.ts'
import { POSTGRES_LIMITS } from './limits.ts'

/** Processes with a lease that has not run out. */
const RUNNING: Statement = {
  name: 'running_1',
  text: `SELECT count(*)::int AS processes FROM switchyard.owner o
    WHERE o.ended_at IS NULL AND o.lease_until > now()`,
}

export interface SharedCardUse {
  /** Sealed cards by the id of their key; keys without any are absent. */
  readonly cards: ReadonlyMap<number, number>
  readonly runningProcesses: number
}

/**
 * Counts every sealed card, beside running processes too; `onProgress` is told how many days of how
 * many were read. Rejects with DatabaseError.
 */
export async function countSharedCards(
  database: Database,
  onProgress: (days: number, daysInAll: number) => void = () => {},
): Promise<SharedCardUse> {
  const session = await database.connect(POSTGRES_LIMITS.connectTimeoutMs)
  try {
    const cards = new Map<number, number>()
    const days = [EARLY_DAY, ...(await session.query(DAYS, [])).map(({ day }) => Number(day))]
    for (const [i, day] of days.entries()) {
      await countDay(session, day, cards)
      onProgress(i + 1, days.length)
    }
    const [row] = await session.query(RUNNING, [])
    return { cards, runningProcesses: Number(row?.processes) }
  } finally {
    await session.close()
  }
}

const KEY_CHECK: Statement = {
  name: 'key_check_1',
  text: "SELECT value FROM switchyard.setting WHERE name = 'key_check'",
}

/** Only where it is still what was read, and nobody runs who might seal under it. */
const REPLACE_KEY_CHECK: Statement = {
  name: 'replace_key_check_1',
  text: `UPDATE switchyard.setting SET value = $2 WHERE name = 'key_check' AND value = $1
    AND NOT EXISTS (SELECT 1 FROM switchyard.owner o
      WHERE o.ended_at IS NULL AND o.lease_until > now())
    RETURNING name`,
}

/**
 * Changes what the database keeps of its keys. False: a process runs, or noted others meanwhile.
 * Rejects with DatabaseError.
 */
export async function replaceKeyCheck(
  database: Database,
  change: (text: string) => string,
): Promise<boolean> {
  const session = await database.connect(POSTGRES_LIMITS.connectTimeoutMs)
  try {
    const [row] = await session.query(KEY_CHECK, [])
    if (row === undefined) return true
    const known = String(row.value)
    return (await session.query(REPLACE_KEY_CHECK, [known, change(known)])).length > 0
  } finally {
    await session.close()
  }
}

async function countDay(
  session: DatabaseSession,
  day: number,
  cards: Map<number, number>,
): Promise<void> {
  for (const { page, keyOf, first } of CARD_TABLES) {
    for (let after = first; ; ) {
      const rows = await session.query(page, [day, ...after])
      for (const { bytes } of rows) {
        changeCards(decodeRecord(bytes as Uint8Array), (card) => {
          cards.set(card.keyId, (cards.get(card.keyId) ?? 0) + 1)
          return card
        })
      }
      const last = rows.at(-1)
      if (last === undefined) break
      after = keyOf(last)
    }
  }
}
