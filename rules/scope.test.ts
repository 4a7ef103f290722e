import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { shareOf, shareSalt } from './language/index.ts'
import { compileRuleSet } from './load.ts'
import type { RuleFacts, RuleVerdict } from './rule-set.ts'
import { sampleFacts as facts, sampleInput } from './sample-facts.ts'

const policy = {
  name: 'packs/degradation.yaml',
  text: 'typology: degradation\npolicy:\n  - { missing: [model], outcome: review, reason: a }\n',
}

function filesOf(rule: string, pack = '', list = 'value\ntok-1\n') {
  const text = `typology: x\n${pack}rules:\n  - id: x.a\n    title: a\n    mode: live
    when: inList(card, "stolen") || amount >= 9999\n    outcome: decline\n    reason: r\n${rule}`
  return [{ name: 'packs/x.yaml', text }, { name: 'lists/stolen.csv', text: list }, policy]
}

type Evaluate = (facts?: Partial<RuleFacts>, at?: string) => RuleVerdict

function evaluator(rule: string, pack = '', list?: string): Evaluate {
  const result = compileRuleSet(filesOf(rule, pack, list))
  assert.ok(result.ok, JSON.stringify(result.problems))
  return (more = {}, at) => {
    const atMs = at === undefined ? {} : { atMs: Date.parse(at) }
    const changes = { facts: { ...facts, ...more }, score: 0, ...atMs }
    return result.ruleSet.evaluate(sampleInput(result.ruleSet, 0, changes))
  }
}

const fires = (verdict: RuleVerdict): boolean | undefined =>
  verdict.unknownRules.length > 0 ? undefined : verdict.hits.length > 0

const noon = '2026-11-22T12:00:00Z'

test('a pack is for its acquirers and channels', () => {
  const evaluate = evaluator('', 'acquirers: [demo, north]\nchannels: [ecommerce, moto]\n')
  assert.equal(fires(evaluate()), true)
  assert.equal(fires(evaluate({ acquirer: 'north' })), true)
  assert.equal(fires(evaluate({ acquirer: 'south' })), false)
  assert.equal(fires(evaluate({ channel: 'pos' })), false)
})

describe('a snooze', () => {
  const evaluate = evaluator(
    `    snooze:
      - { entity: merchant, value: M-1, until: 2026-12-31, by: fraud-desk, why: agreed load test }
      - { entity: customer, value: C-7, until: "2026-11-22T12:00Z" }
`,
  )
  const other = { ...facts.merchant, id: 'M-2' }

  test('leaves one entity alone until its date', () => {
    assert.equal(fires(evaluate({}, noon)), false)
    assert.equal(fires(evaluate({}, '2026-12-31T23:59:59.999Z')), false)
    assert.equal(fires(evaluate({}, '2027-01-01T00:00:00Z')), true)
    assert.equal(fires(evaluate({ merchant: other }, noon)), true)
  })

  test('and a request without the entity is another', () => {
    const customer = { ...facts.customer, id: 'C-7' }
    assert.equal(fires(evaluate({ merchant: other, customer }, noon)), true)
    assert.equal(fires(evaluate({ merchant: other, customer }, '2026-11-22T11:59:59Z')), false)
  })

  test('is unknown without the time of arrival, for that entity only', () => {
    assert.equal(fires(evaluate({})), undefined)
    assert.equal(fires(evaluate({ merchant: other })), true)
  })
})

describe('active hours', () => {
  test('are read on the clock of their zone', () => {
    const evaluate = evaluator(
      '    active: { from: "09:30", to: "17:00", timeZone: Europe/Berlin }\n',
    )
    assert.equal(fires(evaluate({}, '2026-11-22T08:29:59Z')), false)
    assert.equal(fires(evaluate({}, '2026-11-22T08:30:00Z')), true)
    assert.equal(fires(evaluate({}, '2026-11-22T15:59:59Z')), true)
    assert.equal(fires(evaluate({}, '2026-11-22T16:00:00Z')), false)
    // Summer time: one hour earlier in UTC.
    assert.equal(fires(evaluate({}, '2026-07-22T07:30:00Z')), true)
    assert.equal(fires(evaluate({})), undefined)
  })

  test('past midnight belong to the day on which they start', () => {
    const evaluate = evaluator(
      '    active: { from: "22:00", to: "06:00", days: [sat], timeZone: UTC }\n',
    )
    // 21 November 2026 is a Saturday.
    assert.equal(fires(evaluate({}, '2026-11-21T05:00:00Z')), false)
    assert.equal(fires(evaluate({}, '2026-11-21T21:59:00Z')), false)
    assert.equal(fires(evaluate({}, '2026-11-21T22:00:00Z')), true)
    assert.equal(fires(evaluate({}, '2026-11-22T05:59:00Z')), true)
    assert.equal(fires(evaluate({}, '2026-11-22T06:00:00Z')), false)
    assert.equal(fires(evaluate({}, '2026-11-22T23:00:00Z')), false)
  })

  test('may be whole days', () => {
    const evaluate = evaluator('    active: { days: [sun], timeZone: Asia/Kathmandu }\n')
    // 5:45 ahead of UTC.
    assert.equal(fires(evaluate({}, '2026-11-21T18:14:00Z')), false)
    assert.equal(fires(evaluate({}, '2026-11-21T18:15:00Z')), true)
    assert.equal(fires(evaluate({}, '2026-11-22T18:14:00Z')), true)
    assert.equal(fires(evaluate({}, '2026-11-22T18:15:00Z')), false)
  })
})

describe('a roll-out', () => {
  const token = fc.string({ minLength: 1, maxLength: 26 })

  test('sees its percentage of the cards, and more of the same when it grows', () => {
    const salt = shareSalt('x.a')
    const shares = Array.from({ length: 20_000 }, (_, n) => shareOf(`tok_${n}`, salt))
    for (const percent of [1, 10, 50]) {
      const inside = shares.filter((share) => share < percent * 100).length
      assert.ok(Math.abs(inside / 200 - percent) < 1, `${percent}%: ${inside / 200}`)
    }
    const rules = [5, 25, 100].map((percent) => evaluator(`    rollout: ${percent}\n`, '', every))
    for (let n = 0; n < 200; n++) {
      const card = { ...facts.card, token: `tok_${n}` }
      const [few, more, all] = rules.map((evaluate) => fires(evaluate({ card, amount: 10_000 })))
      assert.ok(!few || more, 'who is in the first 5% is in the first 25%')
      assert.equal(all, true)
      assert.equal(more, (shares[n] as number) < 2_500)
    }
    assert.equal(fires(evaluator('    rollout: 0\n')({})), false)
  })

  test('is the same for a card every time, and another for another rule', () => {
    fc.assert(
      fc.property(token, fc.integer(), (card, salt) => {
        const share = shareOf(card, salt)
        assert.equal(shareOf(card, salt), share)
        assert.ok(Number.isInteger(share) && share >= 0 && share < 10_000)
      }),
    )
    const both = Array.from({ length: 2_000 }, (_, n) => `tok_${n}`).filter(
      (card) => shareOf(card, shareSalt('x.a')) < 5_000 === shareOf(card, shareSalt('x.b')) < 5_000,
    )
    assert.ok(both.length > 850 && both.length < 1_150)
  })
})

const every = 'value\nnobody\n'

test('list entries end at their time, and are unknown without it', () => {
  const evaluate = evaluator('', '', 'value,until\ntok-1,2026-12-31\ntok-2,\n')
  const card = { ...facts.card, token: 'tok-2' }
  const nobody = { ...facts.card, token: 'tok-3' }
  assert.equal(fires(evaluate({}, noon)), true)
  assert.equal(fires(evaluate({}, '2027-01-01T00:00:00Z')), false)
  assert.equal(fires(evaluate({})), undefined)
  assert.equal(fires(evaluate({ card })), true)
  assert.equal(fires(evaluate({ card: nobody })), false)
  const [hit] = evaluate({}, noon).hits
  assert.deepEqual(hit?.values, { 'inList(card, "stolen")': true, amount: 2_599 })
})

test('a scope that can not be is refused', () => {
  const refused: readonly (readonly [string, string, string])[] = [
    ['    active: { timeZone: Europe/Berln }\n', '', '9:25 bad_time_zone'],
    ['    active: { from: "8:30", timeZone: UTC }\n', '', '9:21 bad_value'],
    ['    active: { from: "08:30", to: "08:30", timeZone: UTC }\n', '', '9:34 bad_value'],
    ['    active: { days: [], timeZone: UTC }\n', '', '9:21 bad_value'],
    ['    active: { days: [montag], timeZone: UTC }\n', '', '9:22 bad_value'],
    ['    rollout: 101\n', '', '9:14 bad_value'],
    ['    snooze: [{ entity: card, value: t, until: 2026-02-30 }]\n', '', '9:47 bad_value'],
    ['    snooze: [{ entity: crad, value: t, until: 2026-02-20 }]\n', '', '9:24 bad_value'],
    ['', 'channels: []\n', '2:11 bad_value'],
    ['', 'acquirers: []\n', '2:12 bad_value'],
    ['', 'channels: [shop]\n', '2:12 bad_value'],
  ]
  for (const [rule, pack, expected] of refused) {
    const { ok, problems } = compileRuleSet(filesOf(rule, pack))
    assert.equal(ok, false, rule + pack)
    const places = problems
      .filter((problem) => problem.severity === 'error')
      .map(({ line, column, code }) => `${line}:${column} ${code}`)
    assert.deepEqual(places, [expected])
  }
})

test('the hash names the scope too', () => {
  const hashOf = (rule: string, pack = '') => {
    const result = compileRuleSet(filesOf(rule, pack))
    assert.ok(result.ok)
    return result.ruleSet.hash
  }
  const snooze = (why: string) =>
    `    snooze: [{ entity: card, value: t, until: 2026-12-31, why: ${why} }]\n`
  const hashes = [
    hashOf(''),
    hashOf('    rollout: 10\n'),
    hashOf('    rollout: 11\n'),
    hashOf('    active: { from: "08:00", timeZone: UTC }\n'),
    hashOf(snooze('a')),
    hashOf('', 'channels: [pos]\n'),
    hashOf('', 'acquirers: [demo]\n'),
  ]
  assert.equal(new Set(hashes).size, hashes.length)
  assert.equal(hashOf(snooze('a')), hashOf(snooze('b')))
})
