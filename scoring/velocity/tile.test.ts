import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { encodeAttempt } from './event.ts'
import { createEventLog } from './event-log.ts'
import { ATTEMPT_BYTES, TILE_BUCKETS_PER_WINDOW, TILE_QUANTUM_MS } from './limits.ts'
import { createEventColumns, readEvents } from './ring.ts'
import {
  bucketMsMax,
  compact,
  compactionEnd,
  decodeBase,
  EMPTY_BASE,
  encodeBase,
  readVersion,
  type TileBase,
  versionBytes,
} from './tile.ts'

const T0 = 1_800_000_000_000
const DAY_MS = 86_400_000
const columns = createEventColumns()

interface Told {
  readonly atMs: number
  readonly baseAmount: number
  readonly card: string
}

function readTold(events: readonly Told[], from: number): void {
  const log = createEventLog(events.length * ATTEMPT_BYTES)
  events.forEach((event, i) => {
    encodeAttempt(log.bytes, i * ATTEMPT_BYTES, {
      eventHash: (from + i + 1).toString(16).padStart(14, '0').padEnd(16, '0'),
      atMs: event.atMs,
      baseAmount: event.baseAmount,
      keys: { card: event.card, merchant: 'm' },
      latitude: Number.NaN,
      longitude: Number.NaN,
    })
  })
  readEvents(columns, log, 0, log.bytes.length)
}

const stream = fc.record({
  gapMs: fc.constantFrom(10, 4_000, 600_000, 40_000_000),
  steps: fc.array(
    fc.record({
      share: fc.double({ min: 0, max: 1, noNaN: true }),
      lateMs: fc.integer({ min: 0, max: 9_000 }),
      amount: fc.oneof(fc.nat(2 ** 40), fc.constant(Number.NaN)),
      card: fc.nat(200),
    }),
    { minLength: 1, maxLength: 400 },
  ),
})

function compactAll(drawn: typeof stream extends fc.Arbitrary<infer T> ? T : never): {
  base: TileBase
  events: Told[]
  nowMs: number
} {
  let clockMs = T0
  const events = drawn.steps.map((step): Told => {
    clockMs += Math.floor(step.share * drawn.gapMs)
    return { atMs: clockMs - step.lateMs, baseAmount: step.amount, card: `c${step.card}` }
  })
  let base = EMPTY_BASE
  for (let i = 0; i < events.length; i += 32) {
    readTold(events.slice(i, i + 32), i)
    base = compact(base, 6, columns)
  }
  return { base, events, nowMs: clockMs }
}

test('buckets hold every event once, do not overlap, and are as narrow as their age asks', () => {
  fc.assert(
    fc.property(stream, (drawn) => {
      const { base, events, nowMs } = compactAll(drawn)
      let end = 0
      for (const bucket of base.buckets) {
        const width = 2 ** bucket.exponent
        assert.ok(bucket.start >= end && bucket.start % width === 0)
        end = bucket.start + width
        const held = events.filter(
          ({ atMs }) => atMs >= bucket.start * TILE_QUANTUM_MS && atMs < end * TILE_QUANTUM_MS,
        )
        const known = held.map((event) => event.baseAmount).filter((amount) => amount >= 0)
        assert.equal(bucket.attempts, held.length)
        assert.equal(bucket.unknownAmounts, held.length - known.length)
        assert.equal(bucket.maximum, Math.max(-1, ...known))
        assert.equal(
          bucket.sum,
          known.reduce((total, amount) => total + amount, 0),
        )
        if (bucket.exponent > 0) {
          const age = nowMs - end * TILE_QUANTUM_MS
          assert.ok(age >= TILE_BUCKETS_PER_WINDOW * width * TILE_QUANTUM_MS - 15_000)
        }
      }
      const total = base.buckets.reduce((sum, bucket) => sum + bucket.attempts, 0)
      const young = events.filter(({ atMs }) => atMs > nowMs - 29 * DAY_MS).length
      assert.ok(total >= young && total <= events.length)
    }),
    { numRuns: 60 },
  )
})

test('a month of steady traffic takes some two hundred buckets', () => {
  let base = EMPTY_BASE
  for (let i = 0; i < 20_000; i += 40) {
    const events = Array.from({ length: 40 }, (_, k) => ({
      atMs: T0 + (i + k) * 150_000,
      baseAmount: 1,
      card: `c${i + k}`,
    }))
    readTold(events, i)
    base = compact(base, 6, columns)
  }
  assert.ok(base.buckets.length <= 220, `${base.buckets.length}`)
  const kept = base.buckets.reduce((sum, bucket) => sum + bucket.attempts, 0)
  const inMonth = (30 * DAY_MS) / 150_000
  assert.ok(kept >= inMonth - 8 && kept <= inMonth * 1.1, `${kept}`)
  // 17,280 cards: 4,096 registers keep some ln(17,280 / 4,096) + 1 entries of 5 bytes each.
  assert.ok(encodeBase(base).length < 60_000, `${encodeBase(base).length}`)
})

test('a base comes back from its bytes', () => {
  fc.assert(
    fc.property(stream, (drawn) => {
      const { base } = compactAll(drawn)
      const bytes = encodeBase(base)
      const decoded = decodeBase(bytes)
      assert.deepEqual({ ...decoded, derived: 0 }, { ...base, derived: 0 })
      assert.equal(readVersion(bytes, 0), base.version)
    }),
    { numRuns: 40 },
  )
})

test('bytes that are cut, changed or anything else are no base, without a throw', () => {
  const events = Array.from({ length: 200 }, (_, i) => ({
    atMs: T0 + i * 100_000,
    baseAmount: i,
    card: `c${i}`,
  }))
  readTold(events, 0)
  const bytes = encodeBase(compact(EMPTY_BASE, 6, columns))
  for (let length = 0; length < bytes.length; length++) {
    assert.equal(decodeBase(bytes.subarray(0, length)), undefined)
  }
  const otherLayout = Buffer.from(bytes)
  otherLayout[8] = 9
  assert.equal(decodeBase(otherLayout), undefined)
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), (noise) => {
      decodeBase(Buffer.concat([Buffer.alloc(8), Buffer.from([1]), Buffer.from(noise)]))
    }),
  )
})

test('versions only rise, and survive their bytes', () => {
  let version = 0
  let base = EMPTY_BASE
  for (let i = 0; i < 5; i++) {
    readTold([{ atMs: T0 - i * 1000, baseAmount: 1, card: 'c' }], i)
    base = compact(base, 6, columns)
    assert.ok(base.version > version)
    version = base.version
  }
  for (const value of [0, 1, 2 ** 32, T0, Number.MAX_SAFE_INTEGER]) {
    assert.equal(readVersion(versionBytes(value), 0), value)
  }
})

test('a compaction takes whole events and leaves the newest', () => {
  const events = Array.from({ length: 41 }, (_, i) => ({ atMs: T0 + i, baseAmount: 1, card: 'c' }))
  readTold(events, 0)
  assert.equal(compactionEnd(columns, 41 * ATTEMPT_BYTES), 33 * ATTEMPT_BYTES)
})

test('the widest bucket at which a window may be cut is a twelfth of it', () => {
  assert.equal(bucketMsMax(60_000), 5_000)
  assert.equal(bucketMsMax(120_001), 10_000)
  assert.ok(bucketMsMax(30 * DAY_MS) <= (30 * DAY_MS) / 12)
})
