import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { type IndexPut, MemoryRecordIndex } from './record-index.ts'
import { StandInCounters } from './stand-in-counters.ts'
import type { StandInMove } from './transaction-store.ts'

const move = fc.record({
  counter: fc.constantFrom('card 1', 'card 2', 'bin'),
  windowEndMs: fc.constantFrom(100, 200, 300),
  amount: fc.integer({ min: 1, max: 60 }),
  countMax: fc.constant(3),
  sumMax: fc.constant(100),
})

/** A stood-in approval: taken, and durable at once, later, or never (a crash came first). */
const step = fc.record({
  moves: fc.uniqueArray(move, { minLength: 1, maxLength: 2, selector: ({ counter }) => counter }),
  fate: fc.constantFrom('durable', 'lost'),
  isRestart: fc.boolean(),
})

describe('stand-in counters', () => {
  it('pass no limit, whatever is lost, and whenever the process starts again', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const index = new MemoryRecordIndex()
        const log: (readonly StandInMove[])[] = []
        let counters = new StandInCounters(10)
        for (const { moves, fate, isRestart } of steps) {
          if (counters.take(moves, 0) && fate === 'durable') {
            log.push(moves)
            counters.apply(moves, log.length)
          }
          if (log.length % 3 === 0) save(counters, index)
          if (isRestart) counters = restart(index, log)
        }
        for (const [limit, sums] of totals(log))
          assert.ok(sums.count <= 3 && sums.sum <= 100, limit)
      }),
    )
  })

  it('come back equal from index and log together, and from the log alone', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), fc.nat(40), (steps, savedAfter) => {
        const index = new MemoryRecordIndex()
        const log: (readonly StandInMove[])[] = []
        const counters = new StandInCounters(10)
        for (const { moves } of steps) {
          if (!counters.take(moves, 0)) continue
          log.push(moves)
          counters.apply(moves, log.length)
          if (log.length === savedAfter) save(counters, index)
        }
        const probes = steps.map(({ moves }) => moves)
        const before = probes.map((moves) => fits(restart(index, log), moves))
        const alone = probes.map((moves) => fits(restart(new MemoryRecordIndex(), log), moves))
        assert.deepEqual(before, alone)
      }),
    )
  })

  it('make room of windows that are over, and take no more than they hold', () => {
    const counters = new StandInCounters(2)
    const one = (counter: string, windowEndMs: number): StandInMove[] => [
      { counter, windowEndMs, amount: 1, countMax: 9, sumMax: 9 },
    ]
    assert.equal(counters.take(one('a', 100), 50), true)
    assert.equal(counters.take(one('b', 100), 50), true)
    assert.equal(counters.take(one('c', 100), 50), false)
    counters.apply(one('a', 100), 1)
    counters.apply(one('b', 100), 2)
    assert.equal(counters.take(one('c', 200), 150), true)
  })
})

function save(counters: StandInCounters, index: MemoryRecordIndex): void {
  const puts: IndexPut[] = []
  counters.putChanged(puts)
  void index.write(puts)
}

/** Reads the whole log again, as a start does from the position that its index covers. */
function restart(index: MemoryRecordIndex, log: readonly (readonly StandInMove[])[]) {
  const counters = new StandInCounters(10)
  counters.restore(index)
  for (const [i, moves] of log.entries()) counters.apply(moves, i + 1)
  return counters
}

function fits(counters: StandInCounters, moves: readonly StandInMove[]): boolean {
  return counters.take(moves, 0)
}

/** By counter and window. */
function totals(log: readonly (readonly StandInMove[])[]) {
  const sums = new Map<string, { count: number; sum: number }>()
  for (const { counter, windowEndMs, amount } of log.flat()) {
    const key = `${counter} until ${windowEndMs}`
    const { count, sum } = sums.get(key) ?? { count: 0, sum: 0 }
    sums.set(key, { count: count + 1, sum: sum + amount })
  }
  return sums
}
