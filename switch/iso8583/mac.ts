// Message authentication codes: DE64, or DE128 where a field above 64 is there. The code stands
// last and covers every byte before it, from the MTI on; its own bit in the bitmap is set.
//
//   x9.19         ANSI X9.19 retail MAC: ISO/IEC 9797-1 algorithm 3 with DES, padding method 1
//   aes-cmac      NIST SP 800-38B (RFC 4493)
//   hmac-sha256   RFC 2104
//
// DE64 and DE128 hold 8 bytes (4 in some dialects): the leftmost of what the algorithm gives.

import { createCipheriv, createHmac, timingSafeEqual } from 'node:crypto'
import { editionOf, mtiIn } from './edition.ts'
import type { Dialect, EncodeResult, FieldValue, IsoMessage } from './message.ts'

export const MAC_ALGORITHMS = ['x9.19', 'aes-cmac', 'hmac-sha256'] as const
export type MacAlgorithm = (typeof MAC_ALGORITHMS)[number]

export interface MacKey {
  readonly algorithm: MacAlgorithm
  /** 16 bytes for x9.19; 16, 24 or 32 for aes-cmac; 16 to 64 for hmac-sha256. */
  readonly key: Uint8Array
}

const DES_BLOCK = 8
const AES_BLOCK = 16

/** What is wrong with a key's length for its algorithm, or undefined. */
export function macKeyProblem({ algorithm, key }: MacKey): string | undefined {
  switch (algorithm) {
    case 'x9.19':
      return key.length === 16 ? undefined : 'x9.19 takes a key of 16 bytes'
    case 'aes-cmac':
      return [16, 24, 32].includes(key.length) ? undefined : 'aes-cmac takes 16, 24 or 32 bytes'
    case 'hmac-sha256':
      return key.length >= 16 && key.length <= 64 ? undefined : 'hmac-sha256 takes 16 to 64 bytes'
  }
}

/** The whole code over `bytes`: 8 bytes for x9.19, 16 for aes-cmac, 32 for hmac-sha256. */
export function macOver({ algorithm, key }: MacKey, bytes: Uint8Array): Uint8Array {
  switch (algorithm) {
    case 'x9.19':
      return retailMac(key, bytes)
    case 'aes-cmac':
      return aesCmac(key, bytes)
    case 'hmac-sha256':
      return createHmac('sha256', key).update(bytes).digest()
  }
}

/**
 * Single DES in CBC over all blocks but the last, then EDE with both halves over the last. OpenSSL
 * has no single DES any more: EDE with one key three times is the same.
 */
function retailMac(key: Uint8Array, bytes: Uint8Array): Uint8Array {
  const left = key.subarray(0, 8)
  const right = key.subarray(8, 16)
  const blocks = Math.max(1, Math.ceil(bytes.length / DES_BLOCK))
  const padded = Buffer.alloc(blocks * DES_BLOCK)
  padded.set(bytes)
  const chained = encrypt(
    'des-ede3-cbc',
    Buffer.concat([left, left, left]),
    padded.subarray(0, -DES_BLOCK),
    Buffer.alloc(DES_BLOCK),
  )
  const before = chained.length === 0 ? Buffer.alloc(DES_BLOCK) : chained.subarray(-DES_BLOCK)
  const last = padded.subarray(-DES_BLOCK)
  return encrypt('des-ede3', Buffer.concat([left, right, left]), exclusiveOr(last, before), null)
}

function aesCmac(key: Uint8Array, bytes: Uint8Array): Uint8Array {
  const ecb = `aes-${key.length * 8}-ecb`
  const first = doubled(encrypt(ecb, key, Buffer.alloc(AES_BLOCK), null))
  const isWhole = bytes.length > 0 && bytes.length % AES_BLOCK === 0
  const blocks = Math.max(1, Math.ceil(bytes.length / AES_BLOCK))
  const padded = Buffer.alloc(blocks * AES_BLOCK)
  padded.set(bytes)
  if (!isWhole) padded[bytes.length] = 0x80
  const end = padded.subarray(-AES_BLOCK)
  end.set(exclusiveOr(end, isWhole ? first : doubled(first)))
  const cbc = `aes-${key.length * 8}-cbc`
  return encrypt(cbc, key, padded, Buffer.alloc(AES_BLOCK)).subarray(-AES_BLOCK)
}

/** In the field of 2^128 with the polynomial of RFC 4493, 2.3. */
function doubled(block: Uint8Array): Buffer {
  const result = Buffer.alloc(AES_BLOCK)
  for (let i = 0; i < AES_BLOCK; i++) {
    result[i] = ((block[i] as number) << 1) | ((block[i + 1] ?? 0) >> 7)
  }
  if (((block[0] as number) & 0x80) !== 0) result[15] = (result[15] as number) ^ 0x87
  return result
}

function encrypt(
  cipherName: string,
  key: Uint8Array,
  bytes: Uint8Array,
  iv: Uint8Array | null,
): Buffer {
  const cipher = createCipheriv(cipherName, key, iv).setAutoPadding(false)
  return Buffer.concat([cipher.update(bytes), cipher.final()])
}

function exclusiveOr(a: Uint8Array, b: Uint8Array): Buffer {
  const result = Buffer.from(a)
  for (let i = 0; i < result.length; i++) result[i] = (result[i] as number) ^ (b[i] as number)
  return result
}

/** `absent`: no code came; `misplaced`: fields stand behind it, which it does not cover. */
export type MacVerdict = 'right' | 'wrong' | 'absent' | 'misplaced'

interface MacPlace {
  readonly field: 64 | 128
  /** Of the code itself. */
  readonly bytes: number
  /** Of the field on the wire: twice as many where it is hex. */
  readonly wireBytes: number
}

/** Codes of one dialect: where they stand in its messages is found out once. */
export class MessageAuthentication {
  readonly #dialect: Dialect
  readonly #places: readonly MacPlace[]

  /** Throws where the dialect has no place for a code: it would have to be left out. */
  constructor(dialect: Dialect) {
    this.#dialect = dialect
    this.#places = [64, 128].map((field) => placeOf(dialect, field as 64 | 128))
  }

  /** The message with its code, in bytes. Fields 64 and 128 of `message` don't count. */
  encode(message: IsoMessage, key: MacKey): EncodeResult {
    const fields: (FieldValue | undefined)[] = [...message.fields]
    fields[64] = undefined
    fields[128] = undefined
    const place = this.#placeIn(fields)
    fields[place.field] = '0'.repeat(place.bytes * 2)
    const unsigned = this.#dialect.encode({ ...message, fields })
    if (!unsigned.ok) return unsigned
    fields[place.field] = this.#codeOver(unsigned.bytes, place, key).toString('hex').toUpperCase()
    return this.#dialect.encode({ ...message, fields })
  }

  /** Compares in constant time. `bytes` are those that `message` was decoded from. */
  check(bytes: Uint8Array, message: IsoMessage, key: MacKey): MacVerdict {
    const { fields } = message
    const code = fields[128] ?? fields[64]
    if (typeof code !== 'string') return 'absent'
    const place = this.#placeIn(fields)
    if (fields[place.field] !== code) return 'misplaced'
    const expected = this.#codeOver(bytes, place, key)
    const came = Buffer.from(code, 'hex')
    return came.length === expected.length && timingSafeEqual(came, expected) ? 'right' : 'wrong'
  }

  #codeOver(bytes: Uint8Array, place: MacPlace, key: MacKey): Buffer {
    const covered = bytes.subarray(this.#dialect.headerBytes, bytes.length - place.wireBytes)
    return Buffer.from(macOver(key, covered).subarray(0, place.bytes))
  }

  #placeIn(fields: readonly (FieldValue | undefined)[]): MacPlace {
    const isLong = fields.some((value, field) => field > 64 && value !== undefined)
    return this.#places[isLong ? 1 : 0] as MacPlace
  }
}

/** What the field adds to a message that has the same bitmaps without it. */
function placeOf(dialect: Dialect, field: 64 | 128): MacPlace {
  const mti = mtiIn(editionOf(dialect), '0800')
  const bitmaps = field === 64 ? 1 : 2
  const bare = dialect.encode({ mti, fields: [], bitmaps })
  for (const bytes of [8, 4]) {
    const fields: string[] = []
    fields[field] = '0'.repeat(bytes * 2)
    const coded = dialect.encode({ mti, fields, bitmaps })
    if (bare.ok && coded.ok) {
      return { field, bytes, wireBytes: coded.bytes.length - bare.bytes.length }
    }
  }
  throw new Error(`dialect ${dialect.name} has no place for a code in field ${field}`)
}
