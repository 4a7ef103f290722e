// `switchyard simulate`: the whole switch in one thread and virtual time, with faults that a seed
// decides, until the hours are over or a promise is broken.

import type { Command } from 'commander'
import { sealRealWorld } from '../adapters/sealed-world.ts'
import { readGround } from '../adapters/simulation-ground.ts'
import {
  type Failure,
  LATE_ANSWER_WINDOW_MS,
  type Progress,
  type SimulationReport,
  simulate,
} from '../simulation/episode/index.ts'

interface Options {
  readonly seed?: string
  readonly hours: string
  readonly episode?: string
  readonly json?: boolean
  readonly sites?: boolean
}

const SEED_END = 2 ** 32
const HOURS_MAX = 1_000_000
const PROGRESS_EVERY_MS = 1_000

export function registerSimulate(program: Command): void {
  program
    .command('simulate')
    .description('run the whole switch in virtual time, with faults by seed; exit 1 on a failure')
    .option('--seed <number>', 'what decides everything; drawn and printed where it is absent')
    .option('--hours <number>', 'virtual hours, in episodes of about half an hour', '1')
    .option('--episode <number>', 'only this episode of the seed, as a failure names it')
    .option('--json', 'one line: {seed, virtualHours, messages, faults, failures}')
    .option('--sites', 'list the call sites at which a life of the switch ended, with counts')
    .addHelpText(
      'after',
      '\nExample:\n  $ npx switchyard simulate --hours 10' +
        '\n  $ npx switchyard simulate --seed 42 --hours 2 --json' +
        '\n  $ npx switchyard simulate --seed 42 --episode 3',
    )
    .action(async (options: Options) => {
      process.exitCode = await run(options)
    })
}

async function run(options: Options): Promise<number> {
  const seed = options.seed === undefined ? drawSeed() : Number(options.seed)
  const hours = Number(options.hours)
  const episode = options.episode === undefined ? undefined : Number(options.episode)
  const problem = wrongUse(seed, hours, episode)
  if (problem !== undefined) {
    console.error(problem)
    return 2
  }
  const progress = createProgress(seed)
  const report = await simulate({
    ground: await readGround(LATE_ANSWER_WINDOW_MS),
    seed,
    hours,
    ...(episode === undefined ? {} : { episode }),
    seal: sealRealWorld,
    onProgress: progress.show,
  })
  progress.end()
  if (options.json === true) console.log(JSON.stringify(jsonOf(report)))
  else printReport(report)
  if (options.sites === true) printSites(report)
  return report.failures.length === 0 ? 0 : 1
}

function drawSeed(): number {
  return Math.floor(Math.random() * SEED_END)
}

function wrongUse(seed: number, hours: number, episode: number | undefined): string | undefined {
  const isWhole = (number: number, end: number) =>
    Number.isInteger(number) && number >= 0 && number < end
  if (!isWhole(seed, SEED_END)) return '--seed is a whole number, 0 to 4294967295'
  if (!(hours > 0 && hours <= HOURS_MAX)) return '--hours is a number above 0, such as 0.5 or 20'
  if (episode !== undefined && !isWhole(episode, SEED_END)) return '--episode counts from 0'
  return undefined
}

/** The fields that scripts may rely on; the rest is for people. */
function jsonOf(report: SimulationReport): object {
  const { seed, virtualHours, episodes, lives, messages, faults, failures } = report
  return { seed, virtualHours, episodes, lives, messages, faults, failures: failures.map(plainOf) }
}

function plainOf({ plan, ...failure }: Failure): object {
  return { ...failure, plan: plan.map((entry) => JSON.stringify(entry)) }
}

function printReport(report: SimulationReport): void {
  const { seed, virtualHours, episodes, lives, messages, faults, failures } = report
  const kinds = Object.entries(faults).sort(([, a], [, b]) => b - a)
  const sum = kinds.reduce((all, [, count]) => all + count, 0)
  console.log(
    `seed ${seed}: ${virtualHours} virtual hours in ${episodes} episodes, ${messages} messages, ` +
      `${lives} lives of the switch, ${sum} faults`,
  )
  for (const [kind, count] of kinds) console.log(`  ${String(count).padStart(8)}  ${kind}`)
  if (failures.length === 0) console.log('no promise was broken')
  for (const failure of failures) printFailure(seed, failure)
}

function printFailure(seed: number, failure: Failure): void {
  const { episode, invariant, name, message, planned, needed, trace } = failure
  console.log(`\nFAILED: promise ${invariant} (${name}), episode ${episode}\n  ${message}`)
  console.log(`  again: npx switchyard simulate --seed ${seed} --episode ${episode}`)
  console.log(`  shortened from ${planned} planned events to ${needed}; what happened then (ms):`)
  for (const line of trace) console.log(`    ${line}`)
}

function printSites({ crashSites }: SimulationReport): void {
  console.log('\nlives ended at (port call, caller):')
  for (const [site, count] of Object.entries(crashSites).sort()) {
    console.log(`  ${String(count).padStart(8)}  ${site}`)
  }
}

/** On standard error, and only to a terminal. */
function createProgress(seed: number): { show(progress: Progress): void; end(): void } {
  const { stderr } = process
  if (!stderr.isTTY) return { show: () => {}, end: () => {} }
  let shownAtMs = 0
  return {
    show({ virtualHours, messages, faults, failures, shrinkingTo }) {
      const nowMs = Date.now()
      if (nowMs - shownAtMs < PROGRESS_EVERY_MS) return
      shownAtMs = nowMs
      const what =
        shrinkingTo === undefined
          ? `${messages} messages, ${faults} faults, ${failures} failures`
          : `failed; shortened to ${shrinkingTo} events so far`
      stderr.write(`\r\x1b[Kseed ${seed}: ${virtualHours.toFixed(1)} virtual hours, ${what}`)
    },
    end() {
      if (shownAtMs > 0) stderr.write('\r\x1b[K')
    },
  }
}
