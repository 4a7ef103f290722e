// Guesses why a message can not be read, from the bytes around the place. "Field 20 is wrong" sends
// people to field 20, when the bitmap before it was read in the wrong encoding.

import type { DialectSpec, FieldSpec } from './dialect-words.ts'
import type { IsoProblem } from './message.ts'

/** A sentence, or nothing where no guess is better than another. */
export function likelyCause(spec: DialectSpec, bytes: Uint8Array, problem: IsoProblem): string {
  if (bytes.length === 0) return 'there is no message'
  const mtiAt = spec.header.reduce((sum, part) => sum + part.bytes, 0)
  if (problem.field === 'mti') return mtiCause(spec, bytes, mtiAt)
  const shifted = shiftedCause(spec, bytes, mtiAt)
  if (shifted !== '') return shifted
  const bitmapAt = mtiAt + (spec.mti === 'bcd' ? 2 : 4)
  const misread = bitmapMisread(spec, bytes, bitmapAt)
  if (misread !== '') return misread
  if (problem.field === 'bitmap' && problem.code === 'bad_character') {
    const byte = byteAt(bytes, problem.offset)
    const isLower = (byte >= 0x61 && byte <= 0x66) || (byte >= 0x81 && byte <= 0x86)
    return isLower ? 'the peer writes lower-case hex' : ''
  }
  if (problem.field === 'bitmap') {
    return problem.code === 'truncated' && spec.bitmaps === 1
      ? 'bit 1 says that a second bitmap follows'
      : ''
  }
  if (isLongBitmapMissed(spec, bytes, bitmapAt)) {
    return 'sixteen bitmap bytes seem to be there though bit 1 is not set: `bitmaps: 2`?'
  }
  if (problem.code === 'unknown_field') {
    return 'its bit is set in the bitmap: the peer sends a field that the dialect must learn, or the bitmap is misread'
  }
  if (problem.field === 'end') return endCause(bytes, problem.offset)
  const field = spec.places.find((place) => place.path === problem.field)
  return field === undefined ? '' : fieldCause(field, bytes, problem)
}

function mtiCause(spec: DialectSpec, bytes: Uint8Array, mtiAt: number): string {
  if (bytes.length > 4 && byteAt(bytes, 0) * 256 + byteAt(bytes, 1) === bytes.length - 2) {
    return 'the first two bytes say how many follow: take the length of the frame off first'
  }
  if (spec.header.length === 0 && bytes[0] === 0x60 && mtiEncoding(bytes, 5) !== '') {
    return 'the bytes look like a TPDU and an MTI: `header: [{ bytes: 5 }]`'
  }
  const seen = mtiEncoding(bytes, mtiAt)
  if (seen !== '' && seen !== spec.mti) {
    return `the MTI was read as ${spec.mti}, the bytes look like ${seen}`
  }
  if (spec.header.length > 0 && mtiEncoding(bytes, 0) !== '') {
    return `the bytes look like an MTI without the header of ${mtiAt} bytes`
  }
  return ''
}

/** The MTI could be read, but a better one stands somewhere else, or in another encoding. */
function shiftedCause(spec: DialectSpec, bytes: Uint8Array, mtiAt: number): string {
  if (spec.header.length === 0 && bytes[0] === 0x60 && isLikelyMti(spec, bytes, 5)) {
    return 'the bytes look like a TPDU and an MTI: `header: [{ bytes: 5 }]`'
  }
  if (spec.mti === 'bcd' && isLikelyMti({ ...spec, mti: 'ascii' }, bytes, mtiAt)) {
    return 'the MTI was read as bcd, the bytes look like ascii'
  }
  if (spec.header.length > 0 && isLikelyMti(spec, bytes, 0)) {
    return `the bytes look like an MTI without the header of ${mtiAt} bytes`
  }
  return ''
}

/** An MTI of the dialect's edition and encoding, of a class and an origin that there are. */
function isLikelyMti(spec: DialectSpec, bytes: Uint8Array, at: number): boolean {
  if (mtiEncoding(bytes, at) !== spec.mti) return false
  const zero = spec.mti === 'ascii' ? 0x30 : 0xf0
  const isPacked = spec.mti === 'bcd'
  const digit = (i: number): number =>
    isPacked
      ? (byteAt(bytes, at + (i >> 1)) >> (i % 2 === 0 ? 4 : 0)) & 15
      : byteAt(bytes, at + i) - zero
  const isEdition = spec.mtiVersion === null ? digit(0) < 3 : digit(0) === spec.mtiVersion
  return isEdition && digit(1) > 0 && digit(1) < 9 && digit(3) < 6
}

function mtiEncoding(bytes: Uint8Array, at: number): '' | 'ascii' | 'ebcdic' | 'bcd' {
  if (at + 4 > bytes.length) return ''
  if (isDigits(bytes, at, 4, 0x30)) return 'ascii'
  if (isDigits(bytes, at, 4, 0xf0)) return 'ebcdic'
  const first = byteAt(bytes, at)
  const second = byteAt(bytes, at + 1)
  const isDecimal = (first & 15) < 10 && second >> 4 < 10 && (second & 15) < 10
  return isDecimal && [0, 1, 2].includes(first >> 4) ? 'bcd' : ''
}

function bitmapMisread(spec: DialectSpec, bytes: Uint8Array, at: number): string {
  if (at + 16 > bytes.length) return ''
  const asciiHex = countHex(bytes, at, 0x30, 0x41)
  const ebcdicHex = countHex(bytes, at, 0xf0, 0xc1)
  const seen = asciiHex === 16 ? 'asciihex' : ebcdicHex === 16 ? 'ebcdichex' : 'binary'
  if (seen === spec.bitmap) return ''
  const looks = { asciihex: 'ASCII hex', ebcdichex: 'EBCDIC hex', binary: 'binary' }
  if (seen === 'binary' && (asciiHex > 12 || ebcdicHex > 12)) return ''
  return `the bitmap was read as ${looks[spec.bitmap]}, the bytes look like ${looks[seen]}`
}

/** The text where the second bitmap would stand is hex and mostly zeros. */
function isLongBitmapMissed(spec: DialectSpec, bytes: Uint8Array, bitmapAt: number): boolean {
  if (spec.bitmaps > 1 || spec.bitmap !== 'asciihex') return false
  const at = bitmapAt + 16
  if (at + 16 > bytes.length || byteAt(bytes, bitmapAt) >= 0x38) return false
  let zeros = 0
  for (let i = at; i < at + 16; i++) if (bytes[i] === 0x30) zeros++
  return zeros > 11 && countHex(bytes, at, 0x30, 0x41) === 16
}

function endCause(bytes: Uint8Array, at: number): string {
  if (at === bytes.length - 1 && bytes[at] === 0x03) {
    return 'a single 03 is an end-of-text byte of the framing'
  }
  return 'a length in the dialect is too short, a bit is missing, or two messages stand in one frame'
}

function fieldCause(field: FieldSpec, bytes: Uint8Array, problem: IsoProblem): string {
  const byte = byteAt(bytes, problem.offset)
  switch (problem.code) {
    case 'bad_fill':
      return fillCause(field, byte)
    case 'bad_length':
      return lengthCause(field, bytes, problem.offset)
    case 'bad_character':
      if (field.encoding === 'ascii' || field.encoding === 'asciihex') {
        const isEbcdic = byte === 0x40 || (byte >= 0x81 && byte <= 0xf9)
        return isEbcdic ? 'the byte looks like EBCDIC, or a field before it has another length' : ''
      }
      if (byte >= 0x3a && byte <= 0x3f) return 'the byte looks like ASCII'
      return byte >= 0xf0
        ? 'the byte looks like an EBCDIC digit, or like a fill nibble F'
        : 'a field before it may have another length than the dialect says'
    case 'truncated':
      return 'the message was cut, or a field before it has another length than the dialect says'
    default:
      return ''
  }
}

function fillCause(field: FieldSpec, byte: number): string {
  const nibble = field.padding === 'left' ? byte >> 4 : byte & 15
  if (nibble === 15) return 'the peer fills with F: `fill: F`'
  if (nibble === 0) return 'the peer fills with 0: leave `fill` out'
  return `the peer may fill on the other side: \`padding: ${field.padding === 'left' ? 'right' : 'left'}\``
}

function lengthCause(field: FieldSpec, bytes: Uint8Array, at: number): string {
  const { prefix } = field
  if (prefix === null || prefix.encoding === 'binary') return ''
  const first = byteAt(bytes, at)
  if (prefix.encoding !== 'ascii' && isDigits(bytes, at, prefix.size, 0x30)) {
    return `the length was read as ${prefix.encoding}, the bytes look like ASCII digits`
  }
  if (prefix.encoding !== 'ebcdic' && isDigits(bytes, at, prefix.size, 0xf0)) {
    return `the length was read as ${prefix.encoding}, the bytes look like EBCDIC digits`
  }
  if (prefix.encoding !== 'bcd' && first < 0x20) {
    return `the length was read as ${prefix.encoding}, the byte looks like BCD or binary`
  }
  return ''
}

function isDigits(bytes: Uint8Array, at: number, count: number, zero: number): boolean {
  for (let i = at; i < at + count; i++) {
    const digit = byteAt(bytes, i) - zero
    if (digit < 0 || digit > 9) return false
  }
  return true
}

/** How many of sixteen bytes are upper-case hex digits with such a `0` and such an `A`. */
function countHex(bytes: Uint8Array, at: number, zero: number, letterA: number): number {
  let count = 0
  for (let i = at; i < at + 16; i++) {
    const byte = byteAt(bytes, i)
    if ((byte >= zero && byte <= zero + 9) || (byte >= letterA && byte <= letterA + 5)) count++
  }
  return count
}

function byteAt(bytes: Uint8Array, at: number): number {
  return bytes[at] ?? -1
}
