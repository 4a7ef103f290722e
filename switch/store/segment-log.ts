// The append-only log: the only truth of the embedded store. Its segments' bytes are drawn in
// `segment.ts`. One group is appended at a time and is durable when `append` resolves; a group that
// was never durable is cut at the next open, anything else that does not read back is refused.

import type { Disk, DiskFile, Random } from '../ports.ts'
import { OPEN_SEGMENTS_MAX, READ_BYTES, SCAN_BYTES, SEARCH_BYTES_MAX } from './limits.ts'
import {
  asBuffer,
  decodeHeader,
  encodeHeader,
  FORMAT_VERSION,
  FRAME_BYTES,
  frameLength,
  frameSeed,
  frameSinceGroup,
  HEADER_BYTES,
  holdsFrame,
  LOG_ID_BYTES,
  segmentBase,
  segmentName,
} from './segment.ts'

/** Why a log can't be used. Nothing was written. */
export interface LogProblem {
  readonly code: 'log_damaged' | 'log_newer' | 'log_absent' | 'log_read_failed'
  /** What is wrong, where, and what to do. */
  readonly message: string
  readonly segment?: string
  /** Byte offset in the segment's file. */
  readonly offset?: number
}

/** A torn tail that was cut: bytes of a group whose flush had not returned. */
export interface CutTail {
  readonly segment: string
  /** Byte offset in the segment's file where the whole records end. */
  readonly offset: number
  readonly bytes: number
}

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

interface Segment {
  readonly name: string
  readonly base: number
  readonly format: number
  sizeBytes: number
}

interface OpenSegment {
  readonly file: Promise<DiskFile>
  /** Reads under way: it is not closed below them. */
  users: number
}

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
  /** The newest segment, for writing and reading: its length is known to this handle alone. */
  #writing: DiskFile
  #newestOpened: OpenSegment
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
    this.#newestOpened = { file: Promise.resolve(writing), users: 0 }
  }

  /**
   * Opens the log: checks every header and the chain of segments, and every byte of the newest
   * segment. Cuts a torn tail. Rejects only with the disk's own errors.
   */
  static async open(options: SegmentLogOptions): Promise<OpenedLog> {
    const found = await findSegments(options)
    if (!found.ok) return found
    const newest = found.segments.at(-1)
    if (newest === undefined) {
      if (options.readOnly === true) {
        return refused({ code: 'log_absent', message: 'the folder holds no transaction log' })
      }
      return SegmentLog.#create(options, found)
    }
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
    found.segments.push({ name, base, format: FORMAT_VERSION, sizeBytes: file.sizeBytes })
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

  get bytes(): number {
    return this.endPosition - (this.#segments[0]?.base ?? 0)
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
    const newest = this.#newest()
    const position = newest.base + newest.sizeBytes
    await this.#writing.append(group)
    await this.#writing.sync()
    newest.sizeBytes += group.length
    return position
  }

  /** The payload of the record at `position`. Rejects with LogDamage, or the disk's error. */
  async read(position: number): Promise<Uint8Array> {
    const segment = this.#segmentAt(position)
    const offset = position - segment.base
    const opened = this.#use(segment)
    try {
      const file = await opened.file
      let bytes = asBuffer(await file.read(offset, READ_BYTES))
      if (bytes.length >= FRAME_BYTES) {
        const length = frameLength(bytes, 0)
        if (length <= this.#recordBytesMax && length > bytes.length - FRAME_BYTES) {
          bytes = asBuffer(await file.read(offset, FRAME_BYTES + length))
        }
      }
      if (!holdsFrame(bytes, 0, bytes.length, this.seed, this.#recordBytesMax)) {
        throw new LogDamage(`no whole record at byte ${offset} of segment ${segment.name}`)
      }
      return bytes.subarray(FRAME_BYTES, FRAME_BYTES + frameLength(bytes, 0))
    } finally {
      this.#leave(opened)
    }
  }

  /** Visits every record from `from` on, a record's position, in order. */
  async scan(from: number, visit: RecordVisitor): Promise<LogProblem | undefined> {
    for (const segment of [...this.#segments]) {
      const end = segment.base + segment.sizeBytes
      if (end <= from) continue
      const offset = Math.max(from - segment.base, HEADER_BYTES)
      const opened = this.#use(segment)
      try {
        const file = await opened.file
        const stopped = await this.#scanSegment(file, segment, offset, visit)
        if (stopped < segment.sizeBytes) return damage(segment, stopped)
      } finally {
        this.#leave(opened)
      }
    }
    return undefined
  }

  /** Waits for the reads under way. */
  async close(): Promise<void> {
    if (this.#reads > 0) {
      await new Promise<void>((resolve) => {
        this.#onReadsEnded = resolve
      })
    }
    await this.#writing.close()
    for (const { file } of this.#reading.values()) await (await file).close()
    this.#reading.clear()
  }

  /** Returns the offset where whole records end. */
  async #scanSegment(
    file: DiskFile,
    segment: Segment,
    from: number,
    visit?: RecordVisitor,
  ): Promise<number> {
    const size = segment.sizeBytes
    let window: Buffer = Buffer.alloc(0)
    let start = from
    let offset = from
    while (offset < size) {
      let at = offset - start
      if (!this.#isInside(window, at) && start + window.length < size) {
        window = asBuffer(await file.read(offset, Math.min(SCAN_BYTES, size - offset)))
        start = offset
        at = 0
      }
      if (!holdsFrame(window, at, window.length, this.seed, this.#recordBytesMax)) return offset
      const frameEnd = at + FRAME_BYTES + frameLength(window, at)
      const pause = visit?.(segment.base + offset, window.subarray(at + FRAME_BYTES, frameEnd))
      if (pause !== undefined) await pause
      offset = start + frameEnd
    }
    return offset
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
    const end = await this.#scanSegment(file, newest, HEADER_BYTES)
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
    const next = await this.#disk.open(name)
    await startSegment(next, this.logId, base)
    this.#reading.set(this.#newest().name, this.#newestOpened)
    this.#writing = next
    this.#newestOpened = { file: Promise.resolve(next), users: 0 }
    this.#segments.push({ name, base, format: FORMAT_VERSION, sizeBytes: next.sizeBytes })
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
    const opened = this.#openForReading(segment)
    opened.users++
    this.#reads++
    return opened
  }

  #leave(opened: OpenSegment): void {
    opened.users--
    this.#reads--
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
    for (const [name, { users, file }] of this.#reading) {
      if (this.#reading.size < OPEN_SEGMENTS_MAX) break
      if (users > 0) continue
      this.#reading.delete(name)
      void file.then((opened) => opened.close())
    }
    const opened = { file: this.#disk.open(segment.name), users: 0 }
    // A failed open is not kept: the next read tries again.
    opened.file.catch(() => this.#reading.delete(segment.name))
    this.#reading.set(segment.name, opened)
    return opened
  }
}

interface FoundLog {
  readonly ok: true
  readonly logId: Uint8Array
  readonly segments: Segment[]
  /** A newest segment whose header never became durable; it holds nothing. */
  readonly torn: (CutTail & { readonly base: number }) | null
}

/** Reads every header and checks that the segments follow one another. Writes nothing. */
async function findSegments(
  options: SegmentLogOptions,
): Promise<FoundLog | { readonly ok: false; readonly problem: LogProblem }> {
  const names = (await options.disk.list()).filter((name) => segmentBase(name) !== undefined)
  const segments: Segment[] = []
  let logId: Uint8Array | undefined
  let torn: FoundLog['torn'] = null
  for (const [index, name] of names.entries()) {
    const file = await options.disk.open(name)
    const sizeBytes = file.sizeBytes
    const header = decodeHeader(await file.read(0, HEADER_BYTES))
    await file.close()
    const base = segmentBase(name) as number
    if (header.kind === 'newer') return refused(newer(name, header.format))
    if (header.kind === 'unreadable') {
      // Frames come only after the header is durable, so a short newest file was never used.
      if (index < names.length - 1 || sizeBytes > HEADER_BYTES) {
        return refused(damage({ name }, 0))
      }
      if (!followsOn(segments.at(-1), base)) return refused(gap(name))
      torn = { segment: name, offset: 0, bytes: sizeBytes, base }
      break
    }
    logId ??= header.logId
    const follows = followsOn(segments.at(-1), base)
    if (header.base !== base || !follows || !asBuffer(header.logId).equals(logId)) {
      return refused(gap(name))
    }
    segments.push({ name, base, format: header.format, sizeBytes })
  }
  const fresh = logId ?? options.random.fill(new Uint8Array(LOG_ID_BYTES))
  return { ok: true, logId: fresh, segments, torn }
}

function followsOn(previous: Segment | undefined, base: number): boolean {
  return previous === undefined || previous.base + previous.sizeBytes === base
}

async function startSegment(file: DiskFile, logId: Uint8Array, base: number): Promise<void> {
  if (file.sizeBytes > 0) await file.truncate(0)
  await file.append(encodeHeader(logId, base))
  await file.sync()
}

function refused(problem: LogProblem): { readonly ok: false; readonly problem: LogProblem } {
  return { ok: false, problem }
}

function damage(segment: Pick<Segment, 'name'>, offset: number): LogProblem {
  return {
    code: 'log_damaged',
    message:
      `segment ${segment.name} is damaged at byte ${offset}, before records that had been made ` +
      'durable: restore the folder from a backup; nothing was changed',
    segment: segment.name,
    offset,
  }
}

function gap(name: string): LogProblem {
  return {
    code: 'log_damaged',
    message:
      `segment ${name} does not follow the one before it: one was cut, removed or mixed in; ` +
      'restore the folder from a backup; nothing was changed',
    segment: name,
    offset: 0,
  }
}

function newer(name: string, format: number): LogProblem {
  return {
    code: 'log_newer',
    message:
      `segment ${name} has format ${format}, this version reads up to ${FORMAT_VERSION}: ` +
      'start the newer version; nothing was changed',
    segment: name,
    offset: 0,
  }
}
