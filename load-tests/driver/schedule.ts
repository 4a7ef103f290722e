// When each request is meant to leave. Open loop: the times are fixed before the first request, and
// no answer, however late, moves them.

import { seededRandom } from '../random.ts'

export interface ScheduleOptions {
  readonly ratePerSecond: number
  readonly durationMs: number
  /** `fixed`: evenly spaced. `poisson`: independent arrivals with exponential gaps. */
  readonly arrivals: 'fixed' | 'poisson'
  readonly seed: number
}

/** A cursor over intended send times, in milliseconds from the start, never decreasing. */
export class Schedule {
  readonly #options: ScheduleOptions
  readonly #random: () => number
  #index = 0
  #nextMs: number

  constructor(options: ScheduleOptions) {
    this.#options = options
    this.#random = seededRandom(options.seed)
    this.#nextMs = options.arrivals === 'fixed' ? 0 : this.#gapMs()
  }

  /** Number of the next request, from 0. */
  get index(): number {
    return this.#index
  }

  /** When the next request is meant to leave; Infinity once the duration is over. */
  get nextMs(): number {
    return this.#nextMs < this.#options.durationMs ? this.#nextMs : Number.POSITIVE_INFINITY
  }

  advance(): void {
    this.#index++
    // Multiplied, not added up: ten million additions of 1/3 drift.
    this.#nextMs =
      this.#options.arrivals === 'fixed'
        ? (this.#index * 1000) / this.#options.ratePerSecond
        : this.#nextMs + this.#gapMs()
  }

  #gapMs(): number {
    return (-Math.log(1 - this.#random()) * 1000) / this.#options.ratePerSecond
  }
}
