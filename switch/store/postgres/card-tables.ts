// Where sealed cards lie in the database, read by pages of a day and changed row by row: each only
// where it still is what was read.

import type { Row, Statement } from './database.ts'
import { LEASE_HOLDS } from './lease.ts'
import { CARD_ROWS } from './limits.ts'

export interface CardTable {
  /** $1 the day, then the key of the last row of the page before. */
  readonly page: Statement
  /** Of a row: its key. */
  readonly keyOf: (row: Row) => readonly (string | number)[]
  /** The key before all others. */
  readonly first: readonly (string | number)[]
  /** $1, $2 the lease, $3 the day, $4 what was read, $5 what it becomes, then the keys' columns. */
  readonly change: Statement
}

export const CARD_TABLES: readonly CardTable[] = [
  {
    page: {
      name: 'card_claims_1',
      text: `SELECT t.transaction_id AS id, t.intent AS bytes FROM switchyard.transaction t
        WHERE t.day = $1 AND t.transaction_id > $2
        ORDER BY t.transaction_id LIMIT ${CARD_ROWS}`,
    },
    keyOf: ({ id }) => [String(id)],
    first: [''],
    change: {
      name: 'change_claims_1',
      text: `UPDATE switchyard.transaction t SET intent = u.fresh
        FROM unnest($4::bytea[], $5::bytea[], $6::text[]) AS u(known, fresh, id)
        WHERE t.day = $3 AND t.transaction_id = u.id AND t.intent = u.known AND ${LEASE_HOLDS}`,
    },
  },
  {
    page: {
      name: 'card_records_1',
      text: `SELECT r.transaction_id AS id, r.position, r.payload AS bytes
        FROM switchyard.record r
        WHERE r.day = $1 AND (r.transaction_id, r.position) > ($2, $3::bigint)
        ORDER BY r.transaction_id, r.position LIMIT ${CARD_ROWS}`,
    },
    keyOf: ({ id, position }) => [String(id), String(position)],
    first: ['', '0'],
    change: {
      name: 'change_records_1',
      text: `UPDATE switchyard.record r SET payload = u.fresh
        FROM unnest($4::bytea[], $5::bytea[], $6::text[], $7::bigint[])
          AS u(known, fresh, id, position)
        WHERE r.day = $3 AND r.transaction_id = u.id AND r.position = u.position
          AND r.payload = u.known AND ${LEASE_HOLDS}`,
    },
  },
  {
    page: {
      name: 'card_deliveries_1',
      text: `SELECT d.transaction_id AS id, d.step, d.message AS bytes
        FROM switchyard.delivery d
        WHERE d.day = $1 AND (d.transaction_id, d.step) > ($2, $3)
        ORDER BY d.transaction_id, d.step LIMIT ${CARD_ROWS}`,
    },
    keyOf: ({ id, step }) => [String(id), String(step)],
    first: ['', ''],
    change: {
      name: 'change_deliveries_1',
      text: `UPDATE switchyard.delivery d SET message = u.fresh
        FROM unnest($4::bytea[], $5::bytea[], $6::text[], $7::text[])
          AS u(known, fresh, id, step)
        WHERE d.day = $3 AND d.transaction_id = u.id AND d.step = u.step
          AND d.message = u.known AND ${LEASE_HOLDS}`,
    },
  },
]

/** The days that have a partition of their own, oldest first. */
export const DAYS: Statement = {
  name: 'days_1',
  text: `SELECT to_date(right(c.relname, 8), 'YYYYMMDD') - date '1970-01-01' AS day
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'switchyard.transaction'::regclass AND c.relname ~ '_[0-9]{8}$'
    ORDER BY 1`,
}

/** The day that a card's row lies in where its id tells none, and what is older than the tables. */
export const EARLY_DAY = 0
