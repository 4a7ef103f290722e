import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { createSeededRandom } from '../simulation/index.ts'
import { backOffMs } from './back-off.ts'

test('waits between half and all of the doubled minimum, never above the maximum', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 5_000 }),
      fc.integer({ min: 1, max: 100_000 }),
      fc.nat(2_000),
      fc.integer(),
      (minMs, spanMs, failures, seed) => {
        const maxMs = minMs + spanMs
        const waitMs = backOffMs({ minMs, maxMs }, failures, createSeededRandom(seed))
        const ceilingMs = Math.min(maxMs, minMs * 2 ** Math.min(failures, 30))
        assert.ok(waitMs >= Math.floor(ceilingMs / 2) && waitMs <= ceilingMs)
      },
    ),
  )
})

test('two links do not wait in step', () => {
  const backOff = { minMs: 1_000, maxMs: 60_000 }
  const random = createSeededRandom(3)
  const waits = new Set(Array.from({ length: 20 }, () => backOffMs(backOff, 3, random)))
  assert.ok(waits.size > 15)
})
