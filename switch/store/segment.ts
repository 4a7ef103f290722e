// The bytes of one segment file. All integers little-endian.
//
//   segment = header frame*
//
//   header  = magic 'SWYDLOG\n' | format u32 | log id 16 bytes | base u64 | crc u32       40 bytes
//   frame   = crc u32 | length u32 | since group u32 | payload (length bytes)     12 + length bytes
//
// `base` is the position of the segment's first byte in the log, and its file name; a record's
// position is the base plus its offset: positions only grow, and a missing segment shows as a gap.
// `since group` is the distance from the group's first frame: a group is what one flush made
// durable, so a bad frame whose group goes on behind it was never promised, and a bad frame with a
// later group behind it was. The header's CRC-32 covers what stands before it; a frame's covers
// length, since group and payload and starts from the CRC of the log's id, so that bytes which a
// client sends, or frames of another log, never pass for a frame of this one.

import { crc32 } from 'node:zlib'
import { type CompactedHeader, decodeCompactedHeader, isCompacted } from './compacted-segment.ts'

/**
 * 2 added the record kind 9 and fields at the ends of rows; 3 an advice beside a reversal, what
 * stands in, and labels; 4 requests and answers as texts and decisions as rows. Older ones are read
 * as they are.
 */
export const FORMAT_VERSION = 4
const FORMAT_OLDEST = 1
export const HEADER_BYTES = 40
export const FRAME_BYTES = 12
export const LOG_ID_BYTES = 16

const MAGIC = Buffer.from('SWYDLOG\n', 'latin1')
const FORMAT_AT = 8
const LOG_ID_AT = 12
const BASE_AT = 28
const HEADER_CRC_AT = 36

export type Header =
  | {
      readonly kind: 'readable'
      readonly format: number
      readonly logId: Uint8Array
      readonly base: number
    }
  | CompactedHeader
  | { readonly kind: 'newer'; readonly format: number }
  | { readonly kind: 'unreadable' }

export function encodeHeader(logId: Uint8Array, base: number): Uint8Array {
  const bytes = Buffer.alloc(HEADER_BYTES)
  MAGIC.copy(bytes)
  bytes.writeUInt32LE(FORMAT_VERSION, FORMAT_AT)
  bytes.set(logId, LOG_ID_AT)
  bytes.writeBigUInt64LE(BigInt(base), BASE_AT)
  bytes.writeUInt32LE(crc32(bytes.subarray(0, HEADER_CRC_AT)), HEADER_CRC_AT)
  return bytes
}

/** Reads a header. A newer format is told by magic and number alone: its layout is unknown. */
export function decodeHeader(raw: Uint8Array): Header {
  const bytes = asBuffer(raw)
  if (bytes.length < FORMAT_AT + 4 || !bytes.subarray(0, MAGIC.length).equals(MAGIC)) {
    return { kind: 'unreadable' }
  }
  const format = bytes.readUInt32LE(FORMAT_AT)
  if (isCompacted(format)) return decodeCompactedHeader(bytes)
  if (format > FORMAT_VERSION) return { kind: 'newer', format }
  if (
    bytes.length < HEADER_BYTES ||
    format < FORMAT_OLDEST ||
    crc32(bytes.subarray(0, HEADER_CRC_AT)) !== bytes.readUInt32LE(HEADER_CRC_AT)
  ) {
    return { kind: 'unreadable' }
  }
  return {
    kind: 'readable',
    format,
    logId: new Uint8Array(bytes.subarray(LOG_ID_AT, LOG_ID_AT + LOG_ID_BYTES)),
    base: Number(bytes.readBigUInt64LE(BASE_AT)),
  }
}

/** What every frame's CRC of this log starts from. */
export function frameSeed(logId: Uint8Array): number {
  return crc32(logId)
}

/** Writes a frame at `at`; the caller has made room. Returns its length in bytes. */
export function writeFrame(
  target: Buffer,
  at: number,
  payload: Uint8Array,
  sinceGroup: number,
  seed: number,
): number {
  const end = at + FRAME_BYTES + payload.length
  target.writeUInt32LE(payload.length, at + 4)
  target.writeUInt32LE(sinceGroup, at + 8)
  target.set(payload, at + FRAME_BYTES)
  target.writeUInt32LE(crc32(target.subarray(at + 4, end), seed), at)
  return end - at
}

/** The payload's length of the frame at `at`, whole or not; the caller has its first 12 bytes. */
export function frameLength(bytes: Buffer, at: number): number {
  return bytes.readUInt32LE(at + 4)
}

export function frameSinceGroup(bytes: Buffer, at: number): number {
  return bytes.readUInt32LE(at + 8)
}

/** Whether a whole and undamaged frame stands at `at`. */
export function holdsFrame(
  bytes: Buffer,
  at: number,
  end: number,
  seed: number,
  payloadBytesMax: number,
): boolean {
  if (at + FRAME_BYTES > end) return false
  const length = frameLength(bytes, at)
  const frameEnd = at + FRAME_BYTES + length
  if (length === 0 || length > payloadBytesMax || frameEnd > end) return false
  return crc32(bytes.subarray(at + 4, frameEnd), seed) === bytes.readUInt32LE(at)
}

/** `0000000000000000.log`: the base in 16 digits, so that names sort as positions. */
export function segmentName(base: number): string {
  return `${String(base).padStart(16, '0')}.log`
}

/** The base that a file name stands for; undefined where it is no segment's name. */
export function segmentBase(name: string): number | undefined {
  return /^[0-9]{16}\.log$/.test(name) ? Number(name.slice(0, 16)) : undefined
}

/** The same bytes as a Buffer, not copied. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
