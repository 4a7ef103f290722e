import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { loadRules, type RuleFacts, readRuleFiles, runPackTests } from '../index.ts'

const folder = dirname(dirname(fileURLToPath(import.meta.url)))

describe('the shipped packs', async () => {
  const report = runPackTests(await readRuleFiles(folder))
  test('have test files that can be read', () => {
    assert.deepEqual(report.problems, [])
  })
  for (const { file, line, name, differences } of report.results) {
    test(`${file}:${line} ${name}`, () => assert.deepEqual(differences, []))
  }
  test('have a test file each', () => {
    const names = readdirSync(`${folder}/packs`).filter((name) => name.endsWith('.yaml'))
    const packs = names.filter(
      (name) => !name.endsWith('.test.yaml') && name !== 'degradation.yaml',
    )
    for (const pack of packs) {
      assert.ok(names.includes(pack.replace('.yaml', '.test.yaml')), pack)
    }
    assert.ok(packs.length >= 15)
  })
})

test('every shipped rule fires in a test, and has its pattern described', async () => {
  const files = await readRuleFiles(folder)
  const { coverage } = runPackTests(files)
  assert.equal(coverage.rulesReached, coverage.rules)
  for (const { name, text } of files) {
    if (!name.startsWith('packs/') || /test\.yaml$|degradation|model/.test(name)) continue
    for (const field of ['description', 'sources', 'falsePositives']) {
      assert.match(text, new RegExp(`^${field}:`, 'm'), name)
    }
  }
})

test('money laundering ends in review at most, and is never told', async () => {
  const loaded = await loadRules(folder)
  assert.ok(loaded.ok)
  const rules = loaded.ruleSet.rules.filter((rule) => rule.pack === 'money-laundering')
  assert.ok(rules.length >= 3)
  for (const rule of rules) assert.equal(rule.outcome, 'review')
  const pack = (await readRuleFiles(folder)).find(({ name }) => /money-laundering\.yaml/.test(name))
  assert.match(pack?.text ?? '', /^disclose: false$/m)
})

/** The authorization that the documentation shows, as scoring sees it. */
const demo: RuleFacts = {
  type: 'authorization',
  amount: 2_599,
  currency: 'EUR',
  baseAmount: 2_599,
  channel: 'pos',
  acquirer: 'demo',
  localHour: Number.NaN,
  localWeekday: Number.NaN,
  card: { bin: '47617390', country: 'DE', token: 'tok', expiry: '2912' },
  merchant: { id: 'M-1001', mcc: '5411', name: 'Corner Shop', city: undefined, country: 'DE' },
  terminal: { id: 'T-0001', entryMode: 'contactless' },
  device: { id: 'D-77', ip: '203.0.113.7', ipCountry: 'DE', userAgent: undefined },
  customer: { id: 'C-42', email: undefined, country: undefined },
  threeDs: { version: undefined, eci: undefined, status: undefined },
}

test('the demo authorization is approved, two hundred times in a row', async () => {
  const loaded = await loadRules(folder)
  assert.ok(loaded.ok)
  for (const times of [1, 10, 200]) {
    const aggregates = Float64Array.from(loaded.ruleSet.aggregates, (aggregate) => {
      if (aggregate.function === 'sum') return times * 2_599
      if (aggregate.function === 'avg' || aggregate.function === 'max') return 2_599
      if (aggregate.function === 'count') return times
      return aggregate.function === 'distinct' ? 1 : 0
    })
    const saturated = new Uint8Array(aggregates.length)
    const input = { facts: demo, aggregates, saturated, score: 0.01 }
    const verdict = loaded.ruleSet.evaluate(input)
    assert.equal(verdict.outcome, 'approve', JSON.stringify(verdict.hits))
    assert.deepEqual(verdict.hits, [])
  }
})

test('every typology can decline', async () => {
  const loaded = await loadRules(folder)
  assert.ok(loaded.ok)
  const packs = ['card-testing', 'velocity-burst', 'geo-mismatch', 'amount-anomaly', 'model']
  for (const pack of packs) {
    const rules = loaded.ruleSet.rules.filter((rule) => rule.pack === pack)
    assert.ok(
      rules.some((rule) => rule.mode === 'live' && rule.outcome === 'decline'),
      pack,
    )
  }
})
