// Drift: does the model see today what it was trained on? The population stability index (PSI)
// compares the shares of bins, of every feature and of the score, with those in the manifest:
//
//   PSI = sum over bins of (now - then) * ln(now / then)
//
// Missing is a bin of its own. Below 0.1 nothing moved, above 0.25 something did (the customary
// marks). Told every hour of the last 24, so that night and day are both in it; of the weekend,
// which no day has in the share of a week, of the last 168, once there are as many. Too few
// decisions tell nothing: a PSI of n rows is about bins / n by chance alone.

import {
  DRIFT_ALERT_PSI,
  DRIFT_HOUR_MS,
  DRIFT_HOURS,
  DRIFT_SAMPLES_MIN,
  DRIFT_WEEK_HOURS,
} from './limits.ts'
import type { Baseline, PsiBaseline } from './onnx/index.ts'
import type { Decision } from './request.ts'

export interface DriftReport {
  readonly fromMs: number
  readonly untilMs: number
  /** Decisions that were counted. */
  readonly samples: number
  /** One a feature in the manifest's order, then the score; the weekend's after a week. */
  readonly psi: readonly { readonly name: string; readonly psi: number }[]
}

/** Names in a report of which the model should be asked: above the mark, on enough decisions. */
export function drifted(report: DriftReport): readonly string[] {
  if (report.samples < DRIFT_SAMPLES_MIN) return []
  return report.psi.filter(({ psi }) => psi > DRIFT_ALERT_PSI).map(({ name }) => name)
}

/** Smallest share that a bin is taken to have: an empty one would make the index infinite. */
const SHARE_MIN = 1e-4

/** What is counted of a decision. */
export type Watched = Pick<Decision, 'features' | 'score' | 'degraded'>

/** Says of a day only which one it is. */
const OF_THE_CALENDAR = 'weekend'

interface Hour {
  readonly fromMs: number
  readonly samples: number
  readonly counts: readonly Uint32Array[]
}

/** Counts decisions; a thread has one a model. */
export class DriftWatch {
  readonly #baselines: readonly Baseline[]
  readonly #features: number
  /** Counts by baseline, each with a bin more for missing. */
  readonly #counts: readonly Uint32Array[]
  #samples = 0
  #fromMs: number
  /** The last complete ones, oldest first: 168 of 50 features by 11 bins are 370 kB. */
  readonly #hours: Hour[] = []
  #last: DriftReport | undefined

  constructor(baseline: PsiBaseline, nowMs: number) {
    this.#baselines = [...baseline.features, baseline.score]
    this.#features = baseline.features.length
    this.#counts = this.#baselines.map(({ shares }) => new Uint32Array(shares.length + 1))
    this.#fromMs = nowMs
  }

  /**
   * Counts a decision that was made at `nowMs`. One without model or velocity is left out: what is
   * down has alarms of its own. Allocates nothing.
   */
  observe(decision: Watched, nowMs: number): void {
    this.#roll(nowMs)
    const { features, score, degraded } = decision
    if (score === null || degraded.length > 0 || features.length !== this.#features) return
    this.#samples++
    for (let i = 0; i < features.length; i++) this.#count(i, features[i] as number)
    this.#count(features.length, score)
  }

  /** The day up to the last complete hour; undefined before there is enough of one. */
  report(nowMs: number): DriftReport | undefined {
    this.#roll(nowMs)
    return this.#last
  }

  /** What was counted since the last complete hour, whether or not it is enough. */
  soFar(nowMs: number): DriftReport {
    const all = [this.#hour()]
    return this.#reportOf(all, all, nowMs)
  }

  #hour(): Hour {
    return { fromMs: this.#fromMs, samples: this.#samples, counts: this.#counts }
  }

  /** `week`: what the weekend is told of; empty: not at all. */
  #reportOf(hours: readonly Hour[], week: readonly Hour[], untilMs: number): DriftReport {
    const samples = samplesOf(hours)
    const psi = this.#baselines.flatMap((baseline, i) => {
      const told = baseline.name === OF_THE_CALENDAR ? week : hours
      if (told.length === 0) return []
      const counts = new Uint32Array(baseline.shares.length + 1)
      for (const hour of told) {
        hour.counts[i]?.forEach((count, bin) => {
          counts[bin] = (counts[bin] as number) + count
        })
      }
      const counted = told === hours ? samples : samplesOf(told)
      return [{ name: baseline.name, psi: psiOf(baseline, counts, counted) }]
    })
    return { fromMs: hours[0]?.fromMs ?? untilMs, untilMs, samples, psi }
  }

  #count(index: number, value: number): void {
    const counts = this.#counts[index] as Uint32Array
    const { edges } = this.#baselines[index] as Baseline
    let bin = counts.length - 1
    if (!Number.isNaN(value)) {
      bin = 0
      while (bin < edges.length && value > (edges[bin] as number)) bin++
    }
    counts[bin] = (counts[bin] as number) + 1
  }

  #roll(nowMs: number): void {
    if (nowMs - this.#fromMs < DRIFT_HOUR_MS) return
    this.#hours.push({ ...this.#hour(), counts: this.#counts.map((counts) => counts.slice()) })
    if (this.#hours.length > DRIFT_WEEK_HOURS) this.#hours.shift()
    const week = this.#hours.length < DRIFT_WEEK_HOURS ? [] : this.#hours
    const report = this.#reportOf(this.#hours.slice(-DRIFT_HOURS), week, nowMs)
    this.#last = report.samples < DRIFT_SAMPLES_MIN ? undefined : report
    for (const counts of this.#counts) counts.fill(0)
    this.#samples = 0
    this.#fromMs = nowMs
  }
}

function samplesOf(hours: readonly Hour[]): number {
  return hours.reduce((sum, hour) => sum + hour.samples, 0)
}

/** `counts` has a bin a share, then one for missing. NaN without samples. */
function psiOf(baseline: Baseline, counts: Uint32Array, samples: number): number {
  const { shares, missingShare } = baseline
  if (samples === 0) return Number.NaN
  let psi = 0
  for (let bin = 0; bin < counts.length; bin++) {
    const expected =
      bin < shares.length ? (shares[bin] as number) * (1 - missingShare) : missingShare
    const then = Math.max(expected, SHARE_MIN)
    const now = Math.max((counts[bin] as number) / samples, SHARE_MIN)
    psi += (now - then) * Math.log(now / then)
  }
  return psi
}
