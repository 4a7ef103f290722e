// Past payments from the store: a folder of segments or a database, both only read, also beside a
// running switch.

import { existsSync } from 'node:fs'
import path from 'node:path'
import type { Label } from '#scoring'
import { openFileDiskForReading } from '../adapters/file-disk.ts'
import { openPostgresDatabase } from '../adapters/postgres-database.ts'
import { pastPaymentOf } from '../past-payment.ts'
import {
  type Database,
  DatabaseError,
  findInHistory,
  findInSharedHistory,
  type History,
  openHistory,
  openSharedHistory,
  type PastTransaction,
  readSharedLabels,
  readStoredLabels,
  type Label as StoredLabel,
} from '../store/index.ts'
import { readConfigured } from './configured.ts'
import type { PastData } from './past-data.ts'

/** Where a store is. */
export type StorePlace =
  | { readonly kind: 'folder'; readonly folder: string }
  | { readonly kind: 'database'; readonly database: Database }

/** The store that is meant, the configured one where none is named; undefined after saying why. */
export async function storePlace(named: string | undefined): Promise<StorePlace | undefined> {
  const config = named === undefined ? await readConfigured() : undefined
  if (config?.databaseUrl !== undefined) {
    return { kind: 'database', database: openPostgresDatabase(config.databaseUrl, 'switchyard') }
  }
  const folder = named ?? (config && path.join(config.dataDir, 'store'))
  if (folder === undefined) return undefined
  if (existsSync(folder)) return { kind: 'folder', folder }
  console.error(`${folder} does not exist: start the switch once, or give --data FILE`)
  return undefined
}

/** For a person: the folder, or the database's address. */
export function nameOf(place: StorePlace): string {
  return place.kind === 'folder' ? place.folder : place.database.address
}

/** Says what a database answered; throws what is a bug. */
export function sayDatabaseError({ address }: Database, error: unknown): void {
  if (!(error instanceof DatabaseError)) throw error
  console.error(`${address}: ${error.message} (\`switchyard doctor\` looks at it)`)
}

export type StoredPast = Omit<PastData, 'bad'>

/** All of it, with the labels that were known by `asOfMs`; undefined after saying why not. */
export async function openStoredPast(
  place: StorePlace,
  asOfMs: number,
): Promise<StoredPast | undefined> {
  if (place.kind === 'folder') return openFolder(place.folder, asOfMs)
  const { database } = place
  try {
    const labels = await readSharedLabels(database)
    return pastOf(database.address, openSharedHistory(database), newestLabels(labels, asOfMs))
  } catch (error) {
    sayDatabaseError(database, error)
    return undefined
  }
}

async function openFolder(folder: string, asOfMs: number): Promise<StoredPast | undefined> {
  const opened = await openHistory(openFileDiskForReading(folder))
  if (!opened.ok) {
    console.error(`${folder}: ${opened.problem.message}`)
    return undefined
  }
  const stored = await readStoredLabels(openFileDiskForReading(folder))
  if (!stored.ok) {
    console.error(`${folder}: ${stored.problem.message}`)
    return undefined
  }
  return pastOf(folder, opened.history, newestLabels(stored.labels, asOfMs))
}

function pastOf(name: string, history: History, labels: ReadonlyMap<string, Label>): StoredPast {
  async function* chunks() {
    for await (const chunk of history.transactions()) {
      yield chunk.map((past) => ({ ...pastPaymentOf(past), label: labels.get(past.intent.id) }))
    }
  }
  return {
    name,
    chunks: chunks(),
    progress: () => Math.min(1, history.bytesRead / Math.max(1, history.bytes)),
    problem: () => history.problem?.message,
    notes: () => [],
  }
}

/** Of several labels the one that was known last, by then. */
function newestLabels(labels: readonly StoredLabel[], asOfMs: number): ReadonlyMap<string, Label> {
  const newest = new Map<string, Label>()
  for (const { transactionId, kind, knownAtMs } of labels) {
    const known = newest.get(transactionId)
    if (knownAtMs > asOfMs || (known?.knownAtMs ?? knownAtMs) > knownAtMs) continue
    newest.set(transactionId, { kind, knownAtMs })
  }
  return newest
}

/** The authorization with this id, or those with this RRN; undefined after saying why not. */
export async function findStoredPast(
  place: StorePlace,
  idOrRrn: string,
): Promise<readonly PastTransaction[] | undefined> {
  if (place.kind === 'database') {
    try {
      return await findInSharedHistory(place.database, idOrRrn)
    } catch (error) {
      sayDatabaseError(place.database, error)
      return undefined
    }
  }
  const result = await findInHistory(openFileDiskForReading(place.folder), idOrRrn)
  if (result.ok) return result.found
  console.error(`${place.folder}: ${result.problem.message}`)
  return undefined
}
