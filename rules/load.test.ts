import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { compileRuleSet } from './load.ts'
import type { RuleFile } from './problem.ts'
import type { RuleInput, RuleSet } from './rule-set.ts'
import { sampleInput } from './sample-facts.ts'

interface RuleWords {
  readonly id?: string
  readonly mode?: string
  readonly when?: string
  readonly outcome?: string
  readonly reason?: string
  readonly more?: string
}

function pack(rules: readonly RuleWords[], more = ''): RuleFile {
  const texts = rules.map(
    (rule, index) => `  - id: ${rule.id ?? `x.r${index}`}
    title: rule ${index}
    mode: ${rule.mode ?? 'live'}
    when: ${rule.when ?? 'amount >= 100'}
    outcome: ${rule.outcome ?? 'decline'}
    reason: ${rule.reason ?? `reason_${index}`}
${rule.more ?? ''}`,
  )
  return { name: 'packs/x.yaml', text: `typology: x\n${more}rules:\n${texts.join('')}` }
}

const policy: RuleFile = {
  name: 'packs/degradation.yaml',
  text: `typology: degradation
policy:
  - { missing: [velocity], channels: [ecommerce], baseAmountFrom: 500, outcome: review, reason: a }
  - { missing: [velocity, model], outcome: decline, reason: b }
`,
}

function ruleSetOf(files: readonly RuleFile[]): RuleSet {
  const result = compileRuleSet(files)
  assert.ok(result.ok, JSON.stringify(result.problems))
  return result.ruleSet
}

/** Errors and warnings as `file:line:column code`. */
function problemsOf(files: readonly RuleFile[]): string[] {
  return compileRuleSet(files)
    .problems.filter((problem) => problem.severity !== 'note')
    .map(({ file, line, column, code }) => `${file}:${line}:${column} ${code}`)
}

function inputFor(ruleSet: RuleSet, value: number, score = Number.NaN): RuleInput {
  return sampleInput(ruleSet, value, { score })
}

describe('outcomes', () => {
  const yes = 'amount >= 100'
  const cases: readonly (readonly [string, readonly RuleWords[], string, readonly string[]])[] = [
    ['nothing fires', [{ when: 'amount > 9999' }], 'approve', []],
    [
      'the worst wins',
      [
        { outcome: 'review' },
        { outcome: 'challenge' },
        { outcome: 'decline' },
        { outcome: 'review' },
      ],
      'decline',
      ['reason_2'],
    ],
    [
      'reasons come once',
      [{ reason: 'same' }, { reason: 'other' }, { reason: 'same' }],
      'decline',
      ['same', 'other'],
    ],
    [
      'approve beats review and challenge',
      [{ outcome: 'review' }, { outcome: 'approve' }, { outcome: 'challenge' }],
      'approve',
      ['reason_1'],
    ],
    ['but not decline', [{ outcome: 'approve' }, { outcome: 'decline' }], 'decline', ['reason_1']],
    [
      'unless it overrides it',
      [{ outcome: 'approve', more: '    overrides: decline\n' }, { outcome: 'decline' }],
      'approve',
      ['reason_0'],
    ],
    ['shadow has no effect', [{ mode: 'shadow' }, { outcome: 'review' }], 'review', ['reason_1']],
    ['disabled does not run', [{ mode: 'disabled' }], 'approve', []],
    ['an allow rule alone', [{ when: yes, outcome: 'approve' }], 'approve', ['reason_0']],
  ]
  for (const [name, rules, outcome, reasons] of cases) {
    test(name, () => {
      const ruleSet = ruleSetOf([pack(rules), policy])
      const verdict = ruleSet.evaluate(inputFor(ruleSet, 0))
      assert.equal(verdict.outcome, outcome)
      assert.deepEqual(verdict.reasons, reasons)
    })
  }

  test('hits say the values that made them true; unknown rules are named', () => {
    const ruleSet = ruleSetOf([
      pack([
        { when: 'count(card, "10m") >= 8 && (card.country == "DE" || customer.country == "DE")' },
        { when: 'score >= 0.9', mode: 'shadow' },
        { when: 'has(card.country) && inList(card, "stolen")' },
      ]),
      { name: 'lists/stolen.csv', text: 'value\ntok-1\n' },
      policy,
    ])
    const verdict = ruleSet.evaluate(inputFor(ruleSet, 9))
    assert.deepEqual(verdict.hits, [
      {
        rule: 'x.r0',
        mode: 'live',
        outcome: 'decline',
        reason: 'reason_0',
        disclose: true,
        values: { 'count(card, "10m")': 9, 'card.country': 'DE', 'customer.country': null },
      },
      {
        rule: 'x.r2',
        mode: 'live',
        outcome: 'decline',
        reason: 'reason_2',
        disclose: true,
        values: { 'has(card.country)': true, 'inList(card, "stolen")': true },
      },
    ])
    assert.deepEqual(verdict.unknownRules, ['x.r1'])
  })

  test('what is not disclosed is kept from the acquirer', () => {
    const byRule = ruleSetOf([pack([{ more: '    disclose: false\n' }, {}]), policy])
    const verdict = byRule.evaluate(inputFor(byRule, 0))
    assert.deepEqual(verdict.reasons, ['reason_0', 'reason_1'])
    assert.deepEqual(verdict.disclosedReasons, ['reason_1'])
    const byPack = ruleSetOf([pack([{}, {}], 'disclose: false\n'), policy])
    assert.deepEqual(byPack.evaluate(inputFor(byPack, 0)).disclosedReasons, [])
  })
})

test('the policy for missing parts', () => {
  const { outcomeWhenMissing } = ruleSetOf([pack([{}]), policy])
  const ask = (velocity: boolean, model: boolean, channel: string, amount: number) =>
    outcomeWhenMissing({ velocity, model }, channel, amount)
  assert.deepEqual(ask(true, false, 'ecommerce', 500), { outcome: 'review', reason: 'a' })
  assert.deepEqual(ask(true, false, 'ecommerce', 499), { outcome: 'approve', reason: '' })
  assert.deepEqual(ask(true, false, 'ecommerce', Number.NaN), { outcome: 'review', reason: 'a' })
  assert.deepEqual(ask(true, false, 'pos', 500), { outcome: 'approve', reason: '' })
  assert.deepEqual(ask(true, true, 'pos', 1), { outcome: 'decline', reason: 'b' })
  assert.deepEqual(ask(false, false, 'ecommerce', 1_000), { outcome: 'approve', reason: '' })
  const without = compileRuleSet([pack([{}])])
  assert.ok(without.ok)
  assert.deepEqual(
    without.problems.map((problem) => problem.code),
    ['no_degradation_policy'],
  )
  const cautious = without.ruleSet.outcomeWhenMissing({ velocity: false, model: true }, 'pos', 1)
  assert.deepEqual(cautious, { outcome: 'review', reason: 'risk_data_missing' })
})

test('equal aggregates are asked for once, whoever reads them', () => {
  const { aggregates } = ruleSetOf([
    pack([
      { when: 'count(card, "24h") > 3 && sum(card, "1d") > 5' },
      { when: 'count(card, "1d") > 4 || distinct(card, merchant, "7d") > 2' },
      { when: 'count(device, "1h") > 4', mode: 'disabled' },
    ]),
    policy,
  ])
  assert.deepEqual(aggregates, [
    { function: 'count', entity: 'card', windowSeconds: 86_400 },
    { function: 'sum', entity: 'card', windowSeconds: 86_400 },
    { function: 'distinct', entity: 'card', windowSeconds: 604_800, of: 'merchant' },
  ])
})

test('the hash names what decides, and nothing else', () => {
  const list = { name: 'lists/a.csv', text: 'value\nx\n' }
  const base = ruleSetOf([pack([{}]), policy, list]).hash
  assert.match(base, /^[0-9a-f]{16}$/)
  const commented = { ...pack([{}]), text: `# why\n${pack([{}]).text.replaceAll('\n', '\r\n')}` }
  assert.equal(ruleSetOf([list, commented, policy]).hash, base)
  const others = [
    ruleSetOf([pack([{ when: 'amount >= 101' }]), policy, list]),
    ruleSetOf([pack([{ mode: 'shadow' }]), policy, list]),
    ruleSetOf([pack([{}], 'disclose: false\n'), policy, list]),
    ruleSetOf([pack([{}]), policy, { ...list, text: 'value\ny\n' }]),
    ruleSetOf([pack([{}]), { ...policy, text: policy.text.replace('500', '501') }, list]),
  ]
  assert.equal(new Set([base, ...others.map((ruleSet) => ruleSet.hash)]).size, 6)
})

describe('a rules folder is refused', () => {
  const refused: readonly (readonly [string, RuleFile, readonly string[]])[] = [
    ['for a type error', pack([{ when: 'amount >= "x"' }]), ['packs/x.yaml:6:11 type_error']],
    [
      'for a problem inside folded text',
      pack([{ when: '>-\n      amount >= 1 &&\n      chanel == "pos"' }]),
      ['packs/x.yaml:8:7 unknown_name'],
    ],
    [
      'with all its problems at once',
      pack([
        { when: 'amout > 1', outcome: 'deny' },
        { mode: 'on', when: 'count(card, "1y") > 1' },
      ]),
      [
        'packs/x.yaml:6:11 unknown_name',
        'packs/x.yaml:7:14 bad_value',
        'packs/x.yaml:11:11 bad_value',
        'packs/x.yaml:12:23 bad_window',
      ],
    ],
    ['for an unknown field', pack([{ more: '    whne: 1\n' }]), ['packs/x.yaml:9:5 unknown_field']],
    ['for a second id', pack([{ id: 'x.a' }, { id: 'x.a' }]), ['packs/x.yaml:9:9 duplicate_rule']],
    ['for a strange id', pack([{ id: 'y.a' }]), ['packs/x.yaml:3:9 bad_rule_id']],
    [
      'for overrides on a decline rule',
      pack([{ more: '    overrides: decline\n' }]),
      ['packs/x.yaml:9:16 bad_overrides'],
    ],
    [
      'for a typology that is not the name of the file',
      { name: 'packs/y.yaml', text: pack([{ id: 'y.a' }]).text },
      ['packs/y.yaml:1:11 wrong_typology'],
    ],
    [
      'for YAML that is none',
      { name: 'packs/x.yaml', text: 'typology: x\nrules: [\n' },
      ['packs/x.yaml:3:1 yaml_error'],
    ],
    [
      'for a field given twice',
      { name: 'packs/x.yaml', text: 'typology: x\ntypology: x\nrules: []\n' },
      ['packs/x.yaml:2:1 yaml_error'],
    ],
    [
      'for having no rules',
      { name: 'packs/x.yaml', text: 'typology: x\nrules: []\n' },
      ['packs:1:1 no_rules'],
    ],
    ['for a file name', { name: 'packs/x.yml', text: '' }, ['packs/x.yml:1:1 bad_file_name']],
    [
      'for its size',
      { name: 'packs/x.yaml', text: `${pack([{}]).text}#${' '.repeat(10_000_000)}` },
      ['packs/x.yaml:1:1 file_too_big'],
    ],
  ]
  for (const [name, file, expected] of refused) {
    test(name, () => {
      assert.deepEqual(problemsOf([file, policy]), expected)
      assert.equal(compileRuleSet([file, policy]).ok, false)
    })
  }

  test('for a card number, wherever it stands, without repeating it', () => {
    // Luhn-valid and outside the test BINs, put together so that it doesn't stand here either.
    const number = ['4929', '4212', '3460', '0821']
    const files = [
      pack([{ when: `card.token != "${number.join('')}"` }], `title: ${number.join(' ')}\n`),
      { name: 'lists/a.csv', text: `value\n${number.join('-')}\n` },
      { name: 'packs/x.test.yaml', text: `# ${number.join('')}\n` },
      policy,
    ]
    const { problems } = compileRuleSet(files)
    const found = problems.filter((problem) => problem.code === 'card_number')
    assert.deepEqual(
      found.map(({ file, line, column }) => `${file}:${line}:${column}`),
      ['lists/a.csv:2:1', 'packs/x.test.yaml:1:3', 'packs/x.yaml:2:8', 'packs/x.yaml:7:26'],
    )
    assert.ok(!JSON.stringify(found).includes(number.join('')))
    const harmless = `# 4761739001010119, 5413330089010434, 4929421234600822, ${number.join('')}.5\n`
    const fine = pack([{}])
    assert.ok(compileRuleSet([{ ...fine, text: harmless + fine.text }, policy]).ok)
  })

  test('for thousands of problems, of which the first hundreds are told', () => {
    const many = Array.from({ length: 900 }, () => ({ when: 'amout > 1' }))
    const { problems } = compileRuleSet([pack(many), policy])
    assert.equal(problems.length, 501)
    assert.equal(problems.at(-1)?.code, 'too_many_problems')
  })
})

test('memory comes back after many reloads, each of another text', () => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const reload = (number: number) => {
    const rules = Array.from({ length: 200 }, (_, n) => ({
      when: `amount >= ${number * 1_000 + n}`,
    }))
    return ruleSetOf([pack(rules), policy])
  }
  const used = () => {
    collect()
    return process.memoryUsage().heapUsed
  }
  for (let n = 0; n < 5; n++) reload(n)
  const before = used()
  const kept = Array.from({ length: 10 }, (_, n) => reload(5 + n))
  const keptBytes = used() - before
  assert.equal(kept.splice(0).length, 10)
  for (let n = 15; n < 55; n++) reload(n)
  // Forty that stayed would be four times those ten.
  const moreBytes = used() - before
  assert.ok(moreBytes < keptBytes / 2, `${moreBytes} bytes more; ten take ${keptBytes}`)
})
