// What segments a folder holds: their headers read, their chain checked, nothing written.

import type { Disk, DiskFile, Random } from '../ports.ts'
import {
  COMPACTED_HEADER_BYTES,
  decodeTrailer,
  TRAILER_BYTES,
  type Trailer,
  tableOffset,
} from './compacted-segment.ts'
import {
  asBuffer,
  decodeHeader,
  FORMAT_VERSION,
  frameSeed,
  HEADER_BYTES,
  LOG_ID_BYTES,
  segmentBase,
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

export interface Segment {
  readonly name: string
  readonly base: number
  readonly format: number
  /** Of the file. Grows where it is the newest one. */
  sizeBytes: number
  /** Null for a segment as it was written. */
  readonly compacted: (Trailer & { readonly end: number }) | null
}

export interface FoundLog {
  readonly ok: true
  readonly logId: Uint8Array
  readonly segments: Segment[]
  /** A newest segment whose header never became durable; it holds nothing. */
  readonly torn: (CutTail & { readonly base: number }) | null
  /** What a crash in a compaction left behind, to be removed. */
  readonly leftOvers: readonly string[]
}

/** A segment that is being rewritten has its name with this behind it. */
export const DRAFT_SUFFIX = '.new'

/** The position behind the last byte that a segment stands for. */
export function endOf({ base, sizeBytes, compacted }: Segment): number {
  return compacted?.end ?? base + sizeBytes
}

/** Where in its file the records of a segment begin and end. */
export function bodyOf({ sizeBytes, compacted }: Segment): { from: number; to: number } {
  if (compacted === null) return { from: HEADER_BYTES, to: sizeBytes }
  return { from: COMPACTED_HEADER_BYTES, to: tableOffset(sizeBytes, compacted) }
}

/** Reads every header and checks that the segments follow one another. */
export async function findSegments(options: {
  readonly disk: Disk
  readonly random: Random
}): Promise<FoundLog | { readonly ok: false; readonly problem: LogProblem }> {
  const all = await options.disk.list()
  const names = all.filter((name) => segmentBase(name) !== undefined)
  const leftOvers = all.filter(isDraft)
  const segments: Segment[] = []
  let logId: Uint8Array | undefined
  let torn: FoundLog['torn'] = null
  for (const [index, name] of names.entries()) {
    const file = await options.disk.open(name)
    const inspected = await inspect(file, name)
    const { sizeBytes } = file
    await file.close()
    const base = segmentBase(name) as number
    const previous = segments.at(-1)
    if (previous?.compacted != null && base < previous.compacted.end) {
      // Its records are in the one before, which took its place; its removal is what is missing.
      leftOvers.push(name)
      continue
    }
    if (inspected.kind === 'problem') {
      const { problem, isHeaderUnreadable } = inspected
      // Frames come only after the header is durable, so a short newest file was never used.
      const isUnused = index === names.length - 1 && sizeBytes <= HEADER_BYTES
      if (!isHeaderUnreadable || !isUnused) return refused(problem)
      if (!followsOn(previous, base)) return refused(gap(name))
      torn = { segment: name, offset: 0, bytes: sizeBytes, base }
      break
    }
    logId ??= inspected.logId
    const isOurs = asBuffer(inspected.logId).equals(logId)
    if (inspected.segment.base !== base || !followsOn(previous, base) || !isOurs) {
      return refused(gap(name))
    }
    segments.push(inspected.segment)
  }
  const fresh = logId ?? options.random.fill(new Uint8Array(LOG_ID_BYTES))
  return { ok: true, logId: fresh, segments, torn, leftOvers }
}

export type Inspected =
  | { readonly kind: 'segment'; readonly segment: Segment; readonly logId: Uint8Array }
  | {
      readonly kind: 'problem'
      readonly problem: LogProblem
      readonly isHeaderUnreadable: boolean
    }

/** What one file's header, and trailer where it is compacted, say of it. */
export async function inspect(file: DiskFile, name: string): Promise<Inspected> {
  const { sizeBytes } = file
  const problem = (what: LogProblem, isHeaderUnreadable = false): Inspected => {
    return { kind: 'problem', problem: what, isHeaderUnreadable }
  }
  const header = decodeHeader(await file.read(0, COMPACTED_HEADER_BYTES))
  if (header.kind === 'newer') return problem(newer(name, header.format))
  if (header.kind === 'unreadable') return problem(damage({ name }, 0), true)
  const { format, base, logId } = header
  if (header.kind === 'readable') {
    return { kind: 'segment', segment: { name, base, format, sizeBytes, compacted: null }, logId }
  }
  const trailerAt = Math.max(0, sizeBytes - TRAILER_BYTES)
  const bytes = asBuffer(await file.read(trailerAt, TRAILER_BYTES))
  const trailer = decodeTrailer(bytes, frameSeed(logId))
  if (trailer === undefined) return problem(damage({ name }, trailerAt))
  const compacted = { ...trailer, end: header.end }
  return { kind: 'segment', segment: { name, base, format, sizeBytes, compacted }, logId }
}

function isDraft(name: string): boolean {
  if (!name.endsWith(DRAFT_SUFFIX)) return false
  return segmentBase(name.slice(0, -DRAFT_SUFFIX.length)) !== undefined
}

function followsOn(previous: Segment | undefined, base: number): boolean {
  return previous === undefined || endOf(previous) === base
}

export function refused(problem: LogProblem): {
  readonly ok: false
  readonly problem: LogProblem
} {
  return { ok: false, problem }
}

export function damage(segment: Pick<Segment, 'name'>, offset: number): LogProblem {
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
