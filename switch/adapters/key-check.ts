// Adapter: which keys a store was made with, beside the store. It holds no key, only what a key
// gives for a constant: enough to refuse another key file before anything is sealed with it.

import { createHmac } from 'node:crypto'
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import type { KeyRing } from '../card-data/index.ts'

/** In the data folder. */
export const KEY_CHECK_FILE = 'key-check.json'
const CONSTANT = 'switchyard key check 1'

interface KeyCheck {
  readonly version: 1
  readonly token: string
  /** By key id. */
  readonly panKeys: Readonly<Record<string, string>>
}

export type KeyCheckResult =
  | { readonly ok: true }
  | { readonly ok: false; readonly problem: string }

/**
 * Compares the ring with the store's keys; durably notes them where the store is new, and ids that
 * are new. The caller holds the store's lock. The problem says what to do.
 */
export function checkKeys(dataDir: string, keysFile: string, keys: KeyRing): KeyCheckResult {
  const file = path.join(dataDir, KEY_CHECK_FILE)
  const ours = checkOf(keys)
  let known: KeyCheck | undefined
  try {
    known = readCheck(file)
  } catch (error) {
    return refused(file, `it can't be read (${codeOf(error)}): restore it from the backup`)
  }
  const compared = compare(known, ours, keysFile)
  if (!compared.ok) return compared
  if (!compared.isNew) return { ok: true }
  try {
    writeCheck(file, ours)
    return { ok: true }
  } catch (error) {
    const advice = 'make room for it, or let the switch write there'
    return refused(file, `it can't be written (${codeOf(error)}): ${advice}`)
  }
}

/** `note`: what is to be kept of the ring with the store, or null where that is there already. */
export type KeyComparison =
  | { readonly ok: true; readonly note: string | null }
  | { readonly ok: false; readonly problem: string }

/** The same for a store that keeps the text of its check itself; undefined where it has none. */
export function compareKeys(
  known: string | undefined,
  keysFile: string,
  keys: KeyRing,
): KeyComparison {
  const check = known === undefined ? undefined : parse(known)
  if (known !== undefined && check?.version !== 1) {
    return { ok: false, problem: `the store's key check can't be read: restore the database` }
  }
  const ours = checkOf(keys)
  const compared = compare(check, ours, keysFile)
  if (!compared.ok) return compared
  return { ok: true, note: compared.isNew ? JSON.stringify(ours) : null }
}

type Comparison =
  | { readonly ok: true; readonly isNew: boolean }
  | { readonly ok: false; readonly problem: string }

function compare(known: KeyCheck | undefined, ours: KeyCheck, keysFile: string): Comparison {
  if (known === undefined) return { ok: true, isNew: true }
  const knownIds = Object.keys(known.panKeys)
  const isOther =
    known.token !== ours.token ||
    knownIds.some((id) => id in ours.panKeys && known.panKeys[id] !== ours.panKeys[id])
  if (isOther) {
    const advice = 'restore the one that it was made with, or set KEYS_FILE to it'
    return refused(keysFile, `this key file is not this store's: ${advice}`)
  }
  const missing = knownIds.filter((id) => !(id in ours.panKeys))
  if (missing.length > 0) {
    const lacks = `PAN key ${missing.join(', ')} is missing, and the store has cards under it`
    return refused(keysFile, `${lacks}: restore the key, or set KEYS_FILE`)
  }
  return { ok: true, isNew: knownIds.length < Object.keys(ours.panKeys).length }
}

function checkOf(keys: KeyRing): KeyCheck {
  const over = (key: Uint8Array) => createHmac('sha256', key).update(CONSTANT).digest('hex')
  const panKeys = [...keys.panKeys].map(([id, key]) => [String(id), over(key)] as const)
  return { version: 1, token: over(keys.fingerprintKey), panKeys: Object.fromEntries(panKeys) }
}

/** Undefined where there is none. Throws the system's error, or EBADMSG where it is no such file. */
function readCheck(file: string): KeyCheck | undefined {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
  const check = parse(text)
  if (check?.version === 1 && typeof check.panKeys === 'object') return check
  throw Object.assign(new Error('not a key check'), { code: 'EBADMSG' })
}

function parse(text: string): KeyCheck | undefined {
  try {
    return JSON.parse(text) as KeyCheck
  } catch {
    return undefined
  }
}

/** Says that nothing of the store is under a key any more. The caller holds the store's lock. */
export function forgetKey(dataDir: string, keyId: number): void {
  const file = path.join(dataDir, KEY_CHECK_FILE)
  const known = readCheck(file)
  if (known !== undefined) writeCheck(file, withoutKey(known, keyId))
}

/** The same in the text of a check that the store keeps itself. */
export function forgetKeyIn(text: string, keyId: number): string {
  const known = parse(text)
  return known === undefined ? text : JSON.stringify(withoutKey(known, keyId))
}

function withoutKey(known: KeyCheck, keyId: number): KeyCheck {
  const panKeys = Object.entries(known.panKeys).filter(([id]) => id !== String(keyId))
  return { ...known, panKeys: Object.fromEntries(panKeys) }
}

/** Replaced whole, and durable before a card is sealed under a new key. */
function writeCheck(file: string, check: KeyCheck): void {
  const draft = `${file}.new`
  writeFileSync(draft, `${JSON.stringify(check, null, 2)}\n`, { mode: 0o600 })
  sync(draft)
  renameSync(draft, file)
  sync(path.dirname(file))
}

function sync(file: string): void {
  const descriptor = openSync(file, 'r')
  try {
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? 'unreadable'
}

function refused(file: string, problem: string): { ok: false; problem: string } {
  return { ok: false, problem: `${file}: ${problem}` }
}
