// Late labels of one terminal or merchant as daily counts, version 1. Numbers are little-endian.
//
//   0        1      2
//   +--------+------+-------+----------+-- ... --+--------+-- ... --+
//   | layout | days | day 2 | frauds 4 |         | mark 8 |         |
//   | 1      | 1    |   of an attempt  |         |                  |
//   +--------+------+-------+----------+-- ... --+--------+-- ... --+
//                    \___ 6 a day, ascending ___/ \ newest last    /
//
//   day    days since 1970, UTC, of the attempt: not of the day on which its truth was known
//   frauds attempts of that day that are known to be fraud
//   mark   identity 7 (as in event.ts) | 1 fraud, 2 cleared: what was said last of an attempt. A
//          label that is sent again, because nobody knows whether it came, changes nothing
//
// Read with a delay. At t the window of n days is made of whole days that ended at least
// LABEL_DELAY_DAYS ago:
//
//       n days                       LABEL_DELAY_DAYS and the rest of a day
//   |......|......|......|....................................|
//                                                             t
// so that no label of an attempt younger than the delay is read, however early it came: most labels
// take days, and a model that learned from the early ones would expect them.

import { eventIdentity } from './event.ts'
import { LABEL_DELAY_DAYS, LABEL_MARKS_MAX, LABEL_RETENTION_DAYS } from './limits.ts'
import type { VelocityLabel } from './velocity.ts'

const LAYOUT = 1
const HEADER_BYTES = 2
const DAY_BYTES = 6
const MARK_BYTES = 8
const FRAUD = 1
const CLEARED = 2
const FRAUDS_MAX = 2 ** 32 - 1
export const DAY_MS = 86_400_000

/** Of an entity of which nothing was ever said. */
export const NO_LABELS = Buffer.alloc(0)

/** The length that the head says, marks left out; -1 for bytes of another layout. */
function daysEnd(bytes: Uint8Array): number {
  if (bytes.length < HEADER_BYTES || bytes[0] !== LAYOUT) return -1
  const end = HEADER_BYTES + DAY_BYTES * (bytes[1] as number)
  return end <= bytes.length && (bytes.length - end) % MARK_BYTES === 0 ? end : -1
}

/** Whether these are daily counts of this layout, or none at all. */
export function areLabelDays(bytes: Uint8Array): boolean {
  return bytes.length === 0 || daysEnd(bytes) >= 0
}

/** Frauds in the `days` whole days that ended `LABEL_DELAY_DAYS` before `atMs`. */
export function fraudsIn(bytes: Buffer, atMs: number, days: number): number {
  const end = daysEnd(bytes)
  const before = Math.floor(atMs / DAY_MS) - LABEL_DELAY_DAYS
  let frauds = 0
  for (let at = HEADER_BYTES; at < end; at += DAY_BYTES) {
    const day = bytes.readUInt16LE(at)
    if (day >= before - days && day < before) frauds += bytes.readUInt32LE(at + 2)
  }
  return frauds
}

/**
 * The counts with more labels in them; the same bytes where all of them are known already. Bytes of
 * another layout count as nothing.
 */
export function addLabels(bytes: Buffer, labels: readonly VelocityLabel[]): Buffer {
  const days = new Map<number, number>()
  const marks = new Map<string, number>()
  const end = daysEnd(bytes)
  for (let at = HEADER_BYTES; at < end; at += DAY_BYTES) {
    days.set(bytes.readUInt16LE(at), bytes.readUInt32LE(at + 2))
  }
  for (let at = end; end >= 0 && at < bytes.length; at += MARK_BYTES) {
    marks.set(bytes.toString('latin1', at, at + 7), bytes[at + 7] as number)
  }
  let isChanged = false
  for (const { eventHash, atMs, kind } of labels) {
    const identity = eventIdentity(eventHash)
    const said = kind === 'fraud' ? FRAUD : CLEARED
    if (marks.get(identity) === said) continue
    isChanged = true
    marks.delete(identity)
    marks.set(identity, said)
    const day = Math.floor(atMs / DAY_MS)
    const frauds = (days.get(day) ?? 0) + (said === FRAUD ? 1 : -1)
    days.set(day, Math.min(Math.max(frauds, 0), FRAUDS_MAX))
  }
  return isChanged ? encode(days, marks) : bytes
}

function encode(days: ReadonlyMap<number, number>, marks: ReadonlyMap<string, number>): Buffer {
  const newest = Math.max(...days.keys())
  const kept = [...days]
    .filter(([day, frauds]) => frauds > 0 && day > newest - LABEL_RETENTION_DAYS)
    .sort(([one], [other]) => one - other)
  const keptMarks = [...marks].slice(-LABEL_MARKS_MAX)
  const size = HEADER_BYTES + DAY_BYTES * kept.length + MARK_BYTES * keptMarks.length
  const bytes = Buffer.alloc(size)
  bytes[0] = LAYOUT
  bytes[1] = kept.length
  let at = HEADER_BYTES
  for (const [day, frauds] of kept) {
    bytes.writeUInt16LE(day, at)
    bytes.writeUInt32LE(frauds, at + 2)
    at += DAY_BYTES
  }
  for (const [identity, said] of keptMarks) {
    bytes.write(identity, at, 'latin1')
    bytes[at + 7] = said
    at += MARK_BYTES
  }
  return bytes
}
