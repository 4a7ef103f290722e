// `switchyard store migrate`: makes the tables of the PostgreSQL store, brings older ones to this
// version, and makes partitions ahead. What it does is locked, and whole or not at all.

import type { Command } from 'commander'
import { readConfigFile } from '../adapters/config-files.ts'
import { openPostgresDatabase } from '../adapters/postgres-database.ts'
import {
  DatabaseError,
  type DatabaseSession,
  findServerUnfitness,
  migrate,
  pendingMigrations,
  SCHEMA_VERSION,
  schemaVersion,
} from '../store/index.ts'

interface Options {
  readonly dryRun?: boolean
  readonly json?: boolean
}

const CONNECT_TIMEOUT_MS = 5_000

export function registerMigrate(store: Command): void {
  store
    .command('migrate')
    .description('make or update the tables of the PostgreSQL store, and partitions ahead')
    .option('--dry-run', 'print the SQL that would run, and change nothing')
    .option('--json', 'one line of JSON')
    .addHelpText(
      'after',
      '\nExample:\n  $ DATABASE_URL=postgres://switch@db.example:5432/switchyard?sslmode=verify-full \\' +
        '\n      npx switchyard store migrate --dry-run',
    )
    .action(async (options: Options) => {
      process.exitCode = await run(options)
    })
}

async function run(options: Options): Promise<number> {
  const read = readConfigFile(process.env)
  if (!read.ok) {
    for (const problem of read.problems) console.error(`${read.file}: ${problem}`)
    return 2
  }
  const { databaseUrl } = read.config
  if (databaseUrl === undefined) {
    console.error('DATABASE_URL is not set: the embedded store needs no migration')
    return 2
  }
  const database = openPostgresDatabase(databaseUrl, 'switchyard store migrate')
  let session: DatabaseSession | undefined
  try {
    session = await database.connect(CONNECT_TIMEOUT_MS)
    const wrong = options.dryRun ? await printPending(session) : await apply(session, options)
    if (wrong === undefined) return 0
    console.error(`${database.address}: ${wrong}`)
    return 1
  } catch (error) {
    if (!(error instanceof DatabaseError)) throw error
    const effect = session === undefined ? 'it does not answer' : 'nothing was changed'
    console.error(`${database.address}: ${effect} (${error.message})`)
    return 1
  } finally {
    session?.destroy()
  }
}

/** The SQL on standard output, the rest beside it. Says what is wrong. */
async function printPending(session: DatabaseSession): Promise<string | undefined> {
  const unfit = await findServerUnfitness(session)
  if (unfit !== undefined) return unfit.message
  const version = await schemaVersion(session)
  if (version > SCHEMA_VERSION) return newer(version)
  const pending = pendingMigrations(version)
  for (const { version: number, name, sql } of pending) console.log(`-- ${number} ${name}\n${sql}`)
  console.error(`${pending.length} to apply: version ${version} to ${SCHEMA_VERSION}`)
  return undefined
}

async function apply(session: DatabaseSession, options: Options): Promise<string | undefined> {
  const result = await migrate(session, Date.now())
  if (!result.ok) return result.problem.message
  const { from, to, applied, partitions } = result.report
  if (options.json) console.log(JSON.stringify(result.report))
  else {
    for (const name of applied) console.log(`applied ${name}`)
    const made = `${partitions} partitions made`
    console.log(applied.length === 0 ? `at version ${to}, ${made}` : `${from} to ${to}, ${made}`)
  }
  return undefined
}

function newer(version: number): string {
  return `its tables are of version ${version}, newer than this switch (${SCHEMA_VERSION})`
}
