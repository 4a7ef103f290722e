// `switchyard store backup` and `store restore`: the embedded store in another folder, and back.

import { existsSync } from 'node:fs'
import path from 'node:path'
import type { Command } from 'commander'
import { readConfigFile } from '../adapters/config-files.ts'
import { type BackupResult, backUpStore, restoreStore } from '../adapters/store-backup.ts'
import { systemClock } from '../adapters/system-clock.ts'
import { startProgress } from './progress.ts'

interface Options {
  readonly from?: string
  readonly into?: string
  readonly json?: boolean
}

const KEYS_HINT = 'It holds no key: keep a copy of the key file elsewhere.'

export function registerBackup(store: Command): void {
  store
    .command('backup')
    .description('copy the store, also beside a running switch, and check the copy')
    .argument('<folder>', 'where to; must be absent or empty')
    .option('--from <folder>', 'the folder of the segments, instead of the configured one')
    .option('--json', 'one line of JSON')
    .addHelpText(
      'after',
      '\nEvery record that was durable when it began is in it. ' +
        `${KEYS_HINT}\n\nExample:\n  $ npx switchyard store backup /backups/$(date +%F)`,
    )
    .action(async (folder: string, options: Options) => {
      process.exitCode = await backUp(folder, options)
    })
  store
    .command('restore')
    .description('make a store of a backup, and check it')
    .argument('<backup>', 'what `store backup` wrote')
    .option('--into <folder>', 'instead of the configured one; must be absent or empty')
    .option('--json', 'one line of JSON')
    .addHelpText(
      'after',
      '\nStop the switch first. The key file of the backed-up store is needed to start on it.' +
        '\n\nExample:\n  $ npx switchyard store restore /backups/2026-11-22 --into .data/store',
    )
    .action(async (backup: string, options: Options) => {
      process.exitCode = await restore(backup, options)
    })
}

async function backUp(target: string, options: Options): Promise<number> {
  const folder = options.from ?? configuredFolder()
  if (folder === undefined) return 2
  if (!existsSync(folder)) {
    console.error(`${folder} does not exist: start the switch once, or name another with --from`)
    return 2
  }
  const progress = startProgress('backup', 'MB')
  const result = await backUpStore(folder, target, systemClock.now(), (bytes, all) => {
    progress.update(bytes / all, Math.floor(bytes / 1e6))
  })
  progress.stop()
  return say(result, options, target, `backed up. ${KEYS_HINT}`)
}

async function restore(backup: string, options: Options): Promise<number> {
  const folder = options.into ?? configuredFolder()
  if (folder === undefined) return 2
  const progress = startProgress('restore', 'MB')
  const result = await restoreStore(backup, folder, (bytes, all) => {
    progress.update(bytes / all, Math.floor(bytes / 1e6))
  })
  progress.stop()
  return say(result, options, folder, 'restored')
}

function say(result: BackupResult, options: Options, folder: string, done: string): number {
  if (!result.ok) {
    if (options.json === true) console.log(JSON.stringify({ problem: result.problem }))
    else console.error(result.problem)
    return 1
  }
  const { note } = result
  if (options.json === true) {
    console.log(JSON.stringify({ folder, ...note }))
    return 0
  }
  const { records, bytes, segments, startedAt, firstClaimAt, lastClaimAt } = note
  console.log(`${folder}: ${records} records, ${bytes} bytes, ${segments} segments ${done}`)
  console.log(`covers all that was durable at ${startedAt}`)
  console.log(`claims from ${firstClaimAt ?? '-'} to ${lastClaimAt ?? '-'}`)
  return 0
}

function configuredFolder(): string | undefined {
  const read = readConfigFile(process.env)
  if (!read.ok) {
    for (const problem of read.problems) console.error(`${read.file}: ${problem}`)
    return undefined
  }
  if (read.config.databaseUrl === undefined) return path.join(read.config.dataDir, 'store')
  console.error('the store is PostgreSQL (DATABASE_URL): back it up with pg_dump, or name a folder')
  return undefined
}
