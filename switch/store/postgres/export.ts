// All that the database holds of payments, for a person or an auditor: transaction by transaction,
// as the records that the embedded store's export gives.

import { plainRecord } from '../audit.ts'
import { decodeRecord } from '../log-record.ts'
import { deliveryStateOf } from './batch.ts'
import type { Database, DatabaseSession, Statement } from './database.ts'
import { POSTGRES_LIMITS } from './limits.ts'

type WriteRecord = (record: Readonly<Record<string, unknown>>) => Promise<void> | undefined

/** Transactions of one page: their rows are some 3 kB each. */
const PAGE = 1_000

const TRANSACTIONS: Statement = {
  name: 'export_transactions_1',
  text: `SELECT t.transaction_id, t.intent FROM switchyard.transaction t
    WHERE t.transaction_id > $1 ORDER BY t.transaction_id LIMIT ${PAGE}`,
}

const RECORDS: Statement = {
  name: 'export_records_1',
  text: `SELECT r.transaction_id, r.payload FROM switchyard.record r
    WHERE r.transaction_id = ANY ($1::text[]) ORDER BY r.transaction_id, r.position`,
}

const DELIVERIES: Statement = {
  name: 'export_deliveries_1',
  text: `SELECT d.transaction_id, d.step, d.state, d.sends, d.last_response_code, d.message
    FROM switchyard.delivery d
    WHERE d.transaction_id = ANY ($1::text[]) ORDER BY d.transaction_id, d.position`,
}

/**
 * Gives `write` every transaction in the order of ids: its claim, its records in their order, each
 * message that was queued and how its delivery stands; plain JSON without card ciphertext. Reads
 * beside running switches, a page at a time, so a transaction that is being changed may be a moment
 * older than the next. Rejects with DatabaseError.
 */
export async function exportDatabase(database: Database, write: WriteRecord): Promise<void> {
  const session = await database.connect(POSTGRES_LIMITS.connectTimeoutMs)
  try {
    let after = ''
    for (;;) {
      const last = await exportPage(session, after, write)
      if (last === undefined) return
      after = last
    }
  } finally {
    await session.close()
  }
}

/** Resolves with the last id of the page that begins behind `after`; undefined where none is. */
async function exportPage(
  session: DatabaseSession,
  after: string,
  write: WriteRecord,
): Promise<string | undefined> {
  const transactions = await session.query(TRANSACTIONS, [after])
  const ids = transactions.map(({ transaction_id }) => String(transaction_id))
  if (ids.length === 0) return undefined
  const records = new Map<string, unknown[]>(ids.map((id) => [id, []]))
  const add = (id: unknown, record: unknown) => records.get(String(id))?.push(record)
  for (const { transaction_id, payload } of await session.query(RECORDS, [ids])) {
    add(transaction_id, decodeRecord(payload as Uint8Array))
  }
  for (const row of await session.query(DELIVERIES, [ids])) {
    add(row.transaction_id, decodeRecord(row.message as Uint8Array))
    add(row.transaction_id, {
      kind: 'delivery',
      transactionId: row.transaction_id,
      step: row.step,
      state: deliveryStateOf(Number(row.state)),
      sends: Number(row.sends),
      lastResponseCode: row.last_response_code,
    })
  }
  for (const { transaction_id, intent } of transactions) {
    const id = String(transaction_id)
    const told = [decodeRecord(intent as Uint8Array), ...(records.get(id) ?? [])]
    for (const record of told) await write(plainRecord(record))
  }
  return ids.at(-1)
}
