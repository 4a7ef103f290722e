// `switchyard queue`: what waits for an issuer, what is dead, and sending that again. Listing only
// reads, also beside a running switch; requeue goes through the running switch, or into the folder
// of one that is stopped.

import type { Command } from 'commander'
import { openFileDiskForReading } from '../adapters/file-disk.ts'
import { findHolder } from '../adapters/folder-lock.ts'
import type { Config } from '../config/index.ts'
import { type Requeued, requeue, TAKEN_BACK } from '../requeue.ts'
import { type Delivery, listQueue, listSharedQueue, type TransactionStore } from '../store/index.ts'
import { readConfigured } from './configured.ts'
import { order, runningAdminUrl } from './operations-port.ts'
import { inStoppedStore } from './stopped-store.ts'
import { type StorePlace, sayDatabaseError, storePlace } from './stored-past.ts'

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

async function list(options: ListOptions): Promise<void> {
  const place = await storePlace(undefined)
  if (place === undefined) {
    process.exitCode = 2
    return
  }
  const deliveries = await deliveriesOf(place)
  if (deliveries === undefined) {
    process.exitCode = 1
    return
  }
  const shown = deliveries.filter(
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

/** What is not acknowledged; undefined after saying why the store can't be read. */
async function deliveriesOf(place: StorePlace): Promise<readonly Delivery[] | undefined> {
  if (place.kind === 'database') {
    try {
      return await listSharedQueue(place.database)
    } catch (error) {
      sayDatabaseError(place.database, error)
      return undefined
    }
  }
  const result = await listQueue(openFileDiskForReading(place.folder))
  if (result.ok) return result.deliveries
  console.error(result.problem.message)
  return undefined
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
  const config = await readConfigured()
  const results = config && (await requeueIn(config, transactions))
  if (results === undefined) {
    process.exitCode = 2
    return
  }
  for (const [i, result] of results.entries()) console.log(`${transactions[i]}: ${said(result)}`)
  if (results.some((result) => !result?.queued || result.takenBack > 0)) process.exitCode = 1
}

function said(result: Requeued | undefined): string {
  if (result === undefined) return 'no such transaction'
  const { queued, takenBack } = result
  const again = `${queued} queued again`
  return takenBack === 0 ? again : `${again}, ${takenBack} refused: ${TAKEN_BACK}`
}

/** Through the switch of this data folder where one runs, else into the store. */
async function requeueIn(config: Config, transactions: readonly string[]): Promise<Results> {
  const { dataDir, databaseUrl } = config
  const intoTheStore = () =>
    inStoppedStore(config, 'queue', (store) => requeueInto(store, transactions))
  if (databaseUrl !== undefined) {
    const isRunning = (await runningAdminUrl(dataDir)) !== undefined
    return isRunning ? throughTheSwitch(dataDir, transactions) : intoTheStore()
  }
  const place = await storePlace(undefined)
  if (place?.kind !== 'folder') return undefined
  const isHeld = (await findHolder(place.folder)) !== undefined
  return isHeld ? throughTheSwitch(dataDir, transactions) : intoTheStore()
}

type Results = readonly (Requeued | undefined)[] | undefined

async function throughTheSwitch(folder: string, transactions: readonly string[]): Promise<Results> {
  const adminUrl = await runningAdminUrl(folder)
  if (adminUrl === undefined) return undefined
  const results: (Requeued | undefined)[] = []
  for (const transaction of transactions) {
    const answer = await order(adminUrl, '/v1/queue/requeue', { transaction })
    if (answer === undefined) return undefined
    const { status, body } = answer
    results.push(status === 200 || status === 409 ? requeuedOf(body) : undefined)
  }
  return results
}

function requeuedOf(body: unknown): Requeued {
  const { requeued, takenBack = 0 } = body as { requeued: number; takenBack?: number }
  return { queued: requeued, takenBack }
}

async function requeueInto(
  store: TransactionStore,
  transactions: readonly string[],
): Promise<Results> {
  const results: (Requeued | undefined)[] = []
  for (const transaction of transactions) {
    results.push(await requeue(store, transaction, () => {}))
  }
  return results
}
