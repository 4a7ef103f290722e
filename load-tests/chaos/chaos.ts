// `switchyard chaos`: for each store sets up, offers load, strikes, heals, asks again, audits.

import { randomBytes } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { pause, postgresMissing, redisMissing } from '../processes/index.ts'
import { Acquirer } from './acquirer.ts'
import { type Audit, audit } from './audit.ts'
import {
  FAULTS,
  type FaultName,
  faultsFor,
  type PlannedFault,
  planFaults,
  type StoreKind,
} from './faults.ts'
import { canLimitFiles, inject } from './inject.ts'
import { leaseMs } from './limits.ts'
import { type ChaosOptions, readChaosOptions, usage } from './options.ts'
import { Recoveries } from './recoveries.ts'
import { type ChaosReport, type InjectedFault, reportText, type StoreRun } from './report.ts'
import { type Stand, setUp } from './stand.ts'

/** Runs the command; the exit code: 0 nothing differs, 1 something does, 2 wrong use. */
export async function chaos(args: readonly string[]): Promise<number> {
  const read = readChaosOptions(args, () => randomBytes(4).readUInt32BE())
  if (read.kind === 'help') {
    process.stdout.write(usage)
    return 0
  }
  if (read.kind === 'wrong') {
    process.stderr.write(`${read.message}\n(--help says what there is)\n`)
    return 2
  }
  const { options } = read
  const stop = new AbortController()
  const onSignal = () => (stop.signal.aborted ? process.exit(130) : stop.abort())
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
  const runs: StoreRun[] = []
  const failedRuns: { readonly store: StoreKind; readonly why: string }[] = []
  const skippedStores: { readonly store: StoreKind; readonly why: string }[] = []
  for (const store of options.stores) {
    const why = store === 'postgres' ? postgresMissing() : false
    if (why !== false) skippedStores.push({ store, why })
    else if (!stop.signal.aborted) {
      try {
        runs.push(await runOne(options, store, stop.signal))
      } catch (error) {
        // The other store's run is worth having all the same.
        failedRuns.push({ store, why: (error as Error).message })
      }
    }
  }
  const isClean = failedRuns.length === 0 && runs.length > 0 && runs.every(isGreen)
  const report: ChaosReport = {
    ...{ seed: options.seed, ok: isClean, runs, failedRuns, skippedStores },
  }
  process.stdout.write(options.json ? `${JSON.stringify(report)}\n` : reportText(report))
  process.off('SIGINT', onSignal)
  process.off('SIGTERM', onSignal)
  return isClean ? 0 : 1
}

const isGreen = ({ audit: found }: StoreRun) => found.isClean

async function runOne(
  options: ChaosOptions,
  store: StoreKind,
  signal: AbortSignal,
): Promise<StoreRun> {
  const { keep, ratePerSecond, durationSeconds, seed } = options
  const recoveries = new Recoveries()
  const wanted = faultsFor(store, options.faults)
  const say = createProgress(store)
  const wantsFullDisk = wanted.includes('full-disk')
  if (keep !== undefined) await mkdir(keep, { recursive: true })
  const stand = await setUp({
    ...{ store, keep, say },
    wantsSmallDisk: wantsFullDisk && process.getuid?.() === 0,
    onReady: (tookMs) => recoveries.add('switch started to ready', tookMs),
  })
  try {
    const { can, skipped } = possible(wanted, stand)
    const durationMs = durationSeconds * 1_000
    const acquirer = new Acquirer({
      targets: stand.switches.map(({ port, isoPort }) => ({
        http: { host: '127.0.0.1', port },
        iso: { host: '127.0.0.1', port: isoPort },
      })),
      ...{ ratePerSecond, durationMs, seed, signal },
      runId: `chaos-${randomBytes(6).toString('hex')}`,
      onAnswer: (event) => recoveries.onAnswer(event),
    })
    const plan = planFaults({ seed, faults: can, durationMs, leaseMs })
    let isOffered = false
    const strikes = new Strikes(stand, plan, recoveries, signal, say, () => isOffered)
    const startedMs = performance.now()
    const struck = strikes.run()
    const ticking = setInterval(() => say(progressOf(acquirer, startedMs, durationSeconds)), 1_000)
    await acquirer.offer()
    isOffered = true
    const offeredSeconds = (performance.now() - startedMs) / 1_000
    const faults = await struck
    stand.heal()
    say('waiting until every switch is ready')
    await stand.waitReady()
    await acquirer.finish()
    clearInterval(ticking)
    const found = await judge(stand, acquirer, options, say)
    acquirer.close()
    return {
      ...{ store, ratePerSecond, offeredSeconds: round(offeredSeconds), faults, skipped },
      recoveries: recoveries.report(),
      exits: Object.fromEntries(stand.switches.map(({ name, exits }) => [name, { ...exits }])),
      refusals: acquirer.counts.refusals,
      interrupted: signal.aborted,
      audit: found,
    }
  } finally {
    say('ending what was started')
    await stand.tearDown()
    say('')
  }
}

/** What this machine has the parts and rights for; the rest with the reason. */
function possible(wanted: readonly FaultName[], stand: Stand) {
  const skipped: { fault: FaultName; why: string }[] = []
  const can = wanted.filter((fault) => {
    const why = whyNot(fault, stand)
    if (why !== undefined) skipped.push({ fault, why })
    return why === undefined
  })
  return { can, skipped }
}

function whyNot(fault: FaultName, stand: Stand): string | undefined {
  const { part } = FAULTS[fault]
  if (part === 'redis' && stand.redis === undefined) return String(redisMissing())
  if (part !== 'disk' || stand.disk !== undefined || canLimitFiles()) return undefined
  return 'may not mount a small disk, and there is no prlimit'
}

/** Carries out the plan; faults of one part wait for each other. */
class Strikes {
  readonly #stand: Stand
  readonly #plan: readonly PlannedFault[]
  readonly #recoveries: Recoveries
  readonly #signal: AbortSignal
  readonly #say: (line: string) => void
  readonly #isOver: () => boolean
  readonly #busy = new Map<string, Promise<void>>()
  readonly #done: InjectedFault[] = []

  constructor(
    stand: Stand,
    plan: readonly PlannedFault[],
    recoveries: Recoveries,
    signal: AbortSignal,
    say: (line: string) => void,
    isOver: () => boolean,
  ) {
    this.#stand = stand
    this.#plan = plan
    this.#recoveries = recoveries
    this.#signal = signal
    this.#say = say
    this.#isOver = isOver
  }

  /** Resolves when the last fault is undone, with all of them in order. */
  async run(): Promise<readonly InjectedFault[]> {
    const startedMs = performance.now()
    for (const planned of this.#plan) {
      while (performance.now() - startedMs < planned.atMs && !this.#signal.aborted) await pause(10)
      if (this.#signal.aborted) break
      const { part } = FAULTS[planned.fault]
      const before = this.#busy.get(part) ?? Promise.resolve()
      this.#busy.set(
        part,
        before.then(() => this.#strike(planned, startedMs)),
      )
    }
    await Promise.all(this.#busy.values())
    return this.#done.sort((a, b) => a.atSeconds - b.atSeconds)
  }

  async #strike(planned: PlannedFault, startedMs: number): Promise<void> {
    const { fault } = planned
    const atMs = performance.now()
    // Held up by those before it until nothing is asked any more: it would show nothing.
    if (this.#signal.aborted || this.#isOver()) return
    this.#say(`${fault} for ${(planned.forMs / 1_000).toFixed(1)} s`)
    const part = await inject(this.#stand, planned, this.#recoveries)
    const seconds = round((performance.now() - atMs) / 1_000)
    this.#done.push({ fault, part, atSeconds: round((atMs - startedMs) / 1_000), seconds })
  }
}

/** Reversals may still be on their way: looks again until the books agree or time is up. */
async function judge(
  stand: Stand,
  acquirer: Acquirer,
  { settleSeconds, mustBeEmpty }: ChaosOptions,
  say: (line: string) => void,
): Promise<Audit> {
  const untilMs = performance.now() + settleSeconds * 1_000
  for (let waitMs = 1_000; ; waitMs = Math.min(30_000, waitMs * 2)) {
    say('holding the books against one another')
    // The issuers' last: what they know by then, the store sent before.
    const stored = await stand.readStored()
    const ledgers = await stand.readLedgers()
    const found = audit({ asked: acquirer.asked, stored, ledgers, mustBeEmpty })
    if (found.isClean || performance.now() + waitMs > untilMs) return found
    const counts = Object.entries(found.counts).map(([kind, count]) => `${kind} ${count}`)
    say(`not yet: ${counts.join(', ')}`)
    await pause(waitMs)
  }
}

function progressOf(acquirer: Acquirer, startedMs: number, totalSeconds: number): string {
  const { asked, unanswered } = acquirer.counts
  const seconds = Math.floor((performance.now() - startedMs) / 1_000)
  return `${seconds}/${totalSeconds} s  asked ${asked}  without answer ${unanswered}`
}

/** One line on standard error that is written over; nothing where that is not a terminal. */
function createProgress(store: StoreKind): (line: string) => void {
  if (!process.stderr.isTTY) return () => undefined
  return (line) => process.stderr.write(`\r\u001b[K${line === '' ? '' : `${store}: ${line}`}`)
}

function round(seconds: number): number {
  return Math.round(seconds * 100) / 100
}
