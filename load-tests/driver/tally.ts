// What is counted of one phase of a run, and of several together: histograms are merged,
// percentiles never averaged.

import { build, type Histogram } from 'hdr-histogram-js'
import type { OutcomeName } from './door.ts'

/** Kinds of error that are told apart; more would be a target that invents codes. */
const errorKindsMax = 50

export class Tally {
  /** Offered: sent and unsent. */
  sent = 0
  unsent = 0
  /** Answers (200) that came before the phase ended. */
  served = 0
  readonly outcomes: Record<OutcomeName, number> = { approved: 0, declined: 0, challenged: 0 }
  readonly errors: Record<string, number> = {}
  /** Microseconds from the intended time to the answer, of answers with status 200. */
  readonly latencyMicros = histogram()
  /** The same of refusals (any other status). */
  readonly refusedMicros = histogram()
  /** How late the generator itself was: from the intended time to the write. */
  readonly sendDelayMicros = histogram()

  get scheduled(): number {
    return this.sent + this.unsent
  }

  get errorCount(): number {
    let count = 0
    for (const kind in this.errors) count += this.errors[kind] as number
    return count
  }

  countError(kind: string, count = 1): void {
    const isNew = this.errors[kind] === undefined
    const name = isNew && Object.keys(this.errors).length >= errorKindsMax ? 'other' : kind
    this.errors[name] = (this.errors[name] ?? 0) + count
  }

  add(other: Tally): void {
    this.sent += other.sent
    this.unsent += other.unsent
    this.served += other.served
    for (const [name, count] of Object.entries(other.outcomes)) {
      this.outcomes[name as OutcomeName] += count
    }
    for (const [kind, count] of Object.entries(other.errors)) this.countError(kind, count)
    this.latencyMicros.add(other.latencyMicros)
    this.refusedMicros.add(other.refusedMicros)
    this.sendDelayMicros.add(other.sendDelayMicros)
  }
}

/** One second of a run, by when things happened. */
export interface Second {
  /** From the start of the run. */
  readonly atSeconds: number
  readonly offered: number
  readonly served: number
  /** Of those served. */
  readonly approved: number
  readonly errors: number
  readonly unsent: number
  readonly inFlight: number
  /** Of the answers of that second, milliseconds; null where there were none. */
  readonly p50Ms: number | null
  readonly p99Ms: number | null
  readonly maxMs: number | null
}

/** Counts the second under way, and keeps the rows of those before. */
export class Timeline {
  readonly rows: Second[] = []
  readonly #latency = histogram()
  offered = 0
  served = 0
  approved = 0
  errors = 0
  unsent = 0

  answered(micros: number, outcome: OutcomeName): void {
    this.served++
    if (outcome === 'approved') this.approved++
    this.#latency.recordValue(micros)
  }

  /** Ends the second that began at `atSeconds`. */
  close(atSeconds: number, inFlight: number): void {
    const latency = this.#latency
    const ms = (percentile: number) =>
      latency.totalCount === 0 ? null : latency.getValueAtPercentile(percentile) / 1000
    const { offered, served, approved, errors, unsent } = this
    this.rows.push({
      ...{ atSeconds, offered, served, approved, errors, unsent, inFlight },
      ...{ p50Ms: ms(50), p99Ms: ms(99), maxMs: ms(100) },
    })
    latency.reset()
    this.offered = 0
    this.served = 0
    this.approved = 0
    this.errors = 0
    this.unsent = 0
  }
}

/** Microseconds up to two minutes, three significant digits; some 200 kB each. */
export function histogram(): Histogram {
  return build({
    bitBucketSize: 32,
    autoResize: false,
    lowestDiscernibleValue: 1,
    highestTrackableValue: 120_000_000,
    numberOfSignificantValueDigits: 3,
    useWebAssembly: false,
  })
}

export function toMicros(ms: number): number {
  return Math.min(119_000_000, Math.max(1, Math.round(ms * 1000)))
}
