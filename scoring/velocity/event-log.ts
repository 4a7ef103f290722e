// Events of one entity in a growing piece of memory: a ring, or the log of a tile. The script on
// Redis does the same with strings (`redis.ts`).

import { IDENTITY_BYTES } from './event.ts'

/** The events are `bytes[start, end)`; what is around them is free. */
export interface EventLog {
  bytes: Buffer
  start: number
  end: number
}

export function createEventLog(capacityBytes: number): EventLog {
  return { bytes: Buffer.alloc(capacityBytes), start: 0, end: 0 }
}

/** Whether an event of the same identity and kind as `events[at, at + size)` is in the log. */
export function holdsEvent(log: EventLog, events: Buffer, at: number, size: number): boolean {
  const identity = events.subarray(at + size - IDENTITY_BYTES, at + size)
  const found = log.bytes.indexOf(identity, log.start)
  return found >= 0 && found + IDENTITY_BYTES <= log.end
}

function makeRoom(log: EventLog, size: number): void {
  const length = log.end - log.start
  if (log.start >= size && log.start >= length) {
    log.bytes.copy(log.bytes, 0, log.start, log.end)
  } else {
    const bytes = Buffer.alloc(Math.max(2 * length, length + size))
    log.bytes.copy(bytes, 0, log.start, log.end)
    log.bytes = bytes
  }
  log.start = 0
  log.end = length
}

/** Copies `source[at, at + size)` to the end of the log. */
export function appendBytes(log: EventLog, source: Uint8Array, at: number, size: number): void {
  if (log.end + size > log.bytes.length) makeRoom(log, size)
  for (let i = 0; i < size; i++) log.bytes[log.end + i] = source[at + i] as number
  log.end += size
}

/** Cuts the front, so that at most `bytesMax` remain. */
export function cutFront(log: EventLog, bytesMax: number): void {
  log.start = Math.max(log.start, log.end - bytesMax)
}
