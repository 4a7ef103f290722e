// Distinct values of a sliding window, in bounded memory: one by one while there are few, then by a
// sliding HyperLogLog.
//
// A plain HyperLogLog keeps the highest rank that each of m registers has seen. To answer any
// window, a register keeps every (rank, time) that no later one with at least that rank covers: the
// possible maxima of the future (Chabchoub and Hebrail, "Sliding HyperLogLog", 2010). For a window,
// a register's value is the highest rank with a time inside. The count comes from Ertl's improved
// raw estimator ("New cardinality estimation algorithms for HyperLogLog sketches", 2017), which
// needs no table of corrections and stays true for hashes of as few bits as ours.

import {
  BATCH_MAX,
  DISTINCT_EXACT_MAX,
  DISTINCT_REGISTER_BITS,
  RING_ATTEMPTS_MAX,
  TILE_QUANTUM_MS,
} from './limits.ts'

const REGISTERS = 2 ** DISTINCT_REGISTER_BITS
const RANK_BITS = 4
const RANK_MASK = 2 ** RANK_BITS - 1
/** As many as a log and a batch hold attempts: each changes one register at most. */
const UNDO_MAX = RING_ATTEMPTS_MAX + BATCH_MAX + 2

/** A set of 32-bit values that is emptied at no cost. */
export interface ValueSet {
  readonly values: Uint32Array
  readonly marks: Uint32Array
  mark: number
  mask: number
}

/** `valuesMax`: the most values that it will hold. */
export function createValueSet(valuesMax: number): ValueSet {
  const slots = 2 ** Math.ceil(Math.log2(2 * valuesMax))
  return {
    values: new Uint32Array(slots),
    marks: new Uint32Array(slots),
    mark: 0,
    mask: slots - 1,
  }
}

/**
 * Empties the set for at most `values` values; few values use few slots, which stay in the cache.
 */
export function emptyValueSet(set: ValueSet, values: number): void {
  let slots = 64
  while (slots < 2 * values) slots *= 2
  set.mask = Math.min(slots, set.values.length) - 1
  if (set.mark === 0xffffffff) {
    set.marks.fill(0)
    set.mark = 0
  }
  set.mark++
}

/** True when the value was not in the set. */
export function addValue(set: ValueSet, value: number): boolean {
  const { values, marks, mark, mask } = set
  let slot = value & mask
  while (marks[slot] === mark) {
    if (values[slot] === value) return false
    slot = (slot + 1) & mask
  }
  marks[slot] = mark
  values[slot] = value
  return true
}

/**
 * When each value was last seen. Exact: `keys` are the values. Otherwise `register << 4 | rank`, by
 * register, in a register by rank from the highest and so by time from the oldest.
 */
export interface DistinctSketch {
  readonly exact: boolean
  readonly keys: Uint32Array
  /** In quanta of `TILE_QUANTUM_MS` since 1970. */
  readonly quanta: Uint32Array
}

export const EMPTY_SKETCH: DistinctSketch = {
  exact: true,
  keys: new Uint32Array(0),
  quanta: new Uint32Array(0),
}

/** The quantum that a time lies in. */
export function quantumOf(timeMs: number): number {
  return Math.floor(timeMs / TILE_QUANTUM_MS)
}

/** `register << 4 | rank` of a hash of `bits` bits, 24, or 20 for bins: 16 bits. */
export function registerKey(hash: number, bits: number): number {
  const restBits = bits - DISTINCT_REGISTER_BITS
  const rest = hash & (2 ** restBits - 1)
  const rank = Math.clz32(rest) - (32 - restBits) + 1
  return ((hash >>> restBits) << RANK_BITS) | rank
}

function exactSketch(seen: ReadonlyMap<number, number>): DistinctSketch {
  return {
    exact: true,
    keys: Uint32Array.from(seen.keys()),
    quanta: Uint32Array.from(seen.values()),
  }
}

/**
 * Below 0 when entry `a` stands before `b`: by register, from the highest rank, from the latest.
 */
function compareEntries(aKey: number, aQuantum: number, bKey: number, bQuantum: number): number {
  return (aKey ^ RANK_MASK) - (bKey ^ RANK_MASK) || bQuantum - aQuantum
}

/** Merges new entries into sorted ones, and keeps each register's possible maxima only. */
function mergeEntries(
  sketch: DistinctSketch,
  newKeys: readonly number[],
  newQuanta: readonly number[],
  oldestQuantum: number,
): DistinctSketch {
  const order = Array.from(newKeys.keys()).sort((a, b) =>
    compareEntries(
      newKeys[a] as number,
      newQuanta[a] as number,
      newKeys[b] as number,
      newQuanta[b] as number,
    ),
  )
  const oldLength = sketch.exact ? 0 : sketch.keys.length
  const total = oldLength + order.length
  const keys = new Uint32Array(total)
  const quanta = new Uint32Array(total)
  let length = 0
  let register = -1
  let latest = -1
  let oldAt = 0
  let newAt = 0
  while (oldAt + newAt < total) {
    const index = order[newAt] ?? -1
    const takeOld =
      oldAt < oldLength &&
      (index < 0 ||
        compareEntries(
          sketch.keys[oldAt] as number,
          sketch.quanta[oldAt] as number,
          newKeys[index] as number,
          newQuanta[index] as number,
        ) <= 0)
    const key = (takeOld ? sketch.keys[oldAt] : newKeys[index]) as number
    const quantum = (takeOld ? sketch.quanta[oldAt] : newQuanta[index]) as number
    if (takeOld) oldAt++
    else newAt++
    if (key >>> RANK_BITS !== register) {
      register = key >>> RANK_BITS
      latest = -1
    }
    if (quantum <= latest || quantum < oldestQuantum) continue
    latest = quantum
    keys[length] = key
    quanta[length++] = quantum
  }
  return { exact: false, keys: keys.slice(0, length), quanta: quanta.slice(0, length) }
}

/**
 * A sketch with more values (`hashes[i]` seen in `quanta[i]`, hashes of `bits` bits), without what
 * was last seen before `oldestQuantum`.
 */
export function addToSketch(
  sketch: DistinctSketch,
  hashes: readonly number[],
  quanta: readonly number[],
  bits: number,
  oldestQuantum: number,
): DistinctSketch {
  if (sketch.exact) {
    const seen = new Map<number, number>()
    for (let i = 0; i < sketch.keys.length; i++) {
      const quantum = sketch.quanta[i] as number
      if (quantum >= oldestQuantum) seen.set(sketch.keys[i] as number, quantum)
    }
    for (let i = 0; i < hashes.length; i++) {
      const hash = hashes[i] as number
      const quantum = quanta[i] as number
      if (quantum >= oldestQuantum) seen.set(hash, Math.max(quantum, seen.get(hash) ?? 0))
    }
    if (seen.size <= DISTINCT_EXACT_MAX) return exactSketch(seen)
    const keys = Array.from(seen.keys(), (hash) => registerKey(hash, bits))
    return mergeEntries(EMPTY_SKETCH, keys, [...seen.values()], oldestQuantum)
  }
  const keys = hashes.map((hash) => registerKey(hash, bits))
  return mergeEntries(sketch, keys, quanta, oldestQuantum)
}

/** The registers of one window: their values, and how many registers have each value. */
export interface Registers {
  readonly values: Uint8Array
  readonly histogram: Uint16Array
  /** Changes by `addForNow`, to be undone: register, then its value before. */
  readonly undo: Uint16Array
  undoLength: number
}

/** Registers of what a sketch (not exact) has seen in `startQuantum` or later. */
export function registersOf(sketch: DistinctSketch, startQuantum: number): Registers {
  const values = new Uint8Array(REGISTERS)
  const { keys, quanta } = sketch
  for (let i = 0; i < keys.length; i++) {
    if ((quanta[i] as number) < startQuantum) continue
    const key = keys[i] as number
    const register = key >>> RANK_BITS
    const rank = key & RANK_MASK
    if (rank > (values[register] as number)) values[register] = rank
  }
  const histogram = new Uint16Array(RANK_MASK + 1)
  for (const value of values) histogram[value] = (histogram[value] as number) + 1
  return { values, histogram, undo: new Uint16Array(2 * UNDO_MAX), undoLength: 0 }
}

function setRegister(registers: Registers, register: number, value: number): void {
  const { values, histogram } = registers
  const before = values[register] as number
  histogram[before] = (histogram[before] as number) - 1
  histogram[value] = (histogram[value] as number) + 1
  values[register] = value
}

/** Adds a value for now; `undoAdditions` takes it out again. */
export function addForNow(registers: Registers, hash: number, bits: number): void {
  const key = registerKey(hash, bits)
  const register = key >>> RANK_BITS
  const rank = key & RANK_MASK
  const before = registers.values[register] as number
  if (rank <= before || registers.undoLength >= registers.undo.length) return
  registers.undo[registers.undoLength++] = register
  registers.undo[registers.undoLength++] = before
  setRegister(registers, register, rank)
}

/** Adds a value that stays. Nothing may be waiting to be taken out. */
export function addForGood(registers: Registers, hash: number, bits: number): void {
  const key = registerKey(hash, bits)
  const register = key >>> RANK_BITS
  const rank = key & RANK_MASK
  if (rank > (registers.values[register] as number)) setRegister(registers, register, rank)
}

export function undoAdditions(registers: Registers): void {
  while (registers.undoLength > 0) {
    const before = registers.undo[--registers.undoLength] as number
    const register = registers.undo[--registers.undoLength] as number
    setRegister(registers, register, before)
  }
}

function sigma(share: number): number {
  if (share === 1) return Number.POSITIVE_INFINITY
  let x = share
  let y = 1
  let z = x
  for (;;) {
    x *= x
    const before = z
    z += x * y
    y += y
    if (z === before) return z
  }
}

function tau(share: number): number {
  if (share === 0 || share === 1) return 0
  let x = share
  let y = 1
  let z = 1 - x
  for (;;) {
    x = Math.sqrt(x)
    const before = z
    y *= 0.5
    z -= (1 - x) ** 2 * y
    if (z === before) return z / 3
  }
}

/** Estimated number of distinct values of `bits`-bit hashes (Ertl 2017, algorithm 6). */
export function estimate(registers: Registers, bits: number): number {
  const { histogram } = registers
  const rankMax = bits - DISTINCT_REGISTER_BITS + 1
  let z = REGISTERS * tau(1 - (histogram[rankMax] as number) / REGISTERS)
  for (let rank = rankMax - 1; rank >= 1; rank--) z = 0.5 * (z + (histogram[rank] as number))
  z += REGISTERS * sigma((histogram[0] as number) / REGISTERS)
  return Math.round((REGISTERS * REGISTERS) / (2 * Math.LN2 * z))
}
