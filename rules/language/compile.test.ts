import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type Environment, EvaluationError } from '@marcbachmann/cel-js'
import fc from 'fast-check'
import { type AggregatePlan, aggregateKey, ENTITIES } from '../aggregate.ts'
import type { RuleFacts } from '../rule-set.ts'
import { createConditionChecker } from './check.ts'
import { compileConditions, type Findings, type ListMembership } from './compile.ts'
import { celEnvironment } from './environment.ts'
import { RECORD_NAMES } from './vocabulary.ts'

// A condition is generated twice: as an analyst writes it, and for the library with its arithmetic
// wrapped, because only there we differ on purpose: integers beyond 2^53 - 1 and doubles that are
// not finite are unknown (switch/docs/decisions/0004-cel.md).
interface Twin {
  readonly ours: string
  readonly theirs: string
}

const same = (text: string): Twin => ({ ours: text, theirs: text })
const join = (parts: readonly (string | Twin)[], wrap = ''): Twin => {
  const side = (key: 'ours' | 'theirs') =>
    parts.map((part) => (typeof part === 'string' ? part : part[key])).join('')
  return { ours: side('ours'), theirs: wrap === '' ? side('theirs') : `${wrap}${side('theirs')}` }
}

const ints = ['amount', 'baseAmount', 'localHour']
const texts = ['channel', 'card.country', 'device.ipCountry', 'customer.id', 'merchant.id']
const intCalls = ['count(card, "10m")', 'sum(device, "24h")', 'distinct(card, merchant, "7d")']
const doubleCalls = ['avg(card, "30d")', 'secondsSinceLast(card, "1h")', 'score']
const words = ['pos', 'ecommerce', 'DE', 'FR', 'M-1', '']
const quoted = fc.constantFrom(...words.filter((word) => word !== '')).map((w) => JSON.stringify(w))
const country = fc.constantFrom('"DE"', '"FR"', '"BR"')
const ours = fc.letrec<Record<'int' | 'double' | 'text' | 'bool', Twin>>((tie) => ({
  int: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constantFrom(...ints, ...intCalls).map(same),
    fc.integer({ min: -5, max: 5 }).map((n) => same(String(n))),
    fc.constantFrom('9007199254740991', '4503599627370497').map(same),
    fc
      .tuple(tie('int'), fc.constantFrom('+', '-', '*', '/', '%'), tie('int'))
      .map(([l, op, r]) => join(['(', l, ` ${op} `, r, ')'], 'whole')),
    fc.tuple(tie('bool'), tie('int'), tie('int')).map(([c, y, n]) => choose(c, y, n)),
    tie('double').map((d) => join(['(int(', d, '))'], 'whole')),
    tie('text').map((t) => join(['size(', t, ')'])),
    tie('int').map((n) => join(['(-(', n, '))'])),
  ),
  double: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constantFrom(...doubleCalls).map(same),
    fc.constantFrom('0.0', '0.5', '2.0', '1e300').map(same),
    fc
      .tuple(tie('double'), fc.constantFrom('+', '-', '*', '/'), tie('double'))
      .map(([l, op, r]) => join(['(', l, ` ${op} `, r, ')'], 'finite')),
    tie('int').map((n) => join(['double(', n, ')'])),
  ),
  text: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constantFrom(...texts).map(same),
    quoted.map(same),
    fc.tuple(tie('text'), tie('text')).map(([l, r]) => join(['(', l, ' + ', r, ')'])),
    fc.tuple(tie('bool'), tie('text'), tie('text')).map(([c, y, n]) => choose(c, y, n)),
  ),
  bool: fc.oneof(
    { depthSize: 'medium', withCrossShrink: true },
    fc.constantFrom('true', 'false', 'has(card.country)', 'has(customer.id)').map(same),
    fc.constantFrom('inList(card.country, "near")', 'inList(customer, "known")').map(same),
    country.map((c) => same(`card.country == ${c}`)),
    country.map((c) => same(`device.ipCountry != ${c}`)),
    fc
      .tuple(tie('int'), fc.constantFrom('<', '<=', '>', '>=', '==', '!='), tie('int'))
      .map(([l, op, r]) => join([l, ` ${op} `, r])),
    fc
      .tuple(tie('int'), fc.constantFrom('<', '<=', '>', '>='), tie('double'))
      .map(([l, op, r]) => join([l, ` ${op} `, r])),
    fc
      .tuple(tie('double'), fc.constantFrom('<', '>=', '==', '!='), tie('double'))
      .map(([l, op, r]) => join([l, ` ${op} `, r])),
    fc
      .tuple(composed(tie('text')), fc.constantFrom('==', '!=', '<', '>='), composed(tie('text')))
      .map(([l, op, r]) => join([l, ` ${op} `, r])),
    fc
      .tuple(composed(tie('text')), fc.array(composed(tie('text')), { minLength: 1, maxLength: 9 }))
      .map(([value, items]) => join([value, ' in [', ...separated(items), ']'])),
    fc
      .tuple(tie('int'), fc.array(tie('int'), { minLength: 1, maxLength: 9 }))
      .map(([value, items]) => join([value, ' in [', ...separated(items), ']'])),
    fc
      .tuple(tie('text'), fc.constantFrom('startsWith', 'endsWith', 'contains'), tie('text'))
      .map(([l, method, r]) => join(['(', l, `).${method}(`, r, ')'])),
    fc.tuple(tie('bool'), tie('bool')).map(([l, r]) => join(['((', l, ') && (', r, '))'])),
    fc.tuple(tie('bool'), tie('bool')).map(([l, r]) => join(['((', l, ') || (', r, '))'])),
    fc.tuple(tie('bool'), tie('bool')).map(([l, r]) => join(['((', l, ') == (', r, '))'])),
    tie('bool').map((b) => join(['!(', b, ')'])),
    fc.tuple(tie('bool'), tie('bool'), tie('bool')).map(([c, y, n]) => choose(c, y, n)),
  ),
}))

function choose(condition: Twin, yes: Twin, no: Twin): Twin {
  return join(['((', condition, ') ? (', yes, ') : (', no, '))'])
}

/** Text that is no bare name or literal: the checker refuses comparisons that can never match. */
function composed(text: fc.Arbitrary<Twin>): fc.Arbitrary<Twin> {
  return text.map((t) => join(['(', t, ' + "")']))
}

function separated(items: readonly Twin[]): (string | Twin)[] {
  return items.flatMap((item, index) => (index === 0 ? [item] : [', ', item]))
}

const calls = [...intCalls, ...doubleCalls.filter((call) => call !== 'score')]
const checker = createConditionChecker(['near', 'known'])
const lists = new Map([
  ['near', listOf(['DE', 'FR'])],
  ['known', listOf(['M-1', 'DE'])],
])

/** A list whose entries have no end. */
function listOf(values: readonly string[]): ListMembership {
  return {
    has: (value) => values.includes(value),
    until: (value) => (values.includes(value) ? Infinity : -Infinity),
  }
}
const plan: AggregatePlan = calls.map((call) => {
  const result = checker.check(`${call} > 0`)
  assert.ok(result.ok)
  const reading = result.condition.readings[0]?.expression
  assert.ok(reading?.op === 'aggregate')
  return reading.aggregate
})

interface Values {
  readonly amount: number
  readonly baseAmount: number | undefined
  readonly localHour: number | undefined
  readonly channel: string
  readonly country: string | undefined
  readonly ipCountry: string | undefined
  readonly customer: string | undefined
  readonly merchant: string
  readonly calls: readonly (number | undefined)[]
  readonly score: number | undefined
}

const orMissing = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined, freq: 3 })
const smallInt = fc.integer({ min: -3, max: 6 })
const smallDouble = fc.constantFrom(0, 0.5, 1, 2, 3.25, -1)
const values: fc.Arbitrary<Values> = fc.record({
  amount: smallInt,
  baseAmount: orMissing(smallInt),
  localHour: orMissing(smallInt),
  channel: fc.constantFrom(...words),
  country: orMissing(fc.constantFrom(...words)),
  ipCountry: orMissing(fc.constantFrom(...words)),
  customer: orMissing(fc.constantFrom(...words)),
  merchant: fc.constantFrom(...words),
  calls: fc.tuple(
    ...calls.map((call) => orMissing(intCalls.includes(call) ? smallInt : smallDouble)),
  ),
  score: orMissing(smallDouble),
})

function factsOf(v: Values): RuleFacts {
  const absent = undefined
  return {
    type: 'authorization',
    amount: v.amount,
    currency: 'EUR',
    baseAmount: v.baseAmount ?? Number.NaN,
    channel: v.channel,
    acquirer: 'demo',
    localHour: v.localHour ?? Number.NaN,
    localWeekday: 3,
    card: { bin: '47617390', country: v.country, token: 'tok', expiry: absent },
    merchant: { id: v.merchant, mcc: '5411', name: absent, city: absent, country: absent },
    terminal: { id: absent, entryMode: absent },
    device: { id: absent, ip: absent, ipCountry: v.ipCountry, userAgent: absent },
    customer: { id: v.customer, email: absent, country: absent },
    threeDs: { version: absent, eci: absent, status: absent },
  }
}

/** The library's verdict: true, false or undefined. */
function evaluateByLibrary(text: string, v: Values): boolean | undefined {
  const environment: Environment = celEnvironment({
    aggregate(call, kind) {
      const value = v.calls[calls.indexOf(call)]
      if (value === undefined) throw new EvaluationError(`${call} is unknown`)
      return kind === 'int' ? BigInt(value) : value
    },
    inList: (value, list) => {
      if (value instanceof Map) return memberOf(list, value.get('id'))
      return memberOf(list, value)
    },
  })
  environment.registerFunction('whole(int): int', (n: bigint) => {
    if (n > Number.MAX_SAFE_INTEGER || n < Number.MIN_SAFE_INTEGER) throw new EvaluationError('big')
    return n
  })
  environment.registerFunction('finite(double): double', (n: number) => {
    if (!Number.isFinite(n)) throw new EvaluationError('not finite')
    return n
  })
  try {
    return environment.evaluate(text, contextOf(v)) as boolean
  } catch (error) {
    if (error instanceof EvaluationError) return undefined
    throw error
  }
}

function memberOf(list: string, value: unknown): boolean {
  if (typeof value !== 'string') throw new EvaluationError('unknown value')
  return lists.get(list)?.has(value, 0) ?? false
}

function contextOf(v: Values): Record<string, unknown> {
  const context: Record<string, unknown> = {}
  for (const name of [...RECORD_NAMES, ...ENTITIES]) context[name] = { entityName: name }
  const put = (path: string, value: unknown) => {
    if (value === undefined) return
    const [root, field] = path.split('.')
    if (root !== undefined && field === undefined) context[root] = value
    else if (root !== undefined)
      Object.assign(context[root] as object, { [field as string]: value })
  }
  const int = (value: number | undefined) => (value === undefined ? undefined : BigInt(value))
  put('amount', int(v.amount))
  put('baseAmount', int(v.baseAmount))
  put('localHour', int(v.localHour))
  put('channel', v.channel)
  put('card.country', v.country)
  put('device.ipCountry', v.ipCountry)
  put('customer.id', v.customer)
  put('merchant.id', v.merchant)
  put('score', v.score)
  return context
}

function findings(): Findings {
  return {
    hits: new Uint16Array(64),
    unknown: new Uint16Array(64),
    counts: new Uint32Array(2),
  }
}

function evaluateCompiled(
  texts: readonly string[],
  v: Values,
  saturated = new Uint8Array(plan.length),
): (boolean | undefined)[] {
  const conditions = texts.map((text) => {
    const result = checker.check(text)
    assert.ok(result.ok, `${text}: ${JSON.stringify(result)}`)
    return result.condition.expression
  })
  const evaluate = compileConditions(conditions, plan, lists)
  const aggregates = Float64Array.from(v.calls, (value) => value ?? Number.NaN)
  const found = findings()
  evaluate(factsOf(v), aggregates, saturated, v.score ?? Number.NaN, Number.NaN, found)
  const hits = new Set(found.hits.subarray(0, found.counts[0]))
  const unknown = new Set(found.unknown.subarray(0, found.counts[1]))
  return texts.map((_, index) => (hits.has(index) ? true : unknown.has(index) ? undefined : false))
}

describe('compiled conditions', () => {
  test('say what the library says, missing values included', () => {
    const seen = { true: 0, false: 0, undefined: 0 }
    fc.assert(
      fc.property(fc.array(ours.bool, { minLength: 1, maxLength: 4 }), values, (twins, v) => {
        fc.pre(twins.every((twin) => twin.ours.length <= 4_000))
        const compiled = evaluateCompiled(
          twins.map((twin) => twin.ours),
          v,
        )
        twins.forEach((twin, index) => {
          const expected = evaluateByLibrary(twin.theirs, v)
          seen[String(expected) as 'true']++
          assert.equal(compiled[index], expected, twin.ours)
        })
      }),
      { numRuns: 1_500 },
    )
    for (const [verdict, times] of Object.entries(seen))
      assert.ok(times > 100, `${verdict} ${times}`)
  })

  test('are never wrong about a saturated aggregate, whatever its real value is', () => {
    const increments = fc.tuple(...intCalls.map(() => fc.integer({ min: 0, max: 5 })))
    fc.assert(
      fc.property(
        ours.bool,
        values,
        increments,
        fc.integer({ min: 0, max: 7 }),
        (twin, v, add, mask) => {
          fc.pre(twin.ours.length <= 4_000)
          const saturated = Uint8Array.from(plan, (_, slot) => (slot < 3 ? (mask >> slot) & 1 : 0))
          const real = {
            ...v,
            calls: v.calls.map((value, slot) =>
              value === undefined || saturated[slot] !== 1 ? value : value + (add[slot] ?? 0),
            ),
          }
          const [said] = evaluateCompiled([twin.ours], v, saturated)
          if (said !== undefined)
            assert.equal(said, evaluateByLibrary(twin.theirs, real), twin.ours)
        },
      ),
      { numRuns: 1_000 },
    )
  })

  const plain: Values = {
    amount: 2_599,
    baseAmount: 2_599,
    localHour: 10,
    channel: 'pos',
    country: 'DE',
    ipCountry: undefined,
    customer: undefined,
    merchant: 'M-1',
    calls: [8, 5_000, 2, 100, 30],
    score: 0.5,
  }

  test('take a lower bound as enough for "at least", and for nothing else', () => {
    const saturated = Uint8Array.from([1, 1, 1, 1, 1])
    const verdict = (text: string) => evaluateCompiled([text], plain, saturated)[0]
    assert.equal(verdict('count(card, "10m") >= 8'), true)
    assert.equal(verdict('count(card, "10m") > 7'), true)
    assert.equal(verdict('7 < count(card, "10m")'), true)
    assert.equal(verdict('count(card, "10m") >= 9'), undefined)
    assert.equal(verdict('count(card, "10m") < 9'), undefined)
    assert.equal(verdict('count(card, "10m") < 8'), undefined)
    assert.equal(verdict('!(count(card, "10m") >= 8)'), false)
    assert.equal(verdict('count(card, "10m") == 8'), undefined)
    assert.equal(verdict('count(card, "10m") + 1 >= 3'), undefined)
    assert.equal(verdict('avg(card, "30d") >= 1.0'), undefined)
  })

  test('settle what unknown parts leave settled', () => {
    const verdict = (text: string) => evaluateCompiled([text], plain)[0]
    assert.equal(verdict('true || customer.id == "x"'), true)
    assert.equal(verdict('customer.id == "x" || true'), true)
    assert.equal(verdict('false && customer.id == "x"'), false)
    assert.equal(verdict('customer.id == "x" && channel == "atm"'), false)
    assert.equal(verdict('customer.id == "x" && channel == "pos"'), undefined)
    assert.equal(verdict('has(customer.id) && customer.id == "x"'), false)
    assert.equal(verdict('customer.id != "x"'), undefined)
    assert.equal(verdict('amount / 0 > 1'), undefined)
    assert.equal(verdict('double(amount) / 0.0 > 1.0'), undefined)
    assert.equal(verdict('amount * 9007199254740991 > 1'), undefined)
    assert.equal(verdict('inList(customer, "known")'), undefined)
  })

  test('stay in step when a rule set is cut into parts', () => {
    const texts = Array.from({ length: 600 }, (_, n) => `amount >= ${n * 10} && channel == "pos"`)
    const conditions = texts.map((text) => {
      const result = checker.check(text)
      assert.ok(result.ok)
      return result.condition.expression
    })
    const found: Findings = {
      hits: new Uint16Array(600),
      unknown: new Uint16Array(600),
      counts: new Uint32Array(2),
    }
    const evaluate = compileConditions(conditions, plan, lists)
    evaluate(
      factsOf(plain),
      new Float64Array(plan.length),
      new Uint8Array(plan.length),
      0,
      0,
      found,
    )
    assert.deepEqual([...found.counts], [260, 0])
    assert.deepEqual(
      [...found.hits.subarray(0, 260)],
      Array.from({ length: 260 }, (_, n) => n),
    )
    assert.equal(new Set(plan.map(aggregateKey)).size, plan.length)
  })
})
