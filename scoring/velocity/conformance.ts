// What every velocity store must do. Run by `embedded.test.ts` and `redis.test.ts`.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Aggregate, type AggregatePlan, aggregateKey, ENTITIES, type Entity } from '#rules'
import { DISORDER_MS, DISTINCT_EXACT_MAX, TILE_QUANTUM_MS } from './limits.ts'
import { type NaiveEvent, naiveValue, withoutRepeats } from './naive.ts'
import { IS_TILE, supportsAggregate } from './plan.ts'
import { bucketMsMax } from './tile.ts'
import type {
  OutcomeKind,
  Velocity,
  VelocityAttempt,
  VelocityLabel,
  VelocityOutcomeEvent,
  VelocityValues,
} from './velocity.ts'

const T0 = 1_800_000_000_000
const MINUTE = 60
const DAY = 86_400
const DEADLINE_MS = 5_000

/** Every aggregate that is supported, over short, middle and long windows. */
const FULL_PLAN: AggregatePlan = ENTITIES.flatMap((entity) =>
  [MINUTE, 17 * MINUTE, DAY, 30 * DAY].flatMap((windowSeconds): Aggregate[] => [
    { function: 'count', entity, windowSeconds },
    { function: 'sum', entity, windowSeconds },
    { function: 'avg', entity, windowSeconds },
    { function: 'max', entity, windowSeconds },
    { function: 'declines', entity, windowSeconds },
    { function: 'secondsSinceLast', entity, windowSeconds },
    { function: 'speedKmh', entity, windowSeconds },
    { function: 'frauds', entity, windowSeconds },
    ...ENTITIES.map((of): Aggregate => ({ function: 'distinct', entity, windowSeconds, of })),
  ]),
).filter((aggregate) => supportsAggregate(aggregate) === undefined)

/** Mulberry32: enough randomness for a stream of events, from one seed. */
function createDraw(seed: number): (below: number) => number {
  let state = seed >>> 0
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below)
  }
}

/** 16 hex digits, different for different numbers. */
function testHash(number: number): string {
  return `${(number + 1).toString(16).padStart(12, '0')}0000`
}

/** An attempt with every number filled in. */
export function testAttempt(
  number: number,
  atMs: number,
  keys: VelocityAttempt['keys'],
  baseAmount = 100,
): VelocityAttempt {
  return {
    eventHash: testHash(number),
    atMs,
    baseAmount,
    keys,
    latitude: Number.NaN,
    longitude: Number.NaN,
  }
}

function attemptOf(event: NaiveEvent): VelocityAttempt {
  return event
}

/**
 * Attempts of few entities with clocks that jump by milliseconds or days, out of order, some
 * without amount, place or entity, some sent again, some declined, reversed or refunded; and late
 * labels of any of them, some sent again, some taken back.
 */
function drawEvents(seed: number, length: number): readonly (readonly NaiveEvent[])[] {
  const draw = createDraw(seed)
  const gaps = [5, 2_000, 30_000, 4_000_000, 80_000_000]
  const gapMs = gaps[draw(gaps.length)] as number
  const batches: NaiveEvent[][] = []
  const attempts: NaiveEvent[] = []
  let clockMs = T0
  let number = 0
  const labels: NaiveEvent[] = []
  while (number < length) {
    const batch: NaiveEvent[] = []
    if (attempts.length > 0 && draw(4) === 0) batches.push(drawLabels(draw, attempts, labels))
    const outcomes = draw(5) === 0 && attempts.length > 0
    for (let i = draw(12); i >= 0; i--) {
      clockMs += draw(gapMs)
      const atMs = clockMs - draw(DISORDER_MS / 2)
      if (outcomes || (attempts.length > 0 && draw(12) === 0)) {
        const known = attempts[attempts.length - 1 - draw(Math.min(20, attempts.length))]
        const kind = outcomes ? (OUTCOMES[draw(OUTCOMES.length)] as OutcomeKind) : 'attempt'
        batch.push({ ...(known as NaiveEvent), kind, atMs })
        continue
      }
      const attempt = drawAttempt(draw, number++, atMs)
      attempts.push(attempt)
      batch.push(attempt)
    }
    batches.push(batch)
  }
  return batches
}

const OUTCOMES: readonly OutcomeKind[] = ['declined', 'declined', 'reversed', 'refunded']

/** Labels of attempts however old; now and then one of the last again, or the opposite of it. */
function drawLabels(
  draw: (below: number) => number,
  attempts: readonly NaiveEvent[],
  labels: NaiveEvent[],
): NaiveEvent[] {
  return Array.from({ length: 1 + draw(3) }, () => {
    const last = labels[labels.length - 1 - draw(10)]
    const chance = draw(4)
    const attempt = attempts[draw(attempts.length)] as NaiveEvent
    const isNew = last === undefined || chance > 1
    const isKnown = isNew && labels.some(({ eventHash }) => eventHash === attempt.eventHash)
    let label: NaiveEvent = { ...attempt, kind: 'fraud' }
    if (!isNew && chance === 0) label = last
    if (!isNew && chance === 1) {
      label = { ...last, kind: last.kind === 'fraud' ? 'cleared' : 'fraud' }
    }
    // An older one sent again is beyond what a store remembers.
    if (isKnown) label = labels.at(-1) as NaiveEvent
    labels.push(label)
    return label
  })
}

function drawAttempt(draw: (below: number) => number, number: number, atMs: number): NaiveEvent {
  const keys: { [E in Entity]?: string } = {}
  for (const entity of ENTITIES) {
    const different = entity === 'merchant' || entity === 'bin' ? 2 : 5
    if (entity === 'card' || draw(6) > 0) keys[entity] = `${entity}-${draw(different)}`
  }
  const step = 180 / (2 ** 18 - 2)
  const located = draw(3) > 0
  return {
    eventHash: testHash(number),
    kind: 'attempt',
    atMs,
    baseAmount: draw(20) === 0 ? Number.NaN : draw(100_000),
    keys,
    latitude: located ? (draw(8_000) - 4_000) * step : Number.NaN,
    longitude: located ? (draw(8_000) - 4_000) * 2 * step : Number.NaN,
  }
}

function assertBetween(low: number, actual: number, high: number, message: string): void {
  if (Number.isNaN(low) || Number.isNaN(high)) {
    // Without an amount in the exact window there may be one in the bucket it was cut at.
    assert.ok(Number.isNaN(actual) || actual <= high || Number.isNaN(high), message)
    return
  }
  assert.ok(actual >= low - 1e-6 && actual <= high + 1e-6, message)
}

/** The last attempt where older ones may be gone: one that arrived late may be among them. */
function checkLateLast(
  events: readonly NaiveEvent[],
  aggregate: Aggregate,
  now: NaiveEvent,
  actual: number,
): void {
  if (aggregate.function === 'speedKmh') return
  const expected = naiveValue(events, aggregate, now)
  const late = Number.isNaN(actual) || actual <= expected + DISORDER_MS / 1000
  assert.ok(late && !(actual < expected), `secondsSinceLast: ${actual}, expected ${expected}`)
}

function checkRing(
  events: readonly NaiveEvent[],
  aggregate: Aggregate,
  now: NaiveEvent,
  actual: number,
  bound: boolean,
): void {
  const expected = naiveValue(events, aggregate, now)
  const message = `${aggregateKey(aggregate)}: ${actual}, expected ${expected}`
  if (!bound) {
    if (Number.isNaN(expected)) assert.ok(Number.isNaN(actual), message)
    else assert.ok(Math.abs(actual - expected) < 1e-6, message)
  } else if (aggregate.function === 'avg') assert.ok(Number.isNaN(actual), message)
  else assert.ok(Number.isNaN(actual) || actual <= expected, message)
}

function checkTile(
  events: readonly NaiveEvent[],
  aggregate: Aggregate,
  now: NaiveEvent,
  actual: number,
  bound: boolean,
): void {
  const earlierMs = bucketMsMax(aggregate.windowSeconds * 1000 + DISORDER_MS)
  const at = (name: Aggregate['function'], earlier: number, later: number): number =>
    naiveValue(events, { ...aggregate, function: name }, now, earlier, later)
  let low = at(aggregate.function, 0, 0)
  let high = at(aggregate.function, earlierMs, TILE_QUANTUM_MS)
  if (aggregate.function === 'avg') {
    if (bound || at('count', 0, 0) === 0) {
      assert.ok(!bound || Number.isNaN(actual))
      return
    }
    low = at('sum', 0, 0) / at('count', earlierMs, TILE_QUANTUM_MS)
    high = at('sum', earlierMs, TILE_QUANTUM_MS) / at('count', 0, 0)
  }
  assertBetween(low, actual, high, `${aggregateKey(aggregate)}: ${low} <= ${actual} <= ${high}`)
}

/** Where the count of an aggregate's entity and window stands in the plan. */
const COUNT_SLOTS = FULL_PLAN.map(({ entity, windowSeconds }) =>
  FULL_PLAN.findIndex(
    (other) =>
      other.function === 'count' &&
      other.entity === entity &&
      other.windowSeconds === windowSeconds,
  ),
)

function checkAnswer(events: readonly NaiveEvent[], now: NaiveEvent, answer: VelocityValues): void {
  FULL_PLAN.forEach((aggregate, slot) => {
    const actual = answer.values[slot] as number
    const bound = answer.saturated[slot] === 1
    const isTile = IS_TILE[ENTITIES.indexOf(aggregate.entity)] === true
    const isLast = aggregate.function === 'secondsSinceLast' || aggregate.function === 'speedKmh'
    if (now.keys[aggregate.entity] === undefined) {
      assert.ok(Number.isNaN(actual))
      assert.equal(bound, false)
    } else if (aggregate.function === 'frauds') {
      assert.equal(actual, naiveValue(events, aggregate, now), aggregateKey(aggregate))
    } else if (isLast && (isTile || answer.saturated[COUNT_SLOTS[slot] as number] === 1)) {
      checkLateLast(events, aggregate, now, actual)
    } else if (isTile) checkTile(events, aggregate, now, actual, bound)
    else checkRing(events, aggregate, now, actual, bound)
  })
}

async function replayAgainstList(velocity: Velocity, seed: number, length: number): Promise<void> {
  let events: readonly NaiveEvent[] = []
  for (const batch of drawEvents(seed, length)) {
    if (batch[0]?.kind !== 'attempt') {
      events = withoutRepeats([...events, ...batch])
      await velocity.publish(batch.filter(isPublished), DEADLINE_MS)
      continue
    }
    const answers = await velocity.observe(batch.map(attemptOf), FULL_PLAN, DEADLINE_MS)
    assert.equal(answers.length, batch.length)
    for (let i = 0; i < batch.length; i++) {
      const event = batch[i] as NaiveEvent
      events = withoutRepeats([...events, event])
      if (i % 6 === 0) checkAnswer(events, event, answers[i] as VelocityValues)
    }
  }
}

function isPublished(
  event: NaiveEvent,
): event is NaiveEvent & (VelocityOutcomeEvent | VelocityLabel) {
  return event.kind !== 'attempt'
}

/** A fresh, empty store at each call. */
export type CreateVelocity = () => Velocity | Promise<Velocity>

async function withVelocity(
  create: CreateVelocity,
  body: (velocity: Velocity) => Promise<void>,
): Promise<void> {
  const velocity = await create()
  try {
    await body(velocity)
  } finally {
    await velocity.close()
  }
}

function testRepeats(name: string, create: CreateVelocity): void {
  const plan: AggregatePlan = [
    { function: 'count', entity: 'card', windowSeconds: DAY },
    { function: 'count', entity: 'merchant', windowSeconds: DAY },
    { function: 'declines', entity: 'card', windowSeconds: DAY },
    { function: 'declines', entity: 'merchant', windowSeconds: DAY },
  ]

  test(`${name}: an attempt sees those before it in its batch`, () =>
    withVelocity(create, async (velocity) => {
      const keys = { card: 'c', merchant: 'm' }
      const batch = Array.from({ length: 64 }, (_, i) => testAttempt(i, T0 + i, keys))
      const answers = await velocity.observe(batch, plan, DEADLINE_MS)
      answers.forEach((answer, i) => {
        // 8 more come before a ring is cut to 48.
        const kept = i < 56 ? i + 1 : 48 + ((i - 56) % 9)
        assert.equal(answer.values[0], kept)
        assert.equal(answer.saturated[0], i < 56 ? 0 : 1)
        assert.equal(answer.values[1], i + 1)
      })
    }))

  test(`${name}: what is sent again counts once, however old`, () =>
    withVelocity(create, async (velocity) => {
      const attempts = Array.from({ length: 300 }, (_, i) =>
        testAttempt(i, T0 + i, { card: `c${i % 10}`, merchant: 'm' }),
      )
      const declined = attempts
        .slice(0, 30)
        .map((attempt) => ({ ...attempt, kind: 'declined' as const }))
      for (let round = 0; round < 3; round++) {
        for (let i = 0; i < attempts.length; i += 60) {
          await velocity.observe(attempts.slice(i, i + 60), plan, DEADLINE_MS)
        }
        await velocity.publish(declined, DEADLINE_MS)
      }
      const last = testAttempt(1000, T0 + 1000, { card: 'c3', merchant: 'm' })
      const [answer] = await velocity.observe([last], plan, DEADLINE_MS)
      assert.deepEqual([...(answer as VelocityValues).values], [31, 301, 3, 30])
    }))
}

function testDistinct(name: string, create: CreateVelocity): void {
  test(`${name}: distinct cards of a merchant are exact while few, then estimated`, () =>
    withVelocity(create, async (velocity) => {
      const plan: AggregatePlan = [
        { function: 'distinct', entity: 'merchant', windowSeconds: DAY, of: 'card' },
        { function: 'distinct', entity: 'merchant', windowSeconds: MINUTE, of: 'card' },
        { function: 'count', entity: 'merchant', windowSeconds: DAY },
      ]
      for (let i = 0; i < 3_000; i += 60) {
        const batch = Array.from({ length: 60 }, (_, k) =>
          testAttempt(i + k, T0 + (i + k) * 100, { card: `card${i + k}`, merchant: 'm' }),
        )
        const answers = await velocity.observe(batch, plan, DEADLINE_MS)
        answers.forEach(({ values }, k) => {
          const seen = i + k + 1
          assert.equal(values[2], seen)
          // One standard error is 1.6% at most.
          const slack = seen <= DISTINCT_EXACT_MAX ? 0 : 0.06 * seen
          assert.ok(Math.abs((values[0] as number) - seen) <= slack, `${values[0]} of ${seen}`)
          // One minute at ten a second, and one bucket more: 600 to 650.
          const inMinute = Math.min(seen, 600)
          assert.ok((values[1] as number) >= inMinute * 0.94 - 1, `${values[1]} of ${inMinute}`)
          assert.ok((values[1] as number) <= (inMinute + 50) * 1.06, `${values[1]} of ${inMinute}`)
        })
      }
    }))
}

/** Registers the tests. `runs`: how many random streams. */
export function testVelocity(name: string, create: CreateVelocity, runs: number): void {
  test(`${name}: equals a list of events, exact, bounded, or within a bucket`, async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer(), (seed) =>
        withVelocity(create, (velocity) => replayAgainstList(velocity, seed, 250)),
      ),
      // A smaller seed is no simpler stream.
      { numRuns: runs, endOnFailure: true },
    )
  })

  testRepeats(name, create)
  testDistinct(name, create)

  test(`${name}: an absent entity is unknown, a present one never`, () =>
    withVelocity(create, async (velocity) => {
      const attempt = testAttempt(1, T0, { card: 'c' })
      const [answer] = await velocity.observe([attempt], FULL_PLAN, DEADLINE_MS)
      FULL_PLAN.forEach((aggregate, slot) => {
        const value = answer?.values[slot] as number
        const counted = ['count', 'sum', 'distinct', 'declines'].includes(aggregate.function)
        if (aggregate.entity !== 'card') assert.ok(Number.isNaN(value))
        else if (counted) assert.ok(value >= 0)
      })
    }))

  test(`${name}: keys that look alike, or hold anything, are different entities`, () =>
    withVelocity(create, async (velocity) => {
      const tokens = ['a', 'a}', '{a}', 'ä', 'a b', '\u0000', 'a'.repeat(500), 'a'.repeat(501)]
      const plan: AggregatePlan = [
        { function: 'count', entity: 'terminal', windowSeconds: MINUTE },
        { function: 'count', entity: 'merchant', windowSeconds: MINUTE },
      ]
      const batch = tokens.map((token, i) =>
        testAttempt(i, T0, { terminal: token, merchant: token }),
      )
      for (const { values } of await velocity.observe(batch, plan, DEADLINE_MS)) {
        assert.deepEqual([...values], [1, 1])
      }
    }))

  test(`${name}: nothing in, nothing out; more than a batch is a bug`, () =>
    withVelocity(create, async (velocity) => {
      assert.deepEqual(await velocity.observe([], FULL_PLAN, DEADLINE_MS), [])
      await velocity.publish([], DEADLINE_MS)
      const attempt = testAttempt(1, T0, { card: 'c' })
      const [answer] = await velocity.observe([attempt], [], DEADLINE_MS)
      assert.equal(answer?.values.length, 0)
      const batch = Array.from({ length: 65 }, (_, i) => testAttempt(i, T0, { card: 'c' }))
      await assert.rejects(velocity.observe(batch, FULL_PLAN, DEADLINE_MS), RangeError)
    }))

  test(`${name}: a closed store says so`, async () => {
    const velocity = await create()
    await velocity.close()
    await assert.rejects(velocity.observe([], [], DEADLINE_MS), { code: 'velocity_closed' })
    await assert.rejects(velocity.publish([], DEADLINE_MS), { code: 'velocity_closed' })
  })
}
