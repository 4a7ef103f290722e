// What a run says at its end: the contract's fields first, then what explains them.

import type { Histogram } from 'hdr-histogram-js'
import type { Books } from './books.ts'
import type { ThreadCpu } from './cpu.ts'
import type { CpuMicros, Observed, Observer } from './observer.ts'
import type { LoadOptions } from './options.ts'
import type { PhaseResult, RunResult } from './run.ts'
import { histogramPercentile } from './switch-metrics.ts'
import { type Second, Tally } from './tally.ts'

export interface LatencyMs {
  readonly p50: number
  readonly p90: number
  readonly p99: number
  readonly p999: number
  readonly max: number
}

export interface PhaseReport {
  readonly name: string
  readonly measured: boolean
  readonly seconds: number
  readonly fault: string | null
  readonly offeredPerSecond: number
  readonly achievedPerSecond: number
  readonly rateMet: boolean
  readonly latencyMs: LatencyMs
  readonly refusedLatencyMs: LatencyMs | null
  readonly sent: number
  readonly unsent: number
  readonly outcomes: Readonly<Record<string, number>>
  readonly errors: Readonly<Record<string, number>>
  readonly cpuMicrosPerMessage: CpuMicros
}

/** A second of the run, as charts need it. */
export interface SecondReport extends Second {
  /** CPUs busy: 1 is one core. */
  readonly cpus: {
    readonly switchMain: number | null
    readonly switchWorker: number | null
    readonly switchRest: number | null
    readonly redis: number | null
    readonly issuer: number | null
    readonly generator: number | null
  }
  readonly eventLoopLagP99Ms: number | null
  readonly gcMsPerSecond: number | null
  readonly switchMemoryBytes: number | null
}

export interface LoadReport {
  readonly offeredPerSecond: number
  readonly achievedPerSecond: number
  /** Of answers with status 200, from the intended send time. */
  readonly latencyMs: LatencyMs
  readonly sent: number
  readonly unsent: number
  readonly outcomes: Readonly<Record<string, number>>
  readonly errors: Readonly<Record<string, number>>
  /** Null: not known, because no ledger could be read. */
  readonly booksBalanced: boolean | null
  readonly cpuMicrosPerMessage: CpuMicros
  /** Of the switch, by thread. */
  readonly switchThreadMicrosPerMessage: ThreadCpu | null
  /** False: what was offered was not served; `offeredPerSecond` is not what the switch can do. */
  readonly rateMet: boolean
  /** Why the run proves nothing; empty when it does. */
  readonly void: readonly string[]
  readonly refusedLatencyMs: LatencyMs | null
  /** How late the generator itself was. */
  readonly sendDelayMs: LatencyMs
  /** What the switch measured itself: upper edges of its buckets, milliseconds. */
  readonly switchMs: { readonly scoreP99: number | null; readonly flushP99: number | null }
  readonly retried: RunResult['retried']
  readonly warmup: { readonly sent: number; readonly unsent: number; readonly errors: number }
  readonly reloads: { readonly taken: number; readonly refused: number } | null
  readonly books: Books | null
  readonly interrupted: boolean
  readonly phases: readonly PhaseReport[]
  readonly seconds: readonly SecondReport[]
  readonly run: Readonly<Record<string, string | number | null>>
}

export interface ReportParts {
  readonly options: LoadOptions
  readonly result: RunResult
  readonly books: Books | null
  readonly observer: Observer
  /** Where the parts are and which stores they use. */
  readonly stores: string
  readonly reloads: { readonly taken: number; readonly refused: number } | undefined
}

/** All measured phases together. */
export function measuredTally(result: RunResult): Tally {
  const all = new Tally()
  for (const { phase, tally } of result.phases) if (phase.measured !== false) all.add(tally)
  return all
}

/**
 * The rate is met when all was sent, and at the end of the phase no more was unanswered than one in
 * a hundred or what 250 ms bring: requests in flight at the edge, not a backlog that grows. A
 * closed loop offers what is served.
 */
function isRateMet({ phase, tally, windowMs }: PhaseResult): boolean {
  if (phase.inFlight !== undefined) return tally.unsent === 0
  const missing = tally.scheduled - tally.served
  const allowed = Math.max(tally.scheduled / 100, (tally.scheduled / windowMs) * 250)
  return tally.unsent === 0 && missing <= allowed
}

export async function makeReport(parts: ReportParts): Promise<LoadReport> {
  const { options, result, books, observer } = parts
  const measured = result.phases.filter(({ phase }) => phase.measured !== false)
  const warmups = result.phases.filter(({ phase }) => phase.measured === false)
  const all = measuredTally(result)
  const seconds = sum(measured, ({ windowMs }) => windowMs) / 1000
  const looks = await Promise.all(result.phases.map((_, i) => observer.during(i)))
  const looked = looks.filter((_, i) => result.phases[i]?.phase.measured !== false)
  const answered = sum(measured, (phase) => phase.answered)
  return {
    offeredPerSecond: perSecond(all.scheduled, seconds),
    achievedPerSecond: perSecond(all.served, seconds),
    latencyMs: percentilesOf(all.latencyMicros),
    sent: all.sent,
    unsent: all.unsent,
    outcomes: all.outcomes,
    errors: all.errors,
    booksBalanced: books === null ? null : books.balanced,
    cpuMicrosPerMessage: cpuPerMessage(looked, answered),
    switchThreadMicrosPerMessage: threadsPerMessage(looked, answered),
    rateMet: measured.every(isRateMet),
    void: voids(options, books, all),
    refusedLatencyMs: all.refusedMicros.totalCount === 0 ? null : percentilesOf(all.refusedMicros),
    sendDelayMs: percentilesOf(all.sendDelayMicros),
    switchMs: await switchOwn(observer, result),
    retried: result.retried,
    warmup: {
      sent: sum(warmups, ({ tally }) => tally.sent),
      unsent: sum(warmups, ({ tally }) => tally.unsent),
      errors: sum(warmups, ({ tally }) => tally.errorCount),
    },
    reloads: parts.reloads ?? null,
    books,
    interrupted: result.interrupted,
    phases: result.phases.map((phase, i) => phaseReport(phase, looks[i])),
    seconds: secondReports(result, await observer.seconds()),
    run: {
      scenario: options.scenarioName,
      title: options.scenario.title,
      protocol: options.protocol,
      durationSeconds: round(seconds, 3),
      arrivals: options.arrivals,
      connections: options.connections,
      cards: options.cards,
      warmEvents: options.scenario.warmEvents ?? 0,
      attackPercent: options.scenario.attackPercent ?? 0,
      secondIssuerPercent: options.scenario.secondIssuerPercent ?? 0,
      rules: options.scenario.rules ?? 'as shipped',
      seed: options.seed,
      stores: parts.stores,
    },
  }
}

function voids(options: LoadOptions, books: Books | null, all: Tally): string[] {
  const found: string[] = []
  if (books?.balanced === false) found.push('the books do not balance')
  if (all.latencyMicros.totalCount === 0) found.push('nothing was answered')
  const least = options.scenario.approvedPercentMin
  const { approved, declined, challenged } = all.outcomes
  const percent = (approved * 100) / (approved + declined + challenged)
  if (least !== undefined && percent < least) {
    found.push(`${round(percent, 2)}% approved, below ${least}%: fast declines were measured`)
  }
  return found
}

function phaseReport(it: PhaseResult, look: Observed | undefined): PhaseReport {
  const { phase, tally, windowMs, answered } = it
  const seconds = windowMs / 1000
  return {
    name: phase.name,
    measured: phase.measured !== false,
    seconds: round(seconds, 3),
    fault: phase.fault?.kind ?? null,
    offeredPerSecond: perSecond(tally.scheduled, seconds),
    achievedPerSecond: perSecond(tally.served, seconds),
    rateMet: isRateMet(it),
    latencyMs: percentilesOf(tally.latencyMicros),
    refusedLatencyMs:
      tally.refusedMicros.totalCount === 0 ? null : percentilesOf(tally.refusedMicros),
    sent: tally.sent,
    unsent: tally.unsent,
    outcomes: tally.outcomes,
    errors: tally.errors,
    cpuMicrosPerMessage: cpuPerMessage([look], answered),
  }
}

function secondReports(result: RunResult, looks: readonly Observed[]): SecondReport[] {
  return result.seconds.map((second, i): SecondReport => {
    const look = looks[i]
    const cpus = (micros: number | null | undefined) =>
      micros === null || micros === undefined || look === undefined || look.seconds === 0
        ? null
        : round(micros / 1e6 / look.seconds, 3)
    return {
      ...second,
      cpus: {
        switchMain: cpus(look?.switchThreads?.main),
        switchWorker: cpus(look?.switchThreads?.worker),
        switchRest: cpus(look?.switchThreads?.rest),
        redis: cpus(look?.cpuMicros.redis),
        issuer: cpus(look?.cpuMicros.issuer),
        generator: cpus(look?.cpuMicros.generator),
      },
      eventLoopLagP99Ms: look?.figures.eventLoopLagP99Ms ?? null,
      gcMsPerSecond: look?.figures.gcMsPerSecond ?? null,
      switchMemoryBytes: memoryOf(look),
    }
  })
}

/** What heap and buffers use and the process holds: heapUsed + external + RssAnon. */
function memoryOf(look: Observed | undefined): number | null {
  if (look === undefined) return null
  const { heapUsedBytes, externalBytes } = look.figures
  const parts = [heapUsedBytes, externalBytes, look.switchAnonymousBytes]
  return parts.some((part) => part === null) ? null : sum(parts, (part) => part as number)
}

/** Of the first measured phase to the last. */
async function switchOwn(observer: Observer, result: RunResult): Promise<LoadReport['switchMs']> {
  const first = result.phases.findIndex(({ phase }) => phase.measured !== false)
  const { before } = await observer.pages(first)
  const { after } = await observer.pages(result.phases.length - 1)
  const p99 = (name: string) => {
    const seconds = histogramPercentile(before, after, `switchyard_${name}`, 99)
    return seconds === null ? null : round(seconds * 1000, 3)
  }
  return { scoreP99: p99('score_duration_seconds'), flushP99: p99('store_flush_seconds') }
}

function cpuPerMessage(looks: readonly (Observed | undefined)[], answered: number): CpuMicros {
  const of = (part: keyof CpuMicros) => {
    const micros = looks.map((look) => look?.cpuMicros[part] ?? null)
    return answered === 0 || micros.length === 0 || micros.some((it) => it === null)
      ? null
      : round(sum(micros, (it) => it as number) / answered, 1)
  }
  return {
    switch: of('switch'),
    redis: of('redis'),
    issuer: of('issuer'),
    generator: of('generator'),
  }
}

function threadsPerMessage(
  looks: readonly (Observed | undefined)[],
  answered: number,
): ThreadCpu | null {
  const threads = looks.map((look) => look?.switchThreads ?? null)
  if (answered === 0 || threads.length === 0 || threads.some((it) => it === null)) return null
  const of = (part: keyof ThreadCpu) => round(sum(threads, (it) => it?.[part] ?? 0) / answered, 1)
  return { main: of('main'), worker: of('worker'), rest: of('rest') }
}

function sum<T>(items: readonly T[], read: (item: T) => number): number {
  return items.reduce((total, item) => total + read(item), 0)
}

function perSecond(count: number, seconds: number): number {
  return seconds === 0 ? 0 : round(count / seconds, 1)
}

export function percentilesOf(micros: Histogram): LatencyMs {
  // The histogram's buckets are a thousandth wide, so a percentile may pass the maximum by that.
  const at = (percentile: number) =>
    round(Math.min(micros.getValueAtPercentile(percentile), micros.maxValue) / 1000, 3)
  return {
    p50: at(50),
    p90: at(90),
    p99: at(99),
    p999: at(99.9),
    max: round(micros.maxValue / 1000, 3),
  }
}

export function round(value: number, digits: number): number {
  const scale = 10 ** digits
  return Math.round(value * scale) / scale
}

/** The report for a person: what matters first, in words where a number needs one. */
export function reportText(report: LoadReport): string {
  const { latencyMs: latency, sendDelayMs: delay, cpuMicrosPerMessage: cpu } = report
  const lines = [
    row('offered', `${report.offeredPerSecond}/s${report.rateMet ? '' : '   NOT MET'}`),
    row('achieved', `${report.achievedPerSecond}/s`),
    row(
      'latency ms',
      `p50 ${latency.p50}  p90 ${latency.p90}  p99 ${latency.p99}  p99.9 ${latency.p999}  ` +
        `max ${latency.max}   (from the intended send time)`,
    ),
    row('generator ms', `p50 ${delay.p50}  p99 ${delay.p99}  max ${delay.max} late`),
    row('requests', `${report.sent} sent, ${report.unsent} unsent`),
    row('outcomes', counts(report.outcomes)),
    row('errors', counts(report.errors)),
    row('asked again', counts(report.retried)),
    row('books', booksText(report)),
    row(
      'CPU us/message',
      `switch ${cpu.switch ?? '-'}  redis ${cpu.redis ?? '-'}  issuer ${cpu.issuer ?? '-'}  ` +
        `generator ${cpu.generator ?? '-'}`,
    ),
    row('  by thread', threadsText(report)),
    row('switch says', ownText(report)),
    row('stores', String(report.run.stores)),
  ]
  if (report.phases.length > 2) lines.push(...report.phases.map(phaseText))
  if (report.reloads !== null && report.reloads.taken + report.reloads.refused > 0) {
    lines.push(row('reloads', counts(report.reloads)))
  }
  if (report.interrupted) lines.push(row('interrupted', 'figures up to then'))
  for (const why of report.void) lines.push(row('VOID', why))
  return `${lines.join('\n')}\n`
}

function threadsText({ switchThreadMicrosPerMessage: threads }: LoadReport): string {
  if (threads === null) return 'not known'
  return `switch main ${threads.main}  worker ${threads.worker}  V8 and libuv ${threads.rest}`
}

function ownText({ switchMs, seconds }: LoadReport): string {
  const lags = seconds.flatMap((second) => second.eventLoopLagP99Ms ?? [])
  const lag = lags.length === 0 ? '-' : round(Math.max(...lags), 1)
  return (
    `score p99 <= ${switchMs.scoreP99 ?? '-'} ms  flush p99 <= ${switchMs.flushP99 ?? '-'} ms  ` +
    `event loop p99 at most ${lag} ms`
  )
}

function phaseText(phase: PhaseReport): string {
  const { latencyMs: latency, refusedLatencyMs: refused } = phase
  const refusals = refused === null ? '' : `  refusals p99 ${refused.p99}`
  return row(
    `  ${phase.name}`,
    `${phase.offeredPerSecond}/s offered, ${phase.achievedPerSecond}/s served` +
      `${phase.rateMet ? '' : ' NOT MET'}  p50 ${latency.p50}  p99 ${latency.p99}${refusals}` +
      `${phase.fault === null ? '' : `  (${phase.fault})`}${phase.measured ? '' : '  not measured'}`,
  )
}

function booksText(report: LoadReport): string {
  const { books } = report
  if (books === null) return 'not judged: no ledger to read (name --issuer-control)'
  if (!books.balanced) {
    const first = books.discrepancies.slice(0, 5).map((it) => `\n${row('', JSON.stringify(it))}`)
    return `DO NOT BALANCE: ${counts(books.counts)}${first.join('')}`
  }
  return (
    `balance: ${books.approvedAnswers} approved answers, ${books.liveApprovals} approvals stand, ` +
    `${books.reversedApprovals} reversed${booksScope(report)}`
  )
}

/** Requests and outcomes are of the measured phases; books are of all that was sent. */
export function booksScope({ warmup }: LoadReport): string {
  return warmup.sent === 0 ? '' : ' (warm-up included)'
}

function counts(record: Readonly<Record<string, number>>): string {
  const parts = Object.entries(record).filter(([, count]) => count > 0)
  return parts.length === 0 ? 'none' : parts.map(([name, count]) => `${name} ${count}`).join(', ')
}

function row(name: string, text: string): string {
  return `${name.padEnd(16)}${text}`
}
