// A ring: the newest events of one entity, one after the other, oldest first.
//
//   front (cut when the ring is full)                          end (append)
//   +------------------+----------------+---------+----------------+
//   | rest of an event | attempt, 48    | outcome | attempt, 48    |
//   +------------------+----------------+---------+----------------+
//    ignored            <---- read from the end, tag by tag ------
//
// Everything here is a function of bytes: Redis and the embedded store share it.

import {
  eventBytes,
  eventKind,
  identityBits,
  KIND_ATTEMPT,
  KIND_DECLINED,
  readAmount,
  readLatitude,
  readLongitude,
  readShortHash,
  readTime,
  sameIdentity,
} from './event.ts'
import {
  ATTEMPT_BYTES,
  DISORDER_MS,
  RING_BYTES_MAX,
  TILE_LOG_BYTES_MAX,
  UNIT_BYTES,
} from './limits.ts'
import type { EntityQuery } from './plan.ts'

/** Most events that bytes of any ring or log hold. */
export const EVENTS_MAX = Math.ceil((TILE_LOG_BYTES_MAX + 64 * ATTEMPT_BYTES) / UNIT_BYTES)
const TABLE_SLOTS = 8192

/** The events of some bytes, in columns, repeats dropped. One object is used for ring after ring. */
export interface EventColumns {
  bytes: Uint8Array
  length: number
  /** Where each event starts in `bytes`, and where it ends. */
  readonly starts: Uint32Array
  readonly ends: Uint32Array
  readonly kinds: Uint8Array
  readonly timesMs: Float64Array
  /** NaN when unknown, and for outcomes. */
  readonly amounts: Float64Array
  /** Earliest time of any event; Infinity without events. */
  oldestMs: number
  readonly tableIndexes: Uint16Array
  readonly tableMarks: Uint32Array
  mark: number
}

export function createEventColumns(): EventColumns {
  return {
    bytes: new Uint8Array(0),
    length: 0,
    starts: new Uint32Array(EVENTS_MAX),
    ends: new Uint32Array(EVENTS_MAX),
    kinds: new Uint8Array(EVENTS_MAX),
    timesMs: new Float64Array(EVENTS_MAX),
    amounts: new Float64Array(EVENTS_MAX),
    oldestMs: Number.POSITIVE_INFINITY,
    tableIndexes: new Uint16Array(TABLE_SLOTS),
    tableMarks: new Uint32Array(TABLE_SLOTS),
    mark: 0,
  }
}

function nextMark(columns: EventColumns): number {
  if (columns.mark === 0xffffffff) {
    columns.tableMarks.fill(0)
    columns.mark = 0
  }
  return ++columns.mark
}

/** Adds an event unless one of the same identity and kind is there. */
function addEvent(columns: EventColumns, start: number, end: number): void {
  const { bytes, tableIndexes, tableMarks, mark } = columns
  let slot = identityBits(bytes, end) & (TABLE_SLOTS - 1)
  while (tableMarks[slot] === mark) {
    const known = columns.ends[tableIndexes[slot] as number] as number
    if (sameIdentity(bytes, known, bytes, end)) return
    slot = (slot + 1) & (TABLE_SLOTS - 1)
  }
  const index = columns.length++
  tableMarks[slot] = mark
  tableIndexes[slot] = index
  const kind = eventKind(bytes[end - 1] as number)
  const timeMs = readTime(bytes, start)
  columns.starts[index] = start
  columns.ends[index] = end
  columns.kinds[index] = kind
  columns.timesMs[index] = timeMs
  columns.amounts[index] = kind === KIND_ATTEMPT ? readAmount(bytes, start) : Number.NaN
  if (timeMs < columns.oldestMs) columns.oldestMs = timeMs
}

/**
 * Reads the events in `bytes[start, end)`. What is in front of the first whole event, and anything
 * before an event of an unknown version, is left out.
 */
export function readEvents(
  columns: EventColumns,
  bytes: Uint8Array,
  start: number,
  end: number,
): void {
  const { ends } = columns
  let first = EVENTS_MAX
  let at = end
  while (first > 0 && at - UNIT_BYTES >= start) {
    const size = eventBytes(bytes[at - 1] as number)
    if (size === 0 || at - size < start) break
    ends[--first] = at
    at -= size
  }
  columns.bytes = bytes
  columns.length = 0
  columns.oldestMs = Number.POSITIVE_INFINITY
  nextMark(columns)
  for (let i = first; i < EVENTS_MAX; i++) {
    const eventEnd = ends[i] as number
    addEvent(columns, at, eventEnd)
    at = eventEnd
  }
}

/** Counts and sums by window of a query, and whether each is a lower bound only. */
export interface WindowTotals {
  readonly counts: Float64Array
  readonly sums: Float64Array
  readonly maxima: Float64Array
  readonly declines: Float64Array
  /** Attempts without a base amount: sum and maximum are lower bounds then. */
  readonly unknownAmounts: Float64Array
  readonly lowerBounds: Uint8Array
}

export function createWindowTotals(): WindowTotals {
  return {
    counts: new Float64Array(256),
    sums: new Float64Array(256),
    maxima: new Float64Array(256),
    declines: new Float64Array(256),
    unknownAmounts: new Float64Array(256),
    lowerBounds: new Uint8Array(256),
  }
}

/** Totals of the events with a time in (atMs - window, atMs], for every window of a query. */
export function addWindowTotals(
  totals: WindowTotals,
  columns: EventColumns,
  query: EntityQuery,
  atMs: number,
): void {
  const { kinds, timesMs, amounts, length } = columns
  for (let w = 0; w < query.windowsMs.length; w++) {
    const startMs = atMs - (query.windowsMs[w] as number)
    let count = 0
    let sum = 0
    let maximum = Number.NEGATIVE_INFINITY
    let declines = 0
    let unknown = 0
    for (let i = 0; i < length; i++) {
      const timeMs = timesMs[i] as number
      if (timeMs <= startMs || timeMs > atMs) continue
      if (kinds[i] === KIND_ATTEMPT) {
        const amount = amounts[i] as number
        count++
        if (amount >= 0) {
          sum += amount
          if (amount > maximum) maximum = amount
        } else unknown++
      } else if (kinds[i] === KIND_DECLINED) declines++
    }
    totals.counts[w] = count
    totals.sums[w] = sum
    totals.maxima[w] = maximum
    totals.declines[w] = declines
    totals.unknownAmounts[w] = unknown
    totals.lowerBounds[w] = 0
  }
}

/** Number of different short hashes in the window; marks the table, so repeats cost one look. */
function countDistinct(columns: EventColumns, hash: number, startMs: number, atMs: number): number {
  const { kinds, timesMs, starts, bytes, tableIndexes, tableMarks, length } = columns
  const mark = nextMark(columns)
  let distinct = 0
  for (let i = 0; i < length; i++) {
    const timeMs = timesMs[i] as number
    if (kinds[i] !== KIND_ATTEMPT || timeMs <= startMs || timeMs > atMs) continue
    const value = readShortHash(bytes, starts[i] as number, hash)
    if (value === 0) continue
    let slot = value & (TABLE_SLOTS - 1)
    let known = false
    while (!known && tableMarks[slot] === mark) {
      const other = starts[tableIndexes[slot] as number] as number
      known = readShortHash(bytes, other, hash) === value
      slot = (slot + 1) & (TABLE_SLOTS - 1)
    }
    if (known) continue
    tableMarks[slot] = mark
    tableIndexes[slot] = i
    distinct++
  }
  return distinct
}

/**
 * The newest attempt in (startMs, atMs] that isn't the one whose bytes end at `ownEnd` of `own`;
 * -1 without one. `located`: only attempts whose place is known.
 */
function previousAttempt(
  columns: EventColumns,
  own: Uint8Array,
  ownEnd: number,
  startMs: number,
  atMs: number,
  located: boolean,
): number {
  const { kinds, timesMs, starts, ends, bytes, length } = columns
  let newest = -1
  let newestMs = startMs
  for (let i = length - 1; i >= 0; i--) {
    const timeMs = timesMs[i] as number
    if (kinds[i] !== KIND_ATTEMPT || timeMs <= newestMs || timeMs > atMs) continue
    if (located && Number.isNaN(readLatitude(bytes, starts[i] as number))) continue
    if (sameIdentity(bytes, ends[i] as number, own, ownEnd)) continue
    newest = i
    newestMs = timeMs
  }
  return newest
}

const EARTH_RADIUS_KM = 6371.0088
const RADIANS = Math.PI / 180

/** Great-circle distance in kilometres (haversine on a sphere of the mean earth radius). */
export function distanceKm(lat1: number, long1: number, lat2: number, long2: number): number {
  const sinLat = Math.sin(((lat2 - lat1) * RADIANS) / 2)
  const sinLong = Math.sin(((long2 - long1) * RADIANS) / 2)
  const a =
    sinLat * sinLat + Math.cos(lat1 * RADIANS) * Math.cos(lat2 * RADIANS) * sinLong * sinLong
  return 2 * EARTH_RADIUS_KM * Math.asin(Math.min(1, Math.sqrt(a)))
}

/**
 * Speed from the previous place to the attempt's own, km/h; two places in less than a second count
 * as one second apart. NaN when either place is unknown.
 */
function speedKmh(
  columns: EventColumns,
  own: Uint8Array,
  ownEnd: number,
  startMs: number,
  atMs: number,
): number {
  const ownAt = ownEnd - ATTEMPT_BYTES
  const latitude = readLatitude(own, ownAt)
  if (Number.isNaN(latitude)) return Number.NaN
  const previous = previousAttempt(columns, own, ownEnd, startMs, atMs, true)
  if (previous < 0) return Number.NaN
  const at = columns.starts[previous] as number
  const km = distanceKm(
    readLatitude(columns.bytes, at),
    readLongitude(columns.bytes, at),
    latitude,
    readLongitude(own, ownAt),
  )
  const seconds = Math.max(1, (atMs - (columns.timesMs[previous] as number)) / 1000)
  return (km / seconds) * 3600
}

/** Counts distinct short hashes of the window that starts at `startMs`. A tile brings its own. */
export type DistinctCounter = (hash: number, startMs: number, atMs: number) => number

/** Where the answers of one attempt go. */
export interface Answer {
  readonly values: Float64Array
  readonly saturated: Uint8Array
}

/**
 * Fills the slots of one query from totals and events. `own`, `ownEnd`: the attempt's own bytes.
 * An average of a lower bound is no bound, so it is NaN; likewise over unknown amounts.
 */
export function fillAnswer(
  answer: Answer,
  query: EntityQuery,
  totals: WindowTotals,
  columns: EventColumns,
  own: Uint8Array,
  ownEnd: number,
  distinct: DistinctCounter | undefined,
): void {
  const atMs = readTime(own, ownEnd - ATTEMPT_BYTES)
  for (let i = 0; i < query.slots.length; i++) {
    const w = query.windows[i] as number
    const startMs = atMs - (query.windowsMs[w] as number)
    const unknown = (totals.unknownAmounts[w] as number) > 0
    let lowerBound = totals.lowerBounds[w] === 1
    let value = Number.NaN
    switch (query.functions[i]) {
      case 'count':
        value = totals.counts[w] as number
        break
      case 'sum':
        value = totals.sums[w] as number
        lowerBound = lowerBound || unknown
        break
      case 'avg':
        lowerBound = lowerBound || unknown
        if (!lowerBound) value = (totals.sums[w] as number) / (totals.counts[w] as number)
        break
      case 'max': {
        const maximum = totals.maxima[w] as number
        value = maximum >= 0 ? maximum : Number.NaN
        lowerBound = lowerBound || unknown
        break
      }
      case 'declines':
        value = totals.declines[w] as number
        break
      case 'distinct': {
        const hash = query.hashes[i] as number
        value =
          distinct === undefined
            ? countDistinct(columns, hash, startMs, atMs)
            : distinct(hash, startMs, atMs)
        break
      }
      case 'secondsSinceLast': {
        const previous = previousAttempt(columns, own, ownEnd, startMs, atMs, false)
        if (previous >= 0) value = (atMs - (columns.timesMs[previous] as number)) / 1000
        lowerBound = false
        break
      }
      default:
        value = speedKmh(columns, own, ownEnd, startMs, atMs)
        lowerBound = false
    }
    const slot = query.slots[i] as number
    answer.values[slot] = value
    answer.saturated[slot] = lowerBound ? 1 : 0
  }
}

/** Whether something was cut off the front of a ring of this length. */
export function wasCut(ringBytes: number): boolean {
  return ringBytes >= RING_BYTES_MAX
}

/**
 * Answers one attempt from the events of its ring (`readEvents`), itself included. A window is
 * saturated when an event that was cut off may lie inside it: events are out of order by at most
 * `DISORDER_MS`.
 */
export function answerFromRing(
  answer: Answer,
  query: EntityQuery,
  totals: WindowTotals,
  columns: EventColumns,
  cut: boolean,
  own: Uint8Array,
  ownEnd: number,
): void {
  const atMs = readTime(own, ownEnd - ATTEMPT_BYTES)
  addWindowTotals(totals, columns, query, atMs)
  if (cut) {
    for (let w = 0; w < query.windowsMs.length; w++) {
      const startMs = atMs - (query.windowsMs[w] as number)
      if (startMs < columns.oldestMs + DISORDER_MS) totals.lowerBounds[w] = 1
    }
  }
  fillAnswer(answer, query, totals, columns, own, ownEnd, undefined)
}
