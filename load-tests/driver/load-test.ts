// `switchyard load-test`: sets up, runs, balances the books, reports.

import { randomBytes } from 'node:crypto'
import { pause } from '../processes/index.ts'
import { type Books, balanceBooks } from './books.ts'
import { cpuMicrosOf } from './cpu.ts'
import { type LoadOptions, readLoadOptions, usage } from './options.ts'
import { type CpuMicros, makeReport, reportText } from './report.ts'
import { LoadRun, type Progress, type RunResult } from './run.ts'
import { type Stand, setUp } from './set-up.ts'

/** Runs the command; the exit code: 0 fine, 1 void, 2 wrong use. */
export async function loadTest(args: readonly string[]): Promise<number> {
  const read = readLoadOptions(args)
  if (read.kind === 'help') {
    process.stdout.write(usage)
    return 0
  }
  if (read.kind === 'wrong') {
    process.stderr.write(`${read.message}\n(--help says what there is)\n`)
    return 2
  }
  const { options } = read
  const stop = new AbortController()
  // The first Ctrl-C ends the load and still reports; the second ends at once.
  const onSignal = () => (stop.signal.aborted ? process.exit(130) : stop.abort())
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
  const progress = new ProgressLine(options)
  const stand = await setUp(options, (line) => progress.say(line))
  try {
    const { result, cpuMicros } = await offer(options, stand, stop.signal, progress)
    progress.say('balancing the books')
    const books = await judgeBooks(stand, result, options.settleSeconds)
    progress.end()
    const report = makeReport({ options, result, books, cpuMicros, stores: stand.stores })
    process.stdout.write(options.json ? `${JSON.stringify(report)}\n` : reportText(report))
    return report.void.length > 0 ? 1 : 0
  } finally {
    progress.end()
    await stand.tearDown()
    process.off('SIGINT', onSignal)
    process.off('SIGTERM', onSignal)
  }
}

async function offer(
  options: LoadOptions,
  stand: Stand,
  signal: AbortSignal,
  progress: ProgressLine,
): Promise<{ result: RunResult; cpuMicros: CpuMicros }> {
  const samples: CpuMicros[] = []
  const run = new LoadRun({
    target: stand.target,
    protocol: options.protocol,
    apiKey: options.apiKey,
    ratePerSecond: options.ratePerSecond,
    warmupMs: options.warmupSeconds * 1000,
    durationMs: options.durationSeconds * 1000,
    arrivals: options.arrivals,
    connections: options.connections,
    mix: {
      seed: options.seed,
      cards: options.cards,
      secondIssuerPercent: options.secondIssuerPercent,
      startedAtMs: Date.now(),
      ratePerSecond: options.ratePerSecond,
    },
    runId: `load-${randomBytes(6).toString('hex')}`,
    signal,
    onWindow: () => samples.push(sampleCpu(stand)),
    onProgress: (now) => progress.show(now),
  })
  const result = await run.run()
  const [start, end] = samples
  return { result, cpuMicros: difference(start, end) }
}

function sampleCpu(stand: Stand): CpuMicros {
  const { pids } = stand
  const issuers = pids.issuers.map(cpuMicrosOf).filter((micros) => micros !== null)
  return {
    switch: pids.switch === null ? null : cpuMicrosOf(pids.switch),
    redis: pids.redis === null ? null : cpuMicrosOf(pids.redis),
    issuer: issuers.length === 0 ? null : issuers.reduce((sum, micros) => sum + micros, 0),
    generator: cpuMicrosOf(process.pid),
  }
}

function difference(start: CpuMicros | undefined, end: CpuMicros | undefined): CpuMicros {
  const of = (part: keyof CpuMicros) => {
    const before = start?.[part] ?? null
    const after = end?.[part] ?? null
    return before === null || after === null ? null : after - before
  }
  return {
    switch: of('switch'),
    redis: of('redis'),
    issuer: of('issuer'),
    generator: of('generator'),
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
    const books = balanceBooks(result.approvedAnswers(), ledgers)
    if (books.balanced || performance.now() + waitMs > deadline) return books
    await pause(waitMs)
  }
}

/** One line on standard error that is written over; nothing where that is not a terminal. */
class ProgressLine {
  readonly #isShown = process.stderr.isTTY === true
  readonly #totalSeconds: number
  #isOpen = false

  constructor(options: LoadOptions) {
    this.#totalSeconds = options.warmupSeconds + options.durationSeconds
  }

  say(text: string): void {
    if (!this.#isShown) return
    process.stderr.write(`\r\u001b[K${text}`)
    this.#isOpen = true
  }

  show(now: Progress): void {
    const elapsed = Math.floor(now.elapsedMs / 1000)
    this.say(
      `${elapsed}/${this.#totalSeconds} s  sent ${now.sent}  in flight ${now.inFlight}  ` +
        `p99 ${now.p99Ms.toFixed(1)} ms  errors ${now.errors}`,
    )
  }

  end(): void {
    if (this.#isOpen) process.stderr.write('\r\u001b[K')
    this.#isOpen = false
  }
}
