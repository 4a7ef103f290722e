// What a run says at its end: the contract's fields first, then what explains them.

import type { Histogram } from 'hdr-histogram-js'
import type { Books } from './books.ts'
import type { LoadOptions } from './options.ts'
import type { RunResult } from './run.ts'

export interface LatencyMs {
  readonly p50: number
  readonly p90: number
  readonly p99: number
  readonly p999: number
  readonly max: number
}

export interface CpuMicros {
  readonly switch: number | null
  readonly redis: number | null
  readonly issuer: number | null
  readonly generator: number | null
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
  /** False: what was offered was not served; `offeredPerSecond` is not what the switch can do. */
  readonly rateMet: boolean
  /** Why the run proves nothing; empty when it does. */
  readonly void: readonly string[]
  readonly refusedLatencyMs: LatencyMs | null
  /** How late the generator itself was. */
  readonly sendDelayMs: LatencyMs
  readonly retried: RunResult['retried']
  readonly warmup: RunResult['warmup']
  readonly books: Books | null
  readonly interrupted: boolean
  readonly run: Readonly<Record<string, string | number | null>>
}

export interface ReportParts {
  readonly options: LoadOptions
  readonly result: RunResult
  readonly books: Books | null
  /** CPU of each part while the figures were taken, in microseconds. */
  readonly cpuMicros: CpuMicros
  /** Where the parts are and which stores they use. */
  readonly stores: string
}

/**
 * The rate is met when all was sent, and at the end of the window no more was unanswered than one
 * in a hundred or what 250 ms bring: requests in flight at the edge, not a backlog that grows.
 */
function isRateMet(options: LoadOptions, result: RunResult): boolean {
  const missing = result.scheduled - result.served
  const allowed = Math.max(result.scheduled / 100, options.ratePerSecond / 4)
  return result.unsent === 0 && missing <= allowed
}

export function makeReport(parts: ReportParts): LoadReport {
  const { options, result, books } = parts
  const seconds = result.windowMs / 1000
  const perSecond = (count: number) => (seconds === 0 ? 0 : round(count / seconds, 1))
  const voids: string[] = []
  if (books?.balanced === false) voids.push('the books do not balance')
  if (result.latencyMicros.totalCount === 0) voids.push('nothing was answered')
  const perMessage = (micros: number | null) =>
    micros === null || result.answeredInWindow === 0
      ? null
      : round(micros / result.answeredInWindow, 1)
  return {
    offeredPerSecond: perSecond(result.scheduled),
    achievedPerSecond: perSecond(result.served),
    latencyMs: percentilesOf(result.latencyMicros),
    sent: result.sent,
    unsent: result.unsent,
    outcomes: result.outcomes,
    errors: result.errors,
    booksBalanced: books === null ? null : books.balanced,
    cpuMicrosPerMessage: {
      switch: perMessage(parts.cpuMicros.switch),
      redis: perMessage(parts.cpuMicros.redis),
      issuer: perMessage(parts.cpuMicros.issuer),
      generator: perMessage(parts.cpuMicros.generator),
    },
    rateMet: isRateMet(options, result),
    void: voids,
    refusedLatencyMs:
      result.refusedMicros.totalCount === 0 ? null : percentilesOf(result.refusedMicros),
    sendDelayMs: percentilesOf(result.sendDelayMicros),
    retried: result.retried,
    warmup: result.warmup,
    books,
    interrupted: result.interrupted,
    run: {
      protocol: options.protocol,
      ratePerSecond: options.ratePerSecond,
      durationSeconds: round(seconds, 3),
      warmupSeconds: options.warmupSeconds,
      arrivals: options.arrivals,
      connections: options.connections,
      cards: options.cards,
      secondIssuerPercent: options.secondIssuerPercent,
      seed: options.seed,
      stores: parts.stores,
    },
  }
}

function percentilesOf(micros: Histogram): LatencyMs {
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

function round(value: number, digits: number): number {
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
    row('stores', String(report.run.stores)),
  ]
  if (report.interrupted) lines.push(row('interrupted', 'figures up to then'))
  for (const why of report.void) lines.push(row('VOID', why))
  return `${lines.join('\n')}\n`
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
    `${books.reversedApprovals} reversed`
  )
}

function counts(record: Readonly<Record<string, number>>): string {
  const parts = Object.entries(record).filter(([, count]) => count > 0)
  return parts.length === 0 ? 'none' : parts.map(([name, count]) => `${name} ${count}`).join(', ')
}

function row(name: string, text: string): string {
  return `${name.padEnd(16)}${text}`
}
