// `switchyard simulate`: the whole switch in virtual time, with faults that a seed decides, until
// the hours are over or a promise is broken. Episodes run side by side, one a core.

import { appendFileSync, existsSync, readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import type { Command } from 'commander'
import { readGround } from '../adapters/simulation-ground.ts'
import { simulateInThreads } from '../adapters/simulation-threads.ts'
import {
  ELSEWHERE,
  type EpisodeReport,
  type Failure,
  LATE_ANSWER_WINDOW_MS,
  type SimulationReport,
} from '../simulation/episode/index.ts'

interface Options {
  readonly seed?: string
  readonly hours: string
  readonly episode?: string
  readonly jobs: string
  readonly journal?: string
  readonly json?: boolean
  readonly sites?: boolean
}

const SEED_END = 2 ** 32
const HOURS_MAX = 1_000_000
const JOBS_MAX = 64
const PROGRESS_EVERY_MS = 1_000

export function registerSimulate(program: Command): void {
  program
    .command('simulate')
    .description('run the whole switch in virtual time, with faults by seed; exit 1 on a failure')
    .option('--seed <number>', 'what decides everything; drawn and printed where it is absent')
    .option('--hours <number>', 'virtual hours, in episodes of about half an hour', '1')
    .option('--episode <number>', 'only this episode of the seed, as a failure names it')
    .option('--jobs <number>', 'episodes at a time', String(availableParallelism()))
    .option('--journal <file>', 'a line an episode is added; those that it has are not run again')
    .option('--json', 'one line: {seed, virtualHours, messages, faults, failures, ...}')
    .option('--sites', 'how often lives ended at each port call; exit 1 where one is missing')
    .addHelpText(
      'after',
      '\nExample:\n  $ npx switchyard simulate --hours 10' +
        '\n  $ npx switchyard simulate --seed 42 --hours 2 --json' +
        '\n  $ npx switchyard simulate --seed 42 --episode 3' +
        '\n  $ npx switchyard simulate --seed 2026 --hours 1000 --journal hours.jsonl --json',
    )
    .action(async (options: Options) => {
      process.exitCode = await run(options)
    })
}

interface Order {
  readonly seed: number
  readonly hours: number
  readonly episode?: number
  readonly threads: number
}

async function run(options: Options): Promise<number> {
  const order = readOrder(options)
  if (typeof order === 'string') {
    console.error(order)
    return 2
  }
  const known = readJournal(options.journal, order.seed)
  if (typeof known === 'string') {
    console.error(known)
    return 2
  }
  const progress = createProgress(order)
  const report = await simulateInThreads({
    ...order,
    known,
    onEpisode: (episode) => writeJournal(options.journal, order.seed, episode),
    onSums: progress.show,
  })
  progress.end()
  if (options.json === true) console.log(JSON.stringify(jsonOf(report)))
  else printReport(report)
  const missing = options.sites === true ? await printSites(report, options.json === true) : 0
  return report.failures.length === 0 && missing === 0 ? 0 : 1
}

function readOrder(options: Options): Order | string {
  const seed = options.seed === undefined ? drawSeed() : Number(options.seed)
  const hours = Number(options.hours)
  const threads = Number(options.jobs)
  const episode = options.episode === undefined ? undefined : Number(options.episode)
  const isWhole = (number: number, end: number) =>
    Number.isInteger(number) && number >= 0 && number < end
  if (!isWhole(seed, SEED_END)) return '--seed is a whole number, 0 to 4294967295'
  if (!(hours > 0 && hours <= HOURS_MAX)) return '--hours is a number above 0, such as 0.5 or 20'
  if (episode !== undefined && !isWhole(episode, SEED_END)) return '--episode counts from 0'
  if (!isWhole(threads - 1, JOBS_MAX)) return `--jobs is a whole number, 1 to ${JOBS_MAX}`
  return episode === undefined ? { seed, hours, threads } : { seed, hours, episode, threads: 1 }
}

function drawSeed(): number {
  return Math.floor(Math.random() * SEED_END)
}

/** Episodes that ran already, or why the file can't be taken. */
function readJournal(
  file: string | undefined,
  seed: number,
): ReadonlyMap<number, EpisodeReport> | string {
  const known = new Map<number, EpisodeReport>()
  if (file === undefined || !existsSync(file)) return known
  for (const line of readFileSync(file, 'utf8').split('\n')) {
    let entry: { seed?: unknown; report?: EpisodeReport }
    try {
      entry = JSON.parse(line === '' ? '{}' : line)
    } catch {
      // The end of a run that was killed.
      continue
    }
    if (entry.report === undefined) continue
    if (entry.seed !== seed) return `${file} is of seed ${entry.seed}: name another file, or --seed`
    known.set(entry.report.episode, entry.report)
  }
  return known
}

function writeJournal(file: string | undefined, seed: number, report: EpisodeReport): void {
  if (file !== undefined) appendFileSync(file, `\n${JSON.stringify({ seed, report })}`)
}

/** The fields that scripts may rely on; the rest is for people. */
function jsonOf(report: SimulationReport): object {
  const { crashSites, traceHashes, failures, ...sums } = report
  const faultsInAll = sumOf(report.faults)
  return { ...sums, faultsInAll, failures: failures.map(plainOf) }
}

function plainOf({ plan, ...failure }: Failure): object {
  return { ...failure, plan: plan.map((entry) => JSON.stringify(entry)) }
}

function sumOf(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0)
}

function printReport(report: SimulationReport): void {
  const { seed, virtualHours, busyHours, episodes, lives, messages, faults, work } = report
  console.log(
    `seed ${seed}: ${virtualHours} virtual hours in ${episodes} episodes (${busyHours} with payments ` +
      `and faults, the rest until all is at rest), ${messages} messages, ${lives} lives of the ` +
      `switch, ${sumOf(faults)} faults`,
  )
  printCounts(faults)
  console.log('besides payments:')
  printCounts(work)
  if (report.failures.length === 0) console.log('no promise was broken')
  for (const failure of report.failures) printFailure(seed, failure)
}

function printCounts(counts: Readonly<Record<string, number>>): void {
  for (const [kind, count] of Object.entries(counts).sort(([, a], [, b]) => b - a)) {
    console.log(`  ${String(count).padStart(8)}  ${kind}`)
  }
}

function printFailure(seed: number, failure: Failure): void {
  const { episode, invariant, name, message, planned, needed, trace } = failure
  console.log(`\nFAILED: promise ${invariant} (${name}), episode ${episode}\n  ${message}`)
  console.log(`  again: npx switchyard simulate --seed ${seed} --episode ${episode}`)
  console.log(`  shortened from ${planned} planned events to ${needed}; what happened then (ms):`)
  for (const line of trace) console.log(`    ${line}`)
}

/** On standard error beside `--json`, which has standard output for itself. Returns how many miss. */
async function printSites({ crashSites }: SimulationReport, isJson: boolean): Promise<number> {
  const { callSites } = await readGround(LATE_ANSWER_WINDOW_MS)
  const output = isJson ? process.stderr : process.stdout
  const print = (text: string) => output.write(`${text}\n`)
  print('\nlives ended before, after and within each port call of the message path:')
  for (const site of callSites) {
    const { before, after, between } = crashSites[site] ?? { before: 0, after: 0, between: 0 }
    const counts = [before, after, between].map((count) => String(count).padStart(6)).join('')
    print(`${counts}  ${site}`)
  }
  const missing = callSites.filter((site) => crashSites[site] === undefined)
  print(`${callSites.length - missing.length} of ${callSites.length} port calls ended a life`)
  const elsewhere = ELSEWHERE.map(([, what]) => what).join('; ')
  print(`not part of it, and not in the list: ${elsewhere}`)
  if (missing.length > 0) print('a longer run reaches more')
  return missing.length
}

/** On standard error, and only to a terminal. */
function createProgress({ hours }: Order) {
  const { stderr } = process
  if (!stderr.isTTY) return { show: () => {}, end: () => {} }
  let shownAtMs = 0
  return {
    show({ seed, virtualHours, messages, faults, failures }: SimulationReport) {
      const nowMs = Date.now()
      if (nowMs - shownAtMs < PROGRESS_EVERY_MS) return
      shownAtMs = nowMs
      const what = `${messages} messages, ${sumOf(faults)} faults, ${failures.length} failures`
      stderr.write(`\r\x1b[Kseed ${seed}: ${virtualHours.toFixed(1)} of ${hours} hours, ${what}`)
    },
    end() {
      if (shownAtMs > 0) stderr.write('\r\x1b[K')
    },
  }
}
