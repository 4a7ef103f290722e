// What was asked and what became of it, read from the database beside running switches: what
// `history.ts` and `queue-listing.ts` read from a log.

import type { History, PastTransaction } from '../history.ts'
import { decodeRecord } from '../log-record.ts'
import type { Delivery, Label, LabelKind } from '../transaction-store.ts'
import { RULE } from './batch.ts'
import { DAYS, EARLY_DAY } from './card-tables.ts'
import { type Database, DatabaseError, type DatabaseSession, type Row } from './database.ts'
import { POSTGRES_LIMITS } from './limits.ts'
import { deliveryOf, OPEN_DELIVERY_COLUMNS } from './reader.ts'

/** Transactions of one page: their rows are some 3 kB each. */
const PAGE = 500
/** Transactions of one id are one; an RRN may have been used more than once. */
const FOUND_MAX = 100

/** What begins a payment: requests, and advices of what was decided elsewhere. */
const BEGINNINGS = ['auth_', 'adv_'] as const

const OUTCOME = `LEFT JOIN LATERAL (SELECT r.rule, r.payload FROM switchyard.record r
    WHERE r.transaction_id = t.transaction_id AND r.day = t.day
      AND r.rule IN (${RULE.outcome}, ${RULE.accepted})
    ORDER BY r.position LIMIT 1) o ON true`

/** $2: behind this id; $3: before this text. */
const PAST = {
  name: 'past_1',
  text: `SELECT t.transaction_id AS id, t.intent, o.rule, o.payload
    FROM switchyard.transaction t ${OUTCOME}
    WHERE t.day = $1 AND t.transaction_id > $2 AND t.transaction_id < $3 AND NOT t.is_step
    ORDER BY t.transaction_id LIMIT ${PAGE}`,
}

const BY_NAME = {
  name: 'past_by_name_1',
  text: `SELECT t.transaction_id AS id, t.intent, o.rule, o.payload
    FROM switchyard.transaction t ${OUTCOME}
    WHERE (t.transaction_id = $1 OR t.rrn = $1) AND NOT t.is_step
    ORDER BY t.day, t.position LIMIT ${FOUND_MAX}`,
}

const LABELS = {
  name: 'labels_1',
  text: `SELECT l.transaction_id, l.kind, l.known_at_ms, l.recorded_at_ms
    FROM switchyard.label l ORDER BY l.position`,
}

const NOT_ACKNOWLEDGED = {
  name: 'not_acknowledged_1',
  text: `SELECT ${OPEN_DELIVERY_COLUMNS} FROM switchyard.delivery d
    WHERE d.state <> 1 ORDER BY d.position`,
}

/** Reads nothing yet; connects once `transactions` is asked. */
export function openSharedHistory(database: Database): History {
  return new SharedHistory(database)
}

class SharedHistory implements History {
  readonly #database: Database
  #days = 1
  #daysRead = 0
  #problem: { readonly message: string } | undefined

  constructor(database: Database) {
    this.#database = database
  }

  /** Days; their bytes are not known. */
  get bytes(): number {
    return this.#days
  }

  get bytesRead(): number {
    return this.#daysRead
  }

  get problem(): { readonly message: string } | undefined {
    return this.#problem
  }

  async *transactions(): AsyncGenerator<readonly PastTransaction[], void, undefined> {
    let session: DatabaseSession | undefined
    try {
      session = await this.#database.connect(POSTGRES_LIMITS.connectTimeoutMs)
      const days = [EARLY_DAY, ...(await session.query(DAYS, [])).map(({ day }) => Number(day))]
      this.#days = days.length
      for (const day of days) {
        yield* inOrder(BEGINNINGS.map((prefix) => new Beginnings(session, day, prefix)))
        this.#daysRead++
      }
    } catch (error) {
      if (!(error instanceof DatabaseError)) throw error
      this.#problem = { message: `${this.#database.address}: ${error.message}` }
    } finally {
      await session?.close()
    }
  }
}

/** One day's transactions whose ids begin alike: by id, which is by time. */
class Beginnings {
  readonly #session: DatabaseSession | undefined
  readonly #day: number
  readonly #before: string
  #after: string
  #page: readonly PastTransaction[] = []
  #at = 0
  #isOver = false

  constructor(session: DatabaseSession | undefined, day: number, prefix: string) {
    this.#session = session
    this.#day = day
    this.#after = prefix
    // The character behind the underscore.
    this.#before = `${prefix.slice(0, -1)}\``
  }

  get first(): PastTransaction | undefined {
    return this.#page[this.#at]
  }

  shift(): void {
    this.#at++
  }

  /** Until there is a first, or none any more. */
  async fill(): Promise<void> {
    while (this.first === undefined && !this.#isOver) {
      const range = [this.#day, this.#after, this.#before]
      const rows = (await this.#session?.query(PAST, range)) ?? []
      this.#isOver = rows.length < PAGE
      this.#after = String(rows.at(-1)?.id ?? this.#after)
      this.#page = rows.flatMap(pastOf)
      this.#at = 0
    }
  }
}

async function* inOrder(
  lists: readonly Beginnings[],
): AsyncGenerator<readonly PastTransaction[], void, undefined> {
  for (;;) {
    for (const list of lists) await list.fill()
    const chunk: PastTransaction[] = []
    // As long as each has one, or is over, the oldest of them is the next.
    for (;;) {
      const filled = lists.filter(({ first }) => first !== undefined)
      const [oldest] = filled.sort((a, b) => timeOf(a) - timeOf(b))
      if (oldest?.first === undefined) break
      chunk.push(oldest.first)
      oldest.shift()
      if (oldest.first === undefined) break
    }
    if (chunk.length === 0) return
    yield chunk
  }
}

const timeOf = ({ first }: Beginnings) => first?.intent.createdAtMs ?? 0

/** Captures, reversals and tombstones are accepted, too: they begin no payment. */
function pastOf({ intent, rule, payload }: Row): readonly PastTransaction[] {
  const claim = decodeRecord(intent as Uint8Array)
  if (claim.kind !== 'claim') throw new Error(`a transaction begins with ${claim.kind}`)
  if (rule === RULE.accepted && claim.intent.kind !== 'advice') return []
  if (payload === null) return [{ intent: claim.intent, outcome: null }]
  const record = decodeRecord(payload as Uint8Array)
  if (record.kind !== 'outcome') throw new Error(`an outcome is ${record.kind}`)
  return [{ intent: claim.intent, outcome: record.outcome }]
}

/**
 * The authorization with this id, or those with this RRN, oldest first. Rejects with DatabaseError.
 */
export async function findInSharedHistory(
  database: Database,
  idOrRrn: string,
): Promise<readonly PastTransaction[]> {
  return (await ask(database, BY_NAME, [idOrRrn])).flatMap(pastOf)
}

/** Every label, in the order in which they were recorded. Rejects with DatabaseError. */
export async function readSharedLabels(database: Database): Promise<readonly Label[]> {
  return (await ask(database, LABELS, [])).map((row) => ({
    transactionId: String(row.transaction_id),
    kind: row.kind as LabelKind,
    knownAtMs: Number(row.known_at_ms),
    recordedAtMs: Number(row.recorded_at_ms),
  }))
}

/** Every delivery that is not acknowledged, oldest first. Rejects with DatabaseError. */
export async function listSharedQueue(database: Database): Promise<readonly Delivery[]> {
  return (await ask(database, NOT_ACKNOWLEDGED, [])).map(deliveryOf)
}

async function ask(
  database: Database,
  statement: { readonly name: string; readonly text: string },
  values: readonly unknown[],
): Promise<readonly Row[]> {
  const session = await database.connect(POSTGRES_LIMITS.connectTimeoutMs)
  try {
    return await session.query(statement, values)
  } finally {
    await session.close()
  }
}
