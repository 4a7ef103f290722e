// Adapter: which PAN keys are in use: by the cards of the store, a folder or a database, and by
// what acquirers sent in key exchanges, which is in the data folder.

import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import path from 'node:path'
import { countCards, countSharedCards, DatabaseError, replaceKeyCheck } from '../store/index.ts'
import { openFileDisk, openFileDiskForReading } from './file-disk.ts'
import { forgetKey, forgetKeyIn } from './key-check.ts'
import { removePanKey } from './key-files.ts'
import { openPostgresDatabase } from './postgres-database.ts'

export type KeyUse =
  | {
      readonly ok: true
      /** By key id. */
      readonly cards: ReadonlyMap<number, number>
      readonly exchangedKeys: ReadonlyMap<number, number>
    }
  | { readonly ok: false; readonly problem: string }

/** `read` of `all`: bytes of a folder, days of a database. */
type OnProgress = (read: number, all: number) => void

/** Reads beside a running switch. A data folder without store uses no key. */
export async function readKeyUse(dataDir: string, onProgress: OnProgress): Promise<KeyUse> {
  const folder = path.join(dataDir, 'store')
  const exchangedKeys = await readExchanged(path.join(dataDir, 'exchanged-keys'))
  if (!existsSync(folder)) return { ok: true, cards: new Map(), exchangedKeys }
  const counted = await countCards(openFileDiskForReading(folder), onProgress)
  if (counted.ok) return { ok: true, cards: counted.cards, exchangedKeys }
  if (counted.problem.code === 'log_absent') return { ok: true, cards: new Map(), exchangedKeys }
  return { ok: false, problem: `${folder}: ${counted.problem.message}` }
}

export type Retired = { readonly ok: true } | { readonly ok: false; readonly problem: string }

/**
 * Takes a PAN key out of the key file where nothing is under it. Holds the store's lock, so that no
 * switch can seal or write meanwhile.
 */
export async function retireKey(
  dataDir: string,
  keysFile: string,
  keyId: number,
  onProgress: OnProgress,
): Promise<Retired> {
  const folder = path.join(dataDir, 'store')
  const opened = await openFileDisk(folder)
  if (!opened.ok) {
    return { ok: false, problem: `${folder}: ${opened.problem.message}` }
  }
  try {
    const use = await readKeyUse(dataDir, onProgress)
    if (!use.ok) return use
    const needed = whyNeeded(use, keyId)
    if (needed !== undefined) return { ok: false, problem: needed }
    // The note first: a key that is in the file and not in the note is noted again at a start, one
    // that is in the note and not in the file would be refused.
    forgetKey(dataDir, keyId)
    const problem = removePanKey(keysFile, keyId)
    return problem === undefined ? { ok: true } : { ok: false, problem: `${keysFile}: ${problem}` }
  } finally {
    await opened.disk.close()
  }
}

/** Why a key can't go. */
function whyNeeded(
  { cards, exchangedKeys }: Extract<KeyUse, { ok: true }>,
  keyId: number,
): string | undefined {
  const count = cards.get(keyId) ?? 0
  if (count > 0) {
    const advice = 'start the switch, and see `switchyard keys status` until none is'
    return `${count} sealed cards are under key ${keyId}: ${advice}`
  }
  const exchanged = exchangedKeys.get(keyId) ?? 0
  if (exchanged === 0) return undefined
  const what = `${exchanged} keys from key exchanges are under key ${keyId}`
  return `${what}: they are replaced by their peers' next exchange`
}

export type SharedKeyUse = KeyUse & { readonly runningProcesses?: number }

/** The same of a database, beside running processes, with the data folder's exchanged keys. */
export async function readSharedKeyUse(
  url: string,
  dataDir: string,
  onProgress: OnProgress,
): Promise<SharedKeyUse> {
  const database = openPostgresDatabase(url, 'switchyard keys')
  try {
    const exchangedKeys = await readExchanged(path.join(dataDir, 'exchanged-keys'))
    return { ok: true, ...(await countSharedCards(database, onProgress)), exchangedKeys }
  } catch (error) {
    if (!(error instanceof DatabaseError)) throw error
    return { ok: false, problem: `${database.address}: ${error.message}` }
  }
}

/** The same of a database: no process may run on it meanwhile. */
export async function retireSharedKey(
  url: string,
  dataDir: string,
  keysFile: string,
  keyId: number,
  onProgress: OnProgress,
): Promise<Retired> {
  const use = await readSharedKeyUse(url, dataDir, onProgress)
  if (!use.ok) return use
  const { runningProcesses = 0 } = use
  const running = `${runningProcesses} processes run on this database: stop them first`
  if (runningProcesses > 0) return { ok: false, problem: running }
  const needed = whyNeeded(use, keyId)
  if (needed !== undefined) return { ok: false, problem: needed }
  const database = openPostgresDatabase(url, 'switchyard keys')
  if (!(await replaceKeyCheck(database, (text) => forgetKeyIn(text, keyId)))) {
    return { ok: false, problem: 'a process was started meanwhile: stop it, and try again' }
  }
  const problem = removePanKey(keysFile, keyId)
  return problem === undefined ? { ok: true } : { ok: false, problem: `${keysFile}: ${problem}` }
}

/** The newest file's entries count; an older one is removed when it is replaced. */
async function readExchanged(folder: string): Promise<ReadonlyMap<number, number>> {
  const uses = new Map<number, number>()
  if (!existsSync(folder)) return uses
  for (const name of await readdir(folder)) {
    if (!name.endsWith('.json')) continue
    const text = await readFile(path.join(folder, name), 'utf8')
    for (const [, id] of text.matchAll(/"keyId":([0-9]+)/g)) {
      uses.set(Number(id), (uses.get(Number(id)) ?? 0) + 1)
    }
  }
  return uses
}
