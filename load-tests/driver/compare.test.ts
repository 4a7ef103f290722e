import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test from 'node:test'
import { compareReports, comparisonText } from './compare.ts'
import type { LoadReport } from './report.ts'
import { type Made, readSavedReport, type SavedReport, writeReport } from './report-files.ts'
import { histogram } from './tally.ts'

const made: Made = {
  ...{ at: '2026-11-22T10:00:00Z', commit: 'abc', machine: 'two cores', node: 'v20.20.2' },
  command: 'switchyard load-test',
}

const latency = { p50: 2, p90: 3, p99: 10, p999: 20, max: 30 }
const cpu = { switch: 90, redis: 30, issuer: 10, generator: null }

const report: LoadReport = {
  ...{ offeredPerSecond: 100, achievedPerSecond: 100, latencyMs: latency, sent: 200, unsent: 0 },
  ...{ outcomes: { approved: 200 }, errors: { timeout: 3 }, booksBalanced: true },
  ...{ cpuMicrosPerMessage: cpu, switchThreadMicrosPerMessage: null, rateMet: true, void: [] },
  ...{ refusedLatencyMs: null, sendDelayMs: latency, switchMs: { scoreP99: 5, flushP99: null } },
  retried: { approved: 0, declined: 0, challenged: 0, refused: 0, unanswered: 0 },
  ...{ warmup: { sent: 0, unsent: 0, errors: 0 }, reloads: null, books: null, interrupted: false },
  phases: [
    {
      ...{ name: 'stall <1>', measured: true, seconds: 2, fault: 'redis-stall', rateMet: true },
      ...{ offeredPerSecond: 100, achievedPerSecond: 100, latencyMs: latency, sent: 200 },
      ...{ refusedLatencyMs: null, unsent: 0, outcomes: {}, errors: {}, cpuMicrosPerMessage: cpu },
    },
  ],
  seconds: [0, 1].map((atSeconds) => ({
    ...{ atSeconds, offered: 100, served: 100, approved: 98, errors: 1, unsent: 0, inFlight: 3 },
    ...{ p50Ms: 2, p99Ms: atSeconds === 0 ? null : 10, maxMs: 30, eventLoopLagP99Ms: 4 },
    ...{ gcMsPerSecond: null, switchMemoryBytes: 3e8 },
    cpus: {
      ...{ switchMain: 0.5, switchWorker: 0.2, switchRest: 0.1 },
      ...{ redis: 0.1, issuer: 0.1, generator: null },
    },
  })),
  run: { scenario: 'steady', title: 'Steady & sure', seed: 1 },
}

test('a report is written, self-contained, and read again', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'switchyard-report-'))
  const micros = histogram()
  for (let i = 1; i <= 1_000; i++) micros.recordValue(i * 10)
  process.env.CHROMIUM = '/nowhere/chromium'
  const { files, notes } = await writeReport(folder, report, micros, made)
  delete process.env.CHROMIUM
  assert.deepEqual(files, ['report.html', 'report.json', 'latency.hgrm'])
  assert.match(notes.join(), /no report\.png: \/nowhere\/chromium/)
  const html = await readFile(path.join(folder, 'report.html'), 'utf8')
  assert.ok(html.includes('Steady &#38; sure') && html.includes('stall &#60;1&#62;'))
  // Nothing is loaded from anywhere, nothing runs.
  assert.doesNotMatch(html, /<script|<link|src=|url\(|https?:/)
  assert.equal(html.match(/<svg/g)?.length, 7)
  assert.doesNotMatch(html, /NaN|undefined|Infinity/)
  const hgrm = await readFile(path.join(folder, 'latency.hgrm'), 'utf8')
  assert.match(hgrm, /Value +Percentile +TotalCount/)
  const saved = await readSavedReport(folder)
  assert.deepEqual(saved.report, JSON.parse(JSON.stringify(report)))
  const half = saved.percentiles.find(({ percentile }) => percentile > 49.8)
  assert.ok(half !== undefined && Math.abs(half.ms - 5) < 0.2, JSON.stringify(half))
  await rm(folder, { recursive: true })
})

test('two reports: ratios, and what else differs is said', () => {
  const before: SavedReport = { made, report, percentiles: [] }
  const after: SavedReport = {
    ...before,
    made: { ...made, machine: 'four cores' },
    report: {
      ...report,
      ...{ achievedPerSecond: 150, void: ['the books do not balance'], run: { seed: 2 } },
    },
  }
  const comparison = compareReports(before, after)
  const served = comparison.rows.find(({ name }) => name === 'served/s')
  assert.deepEqual(served, { name: 'served/s', before: 100, after: 150, ratio: 1.5 })
  // What one of them does not know is not compared.
  assert.ok(comparison.rows.every(({ name }) => name !== 'generator µs/msg'))
  const text = comparisonText(comparison)
  assert.match(text, /machine: two cores and four cores/)
  assert.match(text, /seed: 1 and 2/)
  assert.match(text, /the second is void: the books do not balance/)
})

test('what is no report is refused by name', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'switchyard-report-'))
  await assert.rejects(readSavedReport(path.join(folder, 'none.json')), /none\.json is no report/)
  await writeFile(path.join(folder, 'report.json'), '{}')
  await assert.rejects(readSavedReport(folder), /no report of load-test --report/)
  await rm(folder, { recursive: true })
})
