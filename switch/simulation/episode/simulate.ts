// Episode after episode from one seed, until the hours are over; a failing one is run again with
// less and less, and told with what is left.

import { seedOf } from '../random.ts'
import { INVARIANTS, type Violation } from './books.ts'
import type { Crash } from './crash-point.ts'
import { type EpisodeResult, runEpisode } from './episode.ts'
import type { Ground, Variation } from './life.ts'
import { drawPlan, type PlanEntry } from './plan.ts'
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
  /** After each episode, and while a failing one is shortened. */
  readonly onProgress?: (progress: Progress) => void
  /** Failures after which it ends; 1 by default. */
  readonly failuresMax?: number
}

export interface Progress {
  readonly virtualHours: number
  readonly messages: number
  readonly faults: number
  readonly failures: number
  readonly shrinkingTo: number | undefined
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

export interface SimulationReport {
  readonly seed: number
  readonly virtualHours: number
  readonly episodes: number
  readonly lives: number
  readonly messages: number
  readonly faults: Readonly<Record<string, number>>
  readonly failures: readonly Failure[]
  /** How often each call site was the last of a life. */
  readonly crashSites: Readonly<Record<string, number>>
  /** Of all that happened: equal for equal runs. */
  readonly traceHashes: readonly string[]
}

/** Runs until the hours are over or enough has failed. Same seed, same report. */
export async function simulate(options: SimulationOptions): Promise<SimulationReport> {
  const { hours, episode, onProgress, failuresMax = 1 } = options
  const failures: Failure[] = []
  const sums = new Sums()
  const note = (shrinkingTo?: number) =>
    onProgress?.({
      virtualHours: sums.virtualMs / HOUR_MS,
      messages: sums.messages,
      faults: Object.values(sums.faults).reduce((sum, count) => sum + count, 0),
      failures: failures.length,
      shrinkingTo,
    })
  let number = episode ?? 0
  while (failures.length < failuresMax) {
    const seed = seedOf(options.seed, `episode ${number}`)
    const plan = drawPlan(seed)
    const result = await sealed(options, seed, plan, false)
    sums.add(result)
    if (result.violation !== undefined) {
      failures.push(await explain(options, number, seed, plan, result.violation, note))
    }
    note()
    number++
    if (episode !== undefined || sums.virtualMs >= hours * HOUR_MS) break
  }
  return {
    seed: options.seed,
    virtualHours: Math.round((sums.virtualMs / HOUR_MS) * 1000) / 1000,
    episodes: sums.traceHashes.length,
    lives: sums.lives,
    messages: sums.messages,
    faults: sums.faults,
    failures,
    crashSites: sums.crashSites,
    traceHashes: sums.traceHashes,
  }
}

class Sums {
  virtualMs = 0
  messages = 0
  lives = 0
  readonly faults: Record<string, number> = {}
  readonly crashSites: Record<string, number> = {}
  readonly traceHashes: string[] = []

  add({ virtualMs, messages, lives, faults, crashes, traceHash }: EpisodeResult): void {
    this.virtualMs += virtualMs
    this.messages += messages
    this.lives += lives
    this.traceHashes.push(traceHash)
    for (const [kind, count] of Object.entries(faults)) {
      this.faults[kind] = (this.faults[kind] ?? 0) + count
    }
    for (const crash of crashes) {
      const site = siteOf(crash)
      this.crashSites[site] = (this.crashSites[site] ?? 0) + 1
    }
  }
}

export function siteOf({ call, site }: Crash): string {
  return `${call} ${site}`
}

async function sealed(
  { ground, variation, seal }: SimulationOptions,
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
  options: SimulationOptions,
  episode: number,
  seed: number,
  plan: readonly PlanEntry[],
  violation: Violation,
  note: (shrinkingTo: number) => void,
): Promise<Failure> {
  const isBroken = async (part: readonly PlanEntry[]) => {
    const { violation: other } = await sealed(options, seed, part, false)
    const fails = other?.invariant === violation.invariant
    if (fails) note(part.length)
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
