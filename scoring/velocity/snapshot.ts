// The embedded store as a file, version 2, so that an orderly restart forgets nothing. Numbers are
// little-endian.
//
//    0       4        5          8          12
//   +-------+--------+----------+----------+------------------------- ... ---+-------+
//   | SWYV  | layout | 0        | entities | entity, least recently used     | CRC32 |
//   | 4     | 1      | 3        | 4        | first                           | 4     |
//   +-------+--------+----------+----------+------------------------- ... ---+-------+
//
//   entity:  key length 2 | key, Latin-1 | log length 4 | log | base length 4 | base |
//            labels length 4 | labels
//
//   log   events of a ring or a tile, as `event.ts` draws them
//   base  the compacted part of a tile, as `tile.ts` writes it; empty for rings and quiet tiles
//   labels  daily counts of late labels, as `label-days.ts` writes them; empty without any
//   CRC32 over everything before it (IEEE 802.3, as zlib computes it)

import { crc32 } from 'node:zlib'

export interface SnapshotEntity {
  readonly key: string
  readonly log: Uint8Array
  readonly base: Uint8Array
  readonly labels: Uint8Array
}

export type SnapshotRead =
  | { readonly ok: true; readonly entities: readonly SnapshotEntity[] }
  /** Nothing of it can be trusted; `message` says why. */
  | { readonly ok: false; readonly message: string }

const MAGIC = 'SWYV'
const LAYOUT = 2
const HEADER_BYTES = 12
const CRC_BYTES = 4
const ENTITY_BYTES = 2 + 4 + 4 + 4

/** Keys have at most 65,535 characters: those of entities are below 150. */
export function encodeSnapshot(entities: readonly SnapshotEntity[]): Buffer {
  let size = HEADER_BYTES + CRC_BYTES
  for (const { key, log, base, labels } of entities) {
    size += ENTITY_BYTES + key.length + log.length + base.length + labels.length
  }
  const bytes = Buffer.alloc(size)
  bytes.write(MAGIC, 0, 'latin1')
  bytes[4] = LAYOUT
  bytes.writeUInt32LE(entities.length, 8)
  let at = HEADER_BYTES
  for (const { key, log, base, labels } of entities) {
    at = bytes.writeUInt16LE(key.length, at)
    at += bytes.write(key, at, 'latin1')
    at = bytes.writeUInt32LE(log.length, at)
    bytes.set(log, at)
    at = bytes.writeUInt32LE(base.length, at + log.length)
    bytes.set(base, at)
    at = bytes.writeUInt32LE(labels.length, at + base.length)
    bytes.set(labels, at)
    at += labels.length
  }
  bytes.writeUInt32LE(crc32(bytes.subarray(0, at)), at)
  return bytes
}

/** The entities are views of `bytes`. */
export function decodeSnapshot(bytes: Buffer): SnapshotRead {
  if (bytes.length < HEADER_BYTES + CRC_BYTES || bytes.toString('latin1', 0, 4) !== MAGIC) {
    return { ok: false, message: 'it is no snapshot of velocity' }
  }
  if (bytes[4] !== LAYOUT) {
    return { ok: false, message: `its layout is ${bytes[4]}, this version reads ${LAYOUT}` }
  }
  const end = bytes.length - CRC_BYTES
  if (crc32(bytes.subarray(0, end)) !== bytes.readUInt32LE(end)) {
    return { ok: false, message: 'its checksum does not fit: it was cut or damaged' }
  }
  const entities: SnapshotEntity[] = []
  let at = HEADER_BYTES
  const piece = (lengthBytes: 2 | 4): Buffer | undefined => {
    if (at + lengthBytes > end) return undefined
    const length = bytes.readUIntLE(at, lengthBytes)
    at += lengthBytes + length
    return at > end ? undefined : bytes.subarray(at - length, at)
  }
  for (let i = bytes.readUInt32LE(8); i > 0; i--) {
    const key = piece(2)
    const log = piece(4)
    const base = piece(4)
    const labels = piece(4)
    if (key === undefined || log === undefined || base === undefined || labels === undefined) {
      return { ok: false, message: 'it ends inside an entity' }
    }
    entities.push({ key: key.toString('latin1'), log, base, labels })
  }
  return at === end ? { ok: true, entities } : { ok: false, message: 'it has bytes left over' }
}
