// Whatever was decided is decided again the same from what is kept of it, also when exchange rates,
// country lists and the runtime's time zones are others by then.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { compileRuleSet, createLocalTime, type Lists, type RuleSet } from '#rules'
import { decideWithoutWorker } from './decide.ts'
import { FEATURES } from './features.ts'
import type { Model } from './onnx/index.ts'
import { LOOKED_UP, lowerBoundsOf, replay, replayedInput } from './replay.ts'
import type { Decision, ScoringRequest } from './request.ts'
import { createScoring } from './score.ts'
import { generateTransactions } from './training/index.ts'
import { createEmbeddedVelocity, type Velocity } from './velocity/index.ts'
import { decodeDecided, encodeDecided } from './wire.ts'

const when: readonly string[] = [
  'baseAmount >= 4000 && count(card, "24h") >= 3',
  'count(card, "30d") >= 40',
  'count(card, "30d") == 48',
  'avg(card, "30d") > 900.0',
  'declines(terminal, "1h") >= 1 || localHour < 6',
  'localWeekday >= 6 && card.country != merchant.country',
  'card.expiry != "2801"',
  'device.ipCountry in ["DE", "FR", "NL"]',
  'score >= 0.5',
  'inList(merchant, "watched")',
  'distinct(merchant, card, "1h") >= 2 && merchant.mcc.startsWith("5")',
]

function conditionsOf(conditions: readonly string[]): RuleSet {
  const outcomes = ['review', 'decline', 'challenge', 'approve']
  const rules = conditions.map((condition, index) => {
    const extra = index % 3 === 0 ? '\n    rollout: 60' : ''
    const active = '\n    active: { from: "08:00", to: "20:00", timeZone: Europe/Berlin }'
    return `  - id: replay.r${index}
    title: Rule ${index}
    mode: ${index % 5 === 4 ? 'shadow' : 'live'}
    when: ${JSON.stringify(condition)}
    outcome: ${outcomes[index % 4]}
    reason: r${index}${extra}${index % 4 === 1 ? active : ''}
`
  })
  const compiled = compileRuleSet([
    { name: 'packs/replay.yaml', text: `typology: replay\nrules:\n${rules.join('')}` },
    {
      name: 'packs/degradation.yaml',
      text: `typology: degradation
policy:
  - { missing: [velocity], outcome: review, reason: blind }
  - { missing: [velocity, model], baseAmountFrom: 3000, outcome: decline, reason: all_blind }
`,
    },
    { name: 'lists/watched.csv', text: 'value,until\nM-3,2026-01-08\nM-4,\n' },
  ])
  assert.ok(compiled.ok, JSON.stringify(compiled))
  return compiled.ruleSet
}

const ruleSet = conditionsOf(when)

/** The lists of the day of the decision, and those of the day of the replay. */
function listsWith(rate: number, country: string | undefined): Lists {
  return {
    named: new Map(),
    baseAmount: (amount: number) => Math.round(amount * rate),
    countryOfBin: () => country,
    countryOfIp: () => country,
  } as unknown as Lists
}

function modelOf(scores: () => number): Model {
  return {
    name: 'test',
    version: '1',
    featureNames: FEATURES.map(({ name }) => name),
    bands: [{ name: 'all', from: 0 }],
    score: async (_features, rows) => {
      const values = Float32Array.from({ length: rows }, scores)
      if (values.some(Number.isNaN)) throw new Error('not finite')
      return values
    },
    release: async () => undefined,
  }
}

/** Velocity that does not answer every n-th batch. */
function failing(velocity: Velocity, every: number): Velocity {
  let calls = 0
  return {
    observe: async (attempts, plan, deadlineMs) => {
      const values = await velocity.observe(attempts, plan, deadlineMs)
      if (++calls % every === 0) throw new Error('too late')
      return values
    },
    publish: (outcomes, deadlineMs) => velocity.publish(outcomes, deadlineMs),
    close: () => velocity.close(),
  }
}

/** As the store keeps a request: without the expiry. */
function storedOf(request: ScoringRequest): ScoringRequest {
  const { expiry: _, ...card } = request.card
  return { ...request, card }
}

/** As a record of the log: MessagePack, so NaN stays in typed arrays only. */
function throughTheWire(decision: Decision): Decision {
  const faults = { velocity: null, model: null }
  const bytes = encodeDecided({ decisions: [decision], faults, outcomesLost: 0 })
  return decodeDecided(bytes).decisions[0] as Decision
}

const later = { ...listsWith(3, 'XX'), localTime: createLocalTime() }

test('every decision replays to the same, whatever the lists say by then', async () => {
  const start = Date.UTC(2026, 0, 5)
  const stream = generateTransactions({ seed: 5, days: 3, customers: 60, startMs: start })
  const all = [...stream].map(({ request }) => request)
  // One card that is busier than a ring is long: lower bounds.
  const busy = all.slice(0, 120).map((request) => ({
    ...request,
    card: { ...request.card, token: 'tok_busy', expiry: '2801' },
  }))
  const requests = [...busy, ...all.slice(120)]
  let number = 0
  const model = modelOf(() => (++number % 97 === 0 ? Number.NaN : (number % 100) / 100))
  const scoring = createScoring({
    ruleSet,
    lists: listsWith(1.5, 'FR'),
    model,
    velocity: failing(createEmbeddedVelocity(), 7),
    clock: { now: () => 0, monotonic: () => 0 },
    entityKey: new Uint8Array(32).fill(9),
  })
  const seen = { bounds: 0, degraded: 0, hits: 0, unknown: 0 }
  for (let at = 0; at < requests.length; at += 8) {
    const batch = requests.slice(at, at + 8)
    const { decisions } = await scoring.score(batch, 1_000)
    decisions.forEach((decision, row) => {
      const kept = throughTheWire(decision)
      const again = replay(storedOf(batch[row] as ScoringRequest), kept, ruleSet, later)
      const { outcome, reasons, disclosedReasons, hits, unknownRules } = decision
      assert.deepEqual(
        { ...again, hits: again.hits.map(({ values, ...hit }) => [hit, values]) },
        {
          ...{ outcome, reasons, disclosedReasons, unknownRules },
          hits: hits.map(({ values, ...hit }) => [hit, values]),
        },
      )
      if ((kept.lowerBounds?.length ?? 0) > 0) seen.bounds++
      if (kept.degraded.length > 0) seen.degraded++
      seen.hits += hits.length
      seen.unknown += unknownRules.length
    })
  }
  for (const [what, count] of Object.entries(seen)) assert.ok(count > 20, `${what}: ${count}`)
})

test('a decision made without a worker replays by the policy for its amount', () => {
  for (const baseAmount of [2_999, 3_000, Number.NaN]) {
    const decision = decideWithoutWorker(ruleSet, 'pos', baseAmount)
    const request = requestOf(1)
    const again = replay(request, throughTheWire(decision), ruleSet, later)
    assert.equal(again.outcome, decision.outcome)
    assert.deepEqual(again.reasons, decision.reasons)
  }
})

test('decisions of older versions replay with what the lists say', () => {
  const decision = decideWithoutWorker(ruleSet, 'pos', 1_000)
  const { lookedUp: _, lowerBounds: __, ...old } = decision
  const { facts, saturated } = replayedInput(requestOf(100), old, ruleSet, later)
  assert.equal(facts.baseAmount, 300)
  assert.equal(facts.card.country, 'XX')
  assert.ok(!saturated.includes(1))
})

test('the expiry is kept only where a rule reads it', async () => {
  for (const [condition, kept] of [
    ['card.expiry == "2912"', '2912'],
    ['amount > 3', undefined],
  ] as const) {
    const scoring = createScoring({
      ruleSet: conditionsOf([condition]),
      lists: listsWith(1, 'DE'),
      model: modelOf(() => 0.1),
      velocity: createEmbeddedVelocity(),
      clock: { now: () => 0, monotonic: () => 0 },
      entityKey: new Uint8Array(32).fill(9),
    })
    const request = { ...requestOf(100), device: { ip: '203.0.113.7' } }
    const { decisions } = await scoring.score([request], 1_000)
    assert.equal(decisions[0]?.lookedUp?.[LOOKED_UP.indexOf('card.expiry')], kept)
  }
})

test('lower bounds come back as they were', () => {
  fc.assert(
    fc.property(fc.array(fc.boolean(), { maxLength: 70 }), (flags) => {
      const bits = lowerBoundsOf(Uint8Array.from(flags, Number))
      const decision = { ...decideWithoutWorker(ruleSet, 'pos', 1), lowerBounds: bits }
      const aggregates = flags.map(() => ruleSet.aggregates[0] as RuleSet['aggregates'][0])
      const { saturated } = replayedInput(requestOf(1), decision, { aggregates }, later)
      assert.deepEqual([...saturated], flags.map(Number))
      assert.equal(bits.length === 0, !flags.includes(true))
    }),
  )
})

function requestOf(amount: number): ScoringRequest {
  return {
    id: 'auth_1',
    eventHash: '00000000000000ff',
    arrivedAtMs: Date.UTC(2026, 0, 6),
    acquirer: 'demo',
    type: 'authorization',
    amount,
    currency: 'EUR',
    channel: 'pos',
    card: { token: 'tok', bin: '47617390', expiry: '2912' },
    merchant: { id: 'M-1', mcc: '5411' },
  }
}
