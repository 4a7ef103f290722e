import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  compileRuleSet,
  createLocalTime,
  RISK_OUTCOMES,
  type RiskOutcome,
  type RuleSet,
} from '#rules'
import { decide, decideWithoutWorker, degradedParts, worse } from './decide.ts'
import { type FactSource, factsOf } from './facts.ts'

interface Rule {
  readonly outcome: RiskOutcome
  readonly mode?: 'live' | 'shadow' | 'disabled'
  readonly when?: string
  readonly more?: string
}

/** A real rule set of these rules, named r0, r1 ..., each with its name as reason. */
function ruleSetOf(rules: readonly Rule[], policy: string): RuleSet {
  const pack = rules.map(
    ({ outcome, mode = 'live', when = 'amount >= 0', more = '' }, number) => `
  - id: table.r${number}
    title: Rule ${number}
    mode: ${mode}
    when: ${when}
    outcome: ${outcome}
    reason: r${number}
    ${more}`,
  )
  const compiled = compileRuleSet([
    { name: 'packs/table.yaml', text: `typology: table\nrules:${pack.join('')}\n` },
    { name: 'packs/degradation.yaml', text: `typology: degradation\npolicy:${policy}\n` },
  ])
  if (!compiled.ok) throw new Error(JSON.stringify(compiled.problems))
  return compiled.ruleSet
}

const POLICY = `
  - { missing: [velocity], outcome: review, reason: velocity_missing }
  - { missing: [model], channels: [ecommerce], outcome: challenge, reason: model_missing }
  - { missing: [velocity, model], baseAmountFrom: 10000, outcome: decline, reason: all_missing }`

const source: FactSource = {
  baseAmount: (amount) => amount,
  countryOfBin: () => undefined,
  countryOfIp: () => undefined,
  localTime: createLocalTime(),
}
const facts = factsOf(
  {
    id: 'auth_1',
    eventHash: '00000000000000ff',
    arrivedAtMs: 0,
    acquirer: 'demo',
    type: 'authorization',
    amount: 2599,
    currency: 'EUR',
    channel: 'pos',
    card: { token: 'tok', bin: '47617390' },
    merchant: { id: 'M-1', mcc: '5411' },
  },
  source,
)

function ruling(
  rules: readonly Rule[],
  missing = { velocity: false, model: false },
  channel = 'pos',
  baseAmount = 2599,
) {
  const ruleSet = ruleSetOf(rules, POLICY)
  const length = ruleSet.aggregates.length
  const verdict = ruleSet.evaluate({
    facts,
    aggregates: new Float64Array(length).fill(Number.NaN),
    saturated: new Uint8Array(length),
    score: Number.NaN,
  })
  const { outcome, reasons } = decide(ruleSet, verdict, missing, channel, baseAmount)
  return `${outcome} ${reasons.join(' ')}`.trim()
}

const approve = (more = ''): Rule => ({ outcome: 'approve', more })
const quiet: Rule = { outcome: 'decline', when: 'amount < 0' }
const velocity = { velocity: true, model: false }
const model = { velocity: false, model: true }
const both = { velocity: true, model: true }

test('the worst live hit decides, approve rules and modes as written', () => {
  const review: Rule = { outcome: 'review' }
  const challenge: Rule = { outcome: 'challenge' }
  const decline: Rule = { outcome: 'decline' }
  const table: [Rule[], string][] = [
    [[quiet], 'approve'],
    [[review, challenge], 'challenge r1'],
    [[review, decline, challenge], 'decline r1'],
    [[decline, decline], 'decline r0 r1'],
    [[approve(), review, challenge], 'approve r0'],
    [[approve(), decline], 'decline r1'],
    [[approve('overrides: decline'), decline, challenge], 'approve r0'],
    [[{ ...decline, mode: 'shadow' }, review], 'review r1'],
    [[{ ...approve('overrides: decline'), mode: 'shadow' }, decline], 'decline r1'],
    [[{ ...decline, mode: 'disabled' }, quiet], 'approve'],
  ]
  for (const [rules, expected] of table) assert.equal(ruling(rules), expected)
})

test('what is missing makes an outcome worse by policy, never better', () => {
  const review: Rule = { outcome: 'review' }
  const decline: Rule = { outcome: 'decline' }
  assert.equal(ruling([quiet], velocity), 'review velocity_missing')
  assert.equal(ruling([quiet], model), 'approve')
  assert.equal(ruling([quiet], model, 'ecommerce'), 'challenge model_missing')
  assert.equal(ruling([quiet], both, 'pos', 10_000), 'decline all_missing')
  assert.equal(ruling([quiet], both, 'pos', 9_999), 'review velocity_missing')
  assert.equal(ruling([quiet], both, 'pos', Number.NaN), 'decline all_missing')
  assert.equal(ruling([review], velocity), 'review r0 velocity_missing')
  assert.equal(ruling([review], model, 'ecommerce'), 'challenge model_missing r0')
  assert.equal(ruling([decline], velocity), 'decline r0')
  assert.equal(ruling([approve(), review], velocity), 'review velocity_missing r0')
})

test('the policy is not asked where nothing is missing', () => {
  assert.equal(ruling([quiet], { velocity: false, model: false }, 'ecommerce', 99_999), 'approve')
})

test('a rule that needs what is missing does not fire and is named as unknown', () => {
  const ruleSet = ruleSetOf([{ outcome: 'decline', when: 'count(card, "1h") >= 0' }], POLICY)
  const verdict = ruleSet.evaluate({
    facts,
    aggregates: new Float64Array([Number.NaN]),
    saturated: new Uint8Array(1),
    score: Number.NaN,
  })
  assert.deepEqual(verdict.unknownRules, ['table.r0'])
  assert.equal(decide(ruleSet, verdict, velocity, 'pos', 100).outcome, 'review')
})

test('without a worker everything is missing, and the policy alone decides', () => {
  const ruleSet = ruleSetOf([quiet], POLICY)
  const decision = decideWithoutWorker(ruleSet, 'ecommerce', 100)
  assert.equal(decision.outcome, 'challenge')
  assert.deepEqual(decision.reasons, ['model_missing'])
  assert.deepEqual(decision.degraded, ['worker'])
  assert.equal(decision.score, null)
  assert.equal(decision.model, null)
  assert.equal(decision.ruleSet, ruleSet.hash)
  assert.equal(decideWithoutWorker(ruleSet, 'pos', Number.NaN).outcome, 'decline')
})

test('worse is the maximum of the ordered outcomes', () => {
  const outcome = fc.constantFrom(...RISK_OUTCOMES)
  fc.assert(
    fc.property(outcome, outcome, (one, other) => {
      const rank = Math.max(RISK_OUTCOMES.indexOf(one), RISK_OUTCOMES.indexOf(other))
      assert.equal(worse(one, other), RISK_OUTCOMES[rank])
    }),
  )
})

test('missing parts are named as a decision names them', () => {
  assert.deepEqual(degradedParts({ velocity: false, model: false }), [])
  assert.deepEqual(degradedParts(velocity), ['velocity'])
  assert.deepEqual(degradedParts(model), ['model'])
  assert.deepEqual(degradedParts(both), ['velocity', 'model'])
})
