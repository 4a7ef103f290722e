// When each request is meant to leave. Open loop: the times are fixed before the first request, and
// no answer, however late, moves them. A closed loop, which only finds the peak, sends as soon
// as an answer came.

import { seededRandom } from '../random.ts'
import type { Phase } from './scenario.ts'

export interface ScheduleOptions {
  readonly phases: readonly Phase[]
  /** `fixed`: evenly spaced. `poisson`: independent arrivals with exponential gaps. */
  readonly arrivals: 'fixed' | 'poisson'
  readonly seed: number
  /** Times of a replay, milliseconds from the start, in order: there is one phase then. */
  readonly timesMs?: readonly number[] | undefined
  /** What the closed loop before served a second; asked when a phase begins that counts from it. */
  readonly peakPerSecond?: () => number
}

/**
 * A cursor over intended send times, in milliseconds from the start, never decreasing.
 *
 * Of a phase of D seconds from rate a to b, the nth request is due where the arrivals expected by
 * then are n: a t + (b - a) t^2 / 2D = n. For Poisson arrivals n is a sum of exponential gaps
 * instead (time change of a process with another rate, Cinlar 1975).
 */
export class Schedule {
  readonly #options: ScheduleOptions
  readonly #random: () => number
  /** Where each phase begins, and where the last one ends. */
  readonly #startsMs: readonly number[]
  readonly #firstIndexes: number[] = []
  #phase = -1
  #index = 0
  #expected = 0
  #fromPerSecond = 0
  #toPerSecond = 0
  #nextMs = Number.POSITIVE_INFINITY

  constructor(options: ScheduleOptions) {
    this.#options = options
    this.#random = seededRandom(options.seed)
    let atMs = 0
    const starts = [0]
    for (const { seconds } of options.phases) {
      atMs += seconds * 1000
      starts.push(atMs)
    }
    this.#startsMs = starts
    this.#enter(0)
  }

  /** Number of the next request, from 0. */
  get index(): number {
    return this.#index
  }

  /** The phase of the next request; the number of phases once all are over. */
  get phase(): number {
    return this.#phase
  }

  /** How many may be under way in this phase. */
  get inFlightMax(): number {
    return this.#options.phases[this.#phase]?.inFlight ?? Number.POSITIVE_INFINITY
  }

  /** When the next request is meant to leave; Infinity once the duration is over. */
  get nextMs(): number {
    return this.#nextMs
  }

  /** The phase that a request belongs to, by its number. */
  phaseOf(index: number): number {
    for (let phase = this.#firstIndexes.length - 1; phase > 0; phase--) {
      if (index >= (this.#firstIndexes[phase] as number)) return phase
    }
    return 0
  }

  /** In a closed loop the next request is due now. */
  moveTo(nowMs: number): void {
    while (this.#isClosedLoop()) {
      this.#nextMs = nowMs
      if (nowMs < (this.#startsMs[this.#phase + 1] as number)) return
      this.#enter(this.#phase + 1)
    }
  }

  advance(): void {
    this.#index++
    if (this.#isClosedLoop()) return
    this.#expected += this.#options.arrivals === 'fixed' ? 1 : this.#gap()
    this.#place()
  }

  #isClosedLoop(): boolean {
    return this.#options.phases[this.#phase]?.inFlight !== undefined
  }

  #enter(phase: number): void {
    this.#phase = phase
    const it = this.#options.phases[phase]
    if (it === undefined) {
      this.#nextMs = Number.POSITIVE_INFINITY
      return
    }
    this.#firstIndexes[phase] = this.#index
    if (it.inFlight !== undefined) {
      this.#nextMs = this.#startsMs[phase] as number
      return
    }
    const peak = this.#options.peakPerSecond?.() ?? 0
    const from = it.timesPeak === undefined ? (it.ratePerSecond ?? 0) : it.timesPeak * peak
    this.#fromPerSecond = from
    this.#toPerSecond = it.toRatePerSecond ?? from
    this.#expected = this.#options.arrivals === 'fixed' ? 0 : this.#gap()
    this.#place()
  }

  #place(): void {
    const { timesMs } = this.#options
    if (timesMs !== undefined) {
      this.#nextMs = timesMs[this.#index] ?? Number.POSITIVE_INFINITY
      return
    }
    const startMs = this.#startsMs[this.#phase] as number
    const lengthMs = (this.#startsMs[this.#phase + 1] as number) - startMs
    const offsetMs = timeOf(this.#expected, this.#fromPerSecond, this.#toPerSecond, lengthMs)
    if (offsetMs < lengthMs) this.#nextMs = startMs + offsetMs
    else this.#enter(this.#phase + 1)
  }

  #gap(): number {
    return -Math.log(1 - this.#random())
  }
}

/** Solves a t + (b - a) t^2 / 2D = n for t, in milliseconds; Infinity where it never is n. */
function timeOf(count: number, from: number, to: number, lengthMs: number): number {
  if (from === to) return from === 0 ? Number.POSITIVE_INFINITY : (count * 1000) / from
  const slope = (to - from) / (lengthMs / 1000)
  const inside = from * from + 2 * slope * count
  // The stable form of the quadratic's root: no difference of two near numbers.
  if (inside < 0 || count === 0) return count === 0 ? 0 : Number.POSITIVE_INFINITY
  return (2000 * count) / (from + Math.sqrt(inside))
}
