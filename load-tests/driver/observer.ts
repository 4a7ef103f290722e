// Looks at the processes of a run while it goes on: CPU by process and thread, memory, and what the
// switch says of itself.

import {
  anonymousBytesOf,
  cpuMicrosOf,
  type ThreadCpu,
  threadDifference,
  threadMicrosOf,
} from './cpu.ts'
import { type Metrics, readMetrics, type SwitchFigures, switchFigures } from './switch-metrics.ts'

/** Where the parts run; null: not known, so nothing is said of it. */
export interface Pids {
  readonly switch: number | null
  readonly redis: number | null
  readonly issuers: readonly number[]
}

export interface CpuMicros {
  readonly switch: number | null
  readonly redis: number | null
  readonly issuer: number | null
  readonly generator: number | null
}

/** All that can be read without asking anybody. */
interface Look {
  readonly atMs: number
  readonly cpu: CpuMicros
  readonly switchThreads: ReadonlyMap<number, number>
  readonly switchAnonymousBytes: number | null
}

/** Between two looks. */
export interface Observed {
  readonly seconds: number
  readonly cpuMicros: CpuMicros
  readonly switchThreads: ThreadCpu | null
  readonly switchAnonymousBytes: number | null
  readonly figures: SwitchFigures
}

const nothing: SwitchFigures = switchFigures(new Map(), new Map(), 0)

export class Observer {
  readonly #pids: Pids
  readonly #adminUrl: string | undefined
  readonly #phases: { readonly look: Look; metrics: Metrics }[] = []
  readonly #rows: Observed[] = []
  #last: Look | undefined
  #lastMetrics: Metrics = new Map()
  #lastMetricsMs = 0
  #figures: SwitchFigures = nothing
  #asked: Promise<void> = Promise.resolve()

  constructor(pids: Pids, adminUrl: string | undefined) {
    this.#pids = pids
    this.#adminUrl = adminUrl
  }

  /** At the edge of a phase. */
  phase(): void {
    const edge: { readonly look: Look; metrics: Metrics } = {
      look: this.#look(),
      metrics: new Map(),
    }
    this.#phases.push(edge)
    this.#last ??= edge.look
    this.#ask((metrics) => {
      edge.metrics = metrics
    })
  }

  /** At the end of a second. */
  second(): void {
    const look = this.#look()
    const before = this.#last ?? look
    this.#last = look
    this.#rows.push(observed(this.#pids, before, look, this.#figures))
    // Its page costs the switch a millisecond: not every second.
    if (this.#rows.length % secondsBetweenPages === 0) this.#ask(() => undefined)
  }

  /** A row a second, once every page has come. */
  async seconds(): Promise<readonly Observed[]> {
    await this.#asked
    return this.#rows
  }

  /** What happened during one phase, by its number. */
  async during(phase: number): Promise<Observed | undefined> {
    await this.#asked
    const start = this.#phases[phase]
    const end = this.#phases[phase + 1]
    if (start === undefined || end === undefined) return undefined
    const seconds = (end.look.atMs - start.look.atMs) / 1000
    const figures = switchFigures(start.metrics, end.metrics, seconds)
    return observed(this.#pids, start.look, end.look, figures)
  }

  /** When the phases from `first` to `last` were under way, milliseconds of performance.now(). */
  windowMs(first: number, last: number): { readonly from: number; readonly to: number } {
    const from = this.#phases[first]?.look.atMs ?? 0
    return { from, to: this.#phases[last + 1]?.look.atMs ?? from }
  }

  /** The pages of /metrics at both edges of a phase. */
  async pages(phase: number): Promise<{ readonly before: Metrics; readonly after: Metrics }> {
    await this.#asked
    const of = (edge: number) => this.#phases[edge]?.metrics ?? new Map<string, number>()
    return { before: of(phase), after: of(phase + 1) }
  }

  #ask(take: (metrics: Metrics) => void): void {
    if (this.#adminUrl === undefined) return
    const atMs = performance.now()
    const page = readMetrics(this.#adminUrl)
    const before = this.#asked
    this.#asked = page.then(async (metrics) => {
      await before
      take(metrics)
      const seconds = (atMs - this.#lastMetricsMs) / 1000
      if (metrics.size > 0) this.#figures = switchFigures(this.#lastMetrics, metrics, seconds)
      this.#lastMetrics = metrics
      this.#lastMetricsMs = atMs
    })
  }

  #look(): Look {
    const { switch: switchPid, redis, issuers } = this.#pids
    const ofIssuers = issuers.map(cpuMicrosOf).filter((micros) => micros !== null)
    return {
      atMs: performance.now(),
      cpu: {
        switch: switchPid === null ? null : cpuMicrosOf(switchPid),
        redis: redis === null ? null : cpuMicrosOf(redis),
        issuer: ofIssuers.length === 0 ? null : ofIssuers.reduce((sum, micros) => sum + micros, 0),
        generator: cpuMicrosOf(process.pid),
      },
      switchThreads: switchPid === null ? new Map() : threadMicrosOf(switchPid),
      switchAnonymousBytes: switchPid === null ? null : anonymousBytesOf(switchPid),
    }
  }
}

const secondsBetweenPages = 2

function observed(pids: Pids, before: Look, after: Look, figures: SwitchFigures): Observed {
  const of = (part: keyof CpuMicros) => {
    const start = before.cpu[part]
    const end = after.cpu[part]
    return start === null || end === null ? null : end - start
  }
  return {
    seconds: (after.atMs - before.atMs) / 1000,
    cpuMicros: {
      switch: of('switch'),
      redis: of('redis'),
      issuer: of('issuer'),
      generator: of('generator'),
    },
    switchThreads:
      pids.switch === null || after.switchThreads.size === 0
        ? null
        : threadDifference(pids.switch, before.switchThreads, after.switchThreads),
    switchAnonymousBytes: after.switchAnonymousBytes,
    figures,
  }
}
