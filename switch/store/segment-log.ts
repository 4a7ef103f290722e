// The append-only log: the only truth of the embedded store. Its segments' bytes are drawn in
// `segment.ts`. One group is appended at a time and is durable when `append` resolves; a group that
// was never durable is cut at the next open, anything else that does not read back is refused.

import { crc32 } from 'node:zlib'
import type { Disk, DiskFile, Random } from '../ports.ts'

import { SPAN_BYTES_MAX, seekTable, TABLE_ENTRY_BYTES } from './compacted-segment.ts'
import { CompactedWriter, type RewrittenRecord } from './compacted-writer.ts'
import {
  bodyOf,
  type CutTail,
  DRAFT_SUFFIX,
  damage,
  endOf,
  type FoundLog,
  findSegments,
  inspect,
  type LogProblem,
  refused,
  type Segment,
} from './find-segments.ts'
import {
  OPEN_SEGMENTS_MAX,
  READ_BYTES,
  SCAN_BYTES,
  SEARCH_BYTES_MAX,
  SEEK_BYTES,
} from './limits.ts'
import {
  asBuffer,
  encodeHeader,
  FORMAT_VERSION,
  FRAME_BYTES,
  frameLength,
  frameSeed,
  frameSinceGroup,
  HEADER_BYTES,
  holdsFrame,
  segmentName,
} from './segment.ts'

export { type CutTail, endOf, type LogProblem, type Segment } from './find-segments.ts'

export interface SegmentLogOptions {
  readonly disk: Disk
  /** Names a new log. */
  readonly random: Random
  readonly segmentBytes: number
  readonly recordBytesMax: number
  /** Neither creates nor cuts nor syncs: for tools beside a running switch. */
  readonly readOnly?: boolean
}

export type OpenedLog =
  | { readonly ok: true; readonly log: SegmentLog; readonly cutTail: CutTail | null }
  | { readonly ok: false; readonly problem: LogProblem }

type Settled =
  | { readonly ok: true; readonly cutTail: CutTail | null }
  | { readonly ok: false; readonly problem: LogProblem }

/** Gets a record's position and its payload, which is the scan's own until this returns. */
export type RecordVisitor = (position: number, payload: Uint8Array) => Promise<void> | undefined

interface SegmentFile {
  readonly file: DiskFile
  readonly segment: Segment
}

interface OpenSegment {
  readonly ready: Promise<SegmentFile>
  /** Reads under way: it is not closed below them. */
  users: number
  /** Another file has its name by now: it is closed after the last read. */
  isReplaced: boolean
  /** Where a compacted segment's records lie. */
  table: Promise<Buffer> | undefined
}

/** How adjacent segments are to be rewritten as one. */
export interface Rewriting {
  /** Adjacent, none of them the newest. */
  readonly run: readonly Segment[]
  readonly writtenBeforeMs: number
  /** A record as it is to be from now on; null where it is not kept. */
  rewrite(position: number, payload: Uint8Array): RewrittenRecord | null
  /** Asked after each piece of the work: a pause for what cannot wait; false ends the rewriting. */
  pause(): Promise<boolean>
  /** Before the new segment takes the place of the old ones. */
  beforeSwap(): Promise<void>
}

/** Where reading stopped, and why: at the end, behind what was asked for, or at a bad frame. */
interface Scanned {
  readonly offset: number
  readonly why: 'end' | 'until' | 'bad'
}

/** Times that a scan looks again after another process took its segment away. */
const RETRIES_MAX = 8

/** A record was asked for that does not read back. A bug, or a disk that loses bytes. */
export class LogDamage extends Error {
  override readonly name = 'LogDamage'
  readonly code = 'log_damaged'
}

export class SegmentLog {
  readonly logId: Uint8Array
  /** What the CRC of this log's frames starts from. */
  readonly seed: number
  readonly #disk: Disk
  readonly #segmentBytes: number
  readonly #recordBytesMax: number
  readonly #segments: Segment[]
  readonly #reading = new Map<string, OpenSegment>()
  /** The file of a segment that could not be begun may be there. */
  #unbegun: string | undefined
  /** The newest segment, for writing and reading: its length is known to this handle alone. */
  #writing: DiskFile
  #newestOpened: OpenSegment
  readonly #isReadOnly: boolean
  readonly #random: Random
  /** Reads under way, of all segments. */
  #reads = 0
  #onReadsEnded: (() => void) | undefined

  private constructor(options: SegmentLogOptions, found: FoundLog, writing: DiskFile) {
    if (options.recordBytesMax + FRAME_BYTES > SCAN_BYTES) {
      throw new Error('a scan must hold the largest frame: raise SCAN_BYTES')
    }
    this.logId = found.logId
    this.seed = frameSeed(found.logId)
    this.#disk = options.disk
    this.#segmentBytes = options.segmentBytes
    this.#recordBytesMax = options.recordBytesMax
    this.#segments = found.segments
    this.#writing = writing
    this.#newestOpened = opened(writing, this.#newest())
    this.#isReadOnly = options.readOnly === true
    this.#random = options.random
  }

  /**
   * Opens the log: checks every header and the chain of segments, and every byte of the newest
   * segment. Cuts a torn tail. Rejects only with the disk's own errors.
   */
  static async open(options: SegmentLogOptions): Promise<OpenedLog> {
    const found = await findWhileOthersWork(options)
    if (!found.ok) return found
    if (options.readOnly !== true) {
      for (const name of found.leftOvers) await options.disk.remove(name)
    }
    const newest = found.segments.at(-1)
    if (newest === undefined) {
      if (options.readOnly === true) {
        return refused({ code: 'log_absent', message: 'the folder holds no transaction log' })
      }
      return SegmentLog.#create(options, found)
    }
    // Only what has a successor is compacted: its successor is what is missing.
    if (newest.compacted !== null) return refused(damage(newest, newest.sizeBytes))
    const file = await options.disk.open(newest.name)
    const log = new SegmentLog(options, found, file)
    const outcome = await log.#settleTail(newest, file, found.torn, options.readOnly === true)
    if (!outcome.ok) {
      await file.close()
      return outcome
    }
    // An older version reads its own segments and refuses this one's, so the two are never mixed.
    if (newest.format < FORMAT_VERSION && options.readOnly !== true) await log.#rotate()
    return { ok: true, log, cutTail: outcome.cutTail }
  }

  static async #create(options: SegmentLogOptions, found: FoundLog): Promise<OpenedLog> {
    const base = found.torn?.base ?? 0
    const name = segmentName(base)
    const file = await options.disk.open(name)
    await startSegment(file, found.logId, base)
    found.segments.push(plainSegment(name, base, file.sizeBytes))
    return { ok: true, log: new SegmentLog(options, found, file), cutTail: found.torn }
  }

  /** Position of the first record that is still kept, or of the first one to come. */
  get firstPosition(): number {
    return (this.#segments[0]?.base ?? 0) + HEADER_BYTES
  }

  /** Position behind the last whole record. */
  get endPosition(): number {
    const newest = this.#newest()
    return newest.base + newest.sizeBytes
  }

  /** Of all files. */
  get bytes(): number {
    let bytes = 0
    for (const { sizeBytes } of this.#segments) bytes += sizeBytes
    return bytes
  }

  /** All but the newest, oldest first. */
  get sealed(): readonly Segment[] {
    return this.#segments.slice(0, -1)
  }

  /** Of this moment, the newest with its whole records. */
  get all(): readonly Segment[] {
    return this.#segments.map((segment) => ({ ...segment }))
  }

  /** Where the newest segment begins. */
  get newestBase(): number {
    return this.#newest().base
  }

  /** Some records that were written are no longer there. */
  get isShortened(): boolean {
    return this.firstPosition > HEADER_BYTES || this.#segments.some((one) => one.compacted !== null)
  }

  get segments(): number {
    return this.#segments.length
  }

  /**
   * Appends one group of whole frames. Resolves with the position of its first byte, when all of it
   * is on stable storage. One caller at a time. Once it has rejected the log must not be used for
   * writing again: what is on disk is unknown.
   */
  async append(group: Uint8Array): Promise<number> {
    if (this.#newest().sizeBytes >= this.#segmentBytes) await this.#rotate()
    else if (this.#unbegun !== undefined) await this.#removeUnbegun(this.#unbegun)
    const newest = this.#newest()
    const position = newest.base + newest.sizeBytes
    await this.#writing.append(group)
    await this.#writing.sync()
    newest.sizeBytes += group.length
    return position
  }

  /**
   * Begins a new segment, where the newest holds anything. Not beside `append`, which goes on in the
   * newest one where this rejects.
   */
  async seal(): Promise<void> {
    if (this.#newest().sizeBytes > HEADER_BYTES) await this.#rotate()
  }

  /** The payload of the record at `position`. Rejects with LogDamage, or the disk's error. */
  async read(position: number): Promise<Uint8Array> {
    const oldest = this.#segments[0]?.base ?? 0
    if (position < oldest) throw new LogDamage(`record ${position} is no longer kept`)
    const used = this.#use(this.#segmentAt(position))
    try {
      const { file, segment } = await used.ready
      const bytes =
        segment.compacted === null
          ? await this.#readFrame(file, position - segment.base)
          : await this.#readCompacted(used, file, segment, position)
      if (bytes === undefined) {
        const offset = position - segment.base
        throw new LogDamage(`no whole record at byte ${offset} of segment ${segment.name}`)
      }
      return bytes
    } finally {
      this.#leave(used)
    }
  }

  async #readFrame(file: DiskFile, offset: number): Promise<Uint8Array | undefined> {
    let bytes = asBuffer(await file.read(offset, READ_BYTES))
    if (bytes.length >= FRAME_BYTES) {
      const length = frameLength(bytes, 0)
      if (length <= this.#recordBytesMax && length > bytes.length - FRAME_BYTES) {
        bytes = asBuffer(await file.read(offset, FRAME_BYTES + length))
      }
    }
    if (!holdsFrame(bytes, 0, bytes.length, this.seed, this.#recordBytesMax)) return undefined
    return bytes.subarray(FRAME_BYTES, FRAME_BYTES + frameLength(bytes, 0))
  }

  async #readCompacted(
    used: OpenSegment,
    file: DiskFile,
    segment: Segment,
    position: number,
  ): Promise<Uint8Array | undefined> {
    used.table ??= this.#readTable(file, segment)
    const start = seekTable(await used.table, position - segment.base)
    if (start === undefined) return undefined
    let found: Uint8Array | undefined
    const visit: RecordVisitor = (at, payload) => {
      if (at === position) found = payload.slice()
      return undefined
    }
    await this.#scanSegment(file, segment, start, visit, position, SEEK_BYTES)
    return found
  }

  async #readTable(file: DiskFile, segment: Segment): Promise<Buffer> {
    const { compacted, name } = segment
    const bytes = (compacted?.tableEntries ?? 0) * TABLE_ENTRY_BYTES
    const table = asBuffer(await file.read(bodyOf(segment).to, bytes))
    if (table.length !== bytes || crc32(table, this.seed) !== compacted?.tableCrc) {
      throw new LogDamage(`the table of segment ${name} does not read back`)
    }
    return table
  }

  /** Visits every record from `from` on, a record's position, in order, up to `to`. */
  async scan(
    from: number,
    visit: RecordVisitor,
    to: number = this.endPosition,
  ): Promise<LogProblem | undefined> {
    let at = Math.max(from, this.#segments[0]?.base ?? 0)
    let retries = 0
    while (at < to) {
      const used = this.#use(this.#segmentAt(at))
      try {
        const { file, segment } = await used.ready
        const { from: first } = bodyOf(segment)
        const isPlain = segment.compacted === null
        const offset = isPlain ? Math.max(at - segment.base, first) : first
        const least = at
        const fromHere: RecordVisitor = (position, payload) =>
          position < least ? undefined : visit(position, payload)
        const bytesMax = Math.min(SCAN_BYTES, Math.max(SEEK_BYTES, to - at))
        const stop = await this.#scanSegment(file, segment, offset, fromHere, to - 1, bytesMax)
        if (stop.why === 'bad') return damage(segment, stop.offset)
        if (stop.why === 'until') return undefined
        at = isPlain ? segment.base + stop.offset : endOf(segment)
      } catch (error) {
        const isGone = (error as NodeJS.ErrnoException).code === 'ENOENT' && this.#isReadOnly
        if (!isGone || retries++ >= RETRIES_MAX) throw error
        const problem = await this.#findAgain()
        if (problem !== undefined) return problem
        at = Math.max(at, this.#segments[0]?.base ?? 0)
      } finally {
        this.#leave(used)
      }
    }
    return undefined
  }

  /** Another process compacts what is read here: what it took away has another file by now. */
  async #findAgain(): Promise<LogProblem | undefined> {
    const found = await findSegments({ disk: this.#disk, random: this.#random })
    if (!found.ok) return found.problem
    const newest = this.#newest()
    const older = found.segments.filter(({ base }) => base < newest.base)
    this.#segments.splice(0, this.#segments.length - 1, ...older)
    return undefined
  }

  /**
   * Writes adjacent segments anew, as one that has their place, and removes them. At every moment
   * the folder holds the old ones or the new one whole. Returns false where `pause` ended it.
   * Rejects with the disk's error; the log is as it was then, or as it is to be.
   */
  async rewrite(rewriting: Rewriting): Promise<boolean> {
    const { run } = rewriting
    const first = run[0] as Segment
    const end = endOf(run.at(-1) as Segment)
    if (end - first.base > SPAN_BYTES_MAX) throw new Error('the segments span too much to be one')
    const draft = first.name + DRAFT_SUFFIX
    const writer = await CompactedWriter.start({
      disk: this.#disk,
      name: draft,
      base: first.base,
      end,
      logId: this.logId,
    })
    let isEnded = false
    let problem: LogProblem | undefined
    try {
      const visit: RecordVisitor = (position, payload) => {
        if (isEnded) return undefined
        const record = rewriting.rewrite(position, payload)
        if (record !== null) writer.add(position, record)
        if (!writer.isDue) return undefined
        return writer.flush().then(async () => {
          isEnded = !(await rewriting.pause())
        })
      }
      problem = await this.scan(first.base, visit, end)
      if (!isEnded && problem === undefined) await writer.finish(rewriting.writtenBeforeMs)
    } catch (error) {
      await writer.abandon().catch(() => {})
      throw error
    }
    if (problem !== undefined) throw new LogDamage(problem.message)
    if (isEnded) {
      await writer.abandon()
      return false
    }
    await writer.close()
    await rewriting.beforeSwap()
    if (writer.records === 0 && first === this.#segments[0]) await this.#removeFirst(run.length)
    else await this.#swap(draft, first.name, run)
    return true
  }

  /** Oldest first, so that at no moment one is missing between two others. */
  async #removeFirst(count: number): Promise<void> {
    for (let i = 0; i < count; i++) {
      const { name } = this.#segments.shift() as Segment
      this.#replaced(name)
      await this.#disk.remove(name)
      if (i === 0) await this.#disk.remove(name + DRAFT_SUFFIX)
    }
  }

  async #swap(draft: string, name: string, run: readonly Segment[]): Promise<void> {
    await this.#disk.rename(draft, name)
    const file = await this.#disk.open(name)
    const inspected = await inspect(file, name)
    await file.close()
    if (inspected.kind === 'problem') throw new LogDamage(inspected.problem.message)
    this.#replaced(name)
    this.#adopt(inspected.segment)
    for (const covered of run.slice(1)) await this.#disk.remove(covered.name)
  }

  /** A compacted segment takes the place of those whose positions it covers. */
  #adopt(segment: Segment): void {
    const from = this.#segments.findIndex(({ base }) => base === segment.base)
    let to = from
    while (to < this.#segments.length && (this.#segments[to] as Segment).base < endOf(segment)) to++
    for (const { name } of this.#segments.splice(from, to - from, segment)) {
      if (name !== segment.name) this.#replaced(name)
    }
  }

  #replaced(name: string): void {
    const known = this.#reading.get(name)
    if (known === undefined) return
    this.#reading.delete(name)
    known.isReplaced = true
    if (known.users === 0) closeLater(known)
  }

  /** Waits for the reads under way. */
  async close(): Promise<void> {
    if (this.#reads > 0) {
      await new Promise<void>((resolve) => {
        this.#onReadsEnded = resolve
      })
    }
    await this.#writing.close()
    for (const { ready } of this.#reading.values()) await (await ready).file.close()
    this.#reading.clear()
  }

  /** Stops at the first record behind `until`. */
  async #scanSegment(
    file: DiskFile,
    segment: Segment,
    from: number,
    visit?: RecordVisitor,
    until: number = Number.POSITIVE_INFINITY,
    bytesMax: number = SCAN_BYTES,
  ): Promise<Scanned> {
    const size = bodyOf(segment).to
    let window: Buffer = Buffer.alloc(0)
    let start = from
    let offset = from
    while (offset < size) {
      let at = offset - start
      if (!this.#isInside(window, at) && start + window.length < size) {
        const bytes = this.#windowBytes(window, at, bytesMax)
        window = asBuffer(await file.read(offset, Math.min(bytes, size - offset)))
        start = offset
        at = 0
      }
      if (!holdsFrame(window, at, window.length, this.seed, this.#recordBytesMax)) {
        return { offset, why: 'bad' }
      }
      const frameEnd = at + FRAME_BYTES + frameLength(window, at)
      const relative = segment.compacted === null ? offset : frameSinceGroup(window, at)
      const position = segment.base + relative
      if (position > until) return { offset, why: 'until' }
      const pause = visit?.(position, window.subarray(at + FRAME_BYTES, frameEnd))
      if (pause !== undefined) await pause
      offset = start + frameEnd
    }
    return { offset, why: 'end' }
  }

  /** What is read at once: more than the usual where the frame at `at` is known to be longer. */
  #windowBytes(window: Buffer, at: number, bytesMax: number): number {
    if (at + FRAME_BYTES > window.length) return bytesMax
    const length = frameLength(window, at)
    return length > this.#recordBytesMax ? bytesMax : Math.max(bytesMax, FRAME_BYTES + length)
  }

  /** Whether the window holds all of the frame at `at`, as far as its length can be believed. */
  #isInside(window: Buffer, at: number): boolean {
    if (at + FRAME_BYTES > window.length) return false
    return at + FRAME_BYTES + frameLength(window, at) <= window.length
  }

  /** Cuts what was never durable; refuses what is damaged; makes the rest durable. */
  async #settleTail(
    newest: Segment,
    file: DiskFile,
    tornNext: FoundLog['torn'],
    readOnly: boolean,
  ): Promise<Settled> {
    const { offset: end } = await this.#scanSegment(file, newest, HEADER_BYTES)
    const bytes = newest.sizeBytes - end
    // A segment that had a successor, even one that never began, was durable to its end.
    const wasDurable = tornNext !== null || (await this.#holdsLaterGroup(file, end, newest))
    if (bytes > 0 && wasDurable) return refused(damage(newest, end))
    newest.sizeBytes = end
    if (tornNext !== null) {
      // The next rotation makes it again.
      if (!readOnly) await this.#disk.remove(tornNext.segment)
      return { ok: true, cutTail: tornNext }
    }
    if (!readOnly) {
      if (bytes > 0) await file.truncate(end)
      // After kill -9 the page cache may show records that never reached the disk: they count from
      // here on, so they go there now.
      await file.sync()
    }
    return { ok: true, cutTail: bytes > 0 ? { segment: newest.name, offset: end, bytes } : null }
  }

  /** Whether a group that begins behind `badOffset` has a whole frame in the file. */
  async #holdsLaterGroup(file: DiskFile, badOffset: number, segment: Segment): Promise<boolean> {
    const tail = asBuffer(await file.read(badOffset, segment.sizeBytes - badOffset))
    let budgetBytes = SEARCH_BYTES_MAX
    for (let at = 1; at + FRAME_BYTES < tail.length; at++) {
      const sinceGroup = frameSinceGroup(tail, at)
      const length = frameLength(tail, at)
      if (sinceGroup >= at || length === 0 || length > this.#recordBytesMax) continue
      if (at + FRAME_BYTES + length > tail.length) continue
      budgetBytes -= length
      // A tail this strange was not left by a torn write: keep it for a person to look at.
      if (budgetBytes < 0) return true
      if (holdsFrame(tail, at, tail.length, this.seed, this.#recordBytesMax)) return true
    }
    return false
  }

  async #rotate(): Promise<void> {
    const base = this.endPosition
    const name = segmentName(base)
    this.#unbegun = name
    const next = await this.#disk.open(name)
    try {
      await startSegment(next, this.logId, base)
    } catch (error) {
      await next.close().catch(() => {})
      throw error
    }
    this.#unbegun = undefined
    this.#reading.set(this.#newest().name, this.#newestOpened)
    this.#writing = next
    const segment = plainSegment(name, base, next.sizeBytes)
    this.#segments.push(segment)
    this.#newestOpened = opened(next, segment)
  }

  /** A segment that could not be begun would no longer follow the newest once that has grown. */
  async #removeUnbegun(name: string): Promise<void> {
    const names = await this.#disk.list()
    if (names.includes(name)) await this.#disk.remove(name)
    this.#unbegun = undefined
  }

  #newest(): Segment {
    return this.#segments[this.#segments.length - 1] as Segment
  }

  #segmentAt(position: number): Segment {
    let low = 0
    let high = this.#segments.length - 1
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if ((this.#segments[middle] as Segment).base <= position) low = middle
      else high = middle - 1
    }
    return this.#segments[low] as Segment
  }

  #use(segment: Segment): OpenSegment {
    const used = this.#openForReading(segment)
    used.users++
    this.#reads++
    return used
  }

  #leave(used: OpenSegment): void {
    used.users--
    this.#reads--
    if (used.isReplaced && used.users === 0) closeLater(used)
    if (this.#reads === 0) this.#onReadsEnded?.()
  }

  #openForReading(segment: Segment): OpenSegment {
    if (segment === this.#newest()) return this.#newestOpened
    const known = this.#reading.get(segment.name)
    if (known !== undefined) {
      this.#reading.delete(segment.name)
      this.#reading.set(segment.name, known)
      return known
    }
    for (const [name, one] of this.#reading) {
      if (this.#reading.size < OPEN_SEGMENTS_MAX) break
      if (one.users > 0) continue
      this.#reading.delete(name)
      closeLater(one)
    }
    const ready = this.#openSegment(segment)
    const fresh = { ready, users: 0, isReplaced: false, table: undefined }
    // A failed open is not kept: the next read tries again.
    ready.catch(() => {
      if (this.#reading.get(segment.name) === fresh) this.#reading.delete(segment.name)
    })
    this.#reading.set(segment.name, fresh)
    return fresh
  }

  /** The file may be another than the one that was found: it was compacted since. */
  async #openSegment(segment: Segment): Promise<SegmentFile> {
    const file = await this.#disk.open(segment.name)
    const inspected = await inspect(file, segment.name)
    if (inspected.kind === 'problem' || inspected.segment.compacted === null) {
      return { file, segment }
    }
    if (inspected.segment.compacted.end > endOf(segment)) this.#adopt(inspected.segment)
    return { file, segment: inspected.segment }
  }
}

/** A reader looks again where a file went away between its listing and its reading. */
async function findWhileOthersWork(options: SegmentLogOptions) {
  for (let retries = 0; ; retries++) {
    try {
      return await findSegments(options)
    } catch (error) {
      const isGone = (error as NodeJS.ErrnoException).code === 'ENOENT' && options.readOnly === true
      if (!isGone || retries >= RETRIES_MAX) throw error
    }
  }
}

function opened(file: DiskFile, segment: Segment | undefined): OpenSegment {
  if (segment === undefined) throw new Error('an open log has a newest segment')
  const ready = Promise.resolve({ file, segment })
  return { ready, users: 0, isReplaced: false, table: undefined }
}

function closeLater({ ready }: OpenSegment): void {
  void ready.then(({ file }) => file.close()).catch(() => {})
}

function plainSegment(name: string, base: number, sizeBytes: number): Segment {
  return { name, base, format: FORMAT_VERSION, sizeBytes, compacted: null }
}

async function startSegment(file: DiskFile, logId: Uint8Array, base: number): Promise<void> {
  if (file.sizeBytes > 0) await file.truncate(0)
  await file.append(encodeHeader(logId, base))
  await file.sync()
}
