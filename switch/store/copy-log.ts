// Copies a log from one folder to another, also beside the switch that writes it: every segment as
// it is, the newest one up to its last whole record, made durable first. What a compaction takes
// away while this copies is copied as it is by then.

import type { Disk } from '../ports.ts'
import { openForReading } from './audit.ts'
import { inspect } from './find-segments.ts'
import { SCAN_BYTES } from './limits.ts'
import type { LogProblem, Segment } from './segment-log.ts'

export type LogCopied =
  | {
      readonly ok: true
      readonly segments: number
      readonly bytes: number
      /** Every record before this position of the log is in the copy. */
      readonly endPosition: number
    }
  | { readonly ok: false; readonly problem: LogProblem }

/** Rounds of copying what another process changed meanwhile. */
const ROUNDS_MAX = 8

/**
 * Copies into an empty folder. The copy's bytes are durable when this resolves, and not checked:
 * `auditLog` does that. Rejects with the disks' errors.
 */
export async function copyLog(
  from: Disk,
  to: Disk,
  onProgress: (bytesCopied: number, bytesInAll: number) => void = () => {},
): Promise<LogCopied> {
  /** By name: what was copied. */
  const copied = new Map<string, Segment>()
  for (let round = 1; ; round++) {
    const opened = await openForReading(from)
    if (!opened.ok) return opened
    const segments = opened.log.all
    const { endPosition } = opened.log
    await opened.log.close()
    let bytesInAll = 0
    for (const { sizeBytes } of segments) bytesInAll += sizeBytes
    let bytesDone = 0
    let isWhole = true
    for (const [index, segment] of segments.entries()) {
      const isNewest = index === segments.length - 1
      const tell = (bytes: number) => onProgress(bytesDone + bytes, bytesInAll)
      isWhole = isSame(copied.get(segment.name), segment)
      isWhole ||= await copySegment(from, to, segment, isNewest, tell)
      if (!isWhole) break
      copied.set(segment.name, segment)
      bytesDone += segment.sizeBytes
    }
    if (isWhole) {
      await removeOthers(to, copied, segments)
      return { ok: true, segments: segments.length, bytes: bytesInAll, endPosition }
    }
    if (round < ROUNDS_MAX) continue
    const message = 'its segments changed all the while they were copied: try again'
    return { ok: false, problem: { code: 'log_read_failed', message } }
  }
}

function isSame(known: Segment | undefined, segment: Segment): boolean {
  if (known === undefined || known.sizeBytes !== segment.sizeBytes) return false
  return known.compacted?.tableCrc === segment.compacted?.tableCrc
}

/** False where another file has the segment's place by now. */
async function copySegment(
  from: Disk,
  to: Disk,
  segment: Segment,
  isNewest: boolean,
  tell: (bytes: number) => void,
): Promise<boolean> {
  const { name, sizeBytes } = segment
  const source = await from.open(name).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
  if (source === undefined) return false
  try {
    const inspected = await inspect(source, name)
    if (inspected.kind === 'problem') return false
    const isGrown = isNewest && source.sizeBytes >= sizeBytes
    if (!isGrown && !isSame(inspected.segment, segment)) return false
    // What the page cache alone has of the newest one counts from here on, so it goes to the disk.
    if (isNewest) await source.sync()
    const target = await to.open(name)
    try {
      if (target.sizeBytes > 0) await target.truncate(0)
      for (let at = 0; at < sizeBytes; ) {
        const bytes = await source.read(at, Math.min(SCAN_BYTES, sizeBytes - at))
        if (bytes.length === 0) return false
        await target.append(bytes)
        at += bytes.length
        tell(at)
      }
      await target.sync()
    } finally {
      await target.close()
    }
    return true
  } finally {
    await source.close()
  }
}

/** Copied in an earlier round, and part of another segment since. */
async function removeOthers(
  to: Disk,
  copied: ReadonlyMap<string, Segment>,
  segments: readonly Segment[],
): Promise<void> {
  const kept = new Set(segments.map(({ name }) => name))
  for (const name of copied.keys()) if (!kept.has(name)) await to.remove(name)
}
