// Rule sets that have decided something, whole and by their hash, so that any decision can be
// explained and replayed: one file a set, `<hash>.json.gz`, written once and made durable before the
// set decides anything.

import { mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { gunzip, gzip } from 'node:zlib'
import { keptBytesMax, keptSetBytesMax, keptSetsMax } from '../limits.ts'
import type { RuleFile } from '../problem.ts'

/** A rule set as its folder was when it was kept, tests included. */
export interface KeptSet {
  readonly hash: string
  /** ISO 8601. */
  readonly keptAt: string
  readonly files: readonly RuleFile[]
}

export type KeptSetResult =
  | { readonly ok: true; readonly set: KeptSet }
  /** `not_kept`: it never ran here, or so many came after it that it was dropped. */
  | { readonly ok: false; readonly code: 'not_kept' | 'unreadable'; readonly message: string }

/** Where a switch keeps its sets, below its DATA_DIR. */
export const keptSetsFolder = (dataDir: string): string => join(dataDir, 'rule-sets')

const hashPattern = /^[0-9a-f]{16}$/
const filePattern = /^([0-9a-f]{16})\.json\.gz$/

/** One set by its hash, 16 hex digits. Never rejects. */
export async function readKeptSet(folder: string, hash: string): Promise<KeptSetResult> {
  if (!hashPattern.test(hash)) {
    const message = `"${hash}" is no hash of a rule set: 16 digits 0-9 and a-f`
    return { ok: false, code: 'not_kept', message }
  }
  try {
    const packed = await readFile(join(folder, `${hash}.json.gz`))
    const text = await promisify(gunzip)(packed, { maxOutputLength: 2 * keptSetBytesMax })
    const set = JSON.parse(text.toString('utf8')) as KeptSet
    if (set.hash !== hash || !Array.isArray(set.files)) throw new Error('it names another set')
    return { ok: true, set }
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') {
      return { ok: false, code: 'not_kept', message: `rule set ${hash} is not kept in ${folder}` }
    }
    const reason = `rule set ${hash} can't be read back from ${folder}: ${message}`
    return { ok: false, code: 'unreadable', message: reason }
  }
}

export interface KeptEntry {
  readonly hash: string
  readonly bytes: number
  readonly keptAtMs: number
}

/** The sets that are kept, newest first; none where the folder is not there. */
export async function listKeptSets(folder: string): Promise<readonly KeptEntry[]> {
  const names = await readdir(folder).catch(() => [])
  const entries: KeptEntry[] = []
  for (const name of names) {
    const hash = filePattern.exec(name)?.[1]
    const found = hash && (await stat(join(folder, name)).catch(() => undefined))
    if (found) entries.push({ hash, bytes: found.size, keptAtMs: found.mtimeMs })
  }
  return entries.sort((a, b) => b.keptAtMs - a.keptAtMs)
}

/**
 * Makes a set durable under its hash, and drops the oldest where there are too many; those named in
 * `spared` stay. Rejects with the system's error, or where the set is too large to be kept.
 */
export async function keepSet(
  folder: string,
  set: KeptSet,
  spared: readonly string[],
): Promise<void> {
  const bytes = set.files.reduce((sum, { text }) => sum + text.length, 0)
  if (bytes > keptSetBytesMax) {
    throw new Error(`a rule set of ${bytes} bytes is too large to be kept (${keptSetBytesMax})`)
  }
  await mkdir(folder, { recursive: true })
  const path = join(folder, `${set.hash}.json.gz`)
  await writeDurably(folder, path, await promisify(gzip)(JSON.stringify(set)))
  let [count, total] = [0, 0]
  for (const entry of await listKeptSets(folder)) {
    count++
    total += entry.bytes
    const isOver = count > keptSetsMax || total > keptBytesMax
    if (!isOver || entry.hash === set.hash || spared.includes(entry.hash)) continue
    await rm(join(folder, `${entry.hash}.json.gz`), { force: true })
  }
}

/** Replaces a file: whoever looks, and whoever starts after a crash, sees the old or the new. */
export async function writeDurably(
  folder: string,
  path: string,
  bytes: string | Uint8Array,
): Promise<void> {
  const draft = `${path}.draft`
  const file = await open(draft, 'w')
  try {
    await file.writeFile(bytes)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(draft, path)
  const directory = await open(folder)
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}
