// A tile: counters of an entity with many events. Its newest events stand in a log, exact; what is
// older is compacted into buckets that get wider with age.
//
//   now                                                                          30 days ago
//    | log: events |5s|5s|5s|.. 12 of each width .. |10s|10s|..|20s|..|  ...  |  2.1 days  |
//
// A bucket of width g is at least 12 g old, so a window of w is cut at a bucket no wider than w /
// 12: the answer is exact for some window w' with w <= w' < w + one bucket. Widths are 5 s * 2^n,
// starts multiples of the width, so two neighbours merge exactly. At most 12 to 24 buckets of each
// of 16 widths: some 200. Distinct values are in `distinct.ts`, by 5-second quanta.
//
// The log on Redis, and the compacted part ("base") under a second key:
//
//   log    | version 8 | event | event | ...   versions are equal, or the base is not this log's
//
//   base   | version 8 | layout 1 | buckets | 8 sketches
//   buckets  varint count, then for each, oldest first: start - end of the one before (quanta),
//            width exponent, attempts, declines, attempts without amount, sum, maximum + 1 (0:
//            none); all varints (LEB128)
//   sketch   exact 1, varint entries, varint oldest quantum, then for each entry: value 3, or
//            register 12 bits and rank 4 where it is not exact; quantum less oldest 3; all
//            little-endian
//
// A compaction takes whole events from the front of the log, adds them to the base and gives both
// the next version, in one step that is refused if the version is no longer the one that was read.
// So processes never lose each other's counts, and Redis computes nothing.

import {
  addForGood,
  addForNow,
  addToSketch,
  addValue,
  createValueSet,
  type DistinctSketch,
  EMPTY_SKETCH,
  emptyValueSet,
  estimate,
  quantumOf,
  type Registers,
  registersOf,
  undoAdditions,
} from './distinct.ts'
import { KIND_ATTEMPT, KIND_DECLINED, readShortHash, readTime } from './event.ts'
import {
  ATTEMPT_BYTES,
  BATCH_MAX,
  DISTINCT_EXACT_MAX,
  TILE_BUCKETS_PER_WINDOW,
  TILE_COMPACT_ATTEMPTS_MAX,
  TILE_COMPACT_BYTES,
  TILE_HEADER_BYTES,
  TILE_KEEP_BYTES,
  TILE_QUANTUM_MS,
  WINDOW_SECONDS_MAX,
} from './limits.ts'
import type { EntityQuery } from './plan.ts'
import {
  type Answer,
  addWindowTotals,
  EVENTS_MAX,
  type EventColumns,
  type EventSource,
  fillAnswer,
  type WindowTotals,
} from './ring.ts'

/** 1 had fewer registers. */
const LAYOUT = 2
/** 30 days in quanta is below 2^19; one width more would be a single bucket. */
const EXPONENT_MAX = 16
const RETENTION_QUANTA = (WINDOW_SECONDS_MAX * 1000) / TILE_QUANTUM_MS
const BIN_SKETCH = 7
const SKETCHES = 8

interface Bucket {
  /** First quantum; a multiple of `2 ** exponent`. */
  start: number
  exponent: number
  attempts: number
  declines: number
  unknownAmounts: number
  sum: number
  /** -1 without any amount. */
  maximum: number
}

/** The compacted part of a tile. Unchangeable: a compaction makes another one. */
export interface TileBase {
  readonly version: number
  /** Oldest first, never overlapping. */
  readonly buckets: readonly Bucket[]
  /** By `hashIndex`, bin last. */
  readonly sketches: readonly DistinctSketch[]
  /** What is computed from the above once it is asked for. */
  readonly derived: Derived
}

interface Derived {
  /** Registers of the windows that were asked for lately, by hash and window. */
  readonly registers: Map<number, { startQuantum: number; registers: Registers }>
  totals: SuffixTotals | undefined
}

/** Element `i`: over bucket `i` and all newer ones; one more element, for none. */
interface SuffixTotals {
  readonly endsMs: Float64Array
  readonly attempts: Float64Array
  readonly declines: Float64Array
  readonly unknownAmounts: Float64Array
  readonly sums: Float64Array
  readonly maxima: Float64Array
}

function nothingDerived(): Derived {
  return { registers: new Map(), totals: undefined }
}

export const EMPTY_BASE: TileBase = {
  version: 0,
  buckets: [],
  sketches: Array.from({ length: SKETCHES }, () => EMPTY_SKETCH),
  derived: nothingDerived(),
}

function sketchIndex(hash: number): number {
  return hash < 0 ? BIN_SKETCH : hash
}

function hashBits(hash: number): number {
  return hash < 0 ? 20 : 24
}

// ---- compaction

function emptyBucket(start: number, exponent: number): Bucket {
  return { start, exponent, attempts: 0, declines: 0, unknownAmounts: 0, sum: 0, maximum: -1 }
}

function addBucket(into: Bucket, other: Bucket): void {
  into.attempts += other.attempts
  into.declines += other.declines
  into.unknownAmounts += other.unknownAmounts
  into.sum += other.sum
  into.maximum = Math.max(into.maximum, other.maximum)
}

/** The widest bucket around a quantum that is old enough for its width. */
function widestExponent(quantum: number, exponent: number, nowQuantum: number): number {
  let widest = exponent
  for (let e = exponent + 1; e <= EXPONENT_MAX; e++) {
    const width = 2 ** e
    const end = (Math.floor(quantum / width) + 1) * width
    if (nowQuantum - end < TILE_BUCKETS_PER_WINDOW * width) break
    widest = e
  }
  return widest
}

/** Merges what is old enough to stand in wider buckets, and drops what no window reaches. */
function coarsen(buckets: readonly Bucket[], nowQuantum: number): Bucket[] {
  const result: Bucket[] = []
  for (const bucket of buckets) {
    if (bucket.start + 2 ** bucket.exponent <= nowQuantum - RETENTION_QUANTA - 1) continue
    const exponent = widestExponent(bucket.start, bucket.exponent, nowQuantum)
    const start = Math.floor(bucket.start / 2 ** exponent) * 2 ** exponent
    const last = result.at(-1)
    if (last !== undefined && last.start + 2 ** last.exponent > start) {
      addBucket(last, bucket)
      continue
    }
    const wider = emptyBucket(start, exponent)
    addBucket(wider, bucket)
    result.push(wider)
  }
  return result
}

function addEventTo(bucket: Bucket, kind: number, amount: number): void {
  if (kind === KIND_DECLINED) bucket.declines++
  if (kind !== KIND_ATTEMPT) return
  bucket.attempts++
  if (amount >= 0) {
    bucket.sum += amount
    bucket.maximum = Math.max(bucket.maximum, amount)
  } else bucket.unknownAmounts++
}

/** The buckets with every event in one: of the bucket that covers its time, or a new one. */
function addEvents(buckets: readonly Bucket[], columns: EventColumns): Bucket[] {
  const result = buckets.map((bucket) => ({ ...bucket }))
  for (let i = columns.first; i < columns.last; i++) {
    const quantum = quantumOf(columns.timesMs[i] as number)
    let at = result.length
    while (at > 0 && (result[at - 1] as Bucket).start > quantum) at--
    let bucket = result[at - 1]
    if (bucket === undefined || bucket.start + 2 ** bucket.exponent <= quantum) {
      bucket = emptyBucket(quantum, 0)
      result.splice(at, 0, bucket)
    }
    addEventTo(bucket, columns.kinds[i] as number, columns.amounts[i] as number)
  }
  return result
}

/**
 * Where the events to compact end: whole events, leaving at least `TILE_KEEP_BYTES` before `end`.
 */
export function compactionEnd(columns: EventColumns, end: number): number {
  let at = -1
  for (let i = columns.first; i < columns.last; i++) {
    const eventEnd = columns.ends[i] as number
    if (end - eventEnd < TILE_KEEP_BYTES) break
    at = eventEnd
  }
  return at
}

/**
 * The base with the events of `columns` in it. `asked`: where every question is known beforehand,
 * the only hashes (`hashIndex`) whose distinct values are kept.
 */
export function compact(
  base: TileBase,
  entity: number,
  columns: EventColumns,
  asked?: Int8Array,
): TileBase {
  let nowMs = 0
  for (let i = columns.first; i < columns.last; i++)
    nowMs = Math.max(nowMs, columns.timesMs[i] as number)
  const nowQuantum = quantumOf(nowMs)
  const buckets = coarsen(addEvents(base.buckets, columns), nowQuantum)
  const sketches = base.sketches.map((sketch, index) => {
    const hash = index === BIN_SKETCH ? -1 : index
    if (index === entity || asked?.includes(hash) === false) return EMPTY_SKETCH
    const hashes: number[] = []
    const quanta: number[] = []
    for (let i = columns.first; i < columns.last; i++) {
      if (columns.kinds[i] !== KIND_ATTEMPT) continue
      const value = readShortHash(columns.bytes, columns.starts[i] as number, hash)
      if (value === 0) continue
      hashes.push(value)
      quanta.push(quantumOf(columns.timesMs[i] as number))
    }
    const oldest = nowQuantum - RETENTION_QUANTA - 1
    return addToSketch(sketch, hashes, quanta, hashBits(hash), oldest)
  })
  // Beyond any version of an earlier life of the key, whose base may outlive its log.
  const version = Math.max(base.version + 1, nowMs)
  return { version, buckets, sketches, derived: nothingDerived() }
}

/**
 * Hands the registers of `from` on to `to`, its compaction with the events of `columns`: the events
 * are added to what was computed, which is what `registersOf` would find in the new sketches. For a
 * caller that drops `from`.
 */
export function handOnRegisters(from: TileBase, to: TileBase, columns: EventColumns): void {
  let newestMs = 0
  for (let i = columns.first; i < columns.last; i++) {
    newestMs = Math.max(newestMs, columns.timesMs[i] as number)
  }
  const oldest = quantumOf(newestMs) - RETENTION_QUANTA - 1
  for (const [name, known] of from.derived.registers) {
    // The sketches have just lost what is older.
    if (known.startQuantum < oldest) continue
    const index = name % SKETCHES
    const hash = index === BIN_SKETCH ? -1 : index
    const bits = hashBits(hash)
    for (let i = columns.first; i < columns.last; i++) {
      if (columns.kinds[i] !== KIND_ATTEMPT) continue
      if (quantumOf(columns.timesMs[i] as number) < known.startQuantum) continue
      const value = readShortHash(columns.bytes, columns.starts[i] as number, hash)
      if (value !== 0) addForGood(known.registers, value, bits)
    }
    to.derived.registers.set(name, known)
  }
}

// ---- bytes

/** Writes a version as 8 bytes, big-endian. */
export function versionBytes(version: number): Buffer {
  const bytes = Buffer.alloc(TILE_HEADER_BYTES)
  bytes.writeUIntBE(Math.floor(version / 2 ** 16), 0, 6)
  bytes.writeUInt16BE(version % 2 ** 16, 6)
  return bytes
}

export function readVersion(bytes: Buffer, at: number): number {
  return bytes.readUIntBE(at, 6) * 2 ** 16 + bytes.readUInt16BE(at + 6)
}

interface Writer {
  readonly bytes: Buffer
  at: number
}

function writeVarint(writer: Writer, value: number): void {
  let rest = value
  while (rest >= 128) {
    writer.bytes[writer.at++] = (rest % 128) | 128
    rest = Math.floor(rest / 128)
  }
  writer.bytes[writer.at++] = rest
}

function writeUint16(writer: Writer, value: number): void {
  writer.bytes[writer.at++] = value
  writer.bytes[writer.at++] = value >>> 8
}

function writeUint24(writer: Writer, value: number): void {
  writeUint16(writer, value)
  writer.bytes[writer.at++] = value >>> 16
}

function writeSketch(writer: Writer, sketch: DistinctSketch): void {
  const { keys, quanta } = sketch
  let oldest = keys.length === 0 ? 0 : Number.POSITIVE_INFINITY
  for (const quantum of quanta) oldest = Math.min(oldest, quantum)
  writer.bytes[writer.at++] = sketch.exact ? 1 : 0
  writeVarint(writer, keys.length)
  writeVarint(writer, oldest)
  for (let i = 0; i < keys.length; i++) {
    if (sketch.exact) writeUint24(writer, keys[i] as number)
    else writeUint16(writer, keys[i] as number)
    writeUint24(writer, (quanta[i] as number) - oldest)
  }
}

/** A varint below 2^53 has at most 8 bytes. */
const VARINT_BYTES_MAX = 8

function encodedBytesMax(base: TileBase): number {
  let bytes = TILE_HEADER_BYTES + 1 + VARINT_BYTES_MAX
  bytes += base.buckets.length * (1 + 6 * VARINT_BYTES_MAX)
  for (const sketch of base.sketches) bytes += 1 + 2 * VARINT_BYTES_MAX + 6 * sketch.keys.length
  return bytes
}

export function encodeBase(base: TileBase): Buffer {
  const writer: Writer = { bytes: Buffer.alloc(encodedBytesMax(base)), at: 0 }
  versionBytes(base.version).copy(writer.bytes)
  writer.at = TILE_HEADER_BYTES
  writer.bytes[writer.at++] = LAYOUT
  writeVarint(writer, base.buckets.length)
  let end = 0
  for (const bucket of base.buckets) {
    writeVarint(writer, bucket.start - end)
    writer.bytes[writer.at++] = bucket.exponent
    writeVarint(writer, bucket.attempts)
    writeVarint(writer, bucket.declines)
    writeVarint(writer, bucket.unknownAmounts)
    writeVarint(writer, bucket.sum)
    writeVarint(writer, bucket.maximum + 1)
    end = bucket.start + 2 ** bucket.exponent
  }
  for (const sketch of base.sketches) writeSketch(writer, sketch)
  return writer.bytes.subarray(0, writer.at)
}

interface Reader {
  readonly bytes: Buffer
  at: number
}

/** NaN past the end, which every caller's bounds refuse. */
function readVarint(reader: Reader): number {
  let value = 0
  let scale = 1
  for (;;) {
    const byte = reader.bytes[reader.at++]
    if (byte === undefined || scale > 2 ** 56) return Number.NaN
    value += (byte & 127) * scale
    if (byte < 128) return value
    scale *= 128
  }
}

function readUint24(bytes: Buffer, at: number): number {
  return (
    (bytes[at] as number) | ((bytes[at + 1] as number) << 8) | ((bytes[at + 2] as number) << 16)
  )
}

function readSketch(reader: Reader): DistinctSketch | undefined {
  const exact = reader.bytes[reader.at++]
  const length = readVarint(reader)
  const oldest = readVarint(reader)
  const keyBytes = exact === 1 ? 3 : 2
  const end = reader.at + (keyBytes + 3) * length
  if (!(end <= reader.bytes.length) || !(oldest < 2 ** 32)) return undefined
  if (exact === 1 && length > DISTINCT_EXACT_MAX) return undefined
  const keys = new Uint32Array(length)
  const quanta = new Uint32Array(length)
  for (let i = 0; i < length; i++) {
    keys[i] = readUint24(reader.bytes, reader.at) & (exact === 1 ? 0xffffff : 0xffff)
    quanta[i] = oldest + readUint24(reader.bytes, reader.at + keyBytes)
    reader.at += keyBytes + 3
  }
  return { exact: exact === 1, keys, quanta }
}

function readBuckets(reader: Reader): Bucket[] | undefined {
  const count = readVarint(reader)
  if (!(count <= reader.bytes.length)) return undefined
  const buckets: Bucket[] = []
  let end = 0
  for (let i = 0; i < count; i++) {
    const start = end + readVarint(reader)
    const exponent = reader.bytes[reader.at++] ?? Number.NaN
    const bucket: Bucket = {
      start,
      exponent,
      attempts: readVarint(reader),
      declines: readVarint(reader),
      unknownAmounts: readVarint(reader),
      sum: readVarint(reader),
      maximum: readVarint(reader) - 1,
    }
    if (!(exponent <= EXPONENT_MAX) || Number.isNaN(bucket.maximum)) return undefined
    buckets.push(bucket)
    end = start + 2 ** exponent
  }
  return buckets
}

/** Values, histogram and undo list of `Registers`. */
const REGISTERS_BYTES = 7_200

/** Undefined for bytes that are no base of this layout: the tile is then as if it were empty. */
export function decodeBase(bytes: Buffer): TileBase | undefined {
  if (bytes.length <= TILE_HEADER_BYTES || bytes[TILE_HEADER_BYTES] !== LAYOUT) return undefined
  const reader: Reader = { bytes, at: TILE_HEADER_BYTES + 1 }
  const buckets = readBuckets(reader)
  if (buckets === undefined) return undefined
  const sketches: DistinctSketch[] = []
  for (let i = 0; i < SKETCHES; i++) {
    const sketch = readSketch(reader)
    if (sketch === undefined) return undefined
    sketches.push(sketch)
  }
  return { version: readVersion(bytes, 0), buckets, sketches, derived: nothingDerived() }
}

/** How long a tile's log may be before it is compacted: longer, where the base is large. */
export function compactBytes(base: TileBase): number {
  const attempts = Math.round(Math.sqrt(baseBytes(base) / (ATTEMPT_BYTES / 2)))
  const bytes = TILE_HEADER_BYTES + Math.min(attempts, TILE_COMPACT_ATTEMPTS_MAX) * ATTEMPT_BYTES
  return Math.max(TILE_COMPACT_BYTES, bytes)
}

/** What a decoded base takes in memory, about; with the registers of one window a sketch. */
export function baseBytes(base: TileBase): number {
  let bytes = 500 + 100 * base.buckets.length
  for (const sketch of base.sketches) {
    bytes += 8 * sketch.keys.length + (sketch.exact ? 0 : REGISTERS_BYTES)
  }
  return bytes
}

// ---- answers

const union = createValueSet(EVENTS_MAX + BATCH_MAX + DISTINCT_EXACT_MAX)

function distinctExact(
  sketch: DistinctSketch,
  columns: EventColumns,
  hash: number,
  startMs: number,
  atMs: number,
): number {
  emptyValueSet(union, columns.last - columns.first + sketch.keys.length)
  let distinct = 0
  const startQuantum = quantumOf(startMs)
  for (let i = 0; i < sketch.keys.length; i++) {
    if ((sketch.quanta[i] as number) < startQuantum) continue
    if (addValue(union, sketch.keys[i] as number)) distinct++
  }
  for (let i = columns.first; i < columns.last; i++) {
    const timeMs = columns.timesMs[i] as number
    if (columns.kinds[i] !== KIND_ATTEMPT || timeMs <= startMs || timeMs > atMs) continue
    const value = readShortHash(columns.bytes, columns.starts[i] as number, hash)
    if (value !== 0 && addValue(union, value)) distinct++
  }
  return distinct
}

function registersFor(base: TileBase, hash: number, startMs: number, windowMs: number): Registers {
  // Started where buckets of this window may start, so that they serve many attempts.
  const bucketMs = bucketMsMax(windowMs)
  const startQuantum = quantumOf(Math.floor(startMs / bucketMs) * bucketMs)
  const name = windowMs * SKETCHES + sketchIndex(hash)
  const known = base.derived.registers.get(name)
  if (known?.startQuantum === startQuantum) return known.registers
  const sketch = base.sketches[sketchIndex(hash)] as DistinctSketch
  const registers = registersOf(sketch, startQuantum)
  base.derived.registers.set(name, { startQuantum, registers })
  return registers
}

function distinctEstimated(
  base: TileBase,
  columns: EventColumns,
  hash: number,
  startMs: number,
  atMs: number,
): number {
  const bits = hashBits(hash)
  const registers = registersFor(base, hash, startMs, atMs - startMs)
  for (let i = columns.first; i < columns.last; i++) {
    const timeMs = columns.timesMs[i] as number
    if (columns.kinds[i] !== KIND_ATTEMPT || timeMs <= startMs || timeMs > atMs) continue
    const value = readShortHash(columns.bytes, columns.starts[i] as number, hash)
    if (value !== 0) addForNow(registers, value, bits)
  }
  const distinct = estimate(registers, bits)
  undoAdditions(registers)
  return distinct
}

function suffixTotals(buckets: readonly Bucket[]): SuffixTotals {
  const size = buckets.length
  const totals: SuffixTotals = {
    endsMs: new Float64Array(size),
    attempts: new Float64Array(size + 1),
    declines: new Float64Array(size + 1),
    unknownAmounts: new Float64Array(size + 1),
    sums: new Float64Array(size + 1),
    maxima: new Float64Array(size + 1).fill(-1),
  }
  for (let i = size - 1; i >= 0; i--) {
    const bucket = buckets[i] as Bucket
    totals.endsMs[i] = (bucket.start + 2 ** bucket.exponent) * TILE_QUANTUM_MS
    totals.attempts[i] = (totals.attempts[i + 1] as number) + bucket.attempts
    totals.declines[i] = (totals.declines[i + 1] as number) + bucket.declines
    totals.unknownAmounts[i] = (totals.unknownAmounts[i + 1] as number) + bucket.unknownAmounts
    totals.sums[i] = (totals.sums[i + 1] as number) + bucket.sum
    totals.maxima[i] = Math.max(totals.maxima[i + 1] as number, bucket.maximum)
  }
  return totals
}

/** The first bucket that holds milliseconds after `startMs`. */
function firstBucketAfter(endsMs: Float64Array, startMs: number): number {
  let low = 0
  let high = endsMs.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((endsMs[middle] as number) - 1 > startMs) high = middle
    else low = middle + 1
  }
  return low
}

function addBaseTotals(
  totals: WindowTotals,
  base: TileBase,
  query: EntityQuery,
  atMs: number,
): void {
  base.derived.totals ??= suffixTotals(base.buckets)
  const suffix = base.derived.totals
  // Buckets that begin after the attempt, which clocks that differ can make, are not in its window.
  let later = base.buckets.length
  while (later > 0 && (base.buckets[later - 1] as Bucket).start * TILE_QUANTUM_MS > atMs) later--
  for (let w = 0; w < query.windowsMs.length; w++) {
    const startMs = atMs - (query.windowsMs[w] as number)
    const from = Math.min(firstBucketAfter(suffix.endsMs, startMs), later)
    addBetween(totals.counts, w, suffix.attempts, from, later)
    addBetween(totals.sums, w, suffix.sums, from, later)
    addBetween(totals.declines, w, suffix.declines, from, later)
    addBetween(totals.unknownAmounts, w, suffix.unknownAmounts, from, later)
    let maximum = suffix.maxima[from] as number
    if (later < base.buckets.length) maximum = maximumBetween(base.buckets, from, later)
    if (maximum > (totals.maxima[w] as number)) totals.maxima[w] = maximum
  }
}

function addBetween(
  into: Float64Array,
  w: number,
  column: Float64Array,
  from: number,
  to: number,
): void {
  into[w] = (into[w] as number) + ((column[from] as number) - (column[to] as number))
}

function maximumBetween(buckets: readonly Bucket[], from: number, to: number): number {
  let maximum = -1
  for (let i = from; i < to; i++) maximum = Math.max(maximum, (buckets[i] as Bucket).maximum)
  return maximum
}

function distinctOfTile(
  base: TileBase,
  columns: EventColumns,
  hash: number,
  startMs: number,
  atMs: number,
): number {
  const sketch = base.sketches[sketchIndex(hash)] as DistinctSketch
  return sketch.exact
    ? distinctExact(sketch, columns, hash, startMs, atMs)
    : distinctEstimated(base, columns, hash, startMs, atMs)
}

/**
 * Answers one attempt from the events of its tile's log (`readEvents`) and the base. `full`: the
 * log refused events, so everything is a lower bound.
 */
export function answerFromTile(
  answer: Answer,
  query: EntityQuery,
  totals: WindowTotals,
  columns: EventColumns,
  base: TileBase,
  full: boolean,
  own: EventSource,
  ownEnd: number,
): void {
  const atMs = readTime(own.bytes, ownEnd - ATTEMPT_BYTES)
  addWindowTotals(totals, columns, query, atMs)
  addBaseTotals(totals, base, query, atMs)
  if (full) totals.lowerBounds.fill(1)
  fillAnswer(answer, query, totals, columns, own, ownEnd, distinctOfTile, base)
}

/** The widest bucket that a window of this length can be cut at: the error of a tile's answer. */
export function bucketMsMax(windowMs: number): number {
  let width = TILE_QUANTUM_MS
  while (TILE_BUCKETS_PER_WINDOW * 2 * width < windowMs) width *= 2
  return width
}
