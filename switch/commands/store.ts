// `switchyard store`: what is in the embedded store. It only reads, also beside a running switch,
// backup and restore (store-backup.ts) excepted; card ciphertext never leaves the folder.

import { existsSync } from 'node:fs'
import path from 'node:path'
import type { Command } from 'commander'
import { readConfigFile } from '../adapters/config-files.ts'
import { openFileDiskForReading } from '../adapters/file-disk.ts'
import { findHolder } from '../adapters/folder-lock.ts'
import { openPostgresDatabase } from '../adapters/postgres-database.ts'
import {
  auditLog,
  DatabaseError,
  exportDatabase,
  exportLog,
  type LogAudit,
  type LogProblem,
} from '../store/index.ts'
import { registerBackup } from './store-backup.ts'
import { registerMigrate } from './store-migrate.ts'

interface Options {
  readonly json?: boolean
}

const FOLDER_HELP = 'the folder of the segments, instead of the configured one'

export function registerStore(program: Command): void {
  const store = program
    .command('store')
    .description('verify, count, export, back up and restore the embedded store')
  registerMigrate(store)
  registerBackup(store)
  store
    .command('verify')
    .description('check every byte of the log, and that its records tell one story')
    .argument('[folder]', FOLDER_HELP)
    .option('--json', 'one line of JSON')
    .addHelpText('after', '\nExample:\n  $ npx switchyard store verify .data/store')
    .action((folder: string | undefined, options: Options) => run(folder, options, printVerdict))
  store
    .command('stats')
    .description('count records, bytes and outcomes')
    .argument('[folder]', FOLDER_HELP)
    .option('--json', 'one line of JSON')
    .addHelpText('after', '\nExample:\n  $ npx switchyard store stats --json')
    .action((folder: string | undefined, options: Options) => run(folder, options, printStats))
  store
    .command('export')
    .description('every record as a line of JSON, oldest first, without card ciphertext')
    .argument('[folder]', FOLDER_HELP)
    .addHelpText('after', '\nExample:\n  $ npx switchyard store export > records.ndjson')
    .action(async (folder: string | undefined) => {
      process.exitCode = await exportTo(folder, process.stdout)
    })
}

function folderOf(given: string | undefined): string | undefined {
  const folder = given ?? configuredFolder()
  if (folder === undefined || existsSync(folder)) return folder
  console.error(`${folder} does not exist: start the switch once, or name another folder`)
  return undefined
}

function configuredFolder(): string | undefined {
  const read = readConfigFile(process.env)
  if (read.ok && read.config.databaseUrl !== undefined) {
    console.error('the store is PostgreSQL (DATABASE_URL): ask the database, or name a folder')
    return undefined
  }
  if (read.ok) return path.join(read.config.dataDir, 'store')
  for (const problem of read.problems) console.error(`${read.file}: ${problem}`)
  return undefined
}

function configuredDatabase(): string | undefined {
  const read = readConfigFile(process.env)
  return read.ok ? read.config.databaseUrl : undefined
}

type Print = (audit: LogAudit, holderPid: number | undefined) => number

async function run(given: string | undefined, options: Options, print: Print): Promise<void> {
  const folder = folderOf(given)
  if (folder === undefined) {
    process.exitCode = 2
    return
  }
  const holderPid = await findHolder(folder)
  const result = await auditLog(openFileDiskForReading(folder))
  if (!result.ok) {
    process.exitCode = report(folder, result.problem, options.json === true)
    return
  }
  const { audit } = result
  if (options.json !== true) {
    process.exitCode = print(audit, holderPid)
    return
  }
  console.log(JSON.stringify({ folder, holderPid: holderPid ?? null, ...audit }))
  process.exitCode = audit.contradictionCount === 0 ? 0 : 1
}

function report(folder: string, problem: LogProblem, asJson: boolean): number {
  if (asJson) console.log(JSON.stringify({ folder, problem }))
  else console.error(`${folder}: ${problem.message}`)
  return 1
}

function printVerdict(audit: LogAudit, holderPid: number | undefined): number {
  const { records, segments, bytes, tornTail } = audit
  for (const { position, message } of audit.contradictions) {
    console.log(`contradiction at position ${position}: ${message}`)
  }
  if (tornTail !== null) {
    const where = `${tornTail.bytes} bytes behind byte ${tornTail.offset} of ${tornTail.segment}`
    const why = holderPid === undefined ? 'left by a crash, cut at the next start' : 'being written'
    console.log(`torn tail: ${where}: ${why}`)
  }
  const verdict = audit.contradictionCount === 0 ? 'whole' : 'whole, but contradicts itself'
  console.log(`${verdict}: ${records} records, ${bytes} bytes, ${segments} segments`)
  return audit.contradictionCount === 0 ? 0 : 1
}

function printStats(audit: LogAudit, holderPid: number | undefined): number {
  const rows: [string, unknown][] = [
    ['held by process', holderPid ?? 'nobody'],
    ['segments', audit.segments],
    ['bytes', audit.bytes],
    ...Object.entries(audit.recordsByKind).map(([kind, count]): [string, unknown] => [
      `${kind} records`,
      `${count} (${audit.bytesByKind[kind as keyof LogAudit['bytesByKind']]} bytes)`,
    ]),
    ...Object.entries(audit.outcomes),
    ...Object.entries(audit.labels).map(([kind, count]): [string, unknown] => [
      `labelled ${kind}`,
      count,
    ]),
    ['open claims', audit.openClaims],
    ['pending deliveries', audit.pendingDeliveries],
    ['first claim', timeOf(audit.firstClaimAtMs)],
    ['last claim', timeOf(audit.lastClaimAtMs)],
  ]
  for (const [name, value] of rows) console.log(`${name.padEnd(22)}${value}`)
  return 0
}

function timeOf(ms: number | null): string {
  return ms === null ? '-' : new Date(ms).toISOString()
}

/** Of the folder that was named, else of whatever store the configuration has. */
async function exportTo(given: string | undefined, out: NodeJS.WriteStream): Promise<number> {
  const databaseUrl = given === undefined ? configuredDatabase() : undefined
  const folder = databaseUrl === undefined ? folderOf(given) : undefined
  if (databaseUrl === undefined && folder === undefined) return 2
  out.on('error', ({ code }: NodeJS.ErrnoException) => {
    // A reader such as `head` may leave early: that is its right.
    if (code === 'EPIPE') process.exit(0)
    console.error(`the export is not whole: its output can't be written (${code})`)
    process.exit(1)
  })
  const write = (record: Readonly<Record<string, unknown>>) => {
    if (out.write(`${JSON.stringify(record)}\n`)) return undefined
    return new Promise<void>((resolve) => out.once('drain', resolve))
  }
  if (folder === undefined) return exportShared(String(databaseUrl), write)
  const problem = await exportLog(openFileDiskForReading(folder), write)
  if (problem === undefined) return 0
  console.error(`${folder}: ${problem.message}`)
  return 1
}

async function exportShared(
  url: string,
  write: Parameters<typeof exportDatabase>[1],
): Promise<number> {
  const database = openPostgresDatabase(url, 'switchyard store export')
  try {
    await exportDatabase(database, write)
    return 0
  } catch (error) {
    if (!(error instanceof DatabaseError)) throw error
    console.error(`${database.address}: ${error.message}`)
    return 1
  }
}
