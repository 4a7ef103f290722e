// A ring: the newest events of one entity, one after the other, oldest first.
//
//   front (cut where it is too long)                           end (append)
//   +------------------+----------------+---------+----------------+
//   | rest of an event | attempt, 48    | outcome | attempt, 48    |
//   +------------------+----------------+---------+----------------+
//    ignored            <---- read from the end, tag by tag ------
//
// Everything here is a function of bytes: Redis and the embedded store share it.

import { addValue, createValueSet, emptyValueSet } from './distinct.ts'
import {
  amountOfWords,
  eventBytes,
  eventKind,
  KIND_ATTEMPT,
  KIND_DECLINED,
  readLatitude,
  readLongitude,
  readShortHash,
  readTime,
  timeOfWords,
} from './event.ts'
import type { EventLog } from './event-log.ts'
import { ATTEMPT_BYTES, BATCH_MAX, DISORDER_MS, TILE_LOG_BYTES_MAX, UNIT_BYTES } from './limits.ts'
import type { EntityQuery } from './plan.ts'

/**
 * Most events that any ring or log holds before a batch: all of them outcomes, and a batch more.
 */
export const EVENTS_MAX = (TILE_LOG_BYTES_MAX + BATCH_MAX * ATTEMPT_BYTES) / UNIT_BYTES

/**
 * The events of one log, in columns, in order: those at `[first, last)`. One object is used for log
 * after log. Reading goes down from the middle, appending up from there.
 */
export interface EventColumns {
  bytes: Uint8Array
  words: Uint32Array
  first: number
  last: number
  /** Where each event starts in `bytes`, and where it ends. */
  readonly starts: Uint32Array
  readonly ends: Uint32Array
  readonly kinds: Uint8Array
  readonly timesMs: Float64Array
  /** NaN when unknown, and for outcomes. */
  readonly amounts: Float64Array
}

export function createEventColumns(): EventColumns {
  const capacity = EVENTS_MAX + BATCH_MAX
  return {
    bytes: new Uint8Array(0),
    words: new Uint32Array(0),
    first: EVENTS_MAX,
    last: EVENTS_MAX,
    starts: new Uint32Array(capacity),
    ends: new Uint32Array(capacity),
    kinds: new Uint8Array(capacity),
    timesMs: new Float64Array(capacity),
    amounts: new Float64Array(capacity),
  }
}

function readEvent(columns: EventColumns, index: number, start: number, end: number): void {
  const { words } = columns
  const kind = eventKind((words[(end >>> 2) - 1] as number) >>> 24)
  columns.starts[index] = start
  columns.ends[index] = end
  columns.kinds[index] = kind
  columns.timesMs[index] = timeOfWords(words, start >>> 2)
  columns.amounts[index] = kind === KIND_ATTEMPT ? amountOfWords(words, start >>> 2) : Number.NaN
}

/**
 * Reads the events in `[start, end)` of a log. What is in front of the first whole event, and
 * anything before an event of an unknown version, is left out.
 */
export function readEvents(columns: EventColumns, log: EventLog, start: number, end: number): void {
  const { words } = log
  columns.bytes = log.bytes
  columns.words = words
  let first = EVENTS_MAX
  let at = end
  while (first > 0 && at - UNIT_BYTES >= start) {
    const size = eventBytes((words[(at >>> 2) - 1] as number) >>> 24)
    if (size === 0 || at - size < start) break
    readEvent(columns, --first, at - size, at)
    at -= size
  }
  columns.first = first
  columns.last = EVENTS_MAX
}

/** Takes in an event that was just appended to the log; at most `BATCH_MAX` after `readEvents`. */
export function readAppended(columns: EventColumns, log: EventLog, size: number): void {
  readEvent(columns, columns.last++, log.end - size, log.end)
}

/** Leaves out the events that were just cut off the log's front. */
export function dropCut(columns: EventColumns, log: EventLog): void {
  while (columns.first < columns.last) {
    if ((columns.starts[columns.first] as number) >= log.start) return
    columns.first++
  }
}

/** Memory that holds events, as bytes and as words. */
export interface EventSource {
  readonly bytes: Uint8Array
  readonly words: Uint32Array
}

/**
 * Whether an event with the identity and kind of the one that ends at `end` of `source` is there.
 */
export function holdsEvent(columns: EventColumns, source: EventSource, end: number): boolean {
  const { words, ends } = columns
  const high = source.words[(end >>> 2) - 1] as number
  const low = source.words[(end >>> 2) - 2] as number
  for (let i = columns.first; i < columns.last; i++) {
    const at = (ends[i] as number) >>> 2
    if (words[at - 1] === high && words[at - 2] === low) return true
  }
  return false
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
  const { kinds, timesMs, amounts, first, last } = columns
  for (let w = 0; w < query.windowsMs.length; w++) {
    const startMs = atMs - (query.windowsMs[w] as number)
    let count = 0
    let sum = 0
    let maximum = Number.NEGATIVE_INFINITY
    let declines = 0
    let unknown = 0
    for (let i = first; i < last; i++) {
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

const values = createValueSet(EVENTS_MAX + BATCH_MAX)

/** Number of different short hashes in the window. */
function countDistinct(
  _: undefined,
  columns: EventColumns,
  hash: number,
  startMs: number,
  atMs: number,
): number {
  const { kinds, timesMs, starts, bytes, first, last } = columns
  emptyValueSet(values, last - first)
  let distinct = 0
  for (let i = first; i < last; i++) {
    const timeMs = timesMs[i] as number
    if (kinds[i] !== KIND_ATTEMPT || timeMs <= startMs || timeMs > atMs) continue
    const value = readShortHash(bytes, starts[i] as number, hash)
    if (value !== 0 && addValue(values, value)) distinct++
  }
  return distinct
}

/**
 * The newest attempt in (startMs, atMs] that isn't the one whose bytes end at `ownEnd` of `own`;
 * -1 without one. `located`: only attempts whose place is known.
 */
function previousAttempt(
  columns: EventColumns,
  own: EventSource,
  ownEnd: number,
  startMs: number,
  atMs: number,
  located: boolean,
): number {
  const { kinds, timesMs, starts, ends, bytes, words, first, last } = columns
  const ownHigh = own.words[(ownEnd >>> 2) - 1]
  const ownLow = own.words[(ownEnd >>> 2) - 2]
  let newest = -1
  let newestMs = startMs
  for (let i = last - 1; i >= first; i--) {
    const timeMs = timesMs[i] as number
    if (kinds[i] !== KIND_ATTEMPT || timeMs <= newestMs || timeMs > atMs) continue
    const end = (ends[i] as number) >>> 2
    if (words[end - 1] === ownHigh && words[end - 2] === ownLow) continue
    if (located && Number.isNaN(readLatitude(bytes, starts[i] as number))) continue
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
  own: EventSource,
  ownEnd: number,
  startMs: number,
  atMs: number,
): number {
  const ownAt = ownEnd - ATTEMPT_BYTES
  const latitude = readLatitude(own.bytes, ownAt)
  if (Number.isNaN(latitude)) return Number.NaN
  const previous = previousAttempt(columns, own, ownEnd, startMs, atMs, true)
  if (previous < 0) return Number.NaN
  const at = columns.starts[previous] as number
  const km = distanceKm(
    readLatitude(columns.bytes, at),
    readLongitude(columns.bytes, at),
    latitude,
    readLongitude(own.bytes, ownAt),
  )
  const seconds = Math.max(1, (atMs - (columns.timesMs[previous] as number)) / 1000)
  return (km / seconds) * 3600
}

/**
 * Counts distinct short hashes in (startMs, atMs]. A tile brings its own, and what it counts in: a
 * closure an attempt would cost as much as the count.
 */
export type DistinctCounter<Base> = (
  base: Base,
  columns: EventColumns,
  hash: number,
  startMs: number,
  atMs: number,
) => number

/** Where the answers of one attempt go. */
export interface Answer {
  readonly values: Float64Array
  readonly saturated: Uint8Array
  isPartial: boolean
}

/**
 * Fills the slots of one query from totals and events. `own`, `ownEnd`: the attempt's own bytes.
 * An average of a lower bound is no bound, so it is NaN; likewise over unknown amounts.
 */
export function fillAnswer<Base>(
  answer: Answer,
  query: EntityQuery,
  totals: WindowTotals,
  columns: EventColumns,
  own: EventSource,
  ownEnd: number,
  distinct: DistinctCounter<Base>,
  base: Base,
): void {
  const atMs = readTime(own.bytes, ownEnd - ATTEMPT_BYTES)
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
      case 'distinct':
        value = distinct(base, columns, query.hashes[i] as number, startMs, atMs)
        break
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

function oldestTime(columns: EventColumns): number {
  let oldestMs = Number.POSITIVE_INFINITY
  for (let i = columns.first; i < columns.last; i++) {
    oldestMs = Math.min(oldestMs, columns.timesMs[i] as number)
  }
  return oldestMs
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
  own: EventSource,
  ownEnd: number,
): void {
  const atMs = readTime(own.bytes, ownEnd - ATTEMPT_BYTES)
  addWindowTotals(totals, columns, query, atMs)
  if (cut) {
    const oldestMs = oldestTime(columns)
    for (let w = 0; w < query.windowsMs.length; w++) {
      const startMs = atMs - (query.windowsMs[w] as number)
      if (startMs < oldestMs + DISORDER_MS) totals.lowerBounds[w] = 1
    }
  }
  fillAnswer(answer, query, totals, columns, own, ownEnd, countDistinct, undefined)
}
