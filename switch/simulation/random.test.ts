import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { createSeededRandom } from './random.ts'

test('a seed gives the same numbers for ever', () => {
  const random = createSeededRandom(1)
  const words = Array.from({ length: 4 }, () => random.below(2 ** 32))
  const again = createSeededRandom(1)
  assert.deepEqual(
    words,
    Array.from({ length: 4 }, () => again.below(2 ** 32)),
  )
  assert.notDeepEqual(
    words,
    Array.from({ length: 4 }, () => createSeededRandom(2).below(2 ** 32)),
  )
})

test('numbers stay in their range and are spread over it', () => {
  fc.assert(
    fc.property(fc.integer(), fc.integer({ min: 1, max: 50 }), (seed, end) => {
      const random = createSeededRandom(seed)
      const seen = new Set<number>()
      for (let i = 0; i < end * 40; i++) {
        const number = random.below(end)
        assert.ok(Number.isInteger(number) && number >= 0 && number < end)
        seen.add(number)
      }
      assert.ok(seen.size > end * 0.9)
    }),
    { numRuns: 50 },
  )
})

test('chance and fill follow their probability', () => {
  const random = createSeededRandom(7)
  let hits = 0
  for (let i = 0; i < 10_000; i++) if (random.chance(0.3)) hits++
  assert.ok(hits > 2_800 && hits < 3_200, `${hits}`)
  const bytes = random.fill(new Uint8Array(10_000))
  const mean = bytes.reduce((sum, byte) => sum + byte, 0) / bytes.length
  assert.ok(mean > 122 && mean < 133, `${mean}`)
})
