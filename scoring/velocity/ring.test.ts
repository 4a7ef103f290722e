import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Aggregate, type AggregatePlan, ENTITIES } from '#rules'
import { type Batch, type BatchEntity, batchAttempts, batchOutcomes } from './batch.ts'
import {
  amountOfWords,
  encodeAttempt,
  encodeOutcome,
  readLatitude,
  readLongitude,
  readResponseCode,
  readShortHash,
  readTime,
  shortHash,
  timeOfWords,
} from './event.ts'
import { alignedBytes, createEventLog, type EventLog, place } from './event-log.ts'
import { ATTEMPT_BYTES, DISORDER_MS, OUTCOME_BYTES } from './limits.ts'
import { type NaiveEvent, naiveValue } from './naive.ts'
import { createWorkspace, emptyAnswers, observeRing } from './observe.ts'
import { compilePlan, supportsAggregate } from './plan.ts'
import { createEventColumns, distanceKm, readEvents } from './ring.ts'
import type { VelocityAttempt } from './velocity.ts'

const T0 = 1_800_000_000_000
const WINDOWS = [60, 600, 3_600, 86_400, 2_592_000]
const PLAN: AggregatePlan = WINDOWS.flatMap((windowSeconds): Aggregate[] => [
  { function: 'count', entity: 'card', windowSeconds },
  { function: 'sum', entity: 'card', windowSeconds },
  { function: 'avg', entity: 'card', windowSeconds },
  { function: 'max', entity: 'card', windowSeconds },
  { function: 'declines', entity: 'card', windowSeconds },
  { function: 'distinct', entity: 'card', windowSeconds, of: 'merchant' },
  { function: 'distinct', entity: 'card', windowSeconds, of: 'device' },
  { function: 'secondsSinceLast', entity: 'card', windowSeconds },
  { function: 'speedKmh', entity: 'card', windowSeconds },
])

const hash = (id: number): string => `${(id + 1).toString(16).padStart(8, '0')}00000000`

const eventArbitrary = (spanMs: number) =>
  fc.record({
    id: fc.integer({ min: 0, max: 60 }),
    kind: fc.constantFrom('attempt' as const, 'attempt' as const, 'declined' as const),
    offsetMs: fc.integer({ min: 0, max: spanMs }),
    baseAmount: fc.oneof(fc.integer({ min: 0, max: 10_000 }), fc.constant(Number.NaN)),
    merchant: fc.integer({ min: 0, max: 5 }),
    device: fc.option(fc.integer({ min: 0, max: 3 })),
    place: fc.option(fc.integer({ min: -8, max: 8 })),
  })

type Drawn = typeof eventArbitrary extends (span: number) => fc.Arbitrary<infer T> ? T : never

function toNaive(drawn: Drawn, atMs: number): NaiveEvent {
  return {
    eventHash: hash(drawn.id),
    kind: drawn.kind,
    atMs,
    baseAmount: drawn.baseAmount,
    keys: {
      card: 'c',
      merchant: `m${drawn.merchant}`,
      ...(drawn.device === null ? {} : { device: `d${drawn.device}` }),
    },
    // Places on the steps of the encoding, so that the list and the ring see the same ones.
    latitude: drawn.place === null ? Number.NaN : drawn.place * 500 * (180 / (2 ** 18 - 2)),
    longitude: drawn.place === null ? Number.NaN : drawn.place * 900 * (360 / (2 ** 18 - 2)),
  }
}

/** A batch of one. */
function batchOf(event: NaiveEvent): Batch {
  const { kind } = event
  if (kind === 'attempt') return batchAttempts([event], '')
  assert.ok(kind !== 'fraud' && kind !== 'cleared')
  return batchOutcomes([{ ...event, kind }], '')
}

const CARD = ENTITIES.indexOf('card')
const THE_CARD: BatchEntity = { entity: CARD, key: 'c', events: [0] }

/** Appends every event, and answers every attempt as it comes. */
function replay(
  events: readonly NaiveEvent[],
  check: (
    kept: readonly NaiveEvent[],
    now: NaiveEvent,
    values: Float64Array,
    saturated: Uint8Array,
  ) => void,
): void {
  const log = createEventLog(64)
  const workspace = createWorkspace()
  const query = compilePlan(PLAN).queries[CARD]
  const seen: NaiveEvent[] = []
  for (const event of events) {
    const resent = seen.some((s) => s.eventHash === event.eventHash && s.kind === event.kind)
    const answers = emptyAnswers(1, PLAN.length)
    const asked = event.kind === 'attempt' ? query : undefined
    observeRing(workspace, log, batchOf(event), THE_CARD, asked, answers)
    if (!resent) seen.push(event)
    const [answer] = answers
    if (asked !== undefined && answer !== undefined && !resent) {
      check(seen, event, answer.values, answer.saturated)
    }
  }
}

function near(actual: number, expected: number, tolerance: number): boolean {
  if (Number.isNaN(expected) || Number.isNaN(actual)) {
    return Number.isNaN(expected) && Number.isNaN(actual)
  }
  return Math.abs(actual - expected) <= tolerance
}

test('rings that were not cut equal a list of events, in any order, with repeats', () => {
  const stream = fc.oneof(
    fc.array(eventArbitrary(120_000), { maxLength: 45 }),
    fc.array(eventArbitrary(2_600_000_000), { maxLength: 45 }),
  )
  fc.assert(
    fc.property(stream, (drawn) => {
      const events = drawn.map((event) => toNaive(event, T0 + event.offsetMs))
      replay(events, (seen, now, values, saturated) => {
        PLAN.forEach((aggregate, slot) => {
          const expected = naiveValue(seen, aggregate, now)
          const actual = values[slot] as number
          if (aggregate.function === 'avg' && saturated[slot] === 1) {
            assert.ok(Number.isNaN(actual))
          } else {
            assert.ok(
              near(actual, expected, 1e-6),
              `${JSON.stringify(aggregate)} ${actual} ${expected}`,
            )
          }
          const amounts = ['sum', 'avg', 'max'].includes(aggregate.function)
          if (!amounts) assert.equal(saturated[slot], 0)
        })
      })
    }),
    { numRuns: 150 },
  )
})

test('a cut ring says so, and is a true lower bound', () => {
  const stream = fc.array(
    fc.record({ event: eventArbitrary(DISORDER_MS), gapMs: fc.integer({ min: 0, max: 400_000 }) }),
    {
      minLength: 60,
      maxLength: 130,
    },
  )
  let boundsSeen = 0
  let exactSeen = 0
  fc.assert(
    fc.property(stream, (drawn) => {
      let clockMs = T0
      const events = drawn.map(({ event, gapMs }, index) => {
        clockMs += gapMs
        return toNaive({ ...event, id: index }, clockMs + event.offsetMs)
      })
      replay(events, (seen, now, values, saturated) => {
        PLAN.forEach((aggregate, slot) => {
          if (!['count', 'declines', 'distinct', 'sum'].includes(aggregate.function)) return
          const expected = naiveValue(seen, aggregate, now)
          if (saturated[slot] === 1) {
            boundsSeen++
            assert.ok((values[slot] as number) <= expected)
          } else {
            exactSeen++
            assert.equal(values[slot], expected)
          }
        })
      })
    }),
    { numRuns: 40 },
  )
  assert.ok(boundsSeen > 1000 && exactSeen > 1000)
})

const PLAIN: NaiveEvent = toNaive(
  { id: 1, kind: 'attempt', offsetMs: 0, baseAmount: 5, merchant: 1, device: null, place: null },
  T0,
)

test('a resent event pushes nothing out', () => {
  const log = createEventLog(0)
  const workspace = createWorkspace()
  const append = (event: NaiveEvent): void =>
    observeRing(workspace, log, batchOf(event), THE_CARD, undefined, [])
  append({ ...PLAIN, eventHash: hash(7) })
  for (let i = 0; i < 200; i++) append({ ...PLAIN, atMs: T0 + i })
  assert.equal(log.end - log.start, 2 * ATTEMPT_BYTES)
})

test('an attempt comes back from its 48 bytes', () => {
  const attempt = fc.record({
    eventHash: fc
      .bigInt({ min: 0n, max: 2n ** 64n - 1n })
      .map((n) => n.toString(16).padStart(16, '0')),
    atMs: fc.integer({ min: 0, max: 2 ** 48 - 1 }),
    baseAmount: fc.oneof(fc.integer({ min: 0, max: 2 ** 48 - 2 }), fc.constant(Number.NaN)),
    latitude: fc.double({ min: -90, max: 90, noNaN: true }),
    longitude: fc.double({ min: -180, max: 180, noNaN: true }),
    located: fc.boolean(),
    tokens: fc.array(fc.option(fc.string()), { minLength: 8, maxLength: 8 }),
  })
  fc.assert(
    fc.property(attempt, (drawn) => {
      const keys = Object.fromEntries(
        ENTITIES.map((entity, i) => [entity, drawn.tokens[i] ?? undefined]),
      )
      const place = drawn.located ? {} : { latitude: Number.NaN, longitude: Number.NaN }
      const event: VelocityAttempt = { ...drawn, ...place, keys }
      const bytes = Buffer.alloc(ATTEMPT_BYTES + 3, 0xee)
      encodeAttempt(bytes, 1, event)
      assert.equal(bytes[0], 0xee)
      assert.equal(bytes[ATTEMPT_BYTES + 1], 0xee)
      assert.equal(readTime(bytes, 1), event.atMs)
      const words = alignedBytes(ATTEMPT_BYTES)
      bytes.copy(words.bytes, 0, 1)
      assert.equal(timeOfWords(words.words, 0), event.atMs)
      assert.ok(Object.is(amountOfWords(words.words, 0), event.baseAmount))
      assert.equal(bytes.toString('hex', 41, 48), event.eventHash.slice(0, 14))
      ENTITIES.forEach((entity, i) => {
        const token = drawn.tokens[i] ?? undefined
        const expected = token === undefined ? 0 : shortHash(i, token)
        assert.equal(readShortHash(bytes, 1, entity === 'bin' ? -1 : i), expected)
      })
      if (!drawn.located) assert.ok(Number.isNaN(readLatitude(bytes, 1)))
      else {
        assert.ok(Math.abs(readLatitude(bytes, 1) - event.latitude) <= 180 / 2 ** 18)
        assert.ok(Math.abs(readLongitude(bytes, 1) - event.longitude) <= 360 / 2 ** 18)
      }
    }),
  )
})

test('an outcome keeps its response code', () => {
  const bytes = Buffer.alloc(OUTCOME_BYTES)
  const outcome = { eventHash: hash(3), atMs: T0, keys: {}, kind: 'declined' as const }
  encodeOutcome(bytes, 0, { ...outcome, responseCode: '51' })
  assert.equal(readResponseCode(bytes, 0), '51')
  encodeOutcome(bytes, 0, outcome)
  assert.equal(readResponseCode(bytes, 0), '')
})

function logOf(bytes: Uint8Array): EventLog {
  const log = createEventLog(bytes.length + 4)
  place(log, Buffer.from(bytes), 0, bytes.length)
  return log
}

test('events are read from any bytes without a throw', () => {
  const columns = createEventColumns()
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      const log = logOf(bytes)
      readEvents(columns, log, log.start, log.end)
      assert.ok(columns.last - columns.first <= bytes.length / OUTCOME_BYTES)
    }),
  )
})

test('an event of a later version ends the reading, newest first', () => {
  const columns = createEventColumns()
  const foreign = Buffer.from(batchOf({ ...PLAIN, eventHash: hash(2) }).bytes)
  foreign[ATTEMPT_BYTES - 1] = 0x21
  const newest = batchOf({ ...PLAIN, eventHash: hash(3) }).bytes
  const log = logOf(Buffer.concat([batchOf(PLAIN).bytes, foreign, newest]))
  readEvents(columns, log, log.start, log.end)
  assert.equal(columns.last - columns.first, 1)
})

test('an event hash that is not 16 hex digits, or a time before 1970, is a bug', () => {
  assert.throws(() => batchOf({ ...PLAIN, eventHash: 'xyz' }), RangeError)
  assert.throws(() => batchOf({ ...PLAIN, eventHash: 'g'.repeat(16) }), RangeError)
  assert.throws(() => batchOf({ ...PLAIN, atMs: -1 }), RangeError)
  assert.throws(() => batchOf({ ...PLAIN, atMs: Number.NaN }), RangeError)
})

test('what cannot be answered is refused with a reason', () => {
  const refused: Aggregate[] = [
    { function: 'count', entity: 'card', windowSeconds: 59 },
    { function: 'count', entity: 'card', windowSeconds: 60.5 },
    { function: 'count', entity: 'card', windowSeconds: 2_592_001 },
    { function: 'distinct', entity: 'card', windowSeconds: 60 },
    { function: 'distinct', entity: 'card', windowSeconds: 60, of: 'card' },
    { function: 'distinct', entity: 'card', windowSeconds: 60, of: 'bin' },
    { function: 'count', entity: 'card', windowSeconds: 60, of: 'merchant' },
    { function: 'speedKmh', entity: 'merchant', windowSeconds: 60 },
  ]
  for (const aggregate of refused) {
    assert.equal(typeof supportsAggregate(aggregate), 'string')
    assert.throws(() => compilePlan([aggregate]), RangeError)
  }
  for (const aggregate of PLAN) assert.equal(supportsAggregate(aggregate), undefined)
})

test('the haversine knows the distance from Berlin to Paris', () => {
  assert.ok(Math.abs(distanceKm(52.52, 13.405, 48.8566, 2.3522) - 878) < 1)
  assert.equal(distanceKm(1, 2, 1, 2), 0)
})
