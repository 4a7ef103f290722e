// How much was stood in for, by card and by BIN, in the window of the day. What is taken is checked
// against the limit at once, so that of two in one tick only as many pass as fit; what is durable
// comes back from the outcomes in the log, each position once.
//
//   counter ──> [end of its window, count, sum, newest position]
//
// A counter of a window that is over is dropped when its room is needed.

import { Packr } from 'msgpackr'
import { NOWHERE } from './directory-entry.ts'
import type { IndexPut, RecordIndex } from './record-index.ts'
import type { StandInMove } from './transaction-store.ts'

interface Counter {
  windowEndMs: number
  /** What is durable. */
  count: number
  sum: number
  /** What is taken and on its way to the disk. */
  takenCount: number
  takenSum: number
  lastAt: number
}

type CounterRow = [windowEndMs: number, count: number, sum: number, lastAt: number]

const PREFIX = 's:'
const packr = new Packr({ useRecords: false, copyBuffers: true, int64AsType: 'number' })

export class StandInCounters {
  readonly #counters = new Map<string, Counter>()
  readonly #changed = new Set<string>()
  /** In the index, and to be removed from it. */
  readonly #dropped = new Set<string>()
  readonly #countersMax: number

  constructor(countersMax: number) {
    this.#countersMax = countersMax
  }

  /** Takes all of the moves, or none: false where one would pass its limit. */
  take(moves: readonly StandInMove[], nowMs: number): boolean {
    const fits = moves.every((move) => this.#fits(move))
    if (!fits || !this.#hasRoom(moves, nowMs)) return false
    for (const move of moves) {
      const counter = this.#of(move)
      counter.takenCount++
      counter.takenSum += move.amount
    }
    return true
  }

  /** Learns of moves that are durable; what it knows already changes nothing. */
  apply(moves: readonly StandInMove[], position: number): void {
    for (const move of moves) {
      const counter = this.#of(move)
      if (counter.lastAt >= position || counter.windowEndMs !== move.windowEndMs) continue
      counter.count++
      counter.sum += move.amount
      counter.lastAt = position
      if (counter.takenCount > 0) {
        counter.takenCount--
        counter.takenSum -= move.amount
      }
      this.#changed.add(move.counter)
    }
  }

  /** What the index lacks, for one write of it. */
  putChanged(puts: IndexPut[]): void {
    for (const name of this.#dropped) puts.push({ key: PREFIX + name, value: null })
    for (const name of this.#changed) {
      const { windowEndMs, count, sum, lastAt } = this.#counters.get(name) as Counter
      const row: CounterRow = [windowEndMs, count, sum, lastAt]
      puts.push({ key: PREFIX + name, value: packr.pack(row) })
    }
    this.#dropped.clear()
    this.#changed.clear()
  }

  /** Takes over what the index holds. Throws where it does not read back. */
  restore(index: RecordIndex): void {
    for (const { key, value } of index.list(PREFIX, Number.MAX_SAFE_INTEGER, 'ascending')) {
      const [windowEndMs, count, sum, lastAt] = packr.unpack(value) as CounterRow
      const taken = { takenCount: 0, takenSum: 0 }
      this.#counters.set(key.slice(PREFIX.length), { windowEndMs, count, sum, ...taken, lastAt })
    }
  }

  #fits({ counter: name, windowEndMs, amount, countMax, sumMax }: StandInMove): boolean {
    const counter = this.#counters.get(name)
    // A clock that was set back: the newer window stands, and nothing fits the older one.
    if (counter !== undefined && counter.windowEndMs > windowEndMs) return false
    const isSame = counter?.windowEndMs === windowEndMs
    const count = isSame ? counter.count + counter.takenCount : 0
    const sum = isSame ? counter.sum + counter.takenSum : 0
    return count + 1 <= countMax && sum + amount <= sumMax
  }

  #hasRoom(moves: readonly StandInMove[], nowMs: number): boolean {
    const further = moves.filter(({ counter }) => !this.#counters.has(counter)).length
    if (this.#counters.size + further <= this.#countersMax) return true
    for (const [name, { windowEndMs, takenCount }] of this.#counters) {
      if (windowEndMs > nowMs || takenCount > 0) continue
      this.#counters.delete(name)
      this.#changed.delete(name)
      this.#dropped.add(name)
    }
    return this.#counters.size + further <= this.#countersMax
  }

  /** The counter of the move's window; one of an earlier window begins again. */
  #of({ counter: name, windowEndMs }: StandInMove): Counter {
    const known = this.#counters.get(name)
    if (known !== undefined && known.windowEndMs >= windowEndMs) return known
    const counter: Counter = {
      windowEndMs,
      count: 0,
      sum: 0,
      takenCount: 0,
      takenSum: 0,
      lastAt: known?.lastAt ?? NOWHERE,
    }
    this.#counters.set(name, counter)
    this.#dropped.delete(name)
    return counter
  }
}
