// Events of one entity in a growing piece of memory: a ring, or the log of a tile. The script on
// Redis does the same with strings (`redis-script.ts`).

import { UNIT_BYTES } from './limits.ts'

/**
 * The events are `bytes[start, end)`, what is around them is free; `end` is a multiple of 4.
 * `words` is the same memory as 32-bit numbers: reading a number by words rather than bytes takes a
 * third of the time, and reading is most of what velocity does.
 */
export interface EventLog {
  bytes: Buffer
  words: Uint32Array
  start: number
  end: number
}

/** Memory as bytes and as words; the size is rounded up to whole words. */
export function alignedBytes(size: number): { bytes: Buffer; words: Uint32Array } {
  const memory = new ArrayBuffer((size + 3) & ~3)
  return { bytes: Buffer.from(memory), words: new Uint32Array(memory) }
}

export function createEventLog(capacityBytes: number): EventLog {
  return { ...alignedBytes(capacityBytes), start: 0, end: 0 }
}

/** Makes sure that `size` more bytes can be appended without moving what is there. */
export function reserve(log: EventLog, size: number): void {
  if (log.end + size <= log.bytes.length) return
  const { bytes: before, start, end } = log
  const length = end - start
  if (length + size > before.length || start < length) {
    const grown = alignedBytes(Math.max(2 * length, length + size, UNIT_BYTES))
    log.bytes = grown.bytes
    log.words = grown.words
  }
  place(log, before, start, end)
}

/** Makes `source[from, to)` the whole content. */
export function place(log: EventLog, source: Buffer, from: number, to: number): void {
  const length = to - from
  log.start = -length & 3
  log.end = log.start + length
  source.copy(log.bytes, log.start, from, to)
}

/** Copies `source[at, at + size)` to the end of the log. */
export function appendBytes(log: EventLog, source: Buffer, at: number, size: number): void {
  reserve(log, size)
  source.copy(log.bytes, log.end, at, at + size)
  log.end += size
}

/** Cuts the front, so that at most `bytesMax` remain. */
export function cutFront(log: EventLog, bytesMax: number): void {
  log.start = Math.max(log.start, log.end - bytesMax)
}
