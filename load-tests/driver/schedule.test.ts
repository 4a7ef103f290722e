import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import type { Phase } from './scenario.ts'
import { Schedule, type ScheduleOptions } from './schedule.ts'

const phase = (ratePerSecond: number, seconds: number, more: Partial<Phase> = {}): Phase => ({
  ...{ name: 'phase', seconds, ratePerSecond },
  ...more,
})

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
  const times = timesOf({ phases: [phase(3, 10)], arrivals: 'fixed', seed: 1 })
  assert.equal(times.length, 30)
  for (const [i, time] of times.entries()) assert.ok(Math.abs(time - (i * 1000) / 3) < 1e-6)
})

test('Poisson arrivals have the rate as their mean and gaps that spread like an exponential', () => {
  const times = timesOf({ phases: [phase(100, 200)], arrivals: 'poisson', seed: 7 })
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
        const options = { phases: [phase(ratePerSecond, durationMs / 1000)], arrivals, seed }
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

test('a ramp offers the mean of its two rates, more towards its end', () => {
  const phases = [phase(0, 10, { toRatePerSecond: 200 })]
  for (const arrivals of ['fixed', 'poisson'] as const) {
    const times = timesOf({ phases, arrivals, seed: 3 })
    assert.ok(Math.abs(times.length - 1_000) < 160, `${arrivals}: ${times.length}`)
    // A quarter of a triangle's area lies in its first half.
    const early = times.filter((time) => time < 5_000).length
    assert.ok(Math.abs(early / times.length - 0.25) < 0.06, `${arrivals}: ${early}`)
  }
})

test('phases follow each other, and a number tells its phase', () => {
  const phases = [phase(10, 1), phase(0, 1), phase(20, 2)]
  const schedule = new Schedule({ phases, arrivals: 'fixed', seed: 1 })
  const seen: [number, number][] = []
  for (; schedule.nextMs !== Number.POSITIVE_INFINITY; schedule.advance()) {
    seen.push([schedule.phase, schedule.nextMs])
  }
  assert.equal(seen.length, 50)
  for (const [index, [at, ms]] of seen.entries()) {
    assert.equal(schedule.phaseOf(index), at)
    assert.equal(at, ms < 1_000 ? 0 : 2)
    assert.ok(ms < 1_000 || ms >= 2_000)
  }
})

test('a closed loop is due at once until it is over; what follows counts from its peak', () => {
  const closed: Phase = { name: 'peak', seconds: 1, inFlight: 4 }
  const twice: Phase = { name: 'over', seconds: 1, timesPeak: 2 }
  const phases = [closed, twice]
  const schedule = new Schedule({ phases, arrivals: 'fixed', seed: 1, peakPerSecond: () => 30 })
  assert.equal(schedule.inFlightMax, 4)
  schedule.moveTo(400)
  assert.equal(schedule.nextMs, 400)
  schedule.advance()
  assert.equal(schedule.phase, 0)
  schedule.moveTo(1_000)
  assert.equal(schedule.phase, 1)
  assert.equal(schedule.inFlightMax, Number.POSITIVE_INFINITY)
  let count = 0
  for (; schedule.nextMs !== Number.POSITIVE_INFINITY; schedule.advance()) count++
  assert.equal(count, 60)
})
