import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { RuleFile } from './problem.ts'
import { type PackTestReport, runPackTests } from './run-pack-tests.ts'

const pack: RuleFile = {
  name: 'packs/x.yaml',
  text: `typology: x
rules:
  - id: x.burst
    title: burst
    mode: live
    when: channel == "ecommerce" && (count(card, "10m") >= 5 || inList(card, "stolen"))
    outcome: decline
    reason: burst
  - id: x.large
    title: large
    mode: live
    when: amount >= 50000
    outcome: review
    reason: large
  - id: x.off
    title: off
    mode: disabled
    when: amount >= 60000
    outcome: review
    reason: off
`,
}
const list: RuleFile = { name: 'lists/stolen.csv', text: 'value,until\ncard-9,2026-12-31\n' }

function run(cases: string, others: readonly RuleFile[] = []): PackTestReport {
  const text = `typology: x\ngiven: { channel: ecommerce }\ncases:\n${cases}`
  return runPackTests([pack, list, { name: 'packs/x.test.yaml', text }, ...others])
}

const failures = (report: PackTestReport) => report.results.flatMap((result) => result.differences)

describe('events before the attempt', () => {
  test('need no more than how many and how far apart', () => {
    const { results, problems } = run(`
  - { name: a, before: [{ repeat: 4, every: 60s }], expect: { outcome: decline, hits: [x.burst] } }
  - { name: b, before: [{ repeat: 4, every: 3m }], expect: { outcome: approve, hits: [] } }
  - { name: c, before: [{ ago: 9m, repeat: 4 }], expect: { outcome: decline } }
`)
    assert.deepEqual(problems, [])
    assert.deepEqual(
      results.map((result) => result.differences),
      [[], [], []],
    )
  })
})

test("time is the case's own: list entries end", () => {
  const at = (time: string, outcome: string) =>
    `  - { name: a, at: "${time}", given: { card: { token: card-9 } }, expect: { outcome: ${outcome} } }\n`
  const report = run(at('2026-12-31T23:00:00Z', 'decline') + at('2027-01-01T00:00:00Z', 'approve'))
  assert.deepEqual(failures(report), [])
})

test('expectations are exact', () => {
  const report = run(`
  - { name: a, given: { amount: 50000 }, expect: { outcome: review, hits: [], reasons: [big] } }
  - { name: b, given: { amount: 50000 }, expect: { outcome: decline } }
`)
  assert.deepEqual(failures(report), [
    'expected hits none, got x.large',
    'expected reasons big, got large',
    'expected outcome decline, got review',
    'hits: x.large',
  ])
})

test('annotated samples give a matrix', () => {
  const report = run(`
  - { name: a, fraud: true, given: { card: { token: card-9 } } }
  - { name: b, fraud: true, given: { amount: 50000 } }
  - { name: c, fraud: false, given: { amount: 100 } }
  - { name: d, fraud: false, before: [{ repeat: 5, every: 1m }], expect: { outcome: decline } }
`)
  assert.deepEqual(report.problems, [])
  assert.deepEqual(failures(report), [])
  assert.deepEqual(report.confusion, {
    fraud: { approve: 0, review: 1, challenge: 0, decline: 1 },
    genuine: { approve: 1, review: 0, challenge: 0, decline: 1 },
    precision: 0.5,
    recall: 0.5,
  })
  assert.equal(run('  - { name: a, expect: { outcome: approve } }\n').confusion, undefined)
})

test('coverage names rules and clauses that no test reaches', () => {
  const { coverage } = run(`
  - { name: a, before: [{ repeat: 4, every: 60s }], expect: { outcome: decline } }
  - { name: b, given: { channel: pos }, expect: { outcome: approve } }
`)
  const { unreached, ...counts } = coverage
  assert.deepEqual(counts, { rules: 2, rulesReached: 1, clauses: 4, clausesReached: 2 })
  const file = 'packs/x.yaml'
  assert.deepEqual(unreached, [
    { file, line: 9, column: 9, rule: 'x.large', never: 'fires' },
    { file, line: 6, column: 65, rule: 'x.burst', clause: 'inList(card, "stolen")', never: 'true' },
    { file, line: 12, column: 11, rule: 'x.large', clause: 'amount >= 50000', never: 'true' },
  ])
  const untested = runPackTests([pack, list])
  assert.equal(untested.coverage.rulesReached, 0)
  assert.equal(untested.coverage.rules, 2)
})

test('test files with mistakes are told, never skipped', () => {
  const codes = (cases: string, others: readonly RuleFile[] = []) =>
    run(cases, others).problems.map(({ file, line, code }) => `${file}:${line} ${code}`)
  const fine = '  - { name: a, expect: { outcome: approve } }\n'
  assert.deepEqual(codes(fine, [{ name: 'packs/y.test.yaml', text: '' }]), [
    'packs/y.test.yaml:1 no_pack',
  ])
  assert.deepEqual(codes('  - { name: a }\n'), ['packs/x.test.yaml:4 missing_field'])
  assert.deepEqual(codes('  - { name: a, at: soon, expect: { outcome: approve } }\n'), [
    'packs/x.test.yaml:4 bad_value',
  ])
  const unknown = `  - { name: a, aggregates: { 'count(bin, "1h")': 3 }, expect: { outcome: approve } }\n`
  assert.deepEqual(codes(unknown), ['packs/x.test.yaml:4 unknown_aggregate'])
  const broken = { name: 'packs/x.yaml', text: pack.text.replace('amount >= 5', 'amuont >= 5') }
  const text = `typology: x\ncases:\n${fine}`
  const report = runPackTests([broken, list, { name: 'packs/x.test.yaml', text }])
  assert.deepEqual(
    report.problems.filter(({ severity }) => severity === 'error').map(({ code }) => code),
    ['unknown_name'],
  )
})
