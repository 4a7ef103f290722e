// BER-TLV data objects (ISO/IEC 8825-1 as EMV 4.3 Book 3, annex B uses it), one level deep:
//
//   objects = *object                object = tag length value
//   tag     = 1 byte, or 1 byte whose low five bits are set and then bytes until one < 80
//   length  = 1 byte < 80, or 8n and n bytes, most significant first, n = 1 to 3
//
// The value of a constructed object is kept as it stands. A length that is longer than it needs to
// be, or a tag that comes twice, is refused: a map of tags could not give the same bytes again.

import { partsMax, tlvTagBytesMax } from './limits.ts'
import type { FieldParts, FieldValue } from './message.ts'

/** Why the objects can not be read or written; `offset` in the message. */
export interface TlvFault {
  readonly offset: number
  readonly reason: string
}

/**
 * Reads the objects in `bytes` from `at` to `end`. `hex` is the whole message in upper-case hex.
 * Time and memory are bounded by `end - at`.
 */
export function readTlv(
  bytes: Uint8Array,
  hex: string,
  at: number,
  end: number,
): Map<string, FieldValue> | TlvFault {
  const parts = new Map<string, FieldValue>()
  let offset = at
  while (offset < end) {
    const tagAt = offset
    offset = skipTag(bytes, offset, end)
    if (offset < 0) return { offset: tagAt, reason: 'the tag is cut off or over 4 bytes long' }
    const tag = hex.slice(tagAt * 2, offset * 2)
    if (parts.has(tag)) return { offset: tagAt, reason: `tag ${tag} comes twice` }
    if (parts.size >= partsMax) return { offset: tagAt, reason: `it has over ${partsMax} tags` }
    if (offset >= end) return { offset, reason: `the length of tag ${tag} is missing` }
    const lengthAt = offset
    let length = bytes[offset++] as number
    if (length > 0x7f) {
      const count = length & 0x7f
      if (count === 0 || count > 3) {
        const reason = `the length of tag ${tag} takes ${count} bytes, 1 to 3 can be right`
        return { offset: lengthAt, reason }
      }
      if (count > end - offset) {
        return { offset: lengthAt, reason: `the length of tag ${tag} is cut off` }
      }
      length = 0
      for (let i = 0; i < count; i++) length = length * 256 + (bytes[offset++] as number)
      if (length < (count === 1 ? 0x80 : 256 ** (count - 1))) {
        const reason = `the length of tag ${tag} is written longer than it needs to be`
        return { offset: lengthAt, reason }
      }
    }
    if (length > end - offset) {
      const reason = `tag ${tag} says ${length} bytes, ${end - offset} are left in the field`
      return { offset: lengthAt, reason }
    }
    parts.set(tag, hex.slice(offset * 2, (offset + length) * 2))
    offset += length
  }
  return parts
}

/** The offset after the tag, or -1 where it is cut off or too long. */
function skipTag(bytes: Uint8Array, at: number, end: number): number {
  if (((bytes[at] as number) & 0x1f) !== 0x1f) return at + 1
  const last = Math.min(end, at + tlvTagBytesMax)
  for (let i = at + 1; i < last; i++) if ((bytes[i] as number) < 0x80) return i + 1
  return -1
}

/** Bytes that the objects take on the wire, or why they can not be written. */
export function measureTlv(parts: FieldParts): number | string {
  let size = 0
  if (parts.size > partsMax) return `it has over ${partsMax} tags`
  for (const [tag, value] of parts) {
    if (!isHexBytes(tag)) return `the tag ${String(tag).slice(0, 20)} is not upper-case hex`
    const tagBytes = Buffer.from(tag, 'hex')
    if (skipTag(tagBytes, 0, tagBytes.length) !== tagBytes.length) {
      return `${tag.slice(0, 10)} is not one BER tag of 1 to ${tlvTagBytesMax} bytes`
    }
    if (typeof value !== 'string' || (value !== '' && !isHexBytes(value))) {
      return `the value of tag ${tag} is not upper-case hex, two characters a byte`
    }
    const length = value.length / 2
    if (length > 0xffffff) return `the value of tag ${tag} is too long`
    size += tagBytes.length + lengthBytes(length) + length
  }
  return size
}

/** Writes objects that `measureTlv` has found right; returns the offset after them. */
export function writeTlv(out: Buffer, at: number, parts: FieldParts): number {
  let offset = at
  for (const [tag, value] of parts) {
    offset += out.write(tag, offset, 'hex')
    const length = (value as string).length / 2
    const extra = lengthBytes(length) - 1
    if (extra > 0) out[offset++] = 0x80 | extra
    for (let shift = extra > 0 ? extra - 1 : 0; shift >= 0; shift--) {
      out[offset++] = (length >>> (shift * 8)) & 0xff
    }
    offset += out.write(value as string, offset, 'hex')
  }
  return offset
}

function lengthBytes(length: number): number {
  return length < 0x80 ? 1 : length < 0x100 ? 2 : length < 0x10000 ? 3 : 4
}

function isHexBytes(text: unknown): boolean {
  return typeof text === 'string' && /^([0-9A-F]{2})+$/.test(text)
}
