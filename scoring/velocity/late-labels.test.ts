import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { LateLabels } from './late-labels.ts'

test('labels come out in the order in which they were known, and not before', () => {
  const time = fc.oneof(fc.nat(50), fc.constant(Number.NaN))
  fc.assert(
    fc.property(fc.array(time), fc.array(fc.nat(60)), (times, asked) => {
      const labels = new LateLabels()
      for (const [n, knownAtMs] of times.entries()) {
        labels.add({ eventHash: `${n}`, atMs: knownAtMs, keys: {}, kind: 'fraud' }, knownAtMs)
      }
      let waiting = times.filter((known) => !Number.isNaN(known)).sort((a, b) => a - b)
      for (const atMs of asked) {
        assert.equal(labels.nextMs, waiting[0] ?? Number.POSITIVE_INFINITY)
        const due = waiting.filter((known) => known <= atMs)
        waiting = waiting.slice(due.length)
        assert.deepEqual(
          [...labels.until(atMs)].map((label) => label.atMs),
          due,
        )
      }
    }),
  )
})
