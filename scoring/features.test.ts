import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Aggregate, aggregateKey, type RuleFacts } from '#rules'
import {
  FEATURE_AGGREGATES,
  FEATURE_NAMES,
  FEATURES,
  featureSlots,
  fillFeatures,
} from './features.ts'
import { MCC_RISK_GROUPS, mccRisk } from './mcc-risk.ts'

const SLOTS = featureSlots(FEATURE_AGGREGATES)

/** An e-commerce purchase of 50.00 at three on a Saturday morning, from another country. */
const FACTS: RuleFacts = {
  type: 'authorization',
  amount: 5_000,
  currency: 'EUR',
  baseAmount: 5_000,
  channel: 'ecommerce',
  acquirer: 'demo',
  localHour: 3,
  localWeekday: 6,
  card: { bin: '47617390', country: 'DE', token: 'tok_1', expiry: '2912' },
  merchant: { id: 'M-1', mcc: '5732', name: undefined, city: undefined, country: 'FR' },
  terminal: { id: undefined, entryMode: 'stored' },
  device: { id: 'D-1', ip: 'ip_1', ipCountry: 'DE', userAgent: undefined },
  customer: { id: 'C-1', email: undefined, country: 'DE' },
  threeDs: { version: '2.2.0', eci: '05', status: 'authenticated' },
}

const NOTHING_KNOWN: RuleFacts = {
  ...FACTS,
  baseAmount: Number.NaN,
  localHour: Number.NaN,
  localWeekday: Number.NaN,
  card: { ...FACTS.card, country: undefined },
  merchant: { ...FACTS.merchant, country: undefined },
  terminal: { id: undefined, entryMode: undefined },
  device: { id: undefined, ip: undefined, ipCountry: undefined, userAgent: undefined },
  customer: { id: undefined, email: undefined, country: undefined },
  threeDs: { version: undefined, eci: undefined, status: undefined },
}

/** One row by name; aggregates that are not named are NaN. */
function row(facts: RuleFacts, known: Readonly<Record<string, number>>): Map<string, number> {
  const aggregates = Float64Array.from(
    FEATURE_AGGREGATES,
    (aggregate) => known[aggregateKey(aggregate)] ?? Number.NaN,
  )
  for (const key of Object.keys(known)) {
    assert.ok(
      FEATURE_AGGREGATES.some((aggregate) => aggregateKey(aggregate) === key),
      key,
    )
  }
  const target = new Float32Array(FEATURES.length)
  fillFeatures(target, 0, facts, aggregates, SLOTS)
  return new Map(FEATURE_NAMES.map((name, index) => [name, target[index] as number]))
}

test('the table is well formed', () => {
  assert.equal(new Set(FEATURE_NAMES).size, FEATURES.length)
  for (const feature of FEATURES) {
    assert.match(feature.name, /^[a-z][a-z0-9_]*$/)
    assert.ok(feature.unit.length > 0 && feature.meaning.length > 0, feature.name)
    for (const need of feature.needs) {
      assert.ok(need.windowSeconds >= 60 && need.windowSeconds <= 2_592_000, feature.name)
      assert.equal(need.of !== undefined, need.function === 'distinct', feature.name)
    }
  }
  const keys = FEATURE_AGGREGATES.map(aggregateKey)
  assert.equal(new Set(keys).size, keys.length)
})

test('amounts are compared with what came before, without the current attempt', () => {
  const values = row(FACTS, {
    'sum(card, 86400)': 8_000,
    'count(card, 86400)': 4,
    'max(card, 604800)': 20_000,
    'sum(customer, 2592000)': 5_000,
    'count(customer, 2592000)': 1,
  })
  assert.equal(values.get('amount_log'), Math.fround(Math.log(5_001)))
  // 3 earlier attempts of 10.00 each.
  assert.equal(values.get('amount_to_card_average_24h'), 5)
  assert.equal(values.get('amount_to_card_max_7d'), 0.25)
  assert.ok(Number.isNaN(values.get('amount_to_customer_average_30d')), 'no earlier attempt')
  assert.ok(Number.isNaN(values.get('amount_to_card_average_30d')), 'velocity unknown')
})

test('velocity values enter as they are', () => {
  const values = row(FACTS, {
    'count(card, 600)': 3,
    'distinct(device, card, 3600)': 7,
    'secondsSinceLast(card, 2592000)': 12.5,
    'speedKmh(card, 86400)': 850,
    'count(merchant, 3600)': 10,
    'count(merchant, 86400)': 48,
  })
  assert.equal(values.get('card_count_10m'), 3)
  assert.equal(values.get('device_cards_1h'), 7)
  assert.equal(values.get('card_seconds_since_last'), 12.5)
  assert.equal(values.get('card_speed_kmh'), 850)
  assert.equal(values.get('merchant_burst_1h'), 5)
})

test('facts become flags', () => {
  const values = row(FACTS, {})
  const expected: Readonly<Record<string, number>> = {
    night: 1,
    weekend: 1,
    channel_ecommerce: 1,
    channel_pos: 0,
    entry_stored: 1,
    entry_chip: 0,
    card_merchant_country_differ: 1,
    card_ip_country_differ: 0,
    card_customer_country_differ: 0,
    three_ds_authenticated: 1,
    three_ds_failed: 0,
    mcc_risk: 2,
  }
  for (const [name, value] of Object.entries(expected)) assert.equal(values.get(name), value, name)
})

test('what is missing is NaN, never zero', () => {
  const values = row(NOTHING_KNOWN, {})
  const known = [...values].filter(([, value]) => !Number.isNaN(value)).map(([name]) => name)
  assert.deepEqual(
    known,
    FEATURE_NAMES.filter((name) => name.startsWith('channel_') || name === 'mcc_risk'),
  )
})

test('a missing velocity is an empty array', () => {
  const unknown = new Float32Array(FEATURES.length)
  const missing = new Float32Array(FEATURES.length)
  const nothing = new Float64Array(FEATURE_AGGREGATES.length).fill(Number.NaN)
  fillFeatures(unknown, 0, FACTS, nothing, SLOTS)
  fillFeatures(missing, 0, FACTS, new Float64Array(0), SLOTS)
  assert.deepEqual(missing, unknown)
})

test('a row goes where it is asked to and the plan may be larger and in another order', () => {
  const more: Aggregate = { function: 'count', entity: 'bin', windowSeconds: 60 }
  const plan = [more, ...FEATURE_AGGREGATES.toReversed()]
  const values = Float64Array.from(plan, (_aggregate, index) => index)
  const own = Float64Array.from(FEATURE_AGGREGATES, (_aggregate, index) => plan.length - 1 - index)
  const expected = new Float32Array(FEATURES.length)
  fillFeatures(expected, 0, FACTS, own, SLOTS)
  const target = new Float32Array(3 * FEATURES.length).fill(-1)
  fillFeatures(target, FEATURES.length, FACTS, values, featureSlots(plan))
  assert.deepEqual(target.slice(FEATURES.length, 2 * FEATURES.length), expected)
  assert.ok(target.slice(0, FEATURES.length).every((value) => value === -1))
  assert.ok(target.slice(2 * FEATURES.length).every((value) => value === -1))
  assert.throws(() => featureSlots([more]), /the plan lacks/)
})

test('a row allocates nothing', () => {
  const target = new Float32Array(FEATURES.length)
  const aggregates = Float64Array.from(FEATURE_AGGREGATES, (_aggregate, index) => index * 1.5)
  for (let i = 0; i < 50_000; i++) fillFeatures(target, 0, FACTS, aggregates, SLOTS)
  const rows = 5_000
  const bytesPerRow = Array.from({ length: 15 }, () => {
    const before = process.memoryUsage().heapUsed
    for (let i = 0; i < rows; i++) fillFeatures(target, 0, FACTS, aggregates, SLOTS)
    return (process.memoryUsage().heapUsed - before) / rows
  }).sort((one, other) => one - other)
  // One boxed number a row would be 12 bytes. The median stands above a collection in one round.
  assert.ok((bytesPerRow[7] as number) < 6, `${bytesPerRow} bytes a row`)
})

test('category codes have their group', () => {
  assert.equal(MCC_RISK_GROUPS[mccRisk('5411')], 'everyday')
  assert.equal(MCC_RISK_GROUPS[mccRisk('5999')], 'other')
  assert.equal(MCC_RISK_GROUPS[mccRisk('5732')], 'resold goods')
  assert.equal(MCC_RISK_GROUPS[mccRisk('5816')], 'digital goods')
  assert.equal(MCC_RISK_GROUPS[mccRisk('6051')], 'cash and near-cash')
})
