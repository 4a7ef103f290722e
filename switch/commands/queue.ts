// `switchyard queue`: what waits for an issuer, what is dead, and sending that again. Listing only
// reads, also beside a running switch; requeue goes through the running switch, or into the folder
// of one that is stopped.

import { existsSync } from 'node:fs'
import path from 'node:path'
import type { Command } from 'commander'
import { openFileDiskForReading } from '../adapters/file-disk.ts'
import { findHolder } from '../adapters/folder-lock.ts'
import { openStoreFolder } from '../adapters/store-folder.ts'
import { createSystemRandom, systemClock, systemTimers } from '../adapters/system-clock.ts'
import { KEY_RETENTION_MS } from '../limits.ts'
import { requeue } from '../requeue.ts'
import { type Delivery, listQueue } from '../store/index.ts'
import { IdentifierSource } from '../ulid.ts'
import { configuredDataDir, order, runningAdminUrl } from './operations-port.ts'

interface ListOptions {
  readonly json?: boolean
  readonly issuer?: string
  readonly dead?: boolean
}

export function registerQueue(program: Command): void {
  const queue = program.command('queue').description('store-and-forward: list and requeue')
  queue
    .command('list')
    .description('what is queued for an issuer or dead, oldest first; no card data')
    .option('--issuer <name>', 'of that issuer only')
    .option('--dead', 'dead letters only')
    .option('--json', 'a line of JSON each')
    .addHelpText('after', '\nExample:\n  $ npx switchyard queue list --dead')
    .action(list)
  queue
    .command('requeue')
    .description('queue the dead letters of transactions again (a running switch: ADMIN_TOKEN)')
    .argument('<transaction...>', 'ids, as `queue list` shows them')
    .addHelpText(
      'after',
      '\nExample:\n  $ ADMIN_TOKEN=... npx switchyard queue requeue auth_01KA...',
    )
    .action(requeueAll)
}

function dataDir(): string | undefined {
  const configured = configuredDataDir()
  if (configured === undefined) return undefined
  if (existsSync(path.join(configured, 'store'))) return configured
  console.error(
    `${configured} holds no embedded store: start the switch once, or set DATA_DIR; ` +
      'with PostgreSQL ask its table switchyard.delivery',
  )
  return undefined
}

async function list(options: ListOptions): Promise<void> {
  const folder = dataDir()
  if (folder === undefined) {
    process.exitCode = 2
    return
  }
  const result = await listQueue(openFileDiskForReading(path.join(folder, 'store')))
  if (!result.ok) {
    console.error(result.problem.message)
    process.exitCode = 1
    return
  }
  const shown = result.deliveries.filter(
    ({ message, state }) =>
      (options.issuer === undefined || message.issuer === options.issuer) &&
      (options.dead !== true || state === 'dead'),
  )
  for (const delivery of shown) console.log(options.json ? jsonOf(delivery) : lineOf(delivery))
  if (shown.length === 0 && options.json !== true) {
    console.error(options.dead === true ? 'nothing is dead' : 'nothing is queued')
  }
  if (shown.some(({ state }) => state === 'dead')) process.exitCode = 1
}

function jsonOf({ message, state, sends, lastResponseCode }: Delivery): string {
  const { transactionId, step, issuer, mti, stan, transmittedAt, rrn, cause, queuedAtMs } = message
  const queuedAt = new Date(queuedAtMs).toISOString()
  const numbers = { mti, stan, transmittedAt, rrn }
  const standing = { state, sends, lastResponseCode, queuedAt }
  return JSON.stringify({ transactionId, step, issuer, ...numbers, cause, ...standing })
}

function lineOf({ message, state, sends, lastResponseCode }: Delivery): string {
  const { transactionId, step, issuer, mti, stan, cause, queuedAtMs } = message
  return [
    state.padEnd(6),
    new Date(queuedAtMs).toISOString(),
    issuer,
    mti,
    stan,
    transactionId,
    `${step}, ${cause}, sent ${sends} times, last answer ${lastResponseCode ?? 'none'}`,
  ].join('  ')
}

async function requeueAll(transactions: readonly string[]): Promise<void> {
  const configured = configuredDataDir()
  const isRunning = configured !== undefined && (await isHeld(configured))
  const folder = isRunning ? configured : dataDir()
  if (folder === undefined) {
    process.exitCode = 2
    return
  }
  const results = isRunning
    ? await throughTheSwitch(folder, transactions)
    : await intoTheFolder(folder, transactions)
  if (results === undefined) {
    process.exitCode = 2
    return
  }
  for (const [i, count] of results.entries()) {
    const said = count === undefined ? 'no such transaction' : `${count} queued again`
    console.log(`${transactions[i]}: ${said}`)
  }
  if (results.some((count) => count === undefined || count === 0)) process.exitCode = 1
}

/** By an embedded store, or by a process that keeps its store in PostgreSQL. */
async function isHeld(folder: string): Promise<boolean> {
  const store = path.join(folder, 'store')
  if (!existsSync(store)) return (await runningAdminUrl(folder)) !== undefined
  return (await findHolder(store)) !== undefined
}

type Results = readonly (number | undefined)[] | undefined

async function throughTheSwitch(folder: string, transactions: readonly string[]): Promise<Results> {
  const adminUrl = await runningAdminUrl(folder)
  if (adminUrl === undefined) return undefined
  const results: (number | undefined)[] = []
  for (const transaction of transactions) {
    const answer = await order(adminUrl, '/v1/queue/requeue', { transaction })
    if (answer === undefined) return undefined
    const { status, body } = answer
    results.push(status === 200 ? (body as { requeued: number }).requeued : undefined)
  }
  return results
}

async function intoTheFolder(folder: string, transactions: readonly string[]): Promise<Results> {
  const random = createSystemRandom()
  const opened = await openStoreFolder(path.join(folder, 'store'), {
    clock: systemClock,
    timers: systemTimers,
    random,
    owner: new IdentifierSource(systemClock, random).next('queue_'),
    keyRetentionMs: KEY_RETENTION_MS,
  })
  if (!opened.ok) {
    console.error(opened.problem.message)
    return undefined
  }
  const results: (number | undefined)[] = []
  try {
    for (const transaction of transactions) {
      results.push(await requeue(opened.store, transaction, () => {}))
    }
  } finally {
    await opened.store.close()
  }
  return results
}
