import assert from 'node:assert/strict'
import test from 'node:test'
import { Observer } from './observer.ts'
import { readLoadOptions } from './options.ts'
import { type LoadReport, makeReport, type ReportParts, reportText } from './report.ts'
import { reportPage } from './report-page.ts'
import { Tally } from './tally.ts'

/** A thousand requests in ten seconds, all but `change` approved. */
function parts(change: Partial<Pick<Tally, 'sent' | 'unsent' | 'served'>> = {}): ReportParts {
  const read = readLoadOptions(['--rate', '100', '--duration', '10', '--warmup', '0'])
  assert.ok(read.kind === 'run')
  const tally = new Tally()
  for (let i = 1; i <= 1_000; i++) tally.latencyMicros.recordValue(i * 1_000)
  Object.assign(tally, { sent: 1_000, served: 1_000 }, change)
  tally.outcomes.approved = 1_000
  const [phase] = read.options.scenario.phases
  assert.ok(phase !== undefined)
  const pids = { switch: process.pid, redis: null, issuers: [] }
  const observer = new Observer(pids, undefined)
  observer.phase()
  // Of this process's own time, however many others want the core.
  const before = process.cpuUsage()
  for (let used = process.cpuUsage(before); used.user + used.system < 40_000; ) {
    used = process.cpuUsage(before)
  }
  observer.phase()
  return {
    options: read.options,
    result: {
      phases: [{ phase, tally, windowMs: 10_000, answered: 1_000 }],
      seconds: [],
      retried: { approved: 0, declined: 0, challenged: 0, refused: 0, unanswered: 0 },
      *approvedAnswers() {},
      interrupted: false,
    },
    books: {
      balanced: true,
      approvedAnswers: 1_000,
      approvals: 1_000,
      liveApprovals: 1_000,
      reversedApprovals: 0,
      counts: {},
      discrepancies: [],
    },
    observer,
    stores: 'embedded',
    reloads: undefined,
  }
}

test('the fields of the contract, latencies in milliseconds, CPU by message', async () => {
  const report = await makeReport(parts())
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
  const { switch: own, redis, issuer } = report.cpuMicrosPerMessage
  assert.ok(own !== null && own >= 20, `${own}`)
  assert.equal(redis, null)
  assert.equal(issuer, null)
  assert.equal(report.booksBalanced, true)
  assert.equal(report.rateMet, true)
  assert.deepEqual(report.void, [])
})

const notMet: readonly (readonly [string, Parameters<typeof parts>[0], boolean])[] = [
  ['25 in flight at the end', { served: 975 }, true],
  ['a backlog at the end', { served: 970 }, false],
  ['one unsent', { unsent: 1, sent: 999, served: 999 }, false],
]

for (const [name, change, met] of notMet) {
  test(`${name}: the rate is ${met ? 'met' : 'not met, and the text says so'}`, async () => {
    const report = await makeReport(parts(change))
    assert.equal(report.rateMet, met)
    assert.equal(reportText(report).includes('NOT MET'), !met)
  })
}

test('void: books that do not balance, or nothing answered; unknown books are said', async () => {
  const unbalanced = parts()
  assert.ok(unbalanced.books !== null)
  const books = {
    ...unbalanced.books,
    balanced: false,
    counts: { answer_crossed: 1 },
    discrepancies: [{ kind: 'answer_crossed' as const, issuer: 'demo-a', approvalCode: 'A1' }],
  }
  const report: LoadReport = await makeReport({ ...unbalanced, books })
  assert.deepEqual(report.void, ['the books do not balance'])
  assert.match(reportText(report), /DO NOT BALANCE: answer_crossed 1/)
  assert.match(reportText(report), /VOID +the books do not balance/)

  const silent = parts()
  silent.result.phases[0]?.tally.latencyMicros.reset()
  assert.deepEqual((await makeReport(silent)).void, ['nothing was answered'])

  const blind = await makeReport({ ...parts(), books: null })
  assert.equal(blind.booksBalanced, null)
  assert.deepEqual(blind.void, [])
  assert.match(reportText(blind), /not judged/)
})

test('books that count the warm-up, too, say so in the text and on the page', async () => {
  const report = await makeReport(parts())
  const warmed = { ...report, warmup: { sent: 200, unsent: 0, errors: 0 } }
  const made = { at: '', commit: '', machine: '', node: '', command: '' }
  const said = (it: LoadReport) => [
    reportText(it).includes('1000 approvals stand, 0 reversed (warm-up included)\n'),
    reportPage({ made, report: it, percentiles: [] }).includes('<th>books (warm-up included)</th>'),
  ]
  assert.deepEqual(said(report), [false, false])
  assert.deepEqual(said(warmed), [true, true])
})

test('too few approvals make the run void: fast declines would flatter it', async () => {
  const few = parts()
  const tally = few.result.phases[0]?.tally
  assert.ok(tally !== undefined)
  tally.outcomes.declined = 100
  const { scenario } = few.options
  const options = { ...few.options, scenario: { ...scenario, approvedPercentMin: 95 } }
  const report = await makeReport({ ...few, options })
  assert.match(report.void.join(), /90.91% approved, below 95%/)
})
