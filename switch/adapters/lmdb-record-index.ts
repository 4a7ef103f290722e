// Adapter: the record index on LMDB. Nothing is flushed on the way: after kill -9 the page cache
// still has every committed batch whole, after a crash of the machine the file may be anything. So
// a mark beside it says under which boot of the machine it is being written, or that it was closed
// and flushed; an index that neither vouches for is thrown away before LMDB maps a byte of it. LMDB
// trusts its file: a damaged one can end the process. The mark says when it is being opened, so a
// start that dies of it is the last one: the next finds that mark and throws the index away.

import * as fs from 'node:fs'
import path from 'node:path'
import { open, type RootDatabase } from 'lmdb'
import type { IndexPut, RecordIndex } from '../store/index.ts'

export interface OpenedIndex {
  readonly index: RecordIndex
  /** Why an older index was thrown away; null where it was kept, or there was none. */
  readonly discarded: string | null
}

interface Mark {
  readonly state: 'opening' | 'open' | 'closed'
  readonly bootId: string
}

const MARK = 'mark.json'
const DATA = 'data.mdb'
/** Above every character that a key can hold. */
const KEY_END = '\uffff'

/** Opens the index in `folder`, which the caller alone uses; makes it where absent. */
export function openLmdbRecordIndex(folder: string): OpenedIndex {
  fs.mkdirSync(folder, { recursive: true, mode: 0o700 })
  const bootId = readBootId()
  let discarded: string | null = null
  if (fs.existsSync(path.join(folder, DATA))) {
    discarded = distrust(readMark(folder), bootId)
    if (discarded !== null) removeIndex(folder)
  }
  writeMark(folder, { state: 'opening', bootId })
  let database: RootDatabase<Buffer, string>
  try {
    database = openDatabase(folder)
  } catch (error) {
    discarded = `it can't be opened: ${(error as Error).message}`
    removeIndex(folder)
    database = openDatabase(folder)
  }
  writeMark(folder, { state: 'open', bootId })
  return { index: createIndex(folder, database, bootId), discarded }
}

function openDatabase(folder: string): RootDatabase<Buffer, string> {
  const database = open<Buffer, string>({
    path: folder,
    encoding: 'binary',
    noSync: true,
    overlappingSync: false,
    cache: false,
    maxDbs: 1,
    // Otherwise each turn's writes have a promise that nobody sees, and that rejects on a full disk.
    eventTurnBatching: false,
  })
  // Walks from the root down, while the mark still says `opening`.
  database.get(KEY_END)
  return database
}

function createIndex(
  folder: string,
  database: RootDatabase<Buffer, string>,
  bootId: string,
): RecordIndex {
  return {
    get: (key) => database.get(key),
    list(prefix, limit, order) {
      const reverse = order === 'descending'
      const [start, end] = reverse ? [prefix + KEY_END, prefix] : [prefix, prefix + KEY_END]
      const found = database.getRange({ start, end, limit, reverse, inclusiveEnd: reverse })
      return [...found].map(({ key, value }) => ({ key, value }))
    },
    write: (puts) => writeAll(database, puts),
    clear: () => database.clearAsync(),
    async close() {
      await database.close()
      flush(path.join(folder, DATA))
      writeMark(folder, { state: 'closed', bootId })
    },
  }
}

/** A batch is one LMDB transaction. Rejects with what went wrong, and leaves no other rejection. */
async function writeAll(
  database: RootDatabase<Buffer, string>,
  puts: readonly IndexPut[],
): Promise<void> {
  const committed = database.batch(() => {
    for (const { key, value } of puts) {
      // Their promises say nothing in a batch: the batch's own does.
      if (value === null) void database.remove(key)
      else void database.put(key, value as Buffer)
    }
  })
  try {
    await committed
  } catch (error) {
    const { commitError } = error as { commitError?: Promise<never> }
    if (commitError === undefined) throw error
    await commitError
  }
}

function distrust(mark: Mark | undefined, bootId: string): string | null {
  if (mark === undefined) return 'its mark is missing'
  if (mark.state === 'opening') return 'the process that opened it last died of it'
  if (mark.state === 'closed' || (bootId !== '' && mark.bootId === bootId)) return null
  return 'the machine was restarted while it was open'
}

/** Names this run of the kernel; empty where the system has no such name. */
function readBootId(): string {
  try {
    return fs.readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  } catch {
    return ''
  }
}

function readMark(folder: string): Mark | undefined {
  try {
    return JSON.parse(fs.readFileSync(path.join(folder, MARK), 'utf8')) as Mark
  } catch {
    return undefined
  }
}

/** Replaces the mark durably, before the index may change under it. */
function writeMark(folder: string, mark: Mark): void {
  const draft = path.join(folder, `${MARK}.new`)
  fs.writeFileSync(draft, JSON.stringify(mark), { mode: 0o600 })
  flush(draft)
  fs.renameSync(draft, path.join(folder, MARK))
  flush(folder)
}

function flush(file: string): void {
  const descriptor = fs.openSync(file, 'r')
  try {
    fs.fsyncSync(descriptor)
  } finally {
    fs.closeSync(descriptor)
  }
}

function removeIndex(folder: string): void {
  for (const name of fs.readdirSync(folder)) {
    if (name.endsWith('.mdb')) fs.rmSync(path.join(folder, name))
  }
}
