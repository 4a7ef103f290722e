import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { Schedule, type ScheduleOptions } from './schedule.ts'

function timesOf(options: ScheduleOptions): number[] {
  const schedule = new Schedule(options)
  const times: number[] = []
  for (; schedule.nextMs !== Number.POSITIVE_INFINITY; schedule.advance()) {
    assert.equal(schedule.index, times.length)
    times.push(schedule.nextMs)
  }
  return times
}

test('fixed arrivals are evenly spaced and as many as rate times duration', () => {
  const times = timesOf({ ratePerSecond: 3, durationMs: 10_000, arrivals: 'fixed', seed: 1 })
  assert.equal(times.length, 30)
  for (const [i, time] of times.entries()) assert.ok(Math.abs(time - (i * 1000) / 3) < 1e-6)
})

test('Poisson arrivals have the rate as their mean and gaps that spread like an exponential', () => {
  const durationMs = 200_000
  const times = timesOf({ ratePerSecond: 100, durationMs, arrivals: 'poisson', seed: 7 })
  // 20,000 expected; five standard deviations of a Poisson count are 5 * sqrt(20000) = 707.
  assert.ok(Math.abs(times.length - 20_000) < 707, String(times.length))
  const gaps = times.slice(1).map((time, i) => time - (times[i] ?? 0))
  const mean = gaps.reduce((sum, gap) => sum + gap, 0) / gaps.length
  const variance = gaps.reduce((sum, gap) => sum + (gap - mean) ** 2, 0) / gaps.length
  // The standard deviation of an exponential is its mean; a fixed schedule would give 0.
  assert.ok(Math.abs(Math.sqrt(variance) / mean - 1) < 0.05)
})

test('times never decrease, stay inside the duration, and the same seed gives the same', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 5_000 }),
      fc.integer({ min: 1, max: 2_000 }),
      fc.constantFrom('fixed' as const, 'poisson' as const),
      fc.integer(),
      (ratePerSecond, durationMs, arrivals, seed) => {
        const options = { ratePerSecond, durationMs, arrivals, seed }
        const times = timesOf(options)
        let last = 0
        for (const time of times) {
          assert.ok(time >= last && time < durationMs)
          last = time
        }
        assert.deepEqual(timesOf(options), times)
      },
    ),
    { numRuns: 50 },
  )
})
