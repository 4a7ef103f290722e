// Brings a database's tables to this version: locked, so that two commands don't do it twice, and
// whole or not at all.

import type { DatabaseSession } from './database.ts'
import { type DatabaseProblem, findServerUnfitness, schemaVersion } from './fitness.ts'
import { POSTGRES_LIMITS } from './limits.ts'
import { MIGRATIONS, type Migration, SCHEMA_VERSION } from './migrations.ts'
import { PARTITIONS, partitionDays } from './partitions.ts'

export interface MigrationReport {
  readonly from: number
  readonly to: number
  readonly applied: readonly string[]
  /** Partitions made, of all tables together. */
  readonly partitions: number
}

export type MigrationResult =
  | { readonly ok: true; readonly report: MigrationReport }
  | { readonly ok: false; readonly problem: DatabaseProblem }

/** What a database of that version lacks. */
export function pendingMigrations(version: number): readonly Migration[] {
  return MIGRATIONS.filter((migration) => migration.version > version)
}

/** Any number that other programs on the database do not take. */
const LOCK = 'SELECT pg_advisory_lock(7823640)'

/**
 * Applies what is missing and makes partitions ahead, also where nothing is missing. Refuses a
 * newer database and one that may not be written. Rejects with DatabaseError.
 */
export async function migrate(
  session: DatabaseSession,
  nowMs: number,
  aheadDays: number = POSTGRES_LIMITS.partitionsAheadDays,
): Promise<MigrationResult> {
  const unfit = await findServerUnfitness(session)
  if (unfit !== undefined) return { ok: false, problem: unfit }
  // Held until the session ends.
  await session.script(LOCK)
  const from = await schemaVersion(session)
  if (from > SCHEMA_VERSION) {
    const message = `its tables are of version ${from}, newer than this switch (${SCHEMA_VERSION})`
    return { ok: false, problem: { code: 'schema_newer', message } }
  }
  const applied: string[] = []
  for (const { version, name, sql } of pendingMigrations(from)) {
    const note = `INSERT INTO switchyard.migration (version, name) VALUES (${version}, '${name}');`
    await session.script(`BEGIN; ${sql} ${note} COMMIT`)
    applied.push(`${version} ${name}`)
  }
  const [row] = await session.query(PARTITIONS, partitionDays(nowMs, aheadDays))
  const report = { from, to: SCHEMA_VERSION, applied, partitions: Number(row?.made) }
  return { ok: true, report }
}
