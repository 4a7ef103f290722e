// What the switch under load says of itself: the lag of its event loop, its garbage collections,
// its memory, its flushes and scores, read from /metrics (Prometheus text format 0.0.4).

import { get } from 'node:http'

/** Sums and last values, by metric with its labels as they are written. */
export type Metrics = ReadonlyMap<string, number>

/** Reads a metrics page; empty where it does not answer in time. */
export function readMetrics(adminUrl: string): Promise<Metrics> {
  return new Promise((resolve) => {
    const request = get(`${adminUrl}/metrics`, { timeout: 2_000 }, (response) => {
      let text = ''
      response.setEncoding('latin1').on('data', (chunk) => {
        text += chunk
      })
      response.on('end', () => resolve(parseMetrics(text)))
      response.on('error', () => resolve(new Map()))
    })
    request.on('timeout', () => request.destroy())
    request.on('error', () => resolve(new Map()))
  })
}

export function parseMetrics(text: string): Metrics {
  const metrics = new Map<string, number>()
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('#')) continue
    const at = line.lastIndexOf(' ')
    const value = Number(line.slice(at + 1))
    if (Number.isFinite(value)) metrics.set(line.slice(0, at), value)
  }
  return metrics
}

/** Of one interval; null where the switch does not say. */
export interface SwitchFigures {
  /** 99% of the event loop's turns were late by no more, since the last look; null: none ended. */
  readonly eventLoopLagP99Ms: number | null
  /** Time that garbage collections took, of each second. */
  readonly gcMsPerSecond: number | null
  readonly gcPausesPerSecond: number | null
  readonly heapUsedBytes: number | null
  readonly externalBytes: number | null
}

const prefix = 'switchyard_nodejs_'

/** A lag below a microsecond was not measured: no turn ended since the last look. */
const lagSecondsMin = 0.000_001

export function switchFigures(before: Metrics, after: Metrics, seconds: number): SwitchFigures {
  const of = (name: string) => after.get(`${prefix}${name}`) ?? null
  const lag = of('eventloop_lag_p99_seconds')
  return {
    eventLoopLagP99Ms: lag === null || lag < lagSecondsMin ? null : lag * 1000,
    gcMsPerSecond: perSecond(before, after, 'gc_duration_seconds_sum', seconds, 1000),
    gcPausesPerSecond: perSecond(before, after, 'gc_duration_seconds_count', seconds, 1),
    heapUsedBytes: of('heap_size_used_bytes'),
    externalBytes: of('external_memory_bytes'),
  }
}

function perSecond(
  before: Metrics,
  after: Metrics,
  name: string,
  seconds: number,
  scale: number,
): number | null {
  const total = (metrics: Metrics) => {
    let sum = 0
    for (const [key, value] of metrics) if (key.startsWith(`${prefix}${name}`)) sum += value
    return sum
  }
  if (after.size === 0 || before.size === 0 || seconds === 0) return null
  return ((total(after) - total(before)) * scale) / seconds
}

/**
 * A percentile of a Prometheus histogram between two looks, in seconds: the upper edge of the
 * bucket that holds it; null without samples.
 */
export function histogramPercentile(
  before: Metrics,
  after: Metrics,
  name: string,
  percentile: number,
): number | null {
  const buckets: { readonly edge: number; readonly count: number }[] = []
  for (const [key, value] of after) {
    if (!key.startsWith(`${name}_bucket{`)) continue
    const edge = /le="([^"]+)"/.exec(key)?.[1]
    if (edge === undefined) continue
    const count = value - (before.get(key) ?? 0)
    buckets.push({ edge: edge === '+Inf' ? Number.POSITIVE_INFINITY : Number(edge), count })
  }
  buckets.sort((one, other) => one.edge - other.edge)
  const total = buckets.at(-1)?.count ?? 0
  if (total === 0) return null
  return buckets.find(({ count }) => count >= (total * percentile) / 100)?.edge ?? null
}
