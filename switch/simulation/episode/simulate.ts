// Episode after episode from one seed, until the hours are over; a failing one is run again with
// less and less, and told with what is left.

import { seedOf } from '../random.ts'
import { INVARIANTS, type Violation } from './books.ts'
import type { Crash, CrashPhase } from './crash-point.ts'
import { type EpisodeResult, runEpisode } from './episode.ts'
import type { Ground, Variation } from './life.ts'
import { BUSY_MS, SWEEP_EVERY } from './limits.ts'
import { drawPlan, drawSweep, type PlanEntry } from './plan.ts'
import { shrink } from './shrink.ts'

const HOUR_MS = 60 * 60 * 1000

export interface SimulationOptions {
  readonly ground: Ground
  readonly seed: number
  /** Virtual hours to simulate, at least. */
  readonly hours: number
  /** This episode alone, counted from 0: what a failure names. */
  readonly episode?: number
  /** Forbids the real world while an episode runs; returns what allows it again. */
  readonly seal: () => () => void
  readonly variation?: Variation
  /** A failing plan was shortened to so many entries. */
  readonly onShrink?: (entries: number) => void
}

export interface Failure {
  readonly episode: number
  readonly invariant: number
  readonly name: Violation['invariant']
  readonly message: string
  /** How many entries the plan had, and how few still fail. */
  readonly planned: number
  readonly needed: number
  readonly plan: readonly PlanEntry[]
  readonly trace: readonly string[]
}

type Counts = Readonly<Record<string, number>>

/** How often lives ended at a call: before its effect, after it, within it. */
export type EndingsAt = Readonly<Record<CrashPhase, number>>

/** What one episode came to. Plain data: it crosses threads and is written to files. */
export interface EpisodeReport {
  readonly episode: number
  readonly virtualMs: number
  /** Of these, with payments and faults; the rest is coming to rest. */
  readonly busyMs: number
  readonly lives: number
  readonly messages: number
  readonly faults: Counts
  readonly work: Counts
  readonly crashSites: Readonly<Record<string, EndingsAt>>
  readonly traceHash: string
  readonly failure: Failure | undefined
}

export interface SimulationReport {
  readonly seed: number
  readonly virtualHours: number
  /** Of these, with payments and faults. */
  readonly busyHours: number
  readonly episodes: number
  readonly lives: number
  readonly messages: number
  readonly faults: Counts
  /** What the workload did besides payments. */
  readonly work: Counts
  readonly failures: readonly Failure[]
  readonly crashSites: Readonly<Record<string, EndingsAt>>
  /** Of all that happened: equal for equal runs. */
  readonly traceHashes: readonly string[]
}

/** Runs until the hours are over or a promise was broken. Same seed, same report. */
export async function simulate(options: SimulationOptions): Promise<SimulationReport> {
  const totals = new Totals(options)
  for (let number = options.episode ?? 0; !totals.isEnough; number++) {
    totals.add(await simulateEpisode(options, number))
  }
  return totals.report
}

/** One episode of a seed; a failing one is explained. */
export async function simulateEpisode(
  options: Omit<SimulationOptions, 'hours' | 'episode'>,
  episode: number,
): Promise<EpisodeReport> {
  const seed = seedOf(options.seed, `episode ${episode}`)
  const isSweep = episode % SWEEP_EVERY === SWEEP_EVERY - 1
  const plan = isSweep ? drawSweep(seed) : drawPlan(seed)
  const result = await sealed(options, seed, plan, false)
  const { virtualMs, lives, messages, faults, work, traceHash, violation } = result
  return {
    episode,
    virtualMs,
    busyMs: Math.min(virtualMs, BUSY_MS),
    lives,
    messages,
    faults,
    work,
    crashSites: endingsOf(result.crashes),
    traceHash,
    failure:
      violation === undefined ? undefined : await explain(options, episode, seed, plan, violation),
  }
}

/** Sums of episodes, which are added in their order. */
export class Totals {
  readonly #options: Pick<SimulationOptions, 'seed' | 'hours' | 'episode'>
  readonly #faults: Record<string, number> = {}
  readonly #work: Record<string, number> = {}
  readonly #crashSites: Record<string, EndingsAt> = {}
  readonly #failures: Failure[] = []
  readonly #traceHashes: string[] = []
  #virtualMs = 0
  #busyMs = 0
  #messages = 0
  #lives = 0

  constructor(options: Pick<SimulationOptions, 'seed' | 'hours' | 'episode'>) {
    this.#options = options
  }

  /** The hours are over, or something failed. */
  get isEnough(): boolean {
    const { hours, episode } = this.#options
    if (this.#failures.length > 0) return true
    if (episode !== undefined) return this.#traceHashes.length > 0
    return this.#virtualMs >= hours * HOUR_MS
  }

  add(one: EpisodeReport): void {
    this.#virtualMs += one.virtualMs
    this.#busyMs += one.busyMs
    this.#messages += one.messages
    this.#lives += one.lives
    this.#traceHashes.push(one.traceHash)
    if (one.failure !== undefined) this.#failures.push(one.failure)
    addCounts(this.#faults, one.faults)
    addCounts(this.#work, one.work)
    for (const [site, endings] of Object.entries(one.crashSites)) {
      const { before, after, between } = this.#crashSites[site] ?? NO_ENDINGS
      this.#crashSites[site] = {
        before: before + endings.before,
        after: after + endings.after,
        between: between + endings.between,
      }
    }
  }

  get report(): SimulationReport {
    const hours = (ms: number) => Math.round((ms / HOUR_MS) * 1000) / 1000
    return {
      seed: this.#options.seed,
      virtualHours: hours(this.#virtualMs),
      busyHours: hours(this.#busyMs),
      episodes: this.#traceHashes.length,
      lives: this.#lives,
      messages: this.#messages,
      faults: this.#faults,
      work: this.#work,
      failures: this.#failures,
      crashSites: this.#crashSites,
      traceHashes: this.#traceHashes,
    }
  }
}

const NO_ENDINGS: EndingsAt = { before: 0, after: 0, between: 0 }

function addCounts(sums: Record<string, number>, counts: Counts): void {
  for (const [kind, count] of Object.entries(counts)) sums[kind] = (sums[kind] ?? 0) + count
}

function endingsOf(crashes: readonly Crash[]): Record<string, EndingsAt> {
  const endings: Record<string, EndingsAt> = {}
  for (const crash of crashes) {
    const site = siteOf(crash)
    const before = endings[site] ?? NO_ENDINGS
    endings[site] = { ...before, [crash.phase]: before[crash.phase] + 1 }
  }
  return endings
}

export function siteOf({ call, site }: Crash): string {
  return `${call} ${site}`
}

async function sealed(
  { ground, variation, seal }: Pick<SimulationOptions, 'ground' | 'variation' | 'seal'>,
  seed: number,
  plan: readonly PlanEntry[],
  keepsTrace: boolean,
): Promise<EpisodeResult> {
  const allow = seal()
  try {
    const varied = variation === undefined ? {} : { variation }
    return await runEpisode({ ground, seed, plan, keepsTrace, ...varied })
  } finally {
    allow()
  }
}

/** The same promise broken with as little as can be found, and what happened then. */
async function explain(
  options: Omit<SimulationOptions, 'hours' | 'episode'>,
  episode: number,
  seed: number,
  plan: readonly PlanEntry[],
  violation: Violation,
): Promise<Failure> {
  const isBroken = async (part: readonly PlanEntry[]) => {
    const { violation: other } = await sealed(options, seed, part, false)
    const fails = other?.invariant === violation.invariant
    if (fails) options.onShrink?.(part.length)
    return fails
  }
  const before = plan.filter((entry) => !('atMs' in entry) || entry.atMs <= violation.atMs)
  const start = (await isBroken(before)) ? before : plan
  const { entries } = await shrink(start, isBroken)
  const last = await sealed(options, seed, entries, true)
  return {
    episode,
    invariant: INVARIANTS[violation.invariant],
    name: violation.invariant,
    message: last.violation?.message ?? violation.message,
    planned: plan.length,
    needed: entries.length,
    plan: entries,
    trace: last.trace,
  }
}
