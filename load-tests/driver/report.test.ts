import assert from 'node:assert/strict'
import test from 'node:test'
import { build } from 'hdr-histogram-js'
import { readLoadOptions } from './options.ts'
import { type LoadReport, makeReport, type ReportParts, reportText } from './report.ts'
import type { RunResult } from './run.ts'

function parts(change: Partial<RunResult> = {}): ReportParts {
  const read = readLoadOptions(['--rate', '100', '--duration', '10'])
  assert.ok(read.kind === 'run')
  const latencyMicros = build({
    highestTrackableValue: 120_000_000,
    numberOfSignificantValueDigits: 3,
  })
  for (let i = 1; i <= 1_000; i++) latencyMicros.recordValue(i * 1_000)
  const empty = () => build({ highestTrackableValue: 120_000_000 })
  const result: RunResult = {
    windowMs: 10_000,
    scheduled: 1_000,
    sent: 1_000,
    unsent: 0,
    served: 1_000,
    answeredInWindow: 1_000,
    outcomes: { approved: 1_000, declined: 0, challenged: 0 },
    errors: {},
    warmup: { sent: 0, unsent: 0, errors: 0 },
    latencyMicros,
    refusedMicros: empty(),
    sendDelayMicros: empty(),
    retried: { approved: 0, declined: 0, challenged: 0, refused: 0, unanswered: 0 },
    *approvedAnswers() {},
    interrupted: false,
    ...change,
  }
  return {
    options: read.options,
    result,
    books: {
      balanced: true,
      approvedAnswers: 1_000,
      approvals: 1_000,
      liveApprovals: 1_000,
      reversedApprovals: 0,
      counts: {},
      discrepancies: [],
    },
    cpuMicros: { switch: 250_000, redis: null, issuer: 10_000, generator: 30_000 },
    stores: 'embedded',
  }
}

test('the fields of the contract, latencies in milliseconds, CPU by message', () => {
  const report = makeReport(parts())
  assert.equal(report.offeredPerSecond, 100)
  assert.equal(report.achievedPerSecond, 100)
  const { p50, p90, p99, p999, max } = report.latencyMs
  for (const [value, want] of [
    [p50, 500],
    [p90, 900],
    [p99, 990],
    [p999, 999],
    [max, 1_000],
  ] as const) {
    assert.ok(Math.abs(value - want) <= 1, `${value} for ${want}`)
  }
  assert.ok(p999 <= max)
  assert.deepEqual(report.cpuMicrosPerMessage, {
    switch: 250,
    redis: null,
    issuer: 10,
    generator: 30,
  })
  assert.equal(report.booksBalanced, true)
  assert.equal(report.rateMet, true)
  assert.deepEqual(report.void, [])
})

const notMet: readonly (readonly [string, Partial<RunResult>, boolean])[] = [
  ['25 in flight at the end', { served: 975 }, true],
  ['a backlog at the end', { served: 970 }, false],
  ['one unsent', { unsent: 1, sent: 999, served: 999 }, false],
]

for (const [name, change, met] of notMet) {
  test(`${name}: the rate is ${met ? 'met' : 'not met, and the text says so'}`, () => {
    const report = makeReport(parts(change))
    assert.equal(report.rateMet, met)
    assert.equal(reportText(report).includes('NOT MET'), !met)
  })
}

test('void: books that do not balance, or nothing answered; unknown books are said', () => {
  const unbalanced = parts()
  assert.ok(unbalanced.books !== null)
  const books = {
    ...unbalanced.books,
    balanced: false,
    counts: { answer_crossed: 1 },
    discrepancies: [{ kind: 'answer_crossed' as const, issuer: 'demo-a', approvalCode: 'A1' }],
  }
  const report: LoadReport = makeReport({ ...unbalanced, books })
  assert.deepEqual(report.void, ['the books do not balance'])
  assert.match(reportText(report), /DO NOT BALANCE: answer_crossed 1/)
  assert.match(reportText(report), /VOID +the books do not balance/)

  const nothing = build({ highestTrackableValue: 120_000_000 })
  const silent = makeReport(parts({ latencyMicros: nothing, served: 0, answeredInWindow: 0 }))
  assert.deepEqual(silent.void, ['nothing was answered'])
  assert.equal(silent.cpuMicrosPerMessage.switch, null)

  const blind = makeReport({ ...parts(), books: null })
  assert.equal(blind.booksBalanced, null)
  assert.deepEqual(blind.void, [])
  assert.match(reportText(blind), /not judged/)
})
