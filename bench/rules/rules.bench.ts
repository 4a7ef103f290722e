// A rule set against one authorization: rules of three comparisons each, compiled by us and
// evaluated by the CEL library's own interpreter, in the same run. One rule in fifty fires.

import { compileRuleSet, type RuleFacts, type RuleInput, type RuleSet } from '#rules'
import { celEnvironment } from '../../rules/language/index.ts'
import { type BenchCase, measure } from '../measure.ts'

const calls = [
  'count(card, "10m")',
  'count(device, "1h")',
  'sum(card, "24h")',
  'declines(card, "1h")',
]
const channels = ['ecommerce', 'pos', 'atm', 'moto']
const countries = ['DE', 'FR', 'NL', 'BR', 'US']

function conditionOf(rule: number): string {
  const channel = channels[rule % channels.length]
  const country = countries[rule % countries.length]
  const call = calls[rule % calls.length]
  const first = rule % 50 === 0 ? 'channel == "ecommerce"' : `channel == "${channel}"`
  const least = rule % 50 === 0 ? 1 : 100 + rule
  return rule % 2 === 0
    ? `${first} && baseAmount <= ${5_000 + rule} && ${call} >= ${least}`
    : `${first} && card.country != "${country}" && ${call} >= ${least}`
}

function ruleSetOf(rules: number): RuleSet {
  const texts = Array.from(
    { length: rules },
    (_, rule) => `  - id: x.r${rule}
    title: rule ${rule}
    mode: live
    when: ${conditionOf(rule)}
    outcome: review
    reason: r${rule % 10}
`,
  )
  const file = { name: 'packs/x.yaml', text: `typology: x\nrules:\n${texts.join('')}` }
  const result = compileRuleSet([file])
  if (!result.ok) throw new Error(result.problems[0]?.message)
  return result.ruleSet
}

const absent = undefined
const facts: RuleFacts = {
  type: 'authorization',
  amount: 2_599,
  currency: 'EUR',
  baseAmount: 2_599,
  channel: 'ecommerce',
  acquirer: 'demo',
  localHour: 10,
  localWeekday: 3,
  card: { bin: '47617390', country: 'DE', token: 'tok', expiry: '2912' },
  merchant: { id: 'M-1001', mcc: '5411', name: absent, city: absent, country: 'DE' },
  terminal: { id: absent, entryMode: absent },
  device: { id: 'D-77', ip: '203.0.113.7', ipCountry: 'DE', userAgent: absent },
  customer: { id: 'C-42', email: absent, country: absent },
  threeDs: { version: absent, eci: absent, status: absent },
}

function compiled(rules: number): BenchCase {
  const ruleSet = ruleSetOf(rules)
  const input: RuleInput = {
    facts,
    aggregates: new Float64Array(ruleSet.aggregates.length).fill(3),
    saturated: new Uint8Array(ruleSet.aggregates.length),
    score: 0.1,
  }
  return { name: `rules ${rules} compiled`, run: () => ruleSet.evaluate(input) }
}

/** The library's interpreter on the same conditions; it answers calls from constants. */
function interpreted(rules: number): BenchCase {
  const environment = celEnvironment({ aggregate: () => 3n, inList: () => false })
  const conditions = Array.from({ length: rules }, (_, rule) => {
    const parsed = environment.parse(conditionOf(rule))
    parsed.check()
    return parsed
  })
  const context = {
    ...facts,
    baseAmount: 2_599n,
    card: { ...facts.card, entityName: 'card' },
    device: { ...facts.device, entityName: 'device' },
  }
  return {
    name: `rules ${rules} interpreted by cel-js`,
    run: () => conditions.reduce((hits, condition) => (condition(context) ? hits + 1 : hits), 0),
  }
}

const started = performance.now()
ruleSetOf(1_000)
console.error(`1,000 rules loaded and compiled in ${Math.round(performance.now() - started)} ms`)

await measure([compiled(100), interpreted(100), compiled(1_000), interpreted(1_000)])
