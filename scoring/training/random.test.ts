import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { createRandom } from './random.ts'

function mean(count: number, draw: () => number): number {
  let sum = 0
  for (let i = 0; i < count; i++) sum += draw()
  return sum / count
}

test('the same seed gives the same numbers, another seed others', () => {
  fc.assert(
    fc.property(fc.integer(), (seed) => {
      const [one, same, other] = [createRandom(seed), createRandom(seed), createRandom(seed + 1)]
      const drawn = Array.from({ length: 20 }, () => one.next())
      assert.deepEqual(
        drawn,
        Array.from({ length: 20 }, () => same.next()),
      )
      assert.notDeepEqual(
        drawn,
        Array.from({ length: 20 }, () => other.next()),
      )
    }),
  )
})

test('the first numbers of a seed never change', () => {
  const random = createRandom(1)
  assert.deepEqual(
    Array.from({ length: 3 }, () => random.hex8()),
    FIRST_OF_SEED_1,
  )
})

const FIRST_OF_SEED_1 = ['4362ecbc', '9a788ed3', 'b3b4881e']

test('numbers stay in their range', () => {
  fc.assert(
    fc.property(fc.integer(), fc.integer({ min: 1, max: 1_000_000 }), (seed, count) => {
      const random = createRandom(seed)
      for (let i = 0; i < 50; i++) {
        const uniform = random.next()
        assert.ok(uniform >= 0 && uniform < 1)
        const index = random.below(count)
        assert.ok(Number.isInteger(index) && index >= 0 && index < count)
        assert.ok(random.exponential(5) >= 0)
        assert.ok(random.logNormal(5, 1) > 0)
        assert.ok(Number.isInteger(random.poisson(3)))
        assert.match(random.hex8(), /^[0-9a-f]{8}$/)
      }
    }),
    { numRuns: 30 },
  )
})

test('distributions have their means', () => {
  const random = createRandom(7)
  const near = (value: number, expected: number, tolerance: number) =>
    assert.ok(Math.abs(value - expected) < tolerance, `${value} is not near ${expected}`)
  near(mean(50_000, random.next), 0.5, 0.01)
  near(mean(50_000, random.normal), 0, 0.03)
  near(
    mean(50_000, () => random.normal() ** 2),
    1,
    0.05,
  )
  near(
    mean(50_000, () => random.poisson(3)),
    3,
    0.05,
  )
  near(
    mean(50_000, () => random.exponential(4)),
    4,
    0.15,
  )
  near(
    mean(50_000, () => Math.log(random.logNormal(10, 0.5))),
    Math.log(10),
    0.02,
  )
  near(
    mean(50_000, () => (random.chance(0.2) ? 1 : 0)),
    0.2,
    0.01,
  )
})

test('a fork goes its own way', () => {
  const random = createRandom(3)
  const fork = random.fork()
  assert.notEqual(random.hex8(), fork.hex8())
})
