import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { compileRuleSet, type Lists, type RuleSet, readRuleFiles } from '#rules'
import { openModelFolder } from './adapters/index.ts'
import { FEATURE_AGGREGATES, FEATURE_NAMES } from './features.ts'
import { loadModel, type Model } from './onnx/index.ts'
import type { Decision, ScoringRequest } from './request.ts'
import { createScoring, mergePlans, type Scoring } from './score.ts'
import { createEmbeddedVelocity, type Velocity } from './velocity/index.ts'
import type { OutcomeEvent } from './wire.ts'

// The shipped rules and the shipped model.
const RULES = fileURLToPath(new URL('../rules', import.meta.url))
const MODEL = fileURLToPath(new URL('models/switchyard-trees', import.meta.url))
const START_MS = Date.parse('2026-11-22T10:00:00Z')
const clock = { now: () => START_MS, monotonic: () => performance.now() }

let ruleSet: RuleSet
let lists: Lists
let model: Model

async function openModel(): Promise<Model> {
  const loaded = await loadModel(openModelFolder(MODEL), { featureNames: FEATURE_NAMES })
  if (!loaded.ok) throw new Error(loaded.problem.message)
  return loaded.model
}

before(async () => {
  const compiled = compileRuleSet(await readRuleFiles(RULES))
  if (!compiled.ok) throw new Error(JSON.stringify(compiled.problems))
  ruleSet = compiled.ruleSet
  lists = compiled.lists
  model = await openModel()
})

after(() => model.release())

function scoringOn(velocity: Velocity, on: Model = model): Scoring {
  return createScoring({
    ruleSet,
    lists,
    model: on,
    velocity,
    clock,
    entityKey: new Uint8Array(32).fill(3),
  })
}

/** Attempt number `n`, one a second; a small e-commerce payment on one device. */
function request(n: number, changes: Partial<ScoringRequest> = {}): ScoringRequest {
  return {
    id: `auth_${n}`,
    eventHash: createHash('sha256').update(`demo ${n}`).digest('hex').slice(0, 16),
    arrivedAtMs: START_MS + n * 1000,
    acquirer: 'demo',
    type: 'authorization',
    amount: 199,
    currency: 'EUR',
    channel: 'ecommerce',
    card: { token: `tok_${n % 3}`, bin: '47617390', expiry: '2912' },
    merchant: { id: 'M-1', mcc: '5816', country: 'DE', timeZone: 'Europe/Berlin' },
    device: { id: 'D-77', ip: '203.0.113.7' },
    customer: { id: 'C-42', email: 'customer@example.com', country: 'DE' },
    ...changes,
  }
}

function requests(count: number): ScoringRequest[] {
  return Array.from({ length: count }, (_, n) => request(n))
}

function aggregateOf(scoring: Scoring, decision: Decision | undefined, key: string): number {
  const slot = scoring.plan.findIndex(
    ({ function: of, entity, windowSeconds }) => `${of}(${entity}, ${windowSeconds})` === key,
  )
  assert.notEqual(slot, -1, `${key} is in the plan`)
  return decision?.aggregates[slot] ?? Number.NaN
}

/** What two ways to the same decision must agree on. */
function withoutTimes(decision: Decision): Omit<Decision, 'stepMicros'> {
  const { stepMicros: _, ...rest } = decision
  return rest
}

test('velocity, model and rules have their say in one decision', async () => {
  const scoring = scoringOn(createEmbeddedVelocity())
  const { decisions, faults } = await scoring.score(requests(9), 1000)
  const last = decisions.at(-1)
  assert.deepEqual(faults, { velocity: null, model: null })
  assert.equal(last?.outcome, 'decline')
  assert.ok(last.reasons.includes('velocity_device'))
  const hit = last.hits.find((each) => each.rule === 'card-testing.many-small-amounts')
  assert.equal(hit?.values.baseAmount, 199)
  assert.equal(hit?.values['count(device, "10m")'], 9)
  assert.ok(last.score !== null && last.score >= 0 && last.score <= 1)
  assert.ok(model.bands.some((band) => band.name === last.band))
  assert.equal(last.model, model.version)
  assert.equal(last.ruleSet, ruleSet.hash)
  assert.equal(last.features.length, FEATURE_NAMES.length)
  assert.equal(last.aggregates.length, scoring.plan.length)
  assert.deepEqual(last.degraded, [])
})

test('what a rule says of hours is compared with the arrival', async () => {
  const pack = `typology: night
rules:
  - id: night.any
    title: Anything at night
    mode: live
    when: amount > 0
    outcome: review
    reason: at_night
    active: { from: "22:00", to: "06:00", timeZone: Europe/Berlin }
`
  const compiled = compileRuleSet([{ name: 'packs/night.yaml', text: pack }])
  assert.ok(compiled.ok)
  const scoring = createScoring({
    ruleSet: compiled.ruleSet,
    lists: compiled.lists,
    model,
    velocity: createEmbeddedVelocity(),
    clock,
    entityKey: new Uint8Array(32).fill(3),
  })
  const night = request(1, { arrivedAtMs: Date.parse('2026-11-22T23:00:00Z') })
  const { decisions } = await scoring.score([request(0), night], 1000)
  assert.deepEqual(
    decisions.map(({ reasons, unknownRules }) => [reasons, unknownRules]),
    [
      [[], []],
      [['at_night'], []],
    ],
  )
})

test('a batch decides as its messages would one by one', async () => {
  const together = await scoringOn(createEmbeddedVelocity()).score(requests(30), 1000)
  const alone = scoringOn(createEmbeddedVelocity())
  for (const [n, each] of requests(30).entries()) {
    const { decisions } = await alone.score([each], 1000)
    assert.deepEqual(
      decisions.map(withoutTimes),
      together.decisions.slice(n, n + 1).map(withoutTimes),
    )
  }
})

test('a resent attempt is counted once', async () => {
  const scoring = scoringOn(createEmbeddedVelocity())
  await scoring.score([request(1), request(1)], 1000)
  const { decisions } = await scoring.score([request(1), request(2)], 1000)
  assert.equal(aggregateOf(scoring, decisions[1], 'count(device, 600)'), 2)
})

test('what became of an attempt is seen by the next one', async () => {
  const scoring = scoringOn(createEmbeddedVelocity())
  await scoring.score([request(0)], 1000)
  const { eventHash, arrivedAtMs, ...source } = request(0)
  const declined: OutcomeEvent = {
    ...source,
    eventHash,
    atMs: arrivedAtMs + 200,
    kind: 'declined',
    responseCode: '51',
  }
  await scoring.publish([declined], 1000)
  const { decisions } = await scoring.score([request(3)], 1000)
  assert.equal(aggregateOf(scoring, decisions[0], 'declines(card, 86400)'), 1)
})

test('an unknown currency or time zone makes values unknown, never zero', async () => {
  const scoring = scoringOn(createEmbeddedVelocity())
  const merchant = { id: 'M-1', mcc: '5816', timeZone: 'Mars/Olympus' }
  const strange = Array.from({ length: 9 }, (_, n) => request(n, { currency: 'ABC', merchant }))
  const decision = (await scoring.score(strange, 1000)).decisions.at(-1)
  assert.ok(Number.isNaN(decision?.features[FEATURE_NAMES.indexOf('amount_log')]))
  assert.ok(Number.isNaN(decision?.features[FEATURE_NAMES.indexOf('night')]))
  assert.ok(decision?.unknownRules.includes('card-testing.many-small-amounts'))
})

test('without velocity its values are missing, the model still scores, the policy decides', async () => {
  const velocity = createEmbeddedVelocity()
  await velocity.close()
  const large = request(1, { amount: 50_000 })
  const { decisions, faults } = await scoringOn(velocity).score([large, request(2)], 1000)
  assert.equal(faults.velocity, 'velocity_closed')
  for (const decision of decisions) {
    assert.deepEqual(decision.degraded, ['velocity'])
    assert.ok(decision.score !== null)
    assert.ok(decision.aggregates.every(Number.isNaN))
    assert.ok(decision.unknownRules.includes('card-testing.many-cards-on-device'))
  }
  assert.ok(decisions[0]?.reasons.includes('velocity_missing'))
  assert.notEqual(decisions[0]?.outcome, 'approve')
})

test('without the model rules decide, and the score is missing, not zero', async () => {
  const released = await openModel()
  await released.release()
  const scoring = scoringOn(createEmbeddedVelocity(), released)
  const { decisions, faults } = await scoring.score([request(1, { amount: 50_000 })], 1000)
  const [decision] = decisions
  assert.notEqual(faults.model, null)
  assert.deepEqual(decision?.degraded, ['model'])
  assert.equal(decision?.score, null)
  assert.equal(decision?.band, null)
  assert.equal(decision?.model, null)
  assert.equal(decision?.features.length, 0)
  assert.ok(decision?.reasons.includes('model_missing'))
  assert.ok(decision?.unknownRules.includes('model.high'))
})

test('an empty batch asks nobody', async () => {
  const velocity = createEmbeddedVelocity()
  await velocity.close()
  const scored = await scoringOn(velocity).score([], 1000)
  assert.deepEqual(scored, { decisions: [], faults: { velocity: null, model: null } })
})

test('the plan starts with the rules and holds nothing twice', () => {
  const plan = mergePlans(ruleSet.aggregates, FEATURE_AGGREGATES)
  assert.deepEqual(plan.slice(0, ruleSet.aggregates.length), ruleSet.aggregates)
  const keys = plan.map((aggregate) => JSON.stringify(aggregate))
  assert.ok(plan.length < ruleSet.aggregates.length + FEATURE_AGGREGATES.length)
  assert.equal(new Set(keys).size, plan.length)
})

test('what is declined or reviewed says why, what is approved needs no reason', async () => {
  const velocity = createEmbeddedVelocity()
  const scoring = scoringOn(velocity)
  const decisions: Decision[] = []
  for (let n = 0; n < 12; n++) {
    decisions.push(...(await scoring.score([request(n)], 1_000)).decisions)
  }
  await velocity.close()
  const risky = decisions.filter(({ outcome }) => outcome !== 'approve')
  assert.ok(risky.length > 0 && risky.length < decisions.length)
  for (const { why } of risky) {
    assert.equal(why?.unexplained, null)
    assert.ok((why?.contributions.length ?? 0) > 0)
  }
  for (const { outcome, why } of decisions) {
    if (outcome === 'approve') assert.equal(why, undefined)
  }
})

test('a challenger scores the same batch in shadow, and one that fails costs nobody anything', async () => {
  const alone = createEmbeddedVelocity()
  const beside = createEmbeddedVelocity()
  const wrong: Model = {
    ...model,
    version: 'wrong+1',
    score: async (_features, rows) => new Float32Array(rows).fill(1),
  }
  const failing: Model = {
    ...model,
    version: 'failing+1',
    score: () => Promise.reject(new Error('no')),
  }
  const parts = { ruleSet, lists, model, clock, entityKey: new Uint8Array(32).fill(3) }
  const champion = createScoring({ ...parts, velocity: alone })
  const watched = createScoring({ ...parts, velocity: beside, challengers: [wrong, failing] })
  for (let n = 0; n < 12; n++) {
    const [plain] = (await champion.score([request(n)], 1_000)).decisions
    const [decided] = (await watched.score([request(n)], 1_000)).decisions
    const { challengers, stepMicros: _, ...rest } = decided as Decision
    const { stepMicros: __, challengers: none, ...expected } = plain as Decision
    assert.deepEqual(rest, expected)
    assert.equal(none, undefined)
    assert.deepEqual(challengers, [
      { model: 'wrong+1', score: 1 },
      { model: 'failing+1', score: null },
    ])
  }
  await alone.close()
  await beside.close()
})
