import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { compileRuleSet, readRuleFiles } from '../index.ts'
import type { RuleFile } from '../problem.ts'
import { codeFrame } from './code-frame.ts'
import { ringSizes } from './findings.ts'
import { githubReport, sarifReport } from './formats.ts'
import { lintRuleFiles } from './lint.ts'

const folder = dirname(fileURLToPath(import.meta.url))
const rings = ringSizes(48, ['ip', 'merchant', 'bin'])

async function linesOf(name: string): Promise<string> {
  const problems = lintRuleFiles(await readRuleFiles(join(folder, name)), { rings })
  const lines = problems.map(
    ({ file, line, column, severity, code, message }) =>
      `${file}:${line}:${column} ${severity} ${code}: ${message}\n`,
  )
  return lines.join('')
}

describe('a folder with one mistake of each kind', () => {
  for (const name of ['mistakes', 'oddities']) {
    test(`${name}: each is told with its place`, async () => {
      assert.equal(await linesOf(name), readFileSync(join(folder, name, 'expected.txt'), 'utf8'))
    })
  }

  test('every code in it is on the page that says what to do', () => {
    const page = readFileSync(join(folder, '../docs/findings.md'), 'utf8')
    for (const name of ['mistakes', 'oddities']) {
      const lines = readFileSync(join(folder, name, 'expected.txt'), 'utf8')
        .trim()
        .split('\n')
      for (const line of lines) {
        const [, , code = ''] = line.split(/:? /)
        assert.ok(page.includes(`\`${code}\``), `${code} of ${line}`)
      }
    }
  })

  test('is refused where it holds mistakes, and loads where rules are only odd', async () => {
    assert.equal(compileRuleSet(await readRuleFiles(join(folder, 'mistakes'))).ok, false)
    assert.equal(compileRuleSet(await readRuleFiles(join(folder, 'oddities'))).ok, true)
  })
})

test('the shipped packs have neither errors nor warnings', async () => {
  const problems = lintRuleFiles(await readRuleFiles(dirname(folder)), { rings })
  assert.deepEqual(
    problems.filter((problem) => problem.severity !== 'note'),
    [],
  )
})

const policy = {
  name: 'packs/degradation.yaml',
  text: 'typology: degradation\npolicy:\n  - { missing: [model], outcome: review, reason: a }\n',
}

interface RuleWords {
  readonly when: string
  readonly outcome?: string
  readonly mode?: string
  readonly more?: string
}

function codesOf(rules: readonly RuleWords[], pack = ''): string[] {
  const texts = rules.map(
    ({ when, outcome = 'decline', mode = 'live', more = '' }, n) =>
      `  - id: x.r${n}\n    title: t\n    mode: ${mode}\n    when: ${when}\n    outcome: ${outcome}\n    reason: r\n${more}`,
  )
  const file: RuleFile = {
    name: 'packs/x.yaml',
    text: `typology: x\n${pack}rules:\n${texts.join('')}`,
  }
  return lintRuleFiles([file, policy], { rings })
    .filter(({ severity }) => severity !== 'note')
    .map(({ code }) => code)
}

describe('a rule is', () => {
  const large = { when: 'amount > 100' }
  const larger = { when: 'amount > 200' }
  test('shadowed only by live rules that are as strict, wherever they apply', () => {
    assert.deepEqual(codesOf([large, larger]), ['shadowed'])
    assert.deepEqual(codesOf([{ ...large, outcome: 'review' }, larger]), [])
    assert.deepEqual(codesOf([{ ...large, mode: 'shadow' }, larger]), [])
    assert.deepEqual(codesOf([large, { ...larger, mode: 'shadow' }]), [])
    assert.deepEqual(codesOf([{ ...large, more: '    rollout: 50\n' }, larger]), [])
    assert.deepEqual(codesOf([{ ...large, outcome: 'approve' }, larger]), [])
    const hours = '    active: { from: "08:00", timeZone: UTC }\n'
    assert.deepEqual(codesOf([{ ...large, more: hours }, larger]), [])
    assert.deepEqual(codesOf([large, { ...larger, more: hours }]), ['shadowed'])
    const override = { ...larger, outcome: 'approve', more: '    overrides: decline\n' }
    const allow = { ...large, outcome: 'approve' }
    assert.deepEqual(codesOf([allow, override]), ['allow_beats_decline'])
  })

  test('never true in a pack that is for other channels', () => {
    const atm = { when: 'channel == "atm" && amount > 5' }
    assert.deepEqual(codesOf([atm], 'channels: [pos]\n'), ['never_true'])
    assert.deepEqual(codesOf([atm], 'channels: [pos, atm]\n'), [])
    assert.deepEqual(codesOf([{ when: 'amount > 5', more: '    rollout: 0\n' }]), ['never_true'])
  })

  test('compared with what velocity keeps, whichever way it is written', () => {
    const above = [
      'count(card, "1h") >= 49',
      'count(card, "1h") > 48',
      '49 <= count(device, "1h")',
      '48 < declines(card, "1h")',
      'distinct(card, merchant, "1h") == 49',
      'amount > 5 && !(count(card, "1h") > 5 || count(card, "1d") >= 60)',
    ]
    for (const when of above) assert.deepEqual(codesOf([{ when }]), ['threshold_above_ring'], when)
    const within = [
      'count(card, "1h") >= 48',
      'count(merchant, "1h") >= 5000',
      'sum(card, "1h") >= 5000',
      'count(card, "1h") < 60',
      'count(card, "1h") != 60',
    ]
    for (const when of within) {
      assert.deepEqual(codesOf([{ when: `${when} && amount > 5` }]), [], when)
    }
  })
})

test('a thousand rules are compared in pairs within seconds', () => {
  const rules = Array.from({ length: 1_000 }, (_, n) => ({
    when: `channel == "pos" && amount > ${n} && merchant.id == "M-${n}"`,
  }))
  const before = process.cpuUsage()
  assert.deepEqual(codesOf(rules), [])
  assert.ok(process.cpuUsage(before).user < 10e6)
})

describe('formats', () => {
  const problems = [
    {
      file: 'packs/x.yaml',
      line: 3,
      column: 7,
      severity: 'note' as const,
      code: 'can_be_unknown',
      message: '100% sure,\nnot',
    },
  ]

  test('GitHub takes one escaped command a problem', () => {
    assert.equal(
      githubReport(problems, 'my rules'),
      '::notice file=my rules/packs/x.yaml,line=3,col=7,title=can_be_unknown::100%25 sure,%0Anot\n',
    )
  })

  test('SARIF names the code, the level and the place', () => {
    const report = JSON.parse(sarifReport(problems, 'my rules')) as {
      version: string
      runs: { tool: { driver: { rules: unknown[] } }; results: unknown[] }[]
    }
    assert.equal(report.version, '2.1.0')
    assert.deepEqual(report.runs[0]?.tool.driver.rules, [{ id: 'can_be_unknown' }])
    assert.deepEqual(report.runs[0]?.results, [
      {
        ruleId: 'can_be_unknown',
        ruleIndex: 0,
        level: 'note',
        message: { text: '100% sure,\nnot' },
        locations: [
          {
            physicalLocation: {
              artifactLocation: { uri: 'my%20rules/packs/x.yaml' },
              region: { startLine: 3, startColumn: 7 },
            },
          },
        ],
      },
    ])
  })
})

test('a card number in a file is in no message and no frame, wherever it stands', () => {
  const number = ['4929', '0000', '00006'].join('')
  const pack: RuleFile = {
    name: 'packs/x.yaml',
    text: `typology: x
rules:
  - id: ${number}
    ${number}: x
    when: card.token == "${number}" and nobody == "${number}"
    mode: ${number}
`,
  }
  const list = { name: 'lists/fx.csv', text: `currency,until,rate\n${number},${number},x\n` }
  const problems = lintRuleFiles([pack, list])
  assert.ok(problems.some(({ code }) => code === 'card_number'))
  for (const problem of problems) {
    const { text } = problem.file === pack.name ? pack : list
    assert.ok(!problem.message.includes(number), problem.message)
    assert.ok(!codeFrame(problem, text).includes(number), problem.message)
  }
})
