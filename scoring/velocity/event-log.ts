// Events of one entity in a growing piece of memory: a ring, or the log of a tile. The script on
// Redis does the same with strings (`redis-script.ts`).

import { ATTEMPT_BYTES, SLAB_BYTES, UNIT_BYTES } from './limits.ts'

/** A part of some memory: `bytes[from, from + capacity)`. */
interface Piece {
  bytes: Buffer
  words: Uint32Array
  from: number
  capacity: number
}

/**
 * The events are `bytes[start, end)`, what is around them in the log's piece of the memory is free;
 * `end` is a multiple of 4. `words` is the same memory as 32-bit numbers: reading a number by words
 * rather than bytes takes a third of the time, and reading is most of what velocity does.
 */
export interface EventLog extends Piece {
  start: number
  end: number
  /** Where its piece comes from and goes back to; without one it is memory of its own. */
  readonly memory: EventMemory | undefined
}

/** Pieces are `ATTEMPT_BYTES * 2 ** n` long; longer ones than these are memory of their own. */
const PIECE_SIZES = 10

/**
 * Memory for very many logs, in slabs: an `ArrayBuffer` each costs more than all the counting, to
 * make, to grow and to collect. What a log gives back is used again for one of its size; nothing is
 * returned to the system before the whole is dropped.
 */
export class EventMemory {
  #slab = alignedBytes(SLAB_BYTES)
  #used = 0
  readonly #free: Piece[][] = Array.from({ length: PIECE_SIZES }, () => [])

  /** A piece of at least `size` bytes, with whatever stood there. */
  take(size: number): Piece {
    const at = sizeIndex(size)
    const free = this.#free[at]
    if (free === undefined) return { ...alignedBytes(size), from: 0, capacity: (size + 3) & ~3 }
    const known = free.pop()
    if (known !== undefined) return known
    const capacity = ATTEMPT_BYTES * 2 ** at
    if (this.#used + capacity > SLAB_BYTES) {
      this.#slab = alignedBytes(SLAB_BYTES)
      this.#used = 0
    }
    const { bytes, words } = this.#slab
    const piece = { bytes, words, from: this.#used, capacity }
    this.#used += capacity
    return piece
  }

  /** Nobody may read or write the piece afterwards. */
  giveBack({ bytes, words, from, capacity }: Piece): void {
    const at = sizeIndex(capacity)
    if (capacity === ATTEMPT_BYTES * 2 ** at) this.#free[at]?.push({ bytes, words, from, capacity })
  }
}

function sizeIndex(size: number): number {
  let at = 0
  while (ATTEMPT_BYTES * 2 ** at < size) at++
  return at
}

/** Memory as bytes and as words; the size is rounded up to whole words. */
export function alignedBytes(size: number): { bytes: Buffer; words: Uint32Array } {
  const memory = new ArrayBuffer((size + 3) & ~3)
  return { bytes: Buffer.from(memory), words: new Uint32Array(memory) }
}

export function createEventLog(capacityBytes: number, memory?: EventMemory): EventLog {
  const { bytes, words, from, capacity } = pieceOf(memory, capacityBytes)
  return { bytes, words, from, capacity, start: from, end: from, memory }
}

function pieceOf(memory: EventMemory | undefined, size: number): Piece {
  if (memory !== undefined) return memory.take(size)
  const { bytes, words } = alignedBytes(size)
  return { bytes, words, from: 0, capacity: bytes.length }
}

/** Makes sure that `size` more bytes can be appended without moving what is there. */
export function reserve(log: EventLog, size: number): void {
  if (log.end + size <= log.from + log.capacity) return
  const { bytes: before, start, end, memory } = log
  const length = end - start
  if (length + size <= log.capacity && start - log.from >= length) {
    place(log, before, start, end)
    return
  }
  const grown = pieceOf(memory, Math.max(2 * length, length + size, UNIT_BYTES))
  const { bytes, words, from, capacity } = log
  log.bytes = grown.bytes
  log.words = grown.words
  log.from = grown.from
  log.capacity = grown.capacity
  place(log, before, start, end)
  memory?.giveBack({ bytes, words, from, capacity })
}

/** Makes `source[from, to)` the whole content. */
export function place(log: EventLog, source: Buffer, from: number, to: number): void {
  const length = to - from
  log.start = log.from + (-length & 3)
  log.end = log.start + length
  source.copy(log.bytes, log.start, from, to)
}

/**
 * Copies the event at `at` of `source` to the end of the log, word by word: for 48 bytes that is a
 * third of what `Buffer.copy` takes. `at` and `size` are multiples of 4, as all events are.
 */
export function appendEvent(
  log: EventLog,
  source: { readonly words: Uint32Array },
  at: number,
  size: number,
): void {
  reserve(log, size)
  const from = source.words
  const to = log.words
  const end = (at + size) >>> 2
  let target = log.end >>> 2
  for (let word = at >>> 2; word < end; word++) to[target++] = from[word] as number
  log.end += size
}

/** Cuts the front, so that at most `bytesMax` remain. */
export function cutFront(log: EventLog, bytesMax: number): void {
  log.start = Math.max(log.start, log.end - bytesMax)
}

/** Whether something was cut off the front of a ring: its length says so, see `RING_BYTES_MAX`. */
export function wasCut({ start, end }: EventLog): boolean {
  return (end - start) % UNIT_BYTES !== 0
}
