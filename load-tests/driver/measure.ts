// One measurement from beginning to end: sets up, offers, looks on, balances the books.

import { randomBytes } from 'node:crypto'
import { pause } from '../processes/index.ts'
import { type Books, balanceBooks } from './books.ts'
import { type MixOptions, mixedRequest } from './mix.ts'
import { Observer } from './observer.ts'
import type { LoadOptions } from './options.ts'
import type { ProgressLine } from './progress-line.ts'
import { replayedRequest } from './replay.ts'
import { makeReport, type ReportParts } from './report.ts'
import { LoadRun, type RunResult } from './run.ts'
import { monotonicMicros, type Stand, setUp } from './set-up.ts'
import { type Where, whereOf } from './where.ts'

/** Runs one scenario; rejects where the ground can't be set up. */
export async function measure(
  options: LoadOptions,
  signal: AbortSignal,
  progress: ProgressLine,
): Promise<ReportParts> {
  const mix = mixOf(options)
  const stand = await setUp(options, mix, (line) => progress.say(line))
  try {
    return await measureOn(stand, options, mix, signal, progress)
  } finally {
    await stand.tearDown()
  }
}

/** Runs a scenario on a profiled switch, and tells where its time went. */
export async function measureWhere(
  options: LoadOptions,
  signal: AbortSignal,
  progress: ProgressLine,
): Promise<Where> {
  const mix = mixOf(options)
  const stand = await setUp(options, mix, (line) => progress.say(line))
  try {
    const parts = await measureOn(stand, options, mix, signal, progress)
    const report = await makeReport(parts)
    const { phases } = parts.result
    const first = phases.findIndex(({ phase }) => phase.measured !== false)
    const last = phases.findLastIndex(({ phase }) => phase.measured !== false)
    const windowMs = parts.observer.windowMs(first, last)
    const sinceMicros = monotonicMicros() - performance.now() * 1000
    progress.say('reading the profile')
    const profiled = await stand.endProfiled?.()
    if (profiled === undefined) throw new Error('no switch of this run was profiled')
    const { before } = await parts.observer.pages(first)
    const { after } = await parts.observer.pages(last)
    return await whereOf({
      ...{ report, before, after, trace: profiled.trace, startedAt: profiled.startedAt },
      profileFolder: profiled.folder,
      messages: phases.slice(first, last + 1).reduce((sum, { answered }) => sum + answered, 0),
      window: {
        from: windowMs.from * 1000 + sinceMicros,
        to: windowMs.to * 1000 + sinceMicros,
      },
    })
  } finally {
    await stand.tearDown()
  }
}

/** The same on ground that stands already, and stays. */
export async function measureOn(
  stand: Stand,
  options: LoadOptions,
  mix: MixOptions,
  signal: AbortSignal,
  progress: ProgressLine,
): Promise<ReportParts> {
  const { replay } = options
  const { phases } = options.scenario
  for (const { fault } of phases) {
    const problem = fault === undefined ? undefined : stand.faults?.problem(fault)
    if (problem !== undefined) throw new Error(problem)
  }
  await stand.mark()
  const observer = new Observer(stand.pids, stand.adminUrl)
  const run = new LoadRun({
    target: stand.target,
    protocol: options.protocol,
    apiKey: options.apiKey,
    phases,
    arrivals: options.arrivals,
    connections: options.connections,
    seed: options.seed,
    requests: (index) =>
      replay === undefined ? mixedRequest(mix, index) : replayedRequest(replay, mix, index),
    timesMs: replay?.timesMs,
    runId: `load-${randomBytes(6).toString('hex')}`,
    signal,
    onPhase: (phase) => {
      observer.phase()
      stand.faults?.enter(phases[phase]?.fault)
    },
    onSecond: () => observer.second(),
    onProgress: (now) => progress.show(now),
  })
  const result = await run.run()
  await stand.faults?.end()
  progress.say('balancing the books')
  const books = await judgeBooks(stand, result, options.settleSeconds)
  return { options, result, books, observer, stores: stand.stores, reloads: stand.faults?.reloads }
}

/** What is asked for: a function of the options and a start. */
export function mixOf(options: LoadOptions): MixOptions {
  const { scenario } = options
  const [first] = scenario.phases.filter(({ ratePerSecond }) => ratePerSecond)
  return {
    seed: options.seed,
    cards: options.cards,
    terminals: scenario.terminals,
    entities: scenario.entities,
    attackPercent: scenario.attackPercent,
    secondIssuerPercent: scenario.secondIssuerPercent ?? 0,
    startedAtMs: Date.now(),
    // Of what requests say of their time; a closed loop has none of its own.
    ratePerSecond: first?.ratePerSecond ?? 10_000,
  }
}

/** Reversals may still be on their way: looks again until the books balance or time is up. */
async function judgeBooks(
  stand: Stand,
  result: RunResult,
  settleSeconds: number,
): Promise<Books | null> {
  const deadline = performance.now() + settleSeconds * 1000
  for (let waitMs = 250; ; waitMs *= 2) {
    const ledgers = await stand.readLedgers()
    if (ledgers === null) return null
    const books = balanceBooks(inLedgers(result, stand), ledgers)
    if (books.balanced || performance.now() + waitMs > deadline) return books
    await pause(waitMs)
  }
}

function* inLedgers(result: RunResult, stand: Stand) {
  for (const answer of result.approvedAnswers()) {
    yield { ...answer, issuer: stand.ledgerOf(answer.issuer) }
  }
}
