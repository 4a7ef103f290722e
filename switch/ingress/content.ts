// Bodies: JSON or MessagePack, in by Content-Type, out by Accept.

import { C1, Packr, Unpackr } from 'msgpackr'
import { type Refusal, refuse } from '../errors.ts'

export type ContentKind = 'json' | 'msgpack'

export const CONTENT_TYPES: Readonly<Record<ContentKind, string>> = {
  json: 'application/json',
  msgpack: 'application/msgpack',
}

// Across a trust boundary: plain maps only, no shared record structures, no 64-bit surprises.
const unpackr = new Unpackr({ useRecords: false, mapsAsObjects: true, int64AsType: 'number' })
const packr = new Packr({ useRecords: false, variableMapSize: true, encodeUndefinedAsNil: false })

const MSGPACK = /^application\/(x-|vnd\.)?msgpack$/

/** Undefined: a type that is not spoken here. An absent type is JSON. */
export function contentKind(contentType: string | undefined): ContentKind | undefined {
  const type = (contentType ?? 'application/json').split(';', 1)[0]?.trim().toLowerCase() ?? ''
  if (MSGPACK.test(type)) return 'msgpack'
  return type === 'application/json' || type === '' ? 'json' : undefined
}

/** What to answer in: Accept where it names one of ours, else what the request came in. */
export function acceptedKind(accept: string | undefined, requested: ContentKind): ContentKind {
  for (const part of (accept ?? '').split(',')) {
    const type = part.split(';', 1)[0]?.trim().toLowerCase() ?? ''
    if (MSGPACK.test(type)) return 'msgpack'
    if (type === 'application/json') return 'json'
  }
  return requested
}

/** Reads a body. Never throws; the refusal repeats nothing of the body. */
export function readContent(
  kind: ContentKind,
  body: Uint8Array,
): { readonly kind: 'read'; readonly value: unknown } | Refusal {
  try {
    const value: unknown =
      kind === 'json'
        ? JSON.parse(decoder.decode(body))
        : unpackr.unpack(Buffer.from(body.buffer, body.byteOffset, body.byteLength))
    if (kind === 'json' || isPlain(value, body)) return { kind: 'read', value }
  } catch {
    // Refused below.
  }
  const name = kind === 'json' ? 'JSON' : 'MessagePack'
  return refuse('unreadable_body', `the body is not valid ${name}`)
}

/** U+FFFD on the wire; where a text holds it and the body doesn't, it stands for broken bytes. */
const REPLACEMENT = Buffer.from('\ufffd')

/**
 * Whether what MessagePack gave is what JSON could say: no extension types (dates, sets, records),
 * none of the byte that is never used, and no text that is not UTF-8.
 */
function isPlain(value: unknown, body: Uint8Array): boolean {
  if (typeof value === 'string') {
    return !value.includes('\ufffd') || Buffer.from(body).includes(REPLACEMENT)
  }
  if (typeof value !== 'object' || value === null) return true
  if (Array.isArray(value)) return value.every((one) => isPlain(one, body))
  if (value === C1 || Object.getPrototypeOf(value) !== Object.prototype) return false
  return Object.entries(value).every(([name, one]) => isPlain(name, body) && isPlain(one, body))
}

// Fatal: bytes that are not UTF-8 are an error, not replacement characters in a merchant's name.
const decoder = new TextDecoder('utf-8', { fatal: true })

export function writeContent(kind: ContentKind, value: unknown): string | Uint8Array {
  return kind === 'json' ? JSON.stringify(value) : packr.pack(value)
}
