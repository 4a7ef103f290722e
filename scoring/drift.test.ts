import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type DriftReport, DriftWatch, drifted } from './drift.ts'
import {
  DRIFT_ALERT_PSI,
  DRIFT_HOUR_MS,
  DRIFT_HOURS,
  DRIFT_SAMPLES_MIN,
  DRIFT_WEEK_HOURS,
} from './limits.ts'
import type { PsiBaseline } from './onnx/index.ts'
import { createRandom } from './training/index.ts'

const START_MS = 1_800_000_000_000

/** Two features: the first even over four bins, the second missing in half of the rows. */
const baseline: PsiBaseline = {
  features: [
    { name: 'amount', edges: [1, 2, 3], shares: [0.25, 0.25, 0.25, 0.25], missingShare: 0 },
    { name: 'speed', edges: [10], shares: [0.8, 0.2], missingShare: 0.5 },
  ],
  score: { name: 'score', edges: [0.5], shares: [0.9, 0.1], missingShare: 0 },
}

interface Population {
  readonly amountFactor: number
  readonly speedMissing: number
}

function watched(rows: number, { amountFactor, speedMissing }: Population, hourMs = 0) {
  const random = createRandom(3)
  const watch = new DriftWatch(baseline, START_MS)
  for (let row = 0; row < rows; row++) {
    const amount = random.next() * 4 * amountFactor
    const speed = random.chance(speedMissing) ? Number.NaN : random.chance(0.8) ? 5 : 50
    const features = Float32Array.of(amount, speed)
    const score = random.chance(0.1) ? 0.7 : 0.1
    watch.observe({ features, score, degraded: [] }, START_MS + (row * hourMs) / rows)
  }
  return watch
}

const SAME: Population = { amountFactor: 1, speedMissing: 0.5 }

test('the population of training raises nothing, a shifted one is named', () => {
  const rows = 20_000
  assert.deepEqual(drifted(watched(rows, SAME).soFar(START_MS)), [])
  const richer = watched(rows, { ...SAME, amountFactor: 2 }).soFar(START_MS)
  assert.deepEqual(drifted(richer), ['amount'])
  const silent = watched(rows, { ...SAME, speedMissing: 1 }).soFar(START_MS)
  assert.deepEqual(drifted(silent), ['speed'])
  assert.ok(silent.psi.every(({ psi }) => Number.isFinite(psi)))
})

test('the index is 0 for equal shares and as the formula has it for others', () => {
  const watch = new DriftWatch(baseline, START_MS)
  const rows = [
    ...[0.5, 1.5, 2.5, 3.5].map((amount) => [amount, 5]),
    ...[0.5, 1.5, 2.5, 0.5].map((amount) => [amount, Number.NaN]),
  ]
  for (const row of rows) {
    const features = Float32Array.from(row)
    watch.observe({ features, score: 0.1, degraded: [] }, START_MS)
  }
  const { psi, samples } = watch.soFar(START_MS)
  assert.equal(samples, 8)
  const expected = (3 / 8 - 1 / 4) * Math.log(3 / 2) + (1 / 8 - 1 / 4) * Math.log(1 / 2)
  assert.ok(Math.abs((psi[0]?.psi ?? 0) - expected) < 1e-12)
})

test('every hour tells of the last 24, once there is enough of them', () => {
  const watch = watched(DRIFT_SAMPLES_MIN - 1, SAME, DRIFT_HOUR_MS)
  const afterMs = (hours: number) => START_MS + hours * DRIFT_HOUR_MS
  assert.equal(watch.report(afterMs(1)), undefined)
  const one = { features: Float32Array.of(1, 5), score: 0.1, degraded: [] as const }
  watch.observe(one, afterMs(1))
  const report = watch.report(afterMs(2))
  assert.equal(report?.samples, DRIFT_SAMPLES_MIN)
  assert.deepEqual([report?.fromMs, report?.untilMs], [START_MS, afterMs(2)])
  assert.equal(watch.soFar(afterMs(2)).samples, 0)
  for (let hour = 3; hour <= DRIFT_HOURS; hour++) {
    assert.equal(watch.report(afterMs(hour))?.samples, DRIFT_SAMPLES_MIN)
  }
  // The first hour is a day old now, and what is left is too little.
  assert.equal(watch.report(afterMs(DRIFT_HOURS + 1)), undefined)
})

test('a weekend is no drift: it is told of whole weeks', () => {
  const weekend = { name: 'weekend', edges: [0], shares: [5 / 7, 2 / 7], missingShare: 0 }
  const watch = new DriftWatch({ ...baseline, features: [weekend] }, START_MS)
  const play = (hour: number, isWeekend: boolean) => {
    const decision = { features: Float32Array.of(isWeekend ? 1 : 0), score: 0.1, degraded: [] }
    for (let i = 0; i < 50; i++) watch.observe(decision, START_MS + hour * DRIFT_HOUR_MS)
    return watch.report(START_MS + (hour + 1) * DRIFT_HOUR_MS)
  }
  const psiOf = (report: DriftReport | undefined) =>
    report?.psi.find(({ name }) => name === 'weekend')?.psi
  const isWeekend = (hour: number) => hour % DRIFT_WEEK_HOURS >= 5 * DRIFT_HOURS
  for (let hour = 0; hour < DRIFT_WEEK_HOURS - 1; hour++) {
    assert.equal(psiOf(play(hour, isWeekend(hour))), undefined)
  }
  for (let hour = DRIFT_WEEK_HOURS - 1; hour < 2 * DRIFT_WEEK_HOURS; hour++) {
    assert.ok((psiOf(play(hour, isWeekend(hour))) ?? 1) < 0.001)
  }
  let last: DriftReport | undefined
  for (let hour = 0; hour < 4 * DRIFT_HOURS; hour++) last = play(2 * DRIFT_WEEK_HOURS + hour, true)
  assert.ok(last !== undefined && drifted(last).includes('weekend'))
})

test('decisions without velocity or model are left out', () => {
  const watch = new DriftWatch(baseline, START_MS)
  const features = Float32Array.of(1, 5)
  watch.observe({ features, score: 0.1, degraded: ['velocity'] }, START_MS)
  watch.observe({ features, score: null, degraded: ['model'] }, START_MS)
  watch.observe({ features: new Float32Array(0), score: 0.1, degraded: [] }, START_MS)
  assert.equal(watch.soFar(START_MS).samples, 0)
  assert.deepEqual(drifted(watch.soFar(START_MS)), [])
})

test('chance alone stays far below the mark on the fewest decisions that are told', () => {
  fc.assert(
    fc.property(fc.integer(), (seed) => {
      const random = createRandom(seed)
      const watch = new DriftWatch(baseline, START_MS)
      for (let row = 0; row < DRIFT_SAMPLES_MIN; row++) {
        const speed = random.chance(0.5) ? Number.NaN : random.chance(0.8) ? 5 : 50
        const features = Float32Array.of(random.next() * 4, speed)
        watch.observe({ features, score: random.chance(0.1) ? 0.7 : 0.1, degraded: [] }, START_MS)
      }
      for (const { psi } of watch.soFar(START_MS).psi) assert.ok(psi < DRIFT_ALERT_PSI / 5)
    }),
    { numRuns: 50 },
  )
})
