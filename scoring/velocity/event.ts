// The binary event of rings and tile logs, version 1. Numbers are little-endian.
//
//   attempt, 48 bytes
//    0        6         12       15               19      20     23 ...              41      48
//   +--------+---------+--------------------------------+-----------------------------------+
//   | time   | amount  | latitude 18 | longitude 18 | bin 20 | 7 short hashes | identity | tag |
//   | 6      | 6       |            7 bytes, 56 bits            | 7 * 3 = 21     | 7        | 1   |
//   +--------+---------+----------------------------------------+----------------+----------+-----+
//    0        6         12                                       19               40         47
//
//   outcome, 16 bytes
//   +--------+---------------+----------+-----+
//   | time 6 | response code | identity | tag |
//   |        | 2, ASCII or 0 | 7        | 1   |
//   +--------+---------------+----------+-----+
//    0        6               8          15
//
//   time      milliseconds since 1970
//   amount    base amount in minor units, at most 2^48 - 2; 2^48 - 1: unknown
//   latitude  (degrees + 90) / 180 in 2^18 - 2 steps of 76 m; 2^18 - 1: unknown
//   longitude (degrees + 180) / 360 in 2^18 - 2 steps of at most 153 m
//   hashes    24 bits of a hash of the entity's key, 20 for bin; 0: the attempt has no such entity.
//             Order: card, customer, device, ip, email, terminal, merchant
//   identity  the first 56 bits of the event's hash
//   tag       version << 4 | kind: 1 attempt, 2 approved, 3 declined, 4 reversed, 5 refunded
//
// The tag comes last because a ring is read from its end: cut anywhere at the front, it stays
// readable. The last eight bytes, identity and tag, name the event; an append looks for them first.
// All rings of an attempt get the same bytes. Lengths and the places of time, amount, identity are
// multiples of 4 or lie inside words so that they can be read by words on little-endian machines,
// the only ones that Node.js has releases for with our native parts.

import { ENTITIES, type Entity } from '#rules'
import { ATTEMPT_BYTES, OUTCOME_BYTES } from './limits.ts'
import type { VelocityAttempt, VelocityOutcomeEvent } from './velocity.ts'

export const KIND_ATTEMPT = 1
export const KIND_APPROVED = 2
export const KIND_DECLINED = 3
export const KIND_REVERSED = 4
export const KIND_REFUNDED = 5

const VERSION = 1
const TAG_ATTEMPT = (VERSION << 4) | KIND_ATTEMPT
const OUTCOME_KINDS = {
  approved: KIND_APPROVED,
  declined: KIND_DECLINED,
  reversed: KIND_REVERSED,
  refunded: KIND_REFUNDED,
} as const

const AMOUNT_AT = 6
const PLACE_AT = 12
const HASHES_AT = 19
const ATTEMPT_IDENTITY_AT = 40
const RESPONSE_CODE_AT = 6
const OUTCOME_IDENTITY_AT = 8
const HASHED_ENTITIES = 7
const BIN_INDEX = ENTITIES.indexOf('bin')

const AMOUNT_UNKNOWN = 2 ** 48 - 1
const PLACE_UNKNOWN = 2 ** 18 - 1
const PLACE_STEPS = 2 ** 18 - 2

/**
 * Which of the 7 short hashes, or -1 for bin, belongs to an entity (an index into `ENTITIES`). The
 * order of `ENTITIES` is part of the layout: bin is last.
 */
export function hashIndex(entity: Entity): number {
  return entity === 'bin' ? -1 : ENTITIES.indexOf(entity)
}

/** 32 well-mixed bits of a text: FNV-1a over its UTF-16 units, then MurmurHash3's finalizer. */
export function textHash(text: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) {
    hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}

/** The short hash of an entity's key: 24 bits, 20 for bin; never 0. */
export function shortHash(entityIndex: number, key: string): number {
  const hash = textHash(key) >>> (entityIndex === BIN_INDEX ? 12 : 8)
  return hash === 0 ? 1 : hash
}

function writeUint48(target: Uint8Array, at: number, value: number): void {
  const high = Math.floor(value / 2 ** 32)
  target[at] = value
  target[at + 1] = value >>> 8
  target[at + 2] = value >>> 16
  target[at + 3] = value >>> 24
  target[at + 4] = high
  target[at + 5] = high >>> 8
}

function readUint32(source: Uint8Array, at: number): number {
  const low = (source[at] as number) | ((source[at + 1] as number) << 8)
  const high = (source[at + 2] as number) | ((source[at + 3] as number) << 8)
  return low + high * 2 ** 16
}

function readUint48(source: Uint8Array, at: number): number {
  const high = (source[at + 4] as number) | ((source[at + 5] as number) << 8)
  return readUint32(source, at) + high * 2 ** 32
}

/** Throws for a time outside 0..2^48 - 1: a bug in the clock's adapter. */
function writeTime(target: Uint8Array, at: number, atMs: number): void {
  if (!(atMs >= 0 && atMs < 2 ** 48)) throw new RangeError(`event time out of range: ${atMs}`)
  writeUint48(target, at, Math.floor(atMs))
}

function hexDigit(code: number): number {
  if (code >= 48 && code <= 57) return code - 48
  const letter = (code | 32) - 87
  return letter >= 10 && letter <= 15 ? letter : -1
}

/** The first 14 of 16 hex digits. Throws where it is anything else: a bug in who made the hash. */
function writeIdentity(target: Uint8Array, at: number, eventHash: string): void {
  if (eventHash.length !== 16) throw new RangeError('an event hash has 16 hex digits')
  for (let i = 0; i < 7; i++) {
    const high = hexDigit(eventHash.charCodeAt(2 * i))
    const low = hexDigit(eventHash.charCodeAt(2 * i + 1))
    if (high < 0 || low < 0) throw new RangeError('an event hash has 16 hex digits')
    target[at + i] = (high << 4) | low
  }
}

/** The same 7 bytes as a text of 7 characters (Latin-1). Throws likewise. */
export function eventIdentity(eventHash: string): string {
  writeIdentity(identity, 0, eventHash)
  return identity.toString('latin1')
}

const identity = Buffer.alloc(7)

function placeStep(degrees: number, range: number): number {
  return Math.round(((degrees + range / 2) / range) * PLACE_STEPS)
}

function writePlaceAndBin(
  target: Uint8Array,
  at: number,
  latitude: number,
  longitude: number,
  bin: number,
): void {
  const known = Math.abs(latitude) <= 90 && Math.abs(longitude) <= 180
  const lat = known ? placeStep(latitude, 180) : PLACE_UNKNOWN
  const long = known ? placeStep(longitude, 360) : PLACE_UNKNOWN
  const low = (lat | (long << 18)) >>> 0
  const high = (long >>> 14) | (bin << 4)
  target[at] = low
  target[at + 1] = low >>> 8
  target[at + 2] = low >>> 16
  target[at + 3] = low >>> 24
  target[at + 4] = high
  target[at + 5] = high >>> 8
  target[at + 6] = high >>> 16
}

/** Writes an attempt, 48 bytes, to `target` from `at`. */
export function encodeAttempt(target: Uint8Array, at: number, attempt: VelocityAttempt): void {
  writeTime(target, at, attempt.atMs)
  const amount = attempt.baseAmount
  writeUint48(
    target,
    at + AMOUNT_AT,
    amount >= 0 ? Math.min(Math.round(amount), AMOUNT_UNKNOWN - 1) : AMOUNT_UNKNOWN,
  )
  for (let entity = 0; entity < HASHED_ENTITIES; entity++) {
    const key = attempt.keys[ENTITIES[entity] as Entity]
    const hash = key === undefined ? 0 : shortHash(entity, key)
    const offset = at + HASHES_AT + 3 * entity
    target[offset] = hash
    target[offset + 1] = hash >>> 8
    target[offset + 2] = hash >>> 16
  }
  const bin = attempt.keys.bin === undefined ? 0 : shortHash(BIN_INDEX, attempt.keys.bin)
  writePlaceAndBin(target, at + PLACE_AT, attempt.latitude, attempt.longitude, bin)
  writeIdentity(target, at + ATTEMPT_IDENTITY_AT, attempt.eventHash)
  target[at + ATTEMPT_BYTES - 1] = TAG_ATTEMPT
}

/** Writes an outcome, 16 bytes, to `target` from `at`. */
export function encodeOutcome(target: Uint8Array, at: number, outcome: VelocityOutcomeEvent): void {
  writeTime(target, at, outcome.atMs)
  const code = outcome.responseCode ?? ''
  target[at + RESPONSE_CODE_AT] = code.length > 0 ? code.charCodeAt(0) : 0
  target[at + RESPONSE_CODE_AT + 1] = code.length > 1 ? code.charCodeAt(1) : 0
  writeIdentity(target, at + OUTCOME_IDENTITY_AT, outcome.eventHash)
  target[at + OUTCOME_BYTES - 1] = (VERSION << 4) | OUTCOME_KINDS[outcome.kind]
}

/**
 * Length of the event whose last byte is `tag`: 48 or 16; 0 for a tag of another version, where
 * reading must stop.
 */
export function eventBytes(tag: number): number {
  if (tag === TAG_ATTEMPT) return ATTEMPT_BYTES
  return tag > TAG_ATTEMPT && tag <= ((VERSION << 4) | KIND_REFUNDED) ? OUTCOME_BYTES : 0
}

/** Kind of the event whose last byte is `tag`. */
export function eventKind(tag: number): number {
  return tag & 15
}

export function readTime(bytes: Uint8Array, at: number): number {
  return readUint48(bytes, at)
}

/** Time of the event whose first word is `words[at]`. */
export function timeOfWords(words: Uint32Array, at: number): number {
  return (words[at] as number) + ((words[at + 1] as number) & 0xffff) * 2 ** 32
}

/** Base amount of the attempt whose first word is `words[at]`; NaN when unknown. */
export function amountOfWords(words: Uint32Array, at: number): number {
  const amount = ((words[at + 1] as number) >>> 16) + (words[at + 2] as number) * 2 ** 16
  return amount === AMOUNT_UNKNOWN ? Number.NaN : amount
}

/** Short hash of the attempt at `at` for a `hashIndex`; 0 when it has no such entity. */
export function readShortHash(bytes: Uint8Array, at: number, index: number): number {
  if (index < 0) return readUint32(bytes, at + PLACE_AT + 3) >>> 12
  const offset = at + HASHES_AT + 3 * index
  const low = (bytes[offset] as number) | ((bytes[offset + 1] as number) << 8)
  return low | ((bytes[offset + 2] as number) << 16)
}

/** Latitude in degrees of the attempt at `at`, to 76 m; NaN when unknown. */
export function readLatitude(bytes: Uint8Array, at: number): number {
  const step = readUint32(bytes, at + PLACE_AT) & PLACE_UNKNOWN
  return step === PLACE_UNKNOWN ? Number.NaN : (step / PLACE_STEPS) * 180 - 90
}

/** Longitude in degrees of the attempt at `at`, to 153 m; NaN when unknown. */
export function readLongitude(bytes: Uint8Array, at: number): number {
  const step = (readUint32(bytes, at + PLACE_AT + 2) >>> 2) & PLACE_UNKNOWN
  return step === PLACE_UNKNOWN ? Number.NaN : (step / PLACE_STEPS) * 360 - 180
}

/** Response code of the outcome at `at`; empty when there was none. */
export function readResponseCode(bytes: Uint8Array, at: number): string {
  const first = bytes[at + RESPONSE_CODE_AT] as number
  const second = bytes[at + RESPONSE_CODE_AT + 1] as number
  return String.fromCharCode(...[first, second].filter((code) => code !== 0))
}
