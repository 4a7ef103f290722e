// Reads: on connections of their own, so that none waits for a batch. A lost connection is made
// again once; what takes too long is given up.

import type { TimerHandle, Timers } from '../../ports.ts'
import { KEY_TAIL_CHARACTERS_MAX } from '../limits.ts'
import { decodeRecord, type LogRecord } from '../log-record.ts'
import type {
  Attempt,
  Delivery,
  Intent,
  KeyEntry,
  LabelKind,
  LateAnswer,
  Outcome,
  QueuedMessage,
  SealedCard,
  Transaction,
} from '../transaction-store.ts'
import { deliveryStateOf } from './batch.ts'
import { DatabaseError, type Row, type Statement } from './database.ts'
import { dayOf } from './day.ts'
import type { PostgresLimits } from './limits.ts'
import type { SteadySession } from './steady-session.ts'

const READ: Statement = {
  name: 'read_1',
  text: `SELECT t.intent,
      ARRAY(SELECT r.payload FROM switchyard.record r
        WHERE r.transaction_id = t.transaction_id AND r.day = t.day
        ORDER BY r.position) AS records,
      ARRAY(SELECT s.step_id FROM switchyard.step s
        WHERE s.payment_id = t.transaction_id AND s.day = t.day
        ORDER BY s.version) AS steps,
      ARRAY(SELECT d.message FROM switchyard.delivery d
        WHERE d.transaction_id = t.transaction_id AND d.day = t.day
        ORDER BY d.position) AS messages,
      ARRAY(SELECT ARRAY[d.state::text, d.sends::text, d.last_response_code]
        FROM switchyard.delivery d
        WHERE d.transaction_id = t.transaction_id AND d.day = t.day
        ORDER BY d.position) AS standings,
      ARRAY(SELECT ARRAY[l.kind, l.known_at_ms::text, l.recorded_at_ms::text]
        FROM switchyard.label l
        WHERE l.transaction_id = t.transaction_id AND l.day = t.day
        ORDER BY l.position) AS labels
    FROM switchyard.transaction t WHERE t.transaction_id = $1 AND t.day = $2`,
}

const KEY: Statement = {
  name: 'key_1',
  text: `SELECT k.transaction_id, k.fingerprint, k.created_at_ms,
      EXISTS (SELECT 1 FROM switchyard.open_claim o
        WHERE o.transaction_id = k.transaction_id) AS is_open
    FROM switchyard.claim k WHERE k.acquirer = $1 AND k.idempotency_key = $2`,
}

/** $3: the first text after all that begin with $2, byte by byte. */
const KEYS: Statement = {
  name: 'keys_1',
  text: `SELECT k.transaction_id, k.fingerprint, k.created_at_ms,
      EXISTS (SELECT 1 FROM switchyard.open_claim o
        WHERE o.transaction_id = k.transaction_id) AS is_open
    FROM switchyard.claim k
    WHERE k.acquirer = $1 AND k.idempotency_key >= $2 AND k.idempotency_key < $3
      AND length(k.idempotency_key) <= $4
    ORDER BY k.idempotency_key LIMIT $5`,
}

const BY_RRN: Statement = {
  name: 'by_rrn_1',
  text: `SELECT t.transaction_id FROM switchyard.transaction t
    WHERE t.acquirer = $1 AND t.rrn = $2 AND NOT t.is_step
    ORDER BY t.day DESC, t.position DESC LIMIT $3`,
}

const CARD: Statement = {
  name: 'card_1',
  text: `SELECT t.intent FROM switchyard.transaction t
    WHERE t.acquirer = $1 AND t.card_token = $2 AND t.has_card
    ORDER BY t.day DESC, t.position DESC LIMIT 1`,
}

const OPEN: Statement = {
  name: 'open_1',
  text: `SELECT o.transaction_id FROM switchyard.open_claim o
    WHERE o.owner = $1 ORDER BY o.position`,
}

/** Of `delivery` d: what `deliveryOf` reads. */
export const OPEN_DELIVERY_COLUMNS = `d.message, d.state, d.sends, d.last_response_code`

const PENDING: Statement = {
  name: 'pending_1',
  text: `SELECT ${OPEN_DELIVERY_COLUMNS} FROM switchyard.delivery d
    WHERE d.state = 0 ORDER BY d.position`,
}

const PENDING_SINCE: Statement = {
  name: 'pending_since_1',
  text: `SELECT ${OPEN_DELIVERY_COLUMNS} FROM switchyard.delivery d
    WHERE d.state = 0 AND d.issuer = ANY ($1::text[]) AND d.queued_by >= $2::text::xid8
    ORDER BY d.position`,
}

/** Everything with a smaller number has ended: a later look needs only what is not below it. */
const HORIZON: Statement = {
  name: 'horizon_1',
  text: 'SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS horizon',
}

/** 25: only a reversal is still queued after it (verdict.ts). */
const IS_UNHEARD: Statement = {
  name: 'is_unheard_1',
  text: `SELECT EXISTS (SELECT 1 FROM switchyard.delivery d
    WHERE d.state = 0 AND d.issuer = $1 AND d.original = $2
      AND d.last_response_code IS DISTINCT FROM '25') AS is_unheard`,
}

/** Rule 3: late answers (batch.ts). */
const LATE_APPROVALS: Statement = {
  name: 'late_approvals_1',
  text: `SELECT r.payload FROM switchyard.record r
    WHERE r.rule = 3 AND (r.transaction_id, r.day) IN
      (SELECT d.transaction_id, d.day FROM switchyard.delivery d WHERE d.state = 0)
    ORDER BY r.position`,
}

const DEAD: Statement = {
  name: 'dead_1',
  text: `SELECT d.issuer, count(*)::int AS letters FROM switchyard.delivery d
    WHERE d.state = 2 GROUP BY d.issuer`,
}

/** A key, with how old its claim is. */
export interface FoundKey {
  readonly entry: KeyEntry
  readonly createdAtMs: number
}

/** A connection, and what was asked of it: one statement at a time. */
interface Line {
  readonly session: SteadySession
  last: Promise<unknown>
  asked: number
}

export class Reader {
  readonly #lines: readonly Line[]
  readonly #timers: Timers
  readonly #limits: PostgresLimits

  /** Statements go to the session that has the fewest waiting. */
  constructor(sessions: readonly SteadySession[], timers: Timers, limits: PostgresLimits) {
    this.#lines = sessions.map((session) => ({ session, last: Promise.resolve(), asked: 0 }))
    this.#timers = timers
    this.#limits = limits
  }

  async read(id: string): Promise<Transaction | undefined> {
    const [row] = await this.query(READ, [id, dayOf(id)])
    return row === undefined ? undefined : this.#transactionOf(row)
  }

  async readAll(ids: readonly string[]): Promise<Transaction[]> {
    const all: Transaction[] = []
    for (const id of ids) {
      const transaction = await this.read(id)
      if (transaction !== undefined) all.push(transaction)
    }
    return all
  }

  async findKey(acquirer: string, idempotencyKey: string): Promise<FoundKey | undefined> {
    const [row] = await this.query(KEY, [acquirer, idempotencyKey])
    return row === undefined ? undefined : foundKeyOf(row)
  }

  /** Keys that begin with `prefix` and are not much longer. */
  async findKeys(acquirer: string, prefix: string, limit: number): Promise<readonly FoundKey[]> {
    const last = prefix.length - 1
    const after = prefix.slice(0, last) + String.fromCharCode(prefix.charCodeAt(last) + 1)
    const charactersMax = prefix.length + KEY_TAIL_CHARACTERS_MAX
    const rows = await this.query(KEYS, [acquirer, prefix, after, charactersMax, limit])
    return rows.map(foundKeyOf)
  }

  async findByRrn(acquirer: string, rrn: string, limit: number): Promise<Transaction[]> {
    const rows = await this.query(BY_RRN, [acquirer, rrn, limit])
    return this.readAll(rows.map((row) => row.transaction_id as string))
  }

  async findCard(acquirer: string, cardToken: string): Promise<SealedCard | undefined> {
    const [row] = await this.query(CARD, [acquirer, cardToken])
    return row === undefined ? undefined : (intentOf(row).intent.attempt?.card ?? undefined)
  }

  async openIdsOf(owner: string): Promise<readonly string[]> {
    return (await this.query(OPEN, [owner])).map((row) => row.transaction_id as string)
  }

  async pending(): Promise<readonly Delivery[]> {
    return (await this.query(PENDING, [])).map(deliveryOf)
  }

  async pendingLateApprovals(): Promise<readonly LateAnswer[]> {
    const rows = await this.query(LATE_APPROVALS, [])
    const records = rows.map(({ payload }) => decodeRecord(payload as Uint8Array))
    return records.flatMap((record) =>
      record.kind === 'late_answer' && record.answer.approved ? [record.answer] : [],
    )
  }

  async deadLetters(): Promise<ReadonlyMap<string, number>> {
    const rows = await this.query(DEAD, [])
    return new Map(rows.map(({ issuer, letters }) => [issuer as string, Number(letters)]))
  }

  /** Queued for those issuers since `horizon`, and the horizon for the next look. */
  async pendingSince(
    issuers: readonly string[],
    horizon: string,
  ): Promise<{ readonly deliveries: readonly Delivery[]; readonly horizon: string }> {
    const next = await this.horizon()
    const rows = await this.query(PENDING_SINCE, [issuers, horizon])
    return { deliveries: rows.map(deliveryOf), horizon: next }
  }

  async horizon(): Promise<string> {
    const [row] = await this.query(HORIZON, [])
    return String(row?.horizon)
  }

  async isUnheard(issuer: string, original: string): Promise<boolean> {
    const [row] = await this.query(IS_UNHEARD, [issuer, original])
    return row?.is_unheard === true
  }

  /** Rejects with DatabaseError. */
  async query(statement: Statement, values: readonly unknown[]): Promise<readonly Row[]> {
    try {
      return await this.queryOnce(statement, values)
    } catch (error) {
      if (!(error instanceof DatabaseError) || error.sqlState !== null) throw error
      return this.queryOnce(statement, values)
    }
  }

  /** The same without a second try, for what must not be done twice unseen. */
  async queryOnce(statement: Statement, values: readonly unknown[]): Promise<readonly Row[]> {
    const line = this.#lines.reduce((best, one) => (one.asked < best.asked ? one : best))
    const { readDeadlineMs } = this.#limits
    let state: 'waits' | 'runs' | 'over' = 'waits'
    let deadline: TimerHandle
    const late = new Promise<never>((_, reject) => {
      deadline = this.#timers.set(readDeadlineMs, () => {
        // What has not begun costs nobody else anything: only a statement that hangs is cut off.
        if (state === 'runs') line.session.drop()
        state = 'over'
        reject(new DatabaseError(`no answer within ${readDeadlineMs} ms`, 'SW003'))
      })
    })
    const ask = async () => {
      if (state === 'over') return []
      state = 'runs'
      return (await line.session.get()).query(statement, values)
    }
    const answer = line.last.then(ask)
    line.last = answer.catch(() => undefined)
    line.asked++
    try {
      return await Promise.race([answer, late])
    } finally {
      state = 'over'
      line.asked--
      this.#timers.clear(deadline)
    }
  }

  #transactionOf(row: Row): Transaction {
    const { intent, ownership } = intentOf(row)
    const story = new Story(intent, this.#limits.lateAnswersMax)
    for (const payload of row.records as Uint8Array[]) story.tell(decodeRecord(payload))
    const standings = row.standings as [string, string, string | null][]
    const deliveries = (row.messages as Uint8Array[]).map((bytes, i): Delivery => {
      const [state, sends, lastResponseCode] = standings[i] as (typeof standings)[number]
      return {
        message: messageOf(bytes),
        state: deliveryStateOf(Number(state)),
        sends: Number(sends),
        lastResponseCode,
      }
    })
    return {
      intent,
      ownership,
      attempts: story.attempts,
      notSent: story.notSent,
      outcome: story.outcome === null ? null : withQueued(story.outcome, deliveries),
      deliveries,
      lateAnswers: story.lateAnswers,
      steps: row.steps as string[],
      labels: (row.labels as [LabelKind, string, string][]).map(([kind, known, recorded]) => ({
        transactionId: intent.id,
        kind,
        knownAtMs: Number(known),
        recordedAtMs: Number(recorded),
      })),
    }
  }
}

/** What a transaction's records come to, told one after another. */
class Story {
  readonly attempts: Attempt[]
  notSent = false
  outcome: Outcome | null = null
  readonly lateAnswers: LateAnswer[] = []
  readonly #lateAnswersMax: number

  constructor(intent: Intent, lateAnswersMax: number) {
    this.attempts = intent.attempt === null ? [] : [intent.attempt]
    this.#lateAnswersMax = lateAnswersMax
  }

  tell(record: LogRecord): void {
    if (record.kind === 'attempt') {
      this.attempts.push(record.attempt)
      this.notSent = false
    } else if (record.kind === 'not_sent') {
      this.notSent = true
    } else if (record.kind === 'outcome') {
      this.outcome = record.outcome
    } else if (record.kind === 'late_answer' && this.lateAnswers.length < this.#lateAnswersMax) {
      this.lateAnswers.push(record.answer)
    }
  }
}

/** A reversal that was queued before the outcome came is not the outcome's own. */
function withQueued(outcome: Outcome, deliveries: readonly Delivery[]): Outcome {
  const { reversal } = outcome
  if (reversal === null) return outcome
  const isOwn = deliveries.some(
    ({ message }) =>
      message.step === reversal.step &&
      message.stan === reversal.stan &&
      message.transmittedAt === reversal.transmittedAt,
  )
  return isOwn ? outcome : { ...outcome, reversal: null }
}

function foundKeyOf(row: Row): FoundKey {
  const entry: KeyEntry = {
    transactionId: row.transaction_id as string,
    fingerprint: new Uint8Array(row.fingerprint as Uint8Array),
    state: row.is_open === true ? 'open' : 'recorded',
  }
  return { entry, createdAtMs: Number(row.created_at_ms) }
}

function intentOf(row: Row): Extract<LogRecord, { kind: 'claim' }> {
  const record = decodeRecord(row.intent as Uint8Array)
  if (record.kind !== 'claim') throw new Error(`a transaction begins with ${record.kind}`)
  return record
}

function messageOf(bytes: Uint8Array): QueuedMessage {
  const record = decodeRecord(bytes)
  if (record.kind !== 'queued') throw new Error(`a delivery holds ${record.kind}`)
  return record.message
}

export function deliveryOf(row: Row): Delivery {
  return {
    message: messageOf(row.message as Uint8Array),
    state: deliveryStateOf(Number(row.state)),
    sends: Number(row.sends),
    lastResponseCode: row.last_response_code as string | null,
  }
}
