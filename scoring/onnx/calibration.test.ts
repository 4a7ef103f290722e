import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { calibrated } from './calibration.ts'

test('without a calibration the output is the probability', () => {
  assert.equal(calibrated(0.25, undefined), 0.25)
  assert.ok(Number.isNaN(calibrated(Number.NaN, undefined)))
})

test('a sigmoid gives probabilities that ascend with its slope', () => {
  const sigmoid = { method: 'sigmoid', slope: -2, offset: 1 } as const
  assert.equal(calibrated(0.5, sigmoid), 0.5)
  assert.ok(calibrated(0.4, sigmoid) > calibrated(0.6, sigmoid))
  assert.ok(Number.isNaN(calibrated(Number.NaN, sigmoid)))
})

test('isotonic points are met, and the lines between them never descend', () => {
  const points: [number, number][] = [
    [-1, 0.1],
    [0, 0.2],
    [2, 0.9],
  ]
  const isotonic = { method: 'isotonic', points } as const
  for (const [at, probability] of points) assert.equal(calibrated(at, isotonic), probability)
  assert.ok(Math.abs(calibrated(1, isotonic) - 0.55) < 1e-12)
  assert.equal(calibrated(-9, isotonic), 0.1)
  assert.equal(calibrated(9, isotonic), 0.9)
  assert.ok(Number.isNaN(calibrated(Number.NaN, isotonic)))
  fc.assert(
    fc.property(fc.double({ noNaN: true }), fc.double({ noNaN: true }), (one, other) => {
      const [low, high] = one < other ? [one, other] : [other, one]
      assert.ok(calibrated(low, isotonic) <= calibrated(high, isotonic))
    }),
  )
})
