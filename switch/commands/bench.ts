// `switchyard bench`: runs the suites of bench/, each in processes of its own, one after the other,
// and tells the median of what they found, and how far they were apart.

import { execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { Command } from 'commander'
import { PROJECT_ROOT } from './run-tool.ts'

/** A line of a suite, as `--json` prints it. */
export interface BenchLine {
  readonly name: string
  readonly opsPerSecond: number
  readonly p50Micros: number
  readonly p99Micros: number
  readonly samples: number
}

/** Of several processes: medians, and how far rates were apart, as a share of their median. */
export interface BenchResult extends BenchLine {
  readonly spread: number
}

/** One case in two revisions: this one over the base, from the pairs of processes. */
export interface BenchRatio {
  readonly name: string
  readonly basePerSecond: number
  readonly opsPerSecond: number
  readonly ratio: number
  readonly least: number
  readonly most: number
}

interface BenchFlags {
  readonly json?: boolean
  readonly brief?: boolean
  readonly processes: string
  readonly compare?: string
}

export function registerBench(program: Command): void {
  program
    .command('bench')
    .description('measure the hot functions, beside others that do the same')
    .argument('[filter...]', 'only suites whose path contains one of these')
    .option('--json', 'a line a case: {name, opsPerSecond, p50Micros, p99Micros, samples, spread}')
    .option('--processes <n>', 'how often each suite is run, in a process of its own', '3')
    .option('--brief', 'only see that every suite works: its figures mean nothing')
    .option('--compare <base>', 'a git revision, measured in turns with what is here; ratios')
    .addHelpText(
      'after',
      '\nFigures are medians over the processes; spread is (most - least) / median of the rates.' +
        '\nRates and times are of what the case names. A sample may hold many calls and is divided by' +
        '\nthem: p50 and p99 are of samples.\n' +
        '\nExamples:\n  $ npx switchyard bench velocity\n  $ npm run -s bench -- --json' +
        '\n  $ npx switchyard bench rules --compare HEAD~5',
    )
    .action(async (filters: string[], flags: BenchFlags) => {
      process.exitCode = await runBenches(filters, flags)
    })
}

/** The suites of a tree, from its root, whose path contains one of the filters. */
export function benchSuites(root: string, filters: readonly string[]): readonly string[] {
  return readdirSync(path.join(root, 'bench'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.bench.ts'))
    .filter((file) => filters.length === 0 || filters.some((filter) => file.includes(filter)))
    .map((file) => `bench/${file.split(path.sep).join('/')}`)
    .sort()
}

async function runBenches(filters: readonly string[], flags: BenchFlags): Promise<number> {
  const processes = Number(flags.processes)
  if (!Number.isInteger(processes) || processes < 1 || processes > 100) {
    console.error('--processes takes a whole number from 1 to 100')
    return 2
  }
  const suites = benchSuites(PROJECT_ROOT, filters)
  if (suites.length === 0) {
    const names = benchSuites(PROJECT_ROOT, []).map((suite) => suite.replace(/\.bench\.ts$/, ''))
    console.error(`no suite matches ${filters.join(', ')}; there are\n  ${names.join('\n  ')}`)
    return 2
  }
  const isBrief = flags.brief === true
  const asJson = flags.json === true
  if (flags.compare !== undefined) {
    return compareWith(flags.compare, suites, processes, { isBrief, asJson })
  }
  let worst = 0
  if (!asJson) console.log(HEAD)
  for (const suite of suites) {
    const runs: BenchLine[][] = []
    for (let turn = 0; turn < (isBrief ? 1 : processes); turn++) {
      console.error(`${suite} ${turn + 1}`)
      const ran = await runSuite(PROJECT_ROOT, suite, isBrief)
      worst = Math.max(worst, ran.code)
      runs.push(ran.lines)
    }
    for (const result of medians(runs)) print(result, asJson)
  }
  return worst === 0 ? 0 : 1
}

const HEAD = `${'case'.padEnd(52)}${'rate'.padStart(12)}   spread  time of one, by sample`
const COMPARED_HEAD = `${'case'.padEnd(52)}${'base'.padStart(12)}      ${'here'.padStart(12)}    ratio`

function print(result: BenchResult, asJson: boolean): void {
  if (asJson) {
    console.log(JSON.stringify(result))
    return
  }
  const { name, opsPerSecond, p50Micros, p99Micros, spread } = result
  const rate = opsPerSecond.toLocaleString('en-US').padStart(12)
  const apart = `${(spread * 100).toFixed(0)}%`.padStart(6)
  console.log(`${name.padEnd(52)}${rate}/s ${apart}  p50 ${p50Micros} µs  p99 ${p99Micros} µs`)
}

/** Runs one suite to its end; what it says beside its lines goes to standard error. */
function runSuite(
  root: string,
  suite: string,
  isBrief: boolean,
): Promise<{ readonly code: number; readonly lines: BenchLine[] }> {
  return new Promise((resolve) => {
    const child = spawn(
      process.execPath,
      ['--import', import.meta.resolve('tsx'), '--expose-gc', suite, '--json'],
      {
        cwd: root,
        stdio: ['ignore', 'pipe', 'inherit'],
        env: { ...process.env, ...(isBrief ? { SWITCHYARD_BENCH_BRIEF: '1' } : {}) },
      },
    )
    let output = ''
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      output += chunk
    })
    child.once('close', (code) => {
      const lines = output.split('\n').filter((line) => line.startsWith('{'))
      const read = lines.map((line) => JSON.parse(line) as BenchLine)
      resolve({ code: code ?? 1, lines: read })
    })
  })
}

/** A result for each case that any process measured, in the order of the first. */
export function medians(runs: readonly (readonly BenchLine[])[]): BenchResult[] {
  const byName = new Map<string, BenchLine[]>()
  for (const line of runs.flat()) {
    const known = byName.get(line.name)
    if (known === undefined) byName.set(line.name, [line])
    else known.push(line)
  }
  return [...byName].map(([name, lines]) => {
    const rates = lines.map((line) => line.opsPerSecond)
    const opsPerSecond = medianOf(rates)
    return {
      name,
      opsPerSecond: Math.round(opsPerSecond),
      p50Micros: round(medianOf(lines.map((line) => line.p50Micros))),
      p99Micros: round(medianOf(lines.map((line) => line.p99Micros))),
      samples: lines.reduce((sum, line) => sum + line.samples, 0),
      spread: round((Math.max(...rates) - Math.min(...rates)) / opsPerSecond),
    }
  })
}

/** The other revision stands in a work tree of its own while it is measured. */
async function compareWith(
  base: string,
  suites: readonly string[],
  processes: number,
  how: { readonly isBrief: boolean; readonly asJson: boolean },
): Promise<number> {
  const folder = mkdtempSync(path.join(tmpdir(), 'switchyard-bench-'))
  const tree = path.join(folder, 'base')
  try {
    git(['worktree', 'add', '--detach', tree, base])
  } catch {
    console.error(`${base} is no revision that git knows here`)
    rmSync(folder, { recursive: true, force: true })
    return 2
  }
  try {
    symlinkSync(path.join(PROJECT_ROOT, 'node_modules'), path.join(tree, 'node_modules'))
    const known = benchSuites(tree, [])
    let worst = 0
    if (!how.asJson) console.log(COMPARED_HEAD)
    for (const suite of suites) {
      if (!known.includes(suite)) {
        console.error(`${suite} is not in ${base}`)
        continue
      }
      const runs = { here: [] as BenchLine[][], base: [] as BenchLine[][] }
      for (let turn = 0; turn < (how.isBrief ? 1 : processes); turn++) {
        console.error(`${suite} ${turn + 1}`)
        // Who goes first changes, so that neither has the warmer machine every time.
        for (const side of turn % 2 === 0
          ? (['base', 'here'] as const)
          : (['here', 'base'] as const)) {
          const ran = await runSuite(side === 'here' ? PROJECT_ROOT : tree, suite, how.isBrief)
          worst = Math.max(worst, ran.code)
          runs[side].push(ran.lines)
        }
      }
      for (const ratio of ratiosOf(runs.here, runs.base)) printRatio(ratio, how.asJson)
    }
    return worst === 0 ? 0 : 1
  } finally {
    git(['worktree', 'remove', '--force', tree])
    rmSync(folder, { recursive: true, force: true })
  }
}

function git(args: readonly string[]): void {
  execFileSync('git', args, { cwd: PROJECT_ROOT, stdio: 'ignore' })
}

/** The cases that both revisions have. */
export function ratiosOf(
  here: readonly (readonly BenchLine[])[],
  base: readonly (readonly BenchLine[])[],
): BenchRatio[] {
  const ratios: BenchRatio[] = []
  for (const { name } of here[0] ?? []) {
    const rates = (runs: readonly (readonly BenchLine[])[]) =>
      runs.map((lines) => lines.find((line) => line.name === name)?.opsPerSecond ?? Number.NaN)
    const [ours, theirs] = [rates(here), rates(base)]
    if ([...ours, ...theirs].some(Number.isNaN)) continue
    const pairs = ours.map((rate, i) => rate / (theirs[i] as number))
    const [opsPerSecond, basePerSecond] = [medianOf(ours), medianOf(theirs)]
    ratios.push({
      ...{ name, basePerSecond, opsPerSecond, ratio: round(opsPerSecond / basePerSecond) },
      ...{ least: round(Math.min(...pairs)), most: round(Math.max(...pairs)) },
    })
  }
  return ratios
}

function printRatio(line: BenchRatio, asJson: boolean): void {
  if (asJson) {
    console.log(JSON.stringify(line))
    return
  }
  const rate = (value: number) => `${Math.round(value).toLocaleString('en-US').padStart(12)}/s`
  const { name, basePerSecond, opsPerSecond, ratio, least, most } = line
  const spread = `turns from ${least.toFixed(2)} to ${most.toFixed(2)}`
  console.log(
    `${name.padEnd(52)}${rate(basePerSecond)} -> ${rate(opsPerSecond)}  ` +
      `${ratio.toFixed(2)} times  ${spread}`,
  )
}

function medianOf(values: readonly number[]): number {
  const sorted = [...values].sort((one, other) => one - other)
  const middle = sorted.length >> 1
  const high = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? high : ((sorted[middle - 1] ?? Number.NaN) + high) / 2
}

function round(value: number): number {
  return Math.round(value * 1_000) / 1_000
}
