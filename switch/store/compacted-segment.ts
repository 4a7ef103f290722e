// The bytes of a compacted segment: what is left of one or more segments that were rewritten.
// Records keep their positions in the log, so nothing that names a position has to change.
//
//   compacted = header frame* table trailer
//
//   header  = magic 'SWYDLOG\n' | format u32, 0x100 added | log id 16 bytes | base u64 | end u64
//             | crc u32                                                                  48 bytes
//   frame   = as in `segment.ts`; instead of `since group` the record's position less the base
//   table   = (position less the base u32 | offset in the file u32)*   one for each 64 KiB
//   trailer = records u32 | cards u32 | key id u32 | written before f64 | entries of the table u32
//             | crc u32 of the table | crc u32                                           32 bytes
//
// `end` is the position behind the last byte that the segment stands for, and the next one's base.
// `cards` counts the sealed cards that are left, `key id` names the one key that all of them are
// under: 0 where there is none, MANY_KEYS where they are under several. The trailer's CRC covers
// what stands before it in the trailer; all CRCs here start from the log id's, as frames' do.

import { crc32 } from 'node:zlib'

const MAGIC = Buffer.from('SWYDLOG\n', 'latin1')
/** Added to the format of the records: an older version takes it for a newer one's, and refuses. */
const COMPACTED = 0x100
const COMPACTED_FORMAT_NEWEST = COMPACTED + 4

export const COMPACTED_HEADER_BYTES = 48
export const TRAILER_BYTES = 32
export const TABLE_ENTRY_BYTES = 8
/** A reader looks at this many bytes at most before it finds a record. */
export const TABLE_STRIDE_BYTES = 64 * 1024
/** The cards of a segment are under more than one key. */
export const MANY_KEYS = 0xffff_ffff
/** Positions in a frame are 32 bits from the base. */
export const SPAN_BYTES_MAX = 0xffff_ffff

export interface CompactedHeader {
  readonly kind: 'compacted'
  readonly format: number
  readonly logId: Uint8Array
  readonly base: number
  readonly end: number
}

/** What is known of a compacted segment without reading its records. */
export interface Trailer {
  readonly records: number
  readonly cards: number
  readonly keyId: number
  /** All of its records were written before; milliseconds since 1970. */
  readonly writtenBeforeMs: number
  readonly tableEntries: number
  readonly tableCrc: number
}

export function isCompacted(format: number): boolean {
  return (format & COMPACTED) !== 0
}

export function encodeCompactedHeader(
  logId: Uint8Array,
  base: number,
  end: number,
  recordFormat: number,
): Uint8Array {
  const bytes = Buffer.alloc(COMPACTED_HEADER_BYTES)
  MAGIC.copy(bytes)
  bytes.writeUInt32LE(COMPACTED + recordFormat, 8)
  bytes.set(logId, 12)
  bytes.writeBigUInt64LE(BigInt(base), 28)
  bytes.writeBigUInt64LE(BigInt(end), 36)
  bytes.writeUInt32LE(crc32(bytes.subarray(0, 44)), 44)
  return bytes
}

/** The caller has seen magic and format. */
export function decodeCompactedHeader(
  bytes: Buffer,
):
  | CompactedHeader
  | { readonly kind: 'newer'; readonly format: number }
  | { readonly kind: 'unreadable' } {
  const format = bytes.readUInt32LE(8)
  if (format > COMPACTED_FORMAT_NEWEST) return { kind: 'newer', format }
  if (
    bytes.length < COMPACTED_HEADER_BYTES ||
    crc32(bytes.subarray(0, 44)) !== bytes.readUInt32LE(44)
  ) {
    return { kind: 'unreadable' }
  }
  return {
    kind: 'compacted',
    format,
    logId: new Uint8Array(bytes.subarray(12, 28)),
    base: Number(bytes.readBigUInt64LE(28)),
    end: Number(bytes.readBigUInt64LE(36)),
  }
}

/** Table and trailer, as they stand at the end of the file. */
export function encodeTail(
  table: readonly (readonly [relativePosition: number, offset: number])[],
  facts: Pick<Trailer, 'records' | 'cards' | 'keyId' | 'writtenBeforeMs'>,
  seed: number,
): Uint8Array {
  const tableBytes = table.length * TABLE_ENTRY_BYTES
  const bytes = Buffer.alloc(tableBytes + TRAILER_BYTES)
  for (const [i, [relativePosition, offset]] of table.entries()) {
    bytes.writeUInt32LE(relativePosition, i * TABLE_ENTRY_BYTES)
    bytes.writeUInt32LE(offset, i * TABLE_ENTRY_BYTES + 4)
  }
  const trailer = bytes.subarray(tableBytes)
  trailer.writeUInt32LE(facts.records, 0)
  trailer.writeUInt32LE(facts.cards, 4)
  trailer.writeUInt32LE(facts.keyId, 8)
  trailer.writeDoubleLE(facts.writtenBeforeMs, 12)
  trailer.writeUInt32LE(table.length, 20)
  trailer.writeUInt32LE(crc32(bytes.subarray(0, tableBytes), seed), 24)
  trailer.writeUInt32LE(crc32(trailer.subarray(0, 28), seed), 28)
  return bytes
}

/** Undefined where the bytes are no whole trailer of this log. */
export function decodeTrailer(bytes: Buffer, seed: number): Trailer | undefined {
  if (bytes.length !== TRAILER_BYTES) return undefined
  if (crc32(bytes.subarray(0, 28), seed) !== bytes.readUInt32LE(28)) return undefined
  return {
    records: bytes.readUInt32LE(0),
    cards: bytes.readUInt32LE(4),
    keyId: bytes.readUInt32LE(8),
    writtenBeforeMs: bytes.readDoubleLE(12),
    tableEntries: bytes.readUInt32LE(20),
    tableCrc: bytes.readUInt32LE(24),
  }
}

/** Where the table begins: behind the last frame. */
export function tableOffset(sizeBytes: number, { tableEntries }: Trailer): number {
  return sizeBytes - TRAILER_BYTES - tableEntries * TABLE_ENTRY_BYTES
}

/** The offset of the last entry at or before a position; undefined where none is. */
export function seekTable(table: Buffer, relativePosition: number): number | undefined {
  let low = 0
  let high = table.length / TABLE_ENTRY_BYTES
  while (low < high) {
    const middle = (low + high) >> 1
    if (table.readUInt32LE(middle * TABLE_ENTRY_BYTES) <= relativePosition) low = middle + 1
    else high = middle
  }
  return low === 0 ? undefined : table.readUInt32LE((low - 1) * TABLE_ENTRY_BYTES + 4)
}
