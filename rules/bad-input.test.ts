// Whatever a rules folder holds and whatever a request brings: refused with its place, or unknown.
// Nothing throws, nothing hangs, and no rule is skipped in silence.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { lintRuleFiles } from './lint/index.ts'
import { compileRuleSet } from './load.ts'
import type { RuleFile } from './problem.ts'
import type { RuleFacts, RuleVerdict } from './rule-set.ts'
import { sampleFacts, sampleInput } from './sample-facts.ts'

const policy: RuleFile = {
  name: 'packs/degradation.yaml',
  text: 'typology: degradation\npolicy:\n  - { missing: [model], outcome: review, reason: a }\n',
}

function packOf(...conditions: readonly string[]): RuleFile {
  const rules = conditions.map(
    (when, n) => `  - id: x.r${n}
    title: t
    mode: live
    when: ${JSON.stringify(when)}
    outcome: decline
    reason: r
`,
  )
  return { name: 'packs/x.yaml', text: `typology: x\nrules:\n${rules.join('')}` }
}

/** The places of all errors; the folder must be refused, and lint must say the same. */
function refusalOf(files: readonly RuleFile[]): string[] {
  const result = compileRuleSet([...files, policy])
  assert.equal(result.ok, false)
  const errors = result.problems.filter(({ severity }) => severity === 'error')
  const linted = lintRuleFiles([...files, policy])
  for (const problem of errors) {
    assert.ok(
      linted.some((other) => other.message === problem.message && other.line === problem.line),
    )
  }
  return errors.map(({ file, line, column, code }) => `${file}:${line}:${column} ${code}`)
}

describe('files', () => {
  const fine = packOf('amount > 3')
  test('of ten megabytes are refused before they are read', () => {
    const padding = `#${' '.repeat(1_000)}\n`.repeat(10_000)
    const before = process.cpuUsage()
    const pack = { name: 'packs/x.yaml', text: fine.text + padding }
    assert.deepEqual(refusalOf([pack]), ['packs/x.yaml:1:1 file_too_big'])
    assert.ok(process.cpuUsage(before).user < 2e6)
  })

  test('with anchors that multiply are refused', () => {
    const levels = Array.from({ length: 12 }, (_, n) =>
      n === 0 ? 'a0: &a0 [x, x]' : `a${n}: &a${n} [${`*a${n - 1}, `.repeat(9)}*a${n - 1}]`,
    )
    const bomb = { name: 'packs/x.yaml', text: `${levels.join('\n')}\ntypology: x\nrules: *a11\n` }
    assert.ok(refusalOf([bomb]).length > 0)
  })

  test('nested a hundred thousand deep are refused', () => {
    const steps = Array.from({ length: 1_000 }, (_, n) => `${' '.repeat(n)}a:`).join('\n')
    const texts = ['['.repeat(100_000), '{a: '.repeat(50_000), '- '.repeat(100_000), steps]
    for (const text of [...texts, '? '.repeat(50_000), 'a: '.repeat(50_000)]) {
      const [first = ''] = refusalOf([{ name: 'packs/x.yaml', text }])
      assert.match(first, /^packs\/x\.yaml:\d+:\d+ yaml_error$/)
    }
  })

  test('of any content are answered, never thrown at', () => {
    const lines = fc.constantFrom(
      ...fine.text.split('\n'),
      ...['rules:', '  - ', ': ', '"', "'", '\t', '&a', '*a', '!!x', '---', '? ', '|', '\u0000'],
      '    snooze: [{ entity: card, value: a, until: 2026-99-99 }]',
      '    active: { from: "25:00", timeZone: 7 }',
      '    rollout: .nan',
      'channels: [pos, 3]',
    )
    const text = fc.oneof(
      fc.array(lines, { maxLength: 12 }).map((all) => all.join('\n')),
      fc.string(),
    )
    const list = fc.array(
      fc.constantFrom('value', 'cidr', 'from,to', 'until', ',', '"', '\n', '1.2.3.0/24'),
    )
    fc.assert(
      fc.property(text, text, list, (pack, tests, entries) => {
        const files = [
          { name: 'packs/x.yaml', text: pack },
          { name: 'packs/x.test.yaml', text: tests },
          { name: 'lists/a.csv', text: entries.join('') },
          policy,
        ]
        const result = compileRuleSet(files)
        lintRuleFiles(files)
        assert.ok(result.ok || result.problems.some(({ severity }) => severity === 'error'))
      }),
      { numRuns: 300 },
    )
  })
})

describe('conditions', () => {
  const refused: readonly (readonly [string, string, string])[] = [
    [
      'a regular expression that backtracks for ever',
      'merchant.name.matches("(a+)+$")',
      'unknown_function',
    ],
    ['a number that overflows', 'amount > 9223372036854775808', 'number_too_big'],
    ['a number that is not exact', 'amount > 9007199254740993', 'number_too_big'],
    ['a type error', 'amount > "3"', 'type_error'],
    ['an unknown name', 'amuont > 3', 'unknown_name'],
    ['a bad window', 'count(card, "31d") > 3', 'bad_window'],
    ['an unknown list', 'inList(card, "stolen")', 'unknown_list'],
    ['code', 'merchant.constructor("return 1") == 1', 'unknown_function'],
    ['a prototype', 'card.__proto__ == "x"', 'unknown_name'],
  ]
  for (const [name, condition, code] of refused) {
    test(`${name}: refused with the place`, () => {
      const [first = ''] = refusalOf([packOf('amount > 3', condition)])
      assert.match(first, /^packs\/x\.yaml:12:\d+ /)
      const codes = refusalOf([packOf(condition)]).map((problem) => problem.split(' ')[1])
      assert.ok(codes.includes(code), codes.join())
    })
  }

  test('of a text that looks like code stay text', () => {
    const nasty = [
      '"; process.exit(1); "',
      '$' + '{process.exit(1)}',
      '\\u2028',
      '`',
      "'); throw 1 //",
    ]
    const conditions = nasty.map((text) => `merchant.name == ${JSON.stringify(text)}`)
    const verdict = evaluate(conditions, { merchant: { ...facts.merchant, name: nasty[0] } })
    assert.deepEqual(
      verdict.hits.map((hit) => hit.rule),
      ['x.r0'],
    )
  })
})

const facts: RuleFacts = { ...sampleFacts, channel: 'pos' }

function evaluate(
  conditions: readonly string[],
  more: Partial<RuleFacts> = {},
  aggregate = 3,
): RuleVerdict {
  const result = compileRuleSet([packOf(...conditions), policy])
  assert.ok(result.ok, JSON.stringify(result.problems))
  const changes = { facts: { ...facts, ...more } }
  return result.ruleSet.evaluate(sampleInput(result.ruleSet, aggregate, changes))
}

describe('at run time', () => {
  test('division by zero and overflow are unknown, and named', () => {
    const unknown = [
      'amount / (amount - amount) > 1',
      'amount % (amount - amount) == 0',
      'double(amount) / 0.0 > 1.0',
      'amount * amount * amount * amount * amount > 1',
      'double(amount) * 1e308 > 1.0',
      'baseAmount / (count(card, "1h") - 3) >= 0',
      'int(double(amount) * 1e20) > 5',
    ]
    const verdict = evaluate(unknown)
    assert.deepEqual(verdict.hits, [])
    assert.deepEqual(
      verdict.unknownRules,
      unknown.map((_, n) => `x.r${n}`),
    )
  })

  test('any request is answered', () => {
    const conditions = [
      'amount + baseAmount > 5 && count(card, "1h") >= 2',
      'merchant.name.contains(merchant.city) || size(merchant.name) > 5',
      'merchant.name + merchant.city == "ab"',
      'card.bin.startsWith(card.token)',
      'sum(card, "1h") / count(card, "1h") > amount',
    ]
    const number = fc.oneof(fc.double(), fc.integer(), fc.constant(Number.NaN))
    const text = fc.option(fc.string({ unit: 'binary' }), { nil: undefined })
    fc.assert(
      fc.property(number, number, text, text, number, (amount, baseAmount, name, city, counted) => {
        const merchant = { ...facts.merchant, name, city }
        const verdict = evaluate(conditions, { amount, baseAmount, merchant }, counted)
        const told = verdict.hits.length + verdict.unknownRules.length
        assert.ok(told <= conditions.length)
      }),
      { numRuns: 200 },
    )
  })
})

describe('lists', () => {
  test('with one bad line are refused whole, with the line', () => {
    const lines = Array.from({ length: 5_000 }, (_, n) => `M-${n},`)
    lines[3_210] = 'M-3210,soon'
    const list = { name: 'lists/a.csv', text: `value,until\n${lines.join('\n')}\n` }
    assert.deepEqual(refusalOf([packOf('inList(merchant, "a")'), list]), [
      'lists/a.csv:3212:1 bad_list_line',
    ])
  })

  test('with a card number are refused, unless it is of a test BIN', () => {
    // Put together, so that it doesn't stand here either.
    const number = ['4929', '4212', '3460', '0821'].join('')
    const listOf = (value: string) => ({ name: 'lists/a.csv', text: `value\n${value}\n` })
    const pack = packOf('inList(card, "a")')
    assert.deepEqual(refusalOf([pack, listOf(number)]), ['lists/a.csv:2:1 card_number'])
    const snooze = `    snooze: [{ entity: card, value: "${number}", until: 2026-12-31 }]\n`
    assert.deepEqual(refusalOf([{ ...pack, text: pack.text + snooze }, listOf('a')]), [
      'packs/x.yaml:9:38 card_number',
    ])
    for (const test of ['4761739001010119', '5413330089010434']) {
      assert.ok(compileRuleSet([pack, listOf(test), policy]).ok)
    }
  })
})
