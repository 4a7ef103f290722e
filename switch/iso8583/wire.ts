// The primitives that compiled dialects call: characters, digits, nibbles and hex between a
// message's bytes and strings. Each is one loop over the bytes of one field, so the cost is bounded
// by them. Readers answer with the offset of the first wrong byte or nibble, or -1 where all is
// well; writers with the offset after what they wrote, or -1 where a character can not be written.

import { ebcdicOfLatin1, latin1OfEbcdic } from './code-page-037.ts'

const WRONG = 255

/** Index: a byte. Value: what the upper-case hex digit stands for; 255 where it is none. */
const hexOfAscii = new Uint8Array(256).fill(WRONG)
const hexOfEbcdic = new Uint8Array(256).fill(WRONG)
const asciiHex = new Uint8Array(16)
const ebcdicHex = new Uint8Array(16)
for (let i = 0; i < 16; i++) {
  const ascii = '0123456789ABCDEF'.charCodeAt(i)
  const ebcdic = ebcdicOfLatin1[ascii] as number
  hexOfAscii[ascii] = i
  hexOfEbcdic[ebcdic] = i
  asciiHex[i] = ascii
  ebcdicHex[i] = ebcdic
}

/** Index: a character code. Value: its nibble in a bcd or nibbles field; 255 where it is none. */
const decimalOfCode = hexOfAscii.map((nibble) => (nibble < 10 ? nibble : WRONG))
const nibbleOfCode = hexOfAscii.map((nibble) => (nibble < 10 || nibble === 13 ? nibble : WRONG))

const translated = { buffer: Buffer.alloc(0) }

/** The bytes as text, one character a byte. */
export function latin1(bytes: Uint8Array): string {
  return asBuffer(bytes).toString('latin1')
}

/** The bytes as upper-case hex. */
export function upperHex(bytes: Uint8Array): string {
  return asBuffer(bytes).toString('hex').toUpperCase()
}

/** The bytes as text in code page 037, one character a byte. */
export function ebcdicText(bytes: Uint8Array): string {
  if (translated.buffer.length < bytes.length) translated.buffer = Buffer.alloc(bytes.length)
  const { buffer } = translated
  for (let i = 0; i < bytes.length; i++) buffer[i] = latin1OfEbcdic[bytes[i] as number] as number
  return buffer.toString('latin1', 0, bytes.length)
}

/** The bytes as UTF-8, which they must be. */
export function utf8(bytes: Uint8Array, at: number, end: number): string {
  return asBuffer(bytes).toString('utf8', at, end)
}

function asBuffer(bytes: Uint8Array): Buffer {
  return bytes instanceof Buffer
    ? bytes
    : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/** The first byte that is not 7-bit ASCII. */
export function notAscii(bytes: Uint8Array, at: number, end: number): number {
  for (let i = at; i < end; i++) if ((bytes[i] as number) > 0x7f) return i
  return -1
}

/** The first byte that is not an upper-case hex digit in ASCII. */
export function notHex(bytes: Uint8Array, at: number, end: number): number {
  for (let i = at; i < end; i++) if (hexOfAscii[bytes[i] as number] === WRONG) return i
  return -1
}

/** The same in EBCDIC. */
export function notEbcdicHex(bytes: Uint8Array, at: number, end: number): number {
  for (let i = at; i < end; i++) if (hexOfEbcdic[bytes[i] as number] === WRONG) return i
  return -1
}

/** The first nibble from `first` to `last` (byte offset times two) that is not a decimal digit. */
export function notDecimal(bytes: Uint8Array, first: number, last: number): number {
  for (let i = first; i < last; i++) {
    const byte = bytes[i >> 1] as number
    if (((i & 1) === 0 ? byte >> 4 : byte & 15) > 9) return i
  }
  return -1
}

/** The first nibble that is neither a decimal digit nor D, the separator of track 2. */
export function notNibble(bytes: Uint8Array, first: number, last: number): number {
  for (let i = first; i < last; i++) {
    const byte = bytes[i >> 1] as number
    const nibble = (i & 1) === 0 ? byte >> 4 : byte & 15
    if (nibble > 9 && nibble !== 13) return i
  }
  return -1
}

/** Eight hex digits that `notHex` has found right, as a 32-bit integer. */
export function hexWord(bytes: Uint8Array, at: number): number {
  let word = 0
  for (let i = at; i < at + 8; i++) {
    word = (word << 4) | (hexOfAscii[bytes[i] as number] as number)
  }
  return word
}

export function ebcdicHexWord(bytes: Uint8Array, at: number): number {
  let word = 0
  for (let i = at; i < at + 8; i++) {
    word = (word << 4) | (hexOfEbcdic[bytes[i] as number] as number)
  }
  return word
}

/** Two hex digits that `notHex` has found right. */
export function hexByte(bytes: Uint8Array, at: number): number {
  const high = hexOfAscii[bytes[at] as number] as number
  return (high << 4) | (hexOfAscii[bytes[at + 1] as number] as number)
}

export function ebcdicHexByte(bytes: Uint8Array, at: number): number {
  const high = hexOfEbcdic[bytes[at] as number] as number
  return (high << 4) | (hexOfEbcdic[bytes[at + 1] as number] as number)
}

/** Four bytes as a 32-bit integer. */
export function binaryWord(bytes: Uint8Array, at: number): number {
  return (
    ((bytes[at] as number) << 24) |
    ((bytes[at + 1] as number) << 16) |
    ((bytes[at + 2] as number) << 8) |
    (bytes[at + 3] as number)
  )
}

/**
 * Bytes of the UTF-8 character at `at` (RFC 3629: shortest form, no surrogates, up to U+10FFFF);
 * 0 where it is wrong, -1 where `end` cuts it.
 */
function utf8Size(bytes: Uint8Array, at: number, end: number): number {
  const lead = bytes[at] as number
  if (lead < 0x80) return 1
  if (lead < 0xc2 || lead > 0xf4) return 0
  const size = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4
  if (at + size > end) return -1
  for (let k = 1; k < size; k++) if (((bytes[at + k] as number) & 0xc0) !== 0x80) return 0
  const second = bytes[at + 1] as number
  const isWrong =
    (lead === 0xe0 && second < 0xa0) ||
    (lead === 0xed && second > 0x9f) ||
    (lead === 0xf0 && second < 0x90) ||
    (lead === 0xf4 && second > 0x8f)
  return isWrong ? 0 : size
}

/** The offset after so many UTF-8 characters; -1 where `end` comes first, -2 - offset of a wrong one. */
export function skipUtf8(bytes: Uint8Array, at: number, end: number, characters: number): number {
  let i = at
  for (let n = 0; n < characters; n++) {
    if (i >= end) return -1
    const size = utf8Size(bytes, i, end)
    if (size <= 0) return size === 0 ? -2 - i : -1
    i += size
  }
  return i
}

/** The first byte of a character that is not well-formed UTF-8. */
export function notUtf8(bytes: Uint8Array, at: number, end: number): number {
  let i = at
  while (i < end) {
    const size = utf8Size(bytes, i, end)
    if (size <= 0) return i
    i += size
  }
  return -1
}

/** Code points of a text; -1 where a surrogate stands alone, which UTF-8 can not carry. */
export function countCodePoints(text: string): number {
  let count = 0
  for (let i = 0; i < text.length; i++, count++) {
    const unit = text.charCodeAt(i)
    if (unit < 0xd800 || unit > 0xdfff) continue
    const next = text.charCodeAt(++i)
    if (unit > 0xdbff || !(next >= 0xdc00 && next <= 0xdfff)) return -1
  }
  return count
}

export function putAscii(out: Buffer, at: number, text: string): number {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code > 0x7f) return -1
    out[at + i] = code
  }
  return at + text.length
}

export function putEbcdic(out: Buffer, at: number, text: string): number {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code > 0xff) return -1
    out[at + i] = ebcdicOfLatin1[code] as number
  }
  return at + text.length
}

export function utf8Bytes(text: string): number {
  return Buffer.byteLength(text, 'utf8')
}

/** The caller has seen that the text is well-formed and that there is room. */
export function putUtf8(out: Buffer, at: number, text: string): number {
  return at + out.write(text, at, 'utf8')
}

/** Upper-case hex characters as they are. */
export function putHexText(out: Buffer, at: number, hex: string): number {
  for (let i = 0; i < hex.length; i++) {
    const code = hex.charCodeAt(i)
    if (code > 0x7f || hexOfAscii[code] === WRONG) return -1
    out[at + i] = code
  }
  return at + hex.length
}

/** Two upper-case hex characters a byte. */
export function putHexBytes(out: Buffer, at: number, hex: string): number {
  let wrong = 0
  let offset = at
  for (let i = 0; i < hex.length; i += 2) {
    const high = nibbleAt(hexOfAscii, hex, i)
    const low = nibbleAt(hexOfAscii, hex, i + 1)
    wrong |= high | low
    out[offset++] = (high << 4) | low
  }
  return wrong > 15 ? -1 : offset
}

/** Decimal digits, two a byte, an odd one filled on the side said. */
export function putBcd(
  out: Buffer,
  at: number,
  digits: string,
  fillLeft: boolean,
  fill: number,
): number {
  return putPacked(decimalOfCode, out, at, digits, 0, fillLeft, fill)
}

/** The same with D as a separator. */
export function putNibbles(
  out: Buffer,
  at: number,
  digits: string,
  fillLeft: boolean,
  fill: number,
): number {
  return putPacked(nibbleOfCode, out, at, digits, 0, fillLeft, fill)
}

/** C, D, or the 0 that systems without signed amounts send, in ASCII. */
export function isSign(byte: number): boolean {
  return byte === 0x43 || byte === 0x44 || byte === 0x30
}

/** The sign as an ASCII byte, then decimal digits. */
export function putAmount(
  out: Buffer,
  at: number,
  amount: string,
  fillLeft: boolean,
  fill: number,
): number {
  const sign = amount.charCodeAt(0)
  if (!isSign(sign)) return -1
  out[at] = sign
  return putPacked(decimalOfCode, out, at + 1, amount, 1, fillLeft, fill)
}

function putPacked(
  table: Uint8Array,
  out: Buffer,
  at: number,
  digits: string,
  from: number,
  fillLeft: boolean,
  fill: number,
): number {
  let wrong = 0
  let offset = at
  let i = from
  if (fillLeft && ((digits.length - from) & 1) === 1) {
    const low = nibbleAt(table, digits, i++)
    wrong |= low
    out[offset++] = (fill << 4) | low
  }
  for (; i + 1 < digits.length; i += 2) {
    const high = nibbleAt(table, digits, i)
    const low = nibbleAt(table, digits, i + 1)
    wrong |= high | low
    out[offset++] = (high << 4) | low
  }
  if (i < digits.length) {
    const high = nibbleAt(table, digits, i)
    wrong |= high
    out[offset++] = (high << 4) | fill
  }
  return wrong > 15 ? -1 : offset
}

/** Decimal digits only, and D where `hasSeparator`. */
export function isPacked(digits: string, hasSeparator: boolean): boolean {
  const table = hasSeparator ? nibbleOfCode : decimalOfCode
  for (let i = 0; i < digits.length; i++) if (nibbleAt(table, digits, i) === WRONG) return false
  return true
}

function nibbleAt(table: Uint8Array, text: string, i: number): number {
  const code = text.charCodeAt(i)
  return code > 0x7f ? WRONG : (table[code] as number)
}

export function putBinaryWord(out: Buffer, at: number, word: number): void {
  out[at] = word >>> 24
  out[at + 1] = word >>> 16
  out[at + 2] = word >>> 8
  out[at + 3] = word
}

export function putHexWord(out: Buffer, at: number, word: number): void {
  for (let i = 0; i < 8; i++) out[at + i] = asciiHex[(word >>> (28 - i * 4)) & 15] as number
}

export function putEbcdicHexWord(out: Buffer, at: number, word: number): void {
  for (let i = 0; i < 8; i++) out[at + i] = ebcdicHex[(word >>> (28 - i * 4)) & 15] as number
}

export function putByte(out: Buffer, at: number, byte: number): void {
  out[at] = byte
}

export function putHexByte(out: Buffer, at: number, byte: number): void {
  out[at] = asciiHex[byte >> 4] as number
  out[at + 1] = asciiHex[byte & 15] as number
}

export function putEbcdicHexByte(out: Buffer, at: number, byte: number): void {
  out[at] = ebcdicHex[byte >> 4] as number
  out[at + 1] = ebcdicHex[byte & 15] as number
}

/** The bytes written so far, in memory of their own. */
export function copyOut(out: Buffer, size: number): Buffer {
  const bytes = Buffer.allocUnsafe(size)
  out.copy(bytes, 0, 0, size)
  return bytes
}
