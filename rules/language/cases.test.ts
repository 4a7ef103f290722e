import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import type { RuleFacts } from '../rule-set.ts'
import { caseImplies, casesOf, keyOf } from './cases.ts'
import { createConditionChecker } from './check.ts'
import { compileConditions } from './compile.ts'
import type { Expression } from './expression.ts'

const checker = createConditionChecker(['known'])

function expressionOf(text: string): Expression {
  const result = checker.check(text)
  assert.ok(result.ok, `${text}: ${result.ok ? '' : result.problems[0]?.message}`)
  return result.condition.expression
}

const isNever = (text: string) => casesOf(expressionOf(text), true)?.length === 0
const isAlways = (text: string) => casesOf(expressionOf(text), false)?.length === 0
function implies(narrow: string, wide: string): boolean {
  const all = casesOf(expressionOf(wide), true) ?? []
  const some = casesOf(expressionOf(narrow), true) ?? []
  return some.every((one) => all.some((other) => caseImplies(one, other)))
}

describe('cases', () => {
  const never = [
    'amount > 5 && amount < 5',
    'amount > 5 && amount < 6',
    'amount < 0',
    'score > 1.0',
    'score < 0.5 && score >= 0.5',
    'localHour >= 24',
    'count(card, "10m") < 1',
    'channel == "pos" && channel == "atm"',
    'channel == "pos" && channel in ["atm", "qr"]',
    'card.country == "DE" && !(card.country in ["DE", "FR"])',
    'localWeekday in [1, 2] && localWeekday > 2',
    'inList(card, "known") && !inList(card, "known")',
    'merchant.country == card.country && card.country != merchant.country',
    '!has(card.country) && card.country == "DE"',
    'amount > baseAmount && !(baseAmount < amount)',
    '(channel == "pos" ? amount > 5 : amount > 9) && amount < 3',
    'channel != "pos" && channel != "ecommerce" && !(channel in ["atm", "moto", "recurring", "qr"])',
  ]
  const always = [
    'amount >= 0',
    'score <= 1.0',
    'amount > 5 || amount <= 5',
    'channel == "pos" || channel != "pos"',
    'count(card, "10m") >= 1',
    'localWeekday in [1, 2, 3, 4, 5, 6, 7]',
  ]
  const open = [
    'amount > 5',
    'score > 0.5 && score < 0.6',
    'declines(card, "1h") < 1',
    'score == 1.0',
  ]
  test('find what is never true', () => {
    for (const text of never) assert.ok(isNever(text), text)
    for (const text of [...always, ...open]) assert.ok(!isNever(text), text)
  })

  test('find what is always true', () => {
    for (const text of always) assert.ok(isAlways(text), text)
    for (const text of [...never, ...open]) assert.ok(!isAlways(text), text)
  })

  test('find what implies what', () => {
    assert.ok(implies('amount > 9 && channel == "pos"', 'amount > 5'))
    assert.ok(implies('channel == "pos"', 'channel in ["pos", "atm"]'))
    assert.ok(implies('channel == "pos"', 'channel != "atm"'))
    assert.ok(implies('amount > 9 || amount == 7', 'amount > 5'))
    assert.ok(implies('card.country in ["DE", "FR"]', 'card.country != "US"'))
    assert.ok(!implies('amount > 5', 'amount > 9'))
    assert.ok(!implies('channel != "pos"', 'channel == "atm"'))
    assert.ok(!implies('amount > 9', 'amount > 5 && channel == "pos"'))
    assert.ok(!implies('card.country != "DE"', 'card.country in ["FR", "US"]'))
  })

  test('are given up when there are too many', () => {
    const many = [...'abcdefgh'].map((c) => `(merchant.name.contains("${c}") || amount == 1)`)
    assert.equal(casesOf(expressionOf(many.join(' && ')), true), undefined)
  })
})

test('equal conditions have one key', () => {
  const same: readonly (readonly [string, string])[] = [
    ['amount > 5 && channel == "pos"', '"pos" == channel && 5 < amount'],
    ['count(card, "24h") >= 3', '3 <= count(card, "1d")'],
    ['card.country in ["DE", "FR"]', 'card.country in ["FR", "DE"]'],
  ]
  for (const [one, other] of same) {
    assert.equal(keyOf(expressionOf(one)), keyOf(expressionOf(other)))
  }
  assert.notEqual(keyOf(expressionOf('amount > 5')), keyOf(expressionOf('amount >= 5')))
})

interface Values {
  readonly amount: number
  readonly score: number
  readonly channel: string
  readonly country: string | undefined
}

const channels = ['pos', 'ecommerce', 'atm']
const condition = fc.letrec<{ all: string }>((tie) => ({
  all: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc
      .tuple(fc.constantFrom('<', '<=', '>', '>=', '==', '!='), fc.integer({ min: 0, max: 4 }))
      .map(([op, n]) => `amount ${op} ${n}`),
    fc
      .tuple(fc.constantFrom('<', '<=', '>', '>='), fc.constantFrom('0.0', '0.5', '1.0'))
      .map(([op, n]) => `score ${op} ${n}`),
    fc.constantFrom(...channels).map((channel) => `channel == "${channel}"`),
    fc.subarray([0, 1, 2, 3], { minLength: 1 }).map((list) => `amount in [${list.join(', ')}]`),
    fc.constantFrom('card.country == "DE"', 'card.country != "FR"', 'has(card.country)'),
    fc.tuple(tie('all'), tie('all')).map(([l, r]) => `(${l}) && (${r})`),
    fc.tuple(tie('all'), tie('all')).map(([l, r]) => `(${l}) || (${r})`),
    tie('all').map((inner) => `!(${inner})`),
    fc.tuple(tie('all'), tie('all'), tie('all')).map(([c, y, n]) => `((${c}) ? (${y}) : (${n}))`),
  ),
})).all

const values: fc.Arbitrary<Values> = fc.record({
  amount: fc.integer({ min: 0, max: 5 }),
  score: fc.constantFrom(0, 0.25, 0.5, 0.75, 1),
  channel: fc.constantFrom(...channels, 'moto'),
  country: fc.option(fc.constantFrom('DE', 'FR', 'US'), { nil: undefined }),
})

function evaluate(expressions: readonly Expression[], v: Values): (boolean | undefined)[] {
  const found = {
    hits: new Uint16Array(8),
    unknown: new Uint16Array(8),
    counts: new Uint32Array(2),
  }
  const facts = { amount: v.amount, channel: v.channel, card: { country: v.country } }
  const compiled = compileConditions(expressions, [], new Map())
  const none = new Float64Array()
  compiled(facts as unknown as RuleFacts, none, new Uint8Array(), v.score, 0, found)
  const hits = [...found.hits.subarray(0, found.counts[0])]
  const unknown = [...found.unknown.subarray(0, found.counts[1])]
  return expressions.map((_, n) =>
    hits.includes(n) ? true : unknown.includes(n) ? undefined : false,
  )
}

test('what they say is never wrong about a request', () => {
  const seen = { never: 0, always: 0, implied: 0 }
  fc.assert(
    fc.property(condition, condition, fc.array(values, { minLength: 10 }), (one, other, all) => {
      fc.pre(one.length < 2_000 && other.length < 2_000)
      const pair = [expressionOf(one), expressionOf(other)] as const
      const [never, always] = [isNever(one), isAlways(one)]
      const implied = casesOf(pair[1], true)?.length !== 0 && implies(one, other)
      seen.never += Number(never)
      seen.always += Number(always)
      seen.implied += Number(implied)
      for (const v of all) {
        const [a, b] = evaluate(pair, v)
        assert.ok(!(never && a === true), one)
        assert.ok(!(always && a === false), one)
        assert.ok(
          !(implied && casesOf(pair[0], true) !== undefined && a === true && !b),
          `${one} => ${other}`,
        )
      }
    }),
    { numRuns: 1_000 },
  )
  for (const [finding, times] of Object.entries(seen)) assert.ok(times > 10, `${finding} ${times}`)
})
