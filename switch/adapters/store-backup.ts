// Adapter: a backup is a folder of the store's segments with a note beside them:
//
//   <backup>/0000000000000000.log ...   as in the store's folder
//   <backup>/key-check.json             which keys its cards need (key-check.ts); holds no key
//   <backup>/backup.json                written last: a folder without it is no whole backup

import { existsSync } from 'node:fs'
import { copyFile, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { auditLog, copyLog, isOperatingError, type LogAudit } from '../store/index.ts'
import { openFileDisk, openFileDiskForReading } from './file-disk.ts'
import { findHolder } from './folder-lock.ts'
import { KEY_CHECK_FILE } from './key-check.ts'

const NOTE = 'backup.json'

export interface BackupNote {
  readonly version: 1
  /** ISO 8601: every record that was durable by then is in the backup. */
  readonly startedAt: string
  readonly segments: number
  readonly bytes: number
  readonly records: number
  /** Position in the log up to which the backup goes. */
  readonly endPosition: number
  readonly firstClaimAt: string | null
  readonly lastClaimAt: string | null
}

export type BackupResult =
  | { readonly ok: true; readonly note: BackupNote }
  | { readonly ok: false; readonly problem: string }

export type OnProgress = (bytesCopied: number, bytesInAll: number) => void

/** Copies a store's folder, also beside the switch that writes it, and checks the copy's bytes. */
export async function backUpStore(
  folder: string,
  target: string,
  startedAtMs: number,
  onProgress: OnProgress,
): Promise<BackupResult> {
  const taken = await whyTaken(target)
  if (taken !== undefined) return refused(target, taken)
  const copied = await copyInto(folder, target, onProgress)
  if (!copied.ok) return copied
  const { audit, endPosition } = copied
  const note: BackupNote = {
    version: 1,
    startedAt: new Date(startedAtMs).toISOString(),
    segments: audit.segments,
    bytes: audit.bytes,
    records: audit.records,
    endPosition,
    firstClaimAt: timeOf(audit.firstClaimAtMs),
    lastClaimAt: timeOf(audit.lastClaimAtMs),
  }
  const check = path.join(path.dirname(path.resolve(folder)), KEY_CHECK_FILE)
  if (existsSync(check)) await copyFile(check, path.join(target, KEY_CHECK_FILE))
  await writeFile(path.join(target, NOTE), `${JSON.stringify(note, null, 2)}\n`, { mode: 0o600 })
  return { ok: true, note }
}

/** Makes a store's folder of a backup. Refuses a folder that is not empty or in use. */
export async function restoreStore(
  backup: string,
  folder: string,
  onProgress: OnProgress,
): Promise<BackupResult> {
  const note = await readNote(backup)
  if (note === undefined) {
    return refused(backup, `it holds no ${NOTE}: it is no backup, or one that did not end`)
  }
  const taken = await whyTaken(folder)
  if (taken !== undefined) return refused(folder, taken)
  const checked = await auditLog(openFileDiskForReading(backup))
  if (!checked.ok) return refused(backup, checked.problem.message)
  if (checked.audit.records !== note.records) {
    const { records } = checked.audit
    return refused(backup, `it has ${records} records, its note says ${note.records}`)
  }
  const check = path.join(path.dirname(path.resolve(folder)), KEY_CHECK_FILE)
  const kept = path.join(backup, KEY_CHECK_FILE)
  if (existsSync(kept) && existsSync(check) && (await differs(kept, check))) {
    return refused(check, "it is of another store's keys: restore into another DATA_DIR")
  }
  const copied = await copyInto(backup, folder, onProgress)
  if (!copied.ok) return copied
  if (existsSync(kept) && !existsSync(check)) await copyFile(kept, check)
  return { ok: true, note }
}

type Copied =
  | { readonly ok: true; readonly audit: LogAudit; readonly endPosition: number }
  | { readonly ok: false; readonly problem: string }

/** Copies and checks; removes again what it copied where either fails. */
async function copyInto(from: string, to: string, onProgress: OnProgress): Promise<Copied> {
  const opened = await openFileDisk(to)
  if (!opened.ok) return refused(to, opened.problem.message)
  const { disk } = opened
  try {
    const copied = await copyLog(openFileDiskForReading(from), disk, onProgress)
    if (!copied.ok) return await undone(to, refused(from, copied.problem.message))
    const checked = await auditLog(openFileDiskForReading(to))
    if (!checked.ok) return await undone(to, refused(to, checked.problem.message))
    if (checked.audit.contradictionCount > 0) {
      const [first] = checked.audit.contradictions
      return await undone(to, refused(from, `it contradicts itself: ${first?.message}`))
    }
    return { ok: true, audit: checked.audit, endPosition: copied.endPosition }
  } catch (error) {
    if (!isOperatingError(error)) throw error
    return await undone(to, refused(to, `nothing was kept of the copy (${error.message})`))
  } finally {
    await disk.close()
  }
}

async function undone<T>(folder: string, result: T): Promise<T> {
  for (const name of await readdir(folder)) {
    if (name.endsWith('.log')) await rm(path.join(folder, name), { force: true })
  }
  return result
}

/** Why a folder can't be written into; undefined where it is absent or empty. */
async function whyTaken(folder: string): Promise<string | undefined> {
  if (!existsSync(folder)) return undefined
  try {
    const holder = await findHolder(folder)
    if (holder !== undefined) return `process ${holder} uses it: stop it, or name another folder`
    const [first] = await readdir(folder)
    return first === undefined ? undefined : 'it is not empty: name another folder'
  } catch (error) {
    return `it can't be used (${(error as NodeJS.ErrnoException).code})`
  }
}

async function readNote(backup: string): Promise<BackupNote | undefined> {
  try {
    const note = JSON.parse(await readFile(path.join(backup, NOTE), 'utf8')) as BackupNote
    return note.version === 1 ? note : undefined
  } catch {
    return undefined
  }
}

async function differs(file: string, other: string): Promise<boolean> {
  const keys = async (one: string) => {
    const { token, panKeys } = JSON.parse(await readFile(one, 'utf8'))
    return { token: token as string, panKeys: panKeys as Record<string, string> }
  }
  const [a, b] = [await keys(file), await keys(other)]
  if (a.token !== b.token) return true
  return Object.entries(a.panKeys).some(([id, check]) => id in b.panKeys && b.panKeys[id] !== check)
}

function timeOf(ms: number | null): string | null {
  return ms === null ? null : new Date(ms).toISOString()
}

function refused(folder: string, problem: string): { ok: false; problem: string } {
  return { ok: false, problem: `${folder}: ${problem}` }
}
