import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ENTITIES, RISK_OUTCOMES, type RuleHit } from '#rules'
import type { Decision, ScoringRequest } from './request.ts'
import {
  decodeBatch,
  decodeDecided,
  encodeBatch,
  encodeDecided,
  type OutcomeEvent,
} from './wire.ts'

const text = fc.string({ maxLength: 40, unit: 'grapheme' })
const maybeText = fc.option(text, { nil: undefined })
const amount = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER })
const timeMs = fc.integer({ min: 0, max: 4_102_444_800_000 })
const degrees = fc.option(fc.double({ min: -180, max: 180, noNaN: true }), { nil: undefined })

const request = fc.record({
  id: text,
  eventHash: text,
  arrivedAtMs: timeMs,
  acquirer: text,
  type: text,
  amount,
  currency: text,
  channel: text,
  card: fc.record({ token: text, bin: text, country: maybeText, expiry: maybeText }),
  merchant: fc.record({
    id: text,
    mcc: text,
    name: maybeText,
    city: maybeText,
    country: maybeText,
    latitude: degrees,
    longitude: degrees,
    timeZone: maybeText,
  }),
  terminal: fc.record({ id: maybeText, entryMode: maybeText }),
  device: fc.record({ id: maybeText, ip: maybeText, ipCountry: maybeText, userAgent: maybeText }),
  customer: fc.record({ id: maybeText, email: maybeText, country: maybeText }),
  threeDs: fc.record({ version: maybeText, eci: maybeText, status: maybeText }),
})

const outcome = fc.record({
  eventHash: text,
  atMs: timeMs,
  kind: fc.constantFrom('approved', 'declined', 'reversed'),
  acquirer: text,
  card: fc.record({ token: text, bin: text }),
  merchant: fc.record({ id: text }),
  terminal: fc.record({ id: maybeText }),
  device: fc.record({ id: maybeText, ip: maybeText }),
  customer: fc.record({ id: maybeText, email: maybeText }),
  responseCode: maybeText,
})

test('a batch comes out of the wire as it went in', () => {
  const batch = fc.record({
    requests: fc.array(request, { maxLength: 5 }),
    outcomes: fc.array(outcome, { maxLength: 5 }),
    velocityDeadlineMs: fc.double({ min: 0, max: 100, noNaN: true }),
  })
  fc.assert(
    fc.property(batch, ({ requests, outcomes, velocityDeadlineMs }) => {
      const sent = {
        requests: requests as unknown as ScoringRequest[],
        outcomes: outcomes as unknown as OutcomeEvent[],
        velocityDeadlineMs,
      }
      const { edition, ...batch } = decodeBatch(encodeBatch(sent, 7))
      assert.equal(edition, 7)
      assert.deepEqual(withoutMinusZero(batch), withoutMinusZero(sent))
    }),
  )
})

test('parts that a request does not have come out as parts without values', () => {
  const bare: ScoringRequest = {
    id: 'auth_1',
    eventHash: '00000000000000ff',
    arrivedAtMs: 1_795_000_000_000,
    acquirer: 'demo',
    type: 'authorization',
    amount: 2599,
    currency: 'EUR',
    channel: 'pos',
    card: { token: 'tok', bin: '47617390' },
    merchant: { id: 'M-1', mcc: '5411' },
  }
  const [decoded] = decodeBatch(
    encodeBatch({ requests: [bare], outcomes: [], velocityDeadlineMs: 15 }, 1),
  ).requests
  assert.equal(decoded?.device?.ip, undefined)
  assert.equal(decoded?.merchant.name, undefined)
  assert.equal(decoded?.amount, 2599)
})

const plain = { noNullPrototype: true } as const

const hit: fc.Arbitrary<RuleHit> = fc.record(
  {
    rule: text,
    mode: fc.constantFrom('live', 'shadow'),
    outcome: fc.constantFrom(...RISK_OUTCOMES),
    reason: text,
    disclose: fc.boolean(),
    values: fc.dictionary(
      text.filter((name) => name !== '__proto__'),
      fc.oneof(
        text,
        fc.boolean(),
        fc.constant(null),
        fc.double().map((n) => (n === 0 ? 0 : n)),
      ),
      plain,
    ),
  },
  plain,
)

const double = fc.double({ noNaN: true }).map((n) => (n === 0 ? 0 : n))

const why = fc.record(
  {
    raw: fc.option(double),
    base: fc.option(double),
    contributions: fc.array(
      fc.record({ feature: text, meaning: text, value: fc.option(double), amount: double }, plain),
      { maxLength: 5 },
    ),
    others: double,
    unexplained: fc.option(text),
  },
  plain,
)

/** Decisions of one batch: the same versions, step times and widths. */
const decided = fc
  .record({
    count: fc.nat(6),
    features: fc.nat(8),
    aggregates: fc.nat(8),
    ruleSet: fc.option(text),
    model: fc.option(text),
    stepMicros: fc.record(
      { velocity: amount, features: amount, model: amount, rules: amount },
      plain,
    ),
  })
  .chain(({ count, features, aggregates, ...shared }) =>
    fc.array(
      fc
        .record({
          outcome: fc.constantFrom(...RISK_OUTCOMES),
          score: fc.option(fc.float({ min: 0, max: 1, noNaN: true }).map(Math.abs)),
          band: fc.option(text),
          reasons: fc.array(text, { maxLength: 3 }),
          disclosedReasons: fc.array(text, { maxLength: 3 }),
          hits: fc.array(hit, { maxLength: 3 }),
          degraded: fc.constantFrom([], ['velocity'], ['model'], ['velocity', 'model'], ['worker']),
          features: fc.float32Array({ minLength: features, maxLength: features }),
          aggregates: fc.float64Array({ minLength: aggregates, maxLength: aggregates }),
          unknownRules: fc.array(text, { maxLength: 3 }),
          saturated: fc.subarray([...ENTITIES]),
          lookedUp: fc.option(
            fc.array(fc.oneof(text, fc.nat(), fc.constant(null)), { maxLength: 6 }),
            { nil: undefined },
          ),
          lowerBounds: fc.option(fc.uint8Array({ maxLength: 6 }), { nil: undefined }),
          why: fc.option(why, { nil: undefined }),
          challengers: fc.option(
            fc.array(fc.record({ model: text, score: fc.option(double) }, plain), { maxLength: 2 }),
            { nil: undefined },
          ),
        })
        .map((own) => ({ ...own, ...shared }) as unknown as Decision),
      { minLength: count, maxLength: count },
    ),
  )

const faults = fc.record({ velocity: fc.option(text), model: fc.option(text) }, plain)

test('decisions come out of the wire as they went in, typed arrays and NaN included', () => {
  fc.assert(
    fc.property(decided, faults, fc.nat(), (decisions, faults, outcomesLost) => {
      const out = decodeDecided(encodeDecided({ decisions, faults, outcomesLost }))
      assert.deepEqual(out, { decisions, faults, outcomesLost })
      for (const decision of out.decisions) {
        assert.ok(decision.features instanceof Float32Array)
        assert.equal(decision.features.byteLength, decision.features.buffer.byteLength)
      }
    }),
  )
})

test('a batch on the wire can be moved: it has a buffer of its own', () => {
  const bytes = encodeBatch({ requests: [], outcomes: [], velocityDeadlineMs: 15 }, 1)
  assert.equal(bytes.byteOffset, 0)
  assert.equal(bytes.byteLength, bytes.buffer.byteLength)
})

/** MessagePack integers have no minus zero; no field here can tell the two apart. */
function withoutMinusZero(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (_key, item: unknown) => (item === undefined ? '<absent>' : item)),
  )
}
