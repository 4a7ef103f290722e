// Opens the PostgreSQL store: checks the database, makes partitions, takes a lease. A database that
// is refused was not written to.

import { StoreFault, type TransactionStore } from '../transaction-store.ts'
import { DatabaseError, type DatabaseSession } from './database.ts'
import { type DatabaseProblem, findUnfitness } from './fitness.ts'
import { POSTGRES_LIMITS, type PostgresLimits, READ_SESSIONS, TRACE_SLOTS } from './limits.ts'
import { PARTITIONS, partitionDays } from './partitions.ts'
import { PostgresStore, type PostgresStoreOptions } from './postgres-store.ts'
import { Reader } from './reader.ts'
import { SteadySession } from './steady-session.ts'
import { TraceMarks, traceSlotOf } from './trace-marks.ts'

/** What a start found. */
export interface PostgresReport {
  /** Without outcome, left by ended processes: ours now. */
  readonly openClaims: number
  readonly pendingDeliveries: number
  readonly slot: number
}

export type OpenedPostgresStore =
  | {
      readonly ok: true
      readonly store: TransactionStore
      readonly report: PostgresReport
      /** Does at once what the upkeep does every hour. Rejects with DatabaseError. */
      readonly tend: () => Promise<void>
    }
  | { readonly ok: false; readonly problem: DatabaseProblem }

const OPEN_LEASE = {
  name: 'open_lease_1',
  text: 'SELECT lease_epoch, slot FROM switchyard.open_lease($1, $2, $3)',
}

const MARKS = {
  name: 'marks_1',
  text: 'SELECT issuer, stan FROM switchyard.trace_mark WHERE slot = $1',
}

const KEY_CHECK = {
  name: 'key_check_1',
  text: "SELECT value FROM switchyard.setting WHERE name = 'key_check'",
}

/** Only where it is still what was compared: another process may note its keys at this moment. */
const NOTE_KEYS = {
  name: 'note_keys_1',
  text: `INSERT INTO switchyard.setting AS s (name, value) VALUES ('key_check', $1)
    ON CONFLICT (name) DO UPDATE SET value = $1 WHERE s.value = $2 RETURNING name`,
}

/** Why the keys are not the database's; notes those that are new. */
async function checkKeys(
  session: DatabaseSession,
  options: PostgresStoreOptions,
): Promise<string | undefined> {
  for (;;) {
    const [row] = await session.query(KEY_CHECK, [])
    const known = row?.value as string | undefined
    const compared = options.checkKeys?.(known)
    if (compared === undefined) return undefined
    if (!compared.ok) return compared.problem
    if (compared.note === null) return undefined
    const noted = await session.query(NOTE_KEYS, [compared.note, known ?? ''])
    if (noted.length > 0) return undefined
  }
}

export async function openPostgresStore(
  options: PostgresStoreOptions,
): Promise<OpenedPostgresStore> {
  const limits = { ...POSTGRES_LIMITS, ...options.limits }
  const { database } = options
  let session: DatabaseSession
  try {
    session = await database.connect(limits.connectTimeoutMs)
  } catch (error) {
    return unreachable(database.address, error)
  }
  try {
    const problem = await findUnfitness(session)
    if (problem !== undefined) {
      session.destroy()
      return refused(database.address, problem)
    }
    return await openOn(session, options, limits)
  } catch (error) {
    session.destroy()
    return unreachable(database.address, error)
  }
}

async function openOn(
  session: DatabaseSession,
  options: PostgresStoreOptions,
  limits: PostgresLimits,
): Promise<OpenedPostgresStore> {
  const { database, owner, timers, clock } = options
  const wrongKeys = await checkKeys(session, options)
  if (wrongKeys !== undefined) {
    session.destroy()
    return refused(database.address, { code: 'wrong_keys', message: wrongKeys })
  }
  await session.query(PARTITIONS, partitionDays(clock.now(), limits.partitionsAheadDays))
  const [lease] = await session.query(OPEN_LEASE, [owner, limits.leaseMs, TRACE_SLOTS])
  if (lease === undefined) {
    session.destroy()
    const message = `${TRACE_SLOTS} processes use it already, which is as many as have trace numbers`
    return refused(database.address, { code: 'slots_taken', message })
  }
  const slot = Number(lease.slot)
  const marks = await session.query(MARKS, [slot])
  const commitSession = new SteadySession(database, limits.connectTimeoutMs, session)
  const readSessions = Array.from(
    { length: READ_SESSIONS },
    () => new SteadySession(database, limits.connectTimeoutMs),
  )
  const keepSession = new SteadySession(database, limits.connectTimeoutMs)
  const tendSession = new SteadySession(database, limits.connectTimeoutMs)
  const store = new PostgresStore({
    options,
    limits,
    commitSession,
    reader: new Reader(readSessions, timers, limits),
    tender: new Reader([tendSession], timers, limits),
    keeper: new Reader([keepSession], timers, limits),
    sessions: [commitSession, ...readSessions, keepSession, tendSession],
    ownership: { owner, leaseEpoch: Number(lease.lease_epoch) },
    slot,
    marks: new TraceMarks(
      traceSlotOf(slot),
      marks.map(({ issuer, stan }) => [issuer as string, String(stan).padStart(6, '0')] as const),
    ),
  })
  await store.begin()
  const { openClaims, queuedDeliveries: pendingDeliveries } = store.status
  const report = { openClaims, pendingDeliveries, slot }
  return { ok: true, store, report, tend: () => store.tend() }
}

function refused(address: string, { code, message }: DatabaseProblem): OpenedPostgresStore {
  return { ok: false, problem: { code, message: `${address}: ${message}` } }
}

function unreachable(address: string, error: unknown): OpenedPostgresStore {
  if (!(error instanceof DatabaseError) && !(error instanceof StoreFault)) throw error
  const message = `it does not answer (${error.message}): see that it runs, or mend DATABASE_URL`
  return refused(address, { code: 'database_unreachable', message })
}
