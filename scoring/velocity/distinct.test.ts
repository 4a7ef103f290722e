import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  addForGood,
  addForNow,
  addToSketch,
  addValue,
  createValueSet,
  type DistinctSketch,
  EMPTY_SKETCH,
  emptyValueSet,
  estimate,
  registersOf,
  undoAdditions,
} from './distinct.ts'
import { shortHash } from './event.ts'
import { DISTINCT_EXACT_MAX } from './limits.ts'

function fill(values: number, from = 0, entity = 0): DistinctSketch {
  let sketch = EMPTY_SKETCH
  const bits = entity === 7 ? 20 : 24
  for (let next = 0; next < values; next += 500) {
    const size = Math.min(500, values - next)
    const hashes = Array.from({ length: size }, (_, i) => shortHash(entity, `v${from + next + i}`))
    const quanta = hashes.map((_, i) => 1000 + next + i)
    sketch = addToSketch(sketch, hashes, quanta, bits, 0)
  }
  return sketch
}

test('a value set tells new values from known ones, and forgets all at once', () => {
  fc.assert(
    fc.property(fc.array(fc.array(fc.nat(40), { maxLength: 60 })), (rounds) => {
      const set = createValueSet(64)
      for (const values of rounds) {
        emptyValueSet(set, values.length)
        const naive = new Set<number>()
        for (const value of values) {
          assert.equal(addValue(set, value * 128), !naive.has(value))
          naive.add(value)
        }
      }
    }),
  )
})

test('few values are counted one by one, and old ones are dropped', () => {
  const sketch = fill(DISTINCT_EXACT_MAX)
  assert.equal(sketch.exact, true)
  assert.equal(sketch.keys.length, DISTINCT_EXACT_MAX)
  const later = addToSketch(sketch, [5, 5], [2000, 1990], 24, 1010)
  assert.equal(later.keys.length, DISTINCT_EXACT_MAX - 10 + 1)
  assert.equal(later.quanta.at(-1), 2000)
})

test('many values are estimated within 6% for every window, with 24 bits and with 20', () => {
  for (const entity of [0, 7]) {
    const bits = entity === 7 ? 20 : 24
    for (const total of [DISTINCT_EXACT_MAX + 1, 1_000, 5_000, 40_000]) {
      const sketch = fill(total, 0, entity)
      assert.equal(sketch.exact, false)
      for (const share of [0.1, 0.5, 1]) {
        const distinct = Math.round(total * share)
        const actual = estimate(registersOf(sketch, 1000 + total - distinct), bits)
        const message = `${distinct} of ${total}, estimated ${actual}`
        assert.ok(Math.abs(actual - distinct) <= Math.max(2, 0.06 * distinct), message)
      }
    }
  }
})

test('one standard error is below 2%, few values or very many, with 24 bits and with 20', () => {
  const cases = [
    [300, 0, 60],
    [3_000, 0, 60],
    [12_000, 7, 60],
    [30_000, 0, 40],
    [400_000, 0, 12],
  ] as const
  for (const [values, entity, sets] of cases) {
    const bits = entity === 7 ? 20 : 24
    let squares = 0
    let bias = 0
    for (let set = 0; set < sets; set++) {
      // As `fill` would, but that nothing is asked of times: the registers alone.
      const registers = registersOf({ ...EMPTY_SKETCH, exact: false }, 0)
      for (let i = 0; i < values; i++) {
        addForGood(registers, shortHash(entity, `v${set} ${i}`), bits)
      }
      const error = estimate(registers, bits) / values - 1
      squares += error ** 2 / sets
      bias += error / sets
    }
    const message = `${values} values: ${Math.sqrt(squares)}, ${bias}`
    assert.ok(Math.sqrt(squares) < 0.02, message)
    assert.ok(Math.abs(bias) < 0.01, message)
  }
})

test('the order of additions does not matter, and repeats change nothing', () => {
  const value = fc.record({ hash: fc.integer({ min: 1, max: 2 ** 24 - 1 }), quantum: fc.nat(50) })
  fc.assert(
    fc.property(
      fc.array(value, { minLength: 270, maxLength: 400 }),
      fc.nat(50),
      fc.nat(399),
      (values, start, cut) => {
        const hashes = values.map((v) => v.hash)
        const quanta = values.map((v) => v.quantum)
        const atOnce = addToSketch(EMPTY_SKETCH, hashes, quanta, 24, 0)
        let parts = addToSketch(EMPTY_SKETCH, hashes.slice(cut), quanta.slice(cut), 24, 0)
        parts = addToSketch(parts, hashes.slice(0, cut), quanta.slice(0, cut), 24, 0)
        parts = addToSketch(parts, hashes, quanta, 24, 0)
        fc.pre(!atOnce.exact)
        assert.deepEqual(registersOf(parts, start).values, registersOf(atOnce, start).values)
      },
    ),
  )
})

test('additions for now are undone without a trace', () => {
  const registers = registersOf(fill(500), 0)
  const before = estimate(registers, 24)
  for (let i = 0; i < 400; i++) addForNow(registers, shortHash(0, `other${i}`), 24)
  assert.ok(Math.abs(estimate(registers, 24) - 900) < 90)
  undoAdditions(registers)
  assert.equal(estimate(registers, 24), before)
  assert.equal(registers.undoLength, 0)
})
