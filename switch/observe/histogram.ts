// Counters and histograms in typed arrays: counting costs an addition, and prom-client asks for the
// values only when somebody scrapes.

import { Counter, Gauge, type Registry } from 'prom-client'

/** Upper bounds in seconds, from 0.1 ms to 12 s: one score to the acquirer's whole deadline. */
export const SECONDS_BUCKETS: readonly number[] = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5,
  8, 12,
]

type Labels = Readonly<Record<string, string>>

interface Series {
  readonly labels: Labels
  /** One count a bucket, not cumulative; the last is +Inf. */
  readonly counts: Float64Array
  sum: number
}

/** A histogram a set of label values. Series are made once, by `series`; `observe` allocates nothing. */
export class Histogram {
  readonly name: string
  readonly help: string
  readonly type = 'histogram'
  readonly #bounds: readonly number[]
  readonly #series: Series[] = []

  constructor(registry: Registry, name: string, help: string, bounds = SECONDS_BUCKETS) {
    this.name = name
    this.help = help
    this.#bounds = bounds
    registry.registerMetric(this as unknown as Gauge)
  }

  series(labels: Labels): Series {
    const known = this.#series.find((one) => sameLabels(one.labels, labels))
    if (known !== undefined) return known
    const made = { labels, counts: new Float64Array(this.#bounds.length + 1), sum: 0 }
    this.#series.push(made)
    return made
  }

  observe(series: Series, value: number): void {
    let bucket = 0
    while (bucket < this.#bounds.length && value > (this.#bounds[bucket] as number)) bucket++
    series.counts[bucket] = (series.counts[bucket] as number) + 1
    series.sum += value
  }

  /** What prom-client's registry asks of a metric. */
  get(): Promise<unknown> {
    const values = this.#series.flatMap((series) => this.#exposition(series))
    return Promise.resolve({
      name: this.name,
      help: this.help,
      type: this.type,
      values,
      aggregator: 'sum',
    })
  }

  #exposition(series: Series): unknown[] {
    const values: unknown[] = []
    let cumulative = 0
    for (const [index, count] of series.counts.entries()) {
      cumulative += count
      const le = this.#bounds[index] ?? '+Inf'
      values.push({
        labels: { ...series.labels, le },
        value: cumulative,
        metricName: `${this.name}_bucket`,
      })
    }
    values.push({ labels: series.labels, value: series.sum, metricName: `${this.name}_sum` })
    values.push({ labels: series.labels, value: cumulative, metricName: `${this.name}_count` })
    return values
  }
}

function sameLabels(one: Labels, other: Labels): boolean {
  const names = Object.keys(one)
  return (
    names.length === Object.keys(other).length && names.every((name) => one[name] === other[name])
  )
}

/** Label values of one counter are bounded; more of them are counted under `other`. */
const SERIES_MAX = 1000
const SEPARATOR = '\u0000'

/** A counter whose increments are map look-ups; published to prom-client when it is scraped. */
export class Tally {
  readonly #counts = new Map<string, number>()

  constructor(registry: Registry, name: string, help: string, labelNames: readonly string[]) {
    const counts = this.#counts
    new Counter({
      name,
      help,
      labelNames: [...labelNames],
      registers: [registry],
      collect() {
        this.reset()
        for (const [key, count] of counts) {
          const values = key.split(SEPARATOR)
          this.inc(
            Object.fromEntries(labelNames.map((label, i) => [label, values[i] ?? ''])),
            count,
          )
        }
      },
    })
  }

  add(first: string, second?: string, by = 1): void {
    const key = second === undefined ? first : first + SEPARATOR + second
    const count = this.#counts.get(key)
    if (count === undefined && this.#counts.size >= SERIES_MAX) {
      const other = second === undefined ? 'other' : `other${SEPARATOR}other`
      this.#counts.set(other, (this.#counts.get(other) ?? 0) + by)
    } else {
      this.#counts.set(key, (count ?? 0) + by)
    }
  }
}

/** A gauge that is read when it is scraped. `read` gives pairs of label values and value. */
export function gauge(
  registry: Registry,
  name: string,
  help: string,
  labelNames: readonly string[],
  read: () => Iterable<readonly [labels: Labels, value: number]>,
): void {
  new Gauge({
    name,
    help,
    labelNames: [...labelNames],
    registers: [registry],
    collect() {
      this.reset()
      for (const [labels, value] of read()) this.set(labels, value)
    },
  })
}
