// Every suite is run for a moment, so that none can rot: all in one process, since starting a
// process for each would take longer than they do.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import path from 'node:path'
import test from 'node:test'
import { promisify } from 'node:util'
import { type BenchLine, benchSuites, medians, ratiosOf } from './bench.ts'
import { PROJECT_ROOT } from './run-tool.ts'

test('every suite measures something, in the form of the contract', async () => {
  const suites = benchSuites(PROJECT_ROOT, [])
  const script = [
    "process.argv.push('--json')",
    'for (const suite of process.env.SUITES.split(",")) {',
    "  console.log('suite ' + suite); await import(process.env.ROOT + '/' + suite)",
    '}',
  ].join('\n')
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--import', import.meta.resolve('tsx'), '--expose-gc', '--input-type=module', '-e', script],
    {
      cwd: PROJECT_ROOT,
      maxBuffer: 10_000_000,
      env: {
        ...process.env,
        ...{ SUITES: suites.join(','), ROOT: PROJECT_ROOT, SWITCHYARD_BENCH_BRIEF: '1' },
      },
    },
  )
  const names = new Set<string>()
  for (const part of stdout.split(/^suite /m).slice(1)) {
    const [suite = '', ...lines] = part.trim().split('\n')
    // Without a server of its own, or in a brief look, this one measures nothing and says so.
    if (suite.includes('postgres') || (lines.length === 0 && suite.includes('redis'))) continue
    assert.ok(lines.length > 0, `${suite} measured nothing`)
    for (const line of lines) {
      const { name, ...figures } = JSON.parse(line) as BenchLine
      assert.ok(!names.has(name), `${name} is measured twice`)
      names.add(name)
      const { opsPerSecond, p50Micros, p99Micros, samples } = figures
      for (const value of [opsPerSecond, p50Micros, p99Micros, samples]) {
        assert.ok(Number.isFinite(value) && value >= 0, `${suite}: ${line}`)
      }
    }
  }
  assert.ok(names.size > 60, `${names.size} cases`)
})

test('a filter that no suite matches is told what there is', async () => {
  const script = path.join(PROJECT_ROOT, 'switch/commands/switchyard.js')
  const run = promisify(execFile)(process.execPath, [script, 'bench', 'nosuch'])
  const { code, stderr } = await run.catch((error) => error)
  assert.equal(code, 2)
  assert.match(stderr, /no suite matches nosuch; there are\n {2}bench\/rules\/engines\n/)
})

function line(name: string, opsPerSecond: number): BenchLine {
  return { name, opsPerSecond, p50Micros: 1e6 / opsPerSecond, p99Micros: 1, samples: 10 }
}

test('of several processes: medians, and how far they were apart', () => {
  const [result] = medians([[line('a', 90)], [line('a', 100)], [line('a', 120)]])
  assert.equal(result?.opsPerSecond, 100)
  assert.equal(result?.spread, 0.3)
  assert.equal(result?.samples, 30)
})

test('against a base: ratios of medians with the spread of pairs; new cases have none', () => {
  const here = [[line('a', 200), line('new', 1)], [line('a', 220)]]
  const base = [[line('a', 100)], [line('a', 200)]]
  assert.deepEqual(ratiosOf(here, base), [
    { name: 'a', basePerSecond: 150, opsPerSecond: 210, ratio: 1.4, least: 1.1, most: 2 },
  ])
})
