import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { explainRules } from './explanation.ts'
import { compileRuleSet } from './load.ts'
import type { RuleFile } from './problem.ts'
import type { RuleInput } from './rule-set.ts'
import { sampleFacts } from './sample-facts.ts'

const facts = {
  ...sampleFacts,
  amount: 600,
  baseAmount: 600,
  device: { ...sampleFacts.device, id: 'D-1' },
}

function pack(when: string, more = ''): RuleFile {
  const rule = `  - { id: x.one, title: t, mode: live, when: ${JSON.stringify(when)}, outcome: decline, reason: r${more} }`
  return { name: 'packs/x.yaml', text: `typology: x\nrules:\n${rule}\n` }
}

function inputOf(aggregates: readonly number[], changes: Partial<RuleInput> = {}): RuleInput {
  return {
    facts,
    aggregates: Float64Array.from(aggregates),
    saturated: new Uint8Array(aggregates.length),
    score: 0.5,
    atMs: Date.UTC(2026, 10, 22, 10),
    ...changes,
  }
}

test('each clause has its truth, with the values that it read', () => {
  const file = pack('channel == "ecommerce" && (baseAmount <= 500 || count(card, "1h") >= 8)')
  const explained = explainRules([file], inputOf([9]))
  assert.ok(explained.ok)
  const [rule] = explained.rules
  assert.equal(rule?.result, 'true')
  assert.deepEqual(rule?.clauses, [
    {
      text: 'channel == "ecommerce"',
      result: 'true',
      values: { channel: 'ecommerce' },
      lowerBounds: [],
    },
    { text: 'baseAmount <= 500', result: 'false', values: { baseAmount: 600 }, lowerBounds: [] },
    {
      text: 'count(card, "1h") >= 8',
      result: 'true',
      values: { 'count(card, "1h")': 9 },
      lowerBounds: [],
    },
  ])
})

test('what is unknown, and what is only a lower bound, is said', () => {
  const file = pack('customer.country == "DE" || count(card, "30d") == 48')
  const explained = explainRules([file], inputOf([48], { saturated: Uint8Array.of(1) }))
  assert.ok(explained.ok)
  const [rule] = explained.rules
  assert.equal(rule?.result, 'unknown')
  assert.deepEqual(
    rule?.clauses.map(({ result, lowerBounds }) => [result, lowerBounds]),
    [
      ['unknown', []],
      ['unknown', ['count(card, "30d")']],
    ],
  )
  assert.deepEqual(rule?.clauses[0]?.values, { 'customer.country': null })
})

test('a condition that holds where the rule does not apply is told apart', () => {
  for (const more of [', rollout: 0', ', active: { from: "22:00", to: "23:00", timeZone: UTC }']) {
    const explained = explainRules([pack('amount > 3', more)], inputOf([]))
    assert.ok(explained.ok)
    const [rule] = explained.rules
    assert.deepEqual([rule?.condition.result, rule?.result], ['true', 'false'])
  }
})

test('an explanation says of every shipped rule what the rule set says', () => {
  const folder = path.dirname(new URL(import.meta.url).pathname)
  const files = ['packs', 'lists'].flatMap((part) =>
    readdirSync(path.join(folder, part))
      .filter((name) => /\.(yaml|csv)$/.test(name))
      .map((name) => ({
        name: `${part}/${name}`,
        text: readFileSync(path.join(folder, part, name), 'utf8'),
      })),
  )
  const compiled = compileRuleSet(files)
  assert.ok(compiled.ok)
  const { ruleSet } = compiled
  const aggregate = fc.oneof(fc.nat(60), fc.constant(Number.NaN), fc.double({ min: 0, max: 1e7 }))
  const size = ruleSet.aggregates.length
  fc.assert(
    fc.property(
      fc.array(aggregate, { minLength: size, maxLength: size }),
      fc.array(fc.nat(1), { minLength: size, maxLength: size }),
      fc.constantFrom('pos', 'ecommerce', 'atm', 'moto'),
      fc.integer({ min: 0, max: 2_000_000 }),
      (aggregates, saturated, channel, baseAmount) => {
        const input = inputOf(aggregates, {
          facts: { ...facts, channel, baseAmount },
          saturated: Uint8Array.from(saturated),
        })
        const verdict = ruleSet.evaluate(input)
        const explained = explainRules(files, input)
        assert.ok(explained.ok)
        const ids = (result: string) =>
          explained.rules.filter((rule) => rule.result === result).map(({ id }) => id)
        assert.deepEqual(
          ids('true'),
          verdict.hits.map(({ rule }) => rule),
        )
        assert.deepEqual(ids('unknown'), verdict.unknownRules)
      },
    ),
    { numRuns: 25 },
  )
})
