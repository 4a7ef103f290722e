// Whether a database may be written: what is checked on each new connection, before anything else.

import { DatabaseError, type DatabaseSession, LEASE_OVER } from './database.ts'
import { SCHEMA_VERSION } from './migrations.ts'

export interface DatabaseProblem {
  readonly code:
    | 'database_unreachable'
    | 'database_too_old'
    | 'database_not_durable'
    | 'database_read_only'
    | 'schema_missing'
    | 'schema_older'
    | 'schema_newer'
    | 'slots_taken'
    | 'wrong_keys'
  /** What is wrong, and what to do. */
  readonly message: string
}

/** xid8 and pg_current_xact_id came with 13. */
const SERVER_VERSION_MIN = 130_000

const SETTINGS = {
  name: 'fitness_1',
  text: `SELECT current_setting('server_version_num')::int AS version,
    current_setting('server_version') AS version_name,
    current_setting('synchronous_commit') AS synchronous_commit,
    current_setting('fsync') AS fsync,
    current_setting('transaction_read_only') AS read_only,
    pg_is_in_recovery() AS is_standby,
    to_regclass('switchyard.migration') IS NOT NULL AS has_schema`,
}

const VERSION = {
  name: 'schema_version_1',
  text: 'SELECT coalesce(max(version), 0) AS version FROM switchyard.migration',
}

const MIGRATE = 'run: npx switchyard store migrate'

/** Why it may not be written, or undefined. Writes nothing. Rejects with DatabaseError. */
export async function findUnfitness(
  session: DatabaseSession,
): Promise<DatabaseProblem | undefined> {
  const unfit = await findServerUnfitness(session)
  if (unfit !== undefined) return unfit
  const version = await schemaVersion(session)
  if (version === 0) {
    return problem('schema_missing', `it has no tables of the switch yet: ${MIGRATE}`)
  }
  if (version < SCHEMA_VERSION) {
    const gap = `its tables are of version ${version}, this switch needs ${SCHEMA_VERSION}`
    return problem('schema_older', `${gap}: ${MIGRATE}`)
  }
  if (version > SCHEMA_VERSION) {
    const gap = `its tables are of version ${version}, newer than this switch (${SCHEMA_VERSION})`
    return problem('schema_newer', `${gap}: start the version that made them, or a later one`)
  }
  return undefined
}

/** The same without a look at the tables: before they are made. */
export async function findServerUnfitness(
  session: DatabaseSession,
): Promise<DatabaseProblem | undefined> {
  const [row] = await session.query(SETTINGS, [])
  if (row === undefined) throw new DatabaseError('the server did not say its settings', null)
  if (Number(row.version) < SERVER_VERSION_MIN) {
    return problem('database_too_old', `PostgreSQL ${row.version_name}: 13 or newer is needed`)
  }
  if (row.read_only === 'on' || row.is_standby === true) {
    const what = row.is_standby === true ? 'it is a standby' : 'it is read-only'
    return problem('database_read_only', `${what}: name the primary in DATABASE_URL`)
  }
  for (const setting of ['synchronous_commit', 'fsync'] as const) {
    if (row[setting] !== 'off') continue
    const why = 'a crash would lose what was answered'
    return problem('database_not_durable', `${setting} is off there, so ${why}: switch it on`)
  }
  return undefined
}

/** 0 where there are no tables yet. */
export async function schemaVersion(session: DatabaseSession): Promise<number> {
  const [row] = await session.query(SETTINGS, [])
  if (row?.has_schema !== true) return 0
  const [found] = await session.query(VERSION, [])
  return Number(found?.version ?? 0)
}

function problem(code: DatabaseProblem['code'], message: string): DatabaseProblem {
  return { code, message }
}

/** The lease is over, or another's: this process may write nothing any more. */
export function isLeaseOver(error: unknown): boolean {
  return error instanceof DatabaseError && error.sqlState === LEASE_OVER
}
