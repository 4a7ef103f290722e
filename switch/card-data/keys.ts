// The key ring: versioned keys that encrypt PANs, and a token key that does not rotate with them.

import { hkdfSync } from 'node:crypto'
import type { Random } from '../ports.ts'

export interface KeyRing {
  /** AES-256 keys by id. */
  readonly panKeys: ReadonlyMap<number, Uint8Array>
  /** The id that new PANs are sealed under. */
  readonly currentPanKeyId: number
  /** HMAC keys, each derived from the token key for one purpose. */
  readonly cardTokenKey: Uint8Array
  readonly fingerprintKey: Uint8Array
  /** For the entities of velocity; the only key that scoring workers are given. */
  readonly entityKey: Uint8Array
}

const KEY_BYTES = 32

interface KeyFile {
  version: 1
  panKeys: { id: number; key: string }[]
  tokenKey: string
}

/** Writes a new key file: one PAN key and a token key, both random. */
export function newKeyFile(random: Random): string {
  const key = () => Buffer.from(random.fill(new Uint8Array(KEY_BYTES))).toString('base64')
  const file: KeyFile = { version: 1, panKeys: [{ id: 1, key: key() }], tokenKey: key() }
  return textOf(file)
}

/** The text of a key file with one more PAN key, which is the newest. The text must parse. */
export function withNewPanKey(text: string, random: Random): { text: string; id: number } {
  const file = JSON.parse(text) as KeyFile
  const id = Math.max(...file.panKeys.map((entry) => entry.id)) + 1
  const key = Buffer.from(random.fill(new Uint8Array(KEY_BYTES))).toString('base64')
  return { text: textOf({ ...file, panKeys: [...file.panKeys, { id, key }] }), id }
}

/** The text of a key file without one of its PAN keys. The text must parse. */
export function withoutPanKey(text: string, id: number): string {
  const file = JSON.parse(text) as KeyFile
  return textOf({ ...file, panKeys: file.panKeys.filter((entry) => entry.id !== id) })
}

function textOf(file: KeyFile): string {
  return `${JSON.stringify(file, null, 2)}\n`
}

/** Reads a key file. The problem says what is wrong and never a key's bytes. */
export function parseKeyFile(
  text: string,
):
  | { readonly ok: true; readonly keys: KeyRing }
  | { readonly ok: false; readonly problem: string } {
  let file: Partial<KeyFile>
  try {
    file = JSON.parse(text) as Partial<KeyFile>
  } catch {
    // The parser's own message would quote the text, and the text is keys.
    return { ok: false, problem: 'it is not JSON' }
  }
  if (file?.version !== 1) return { ok: false, problem: '"version" must be 1' }
  const tokenKey = readKey(file.tokenKey)
  if (tokenKey === undefined) return { ok: false, problem: '"tokenKey" must be 32 bytes in base64' }
  const panKeys = new Map<number, Uint8Array>()
  for (const entry of Array.isArray(file.panKeys) ? file.panKeys : []) {
    const key = readKey(entry?.key)
    if (key === undefined || !Number.isInteger(entry.id) || entry.id < 1 || panKeys.has(entry.id)) {
      return { ok: false, problem: 'each of "panKeys" needs its own "id" and 32 bytes in base64' }
    }
    panKeys.set(entry.id, key)
  }
  if (panKeys.size === 0) return { ok: false, problem: '"panKeys" must hold at least one key' }
  const derive = (purpose: string) =>
    new Uint8Array(hkdfSync('sha256', tokenKey, '', `switchyard ${purpose}`, KEY_BYTES))
  return {
    ok: true,
    keys: {
      panKeys,
      currentPanKeyId: Math.max(...panKeys.keys()),
      cardTokenKey: derive('card token'),
      fingerprintKey: derive('fingerprint'),
      entityKey: derive('velocity entity'),
    },
  }
}

function readKey(text: unknown): Uint8Array | undefined {
  if (typeof text !== 'string') return undefined
  const bytes = Buffer.from(text, 'base64')
  return bytes.length === KEY_BYTES ? bytes : undefined
}
