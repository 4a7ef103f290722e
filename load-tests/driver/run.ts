// One run: offers requests at their intended times whatever the answers do, and keeps what the
// books need. Latency counts from the intended time, so a stall is paid by every request that it
// delayed.

import { build, type Histogram } from 'hdr-histogram-js'
import { maskPan } from '#switch'
import type { ApprovedAnswer } from './books.ts'
import type {
  Door,
  DoorAnswer,
  DoorEvents,
  NoAnswer,
  OutcomeName,
  Protocol,
  Target,
} from './door.ts'
import { HttpDoor } from './http-door.ts'
import { IsoDoor } from './iso-door.ts'
import { answerTimeoutMs, retriesAtOnceMax, retriesMax, retryPauseMs } from './limits.ts'
import { type MixOptions, mixedRequest } from './mix.ts'
import { Schedule } from './schedule.ts'
import { StreamDoor } from './stream-door.ts'

export interface RunOptions {
  /** Where the protocol is taken: the HTTP port, or that of ISO 8583. */
  readonly target: Target
  readonly protocol: Protocol
  readonly apiKey: string
  readonly ratePerSecond: number
  /** The first part: offered and balanced like the rest, left out of the figures. */
  readonly warmupMs: number
  readonly durationMs: number
  readonly arrivals: 'fixed' | 'poisson'
  readonly connections: number
  readonly mix: MixOptions
  /** Makes the keys of this run its own: keys are `<runId>-<number>`. */
  readonly runId: string
  /** Between two questions for the same unanswered key; 1 s where absent. */
  readonly retryPauseMs?: number
  /** Stops offering; what is in flight is still awaited. */
  readonly signal: AbortSignal
  /** Called once when the figures begin, and once when they end. */
  readonly onWindow: (edge: 'start' | 'end') => void
  readonly onProgress: (progress: Progress) => void
}

export interface Progress {
  readonly elapsedMs: number
  readonly sent: number
  readonly inFlight: number
  readonly errors: number
  readonly p99Ms: number
}

export interface RunResult {
  /** From the first to the last intended time of the figures; shorter when interrupted. */
  readonly windowMs: number
  readonly scheduled: number
  readonly sent: number
  readonly unsent: number
  /** Answers (200) to requests of the window that came within it. */
  readonly served: number
  /** All answers that came within it, to requests of the warm-up too: what CPU was spent on. */
  readonly answeredInWindow: number
  readonly outcomes: Readonly<Record<OutcomeName, number>>
  readonly errors: Readonly<Record<string, number>>
  readonly warmup: { readonly sent: number; readonly unsent: number; readonly errors: number }
  /** Microseconds from the intended time to the answer, of answers with status 200. */
  readonly latencyMicros: Histogram
  /** The same of refusals (any other status). */
  readonly refusedMicros: Histogram
  /** How late the generator itself was: from the intended time to the write. */
  readonly sendDelayMicros: Histogram
  /** Answers by repetition of what was unanswered, and what stayed so. */
  readonly retried: Readonly<Record<OutcomeName | 'refused' | 'unanswered', number>>
  /** Approved answers of the whole run, warm-up and retries included. */
  approvedAnswers(): Generator<ApprovedAnswer>
  readonly interrupted: boolean
}

interface Approved {
  readonly token: number
  readonly issuer: string
  readonly approvalCode: string
  readonly amount: number
  readonly standIn: boolean
}

/** Sends may go on for so long after the last intended time; what then is still unsent stays so. */
const graceMs = 1_000
/** Kinds of error that are told apart; more would be a target that invents codes. */
const errorKindsMax = 50

export class LoadRun {
  readonly #options: RunOptions
  readonly #door: Door
  readonly #schedule: Schedule
  readonly #totalMs: number
  /** Intended time of each request sent, ms from the start; index = token. */
  readonly #intendedMs: number[] = []
  /** Send times in order of sending, for time-outs. */
  readonly #inFlight = new Map<number, number>()
  readonly #unanswered: number[] = []
  readonly #approved: Approved[] = []
  readonly #retries = new Map<number, (answer: DoorAnswer | undefined) => void>()
  readonly #latency = histogram()
  readonly #refused = histogram()
  readonly #sendDelay = histogram()
  readonly #outcomes = { approved: 0, declined: 0, challenged: 0 }
  readonly #errors: Record<string, number> = {}
  readonly #warmup = { sent: 0, unsent: 0, errors: 0 }
  #startedAt = 0
  #sent = 0
  #unsent = 0
  #served = 0
  #answeredInWindow = 0
  #progressAtMs = 0
  #stoppedAtMs: number | undefined
  #window: 'before' | 'open' | 'closed' = 'before'

  constructor(options: RunOptions) {
    this.#options = options
    this.#totalMs = options.warmupMs + options.durationMs
    this.#schedule = new Schedule({
      ratePerSecond: options.ratePerSecond,
      durationMs: this.#totalMs,
      arrivals: options.arrivals,
      seed: options.mix.seed,
    })
    this.#door = openDoor(options, {
      onAnswer: (token, answer) => this.#onAnswer(token, answer),
      onNoAnswer: (token, why) => this.#onNoAnswer(token, why),
      onIdle: () => this.#sendDue(),
      onConnectFailed: () => this.#countError('connect_failed', this.#window === 'before'),
    })
  }

  /** Runs to the end: offers, waits for what is in flight, asks again for what stayed open. */
  async run(): Promise<RunResult> {
    this.#startedAt = Number.POSITIVE_INFINITY
    await this.#door.open(this.#options.connections)
    this.#startedAt = performance.now()
    await this.#offer()
    this.#moveWindow(Number.POSITIVE_INFINITY)
    const retried = await this.#askAgain()
    this.#door.close()
    return this.#result(retried)
  }

  #result(retried: RunResult['retried']): RunResult {
    const { warmupMs, durationMs } = this.#options
    const endedAtMs = this.#stoppedAtMs ?? this.#totalMs
    return {
      windowMs: Math.max(0, Math.min(durationMs, endedAtMs - warmupMs)),
      scheduled: this.#sent + this.#unsent,
      sent: this.#sent,
      unsent: this.#unsent,
      served: this.#served,
      answeredInWindow: this.#answeredInWindow,
      outcomes: this.#outcomes,
      errors: this.#errors,
      warmup: this.#warmup,
      latencyMicros: this.#latency,
      refusedMicros: this.#refused,
      sendDelayMicros: this.#sendDelay,
      retried,
      approvedAnswers: () => this.#approvedAnswers(),
      interrupted: this.#stoppedAtMs !== undefined,
    }
  }

  /** Resolves when every scheduled request was sent or given up, and answered or timed out. */
  #offer(): Promise<void> {
    return new Promise((resolve) => {
      const tick = () => {
        const nowMs = performance.now() - this.#startedAt
        this.#moveWindow(nowMs)
        if (this.#options.signal.aborted) this.#stoppedAtMs ??= nowMs
        this.#sendDue()
        this.#timeOut()
        this.#tellProgress(nowMs)
        if (nowMs > this.#totalMs + graceMs) this.#countUnsent()
        const isOver =
          this.#stoppedAtMs !== undefined || this.#schedule.nextMs === Number.POSITIVE_INFINITY
        if (isOver && this.#inFlight.size === 0) resolve()
        else setTimeout(tick, 1)
      }
      tick()
    })
  }

  /** Sends what is due, in order, as long as a connection is free. */
  #sendDue(): void {
    if (this.#stoppedAtMs !== undefined) return
    for (;;) {
      const nowMs = performance.now() - this.#startedAt
      const intendedMs = this.#schedule.nextMs
      if (intendedMs > nowMs) return
      const token = this.#schedule.index
      if (!this.#door.send(token, mixedRequest(this.#options.mix, token), false)) return
      this.#schedule.advance()
      this.#intendedMs[token] = intendedMs
      this.#inFlight.set(token, nowMs)
      if (this.#isWarmup(token)) {
        this.#warmup.sent++
        continue
      }
      this.#sent++
      this.#sendDelay.recordValue(toMicros(nowMs - intendedMs))
    }
  }

  #onAnswer(token: number, answer: DoorAnswer): void {
    const retry = this.#retries.get(token)
    if (retry !== undefined) {
      retry(answer)
      return
    }
    this.#inFlight.delete(token)
    const nowMs = performance.now() - this.#startedAt
    const isWarmup = this.#isWarmup(token)
    const micros = toMicros(nowMs - (this.#intendedMs[token] ?? nowMs))
    if (answer.kind === 'refused') {
      this.#countError(answer.error, isWarmup)
      if (!isWarmup) this.#refused.recordValue(micros)
      if (answer.isOpen) this.#unanswered.push(token)
      return
    }
    this.#remember(token, answer)
    const isInWindow = nowMs >= this.#options.warmupMs && nowMs < this.#totalMs
    if (isInWindow) this.#answeredInWindow++
    if (isWarmup) return
    if (isInWindow) this.#served++
    this.#outcomes[answer.outcome]++
    this.#latency.recordValue(micros)
  }

  #onNoAnswer(token: number, why: NoAnswer): void {
    const retry = this.#retries.get(token)
    if (retry !== undefined) {
      retry(undefined)
      return
    }
    if (!this.#inFlight.delete(token)) return
    this.#countError(why, this.#isWarmup(token))
    this.#unanswered.push(token)
  }

  #remember(token: number, answer: DoorAnswer & { kind: 'outcome' }): void {
    if (answer.outcome !== 'approved') return
    const { issuer, approvalCode, amount, standIn } = answer
    this.#approved.push({ token, issuer, approvalCode, amount, standIn })
  }

  /** Asks again, with the same key, for whatever has no answer; some at a time, some times each. */
  async #askAgain(): Promise<RunResult['retried']> {
    const retried = { approved: 0, declined: 0, challenged: 0, refused: 0, unanswered: 0 }
    const waiting = this.#unanswered.slice()
    const worker = async () => {
      for (let token = waiting.pop(); token !== undefined; token = waiting.pop()) {
        retried[await this.#retry(token)]++
      }
    }
    const workers = Math.min(retriesAtOnceMax, this.#options.connections, waiting.length)
    await Promise.all(Array.from({ length: workers }, worker))
    return retried
  }

  async #retry(token: number): Promise<OutcomeName | 'refused' | 'unanswered'> {
    for (let attempt = 0; attempt < retriesMax; attempt++) {
      if (attempt > 0) await pause(this.#options.retryPauseMs ?? retryPauseMs)
      const answer = await this.#askOnce(token)
      if (answer === undefined) continue
      if (answer.kind === 'outcome') {
        this.#remember(token, answer)
        return answer.outcome
      }
      if (!answer.isOpen && !isForNow(answer.error)) return 'refused'
    }
    return 'unanswered'
  }

  #askOnce(token: number): Promise<DoorAnswer | undefined> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.#door.giveUp(token), answerTimeoutMs)
      const settle = (answer: DoorAnswer | undefined) => {
        clearTimeout(timer)
        this.#retries.delete(token)
        resolve(answer)
      }
      this.#retries.set(token, settle)
      const request = mixedRequest(this.#options.mix, token)
      if (!this.#door.send(token, request, true)) settle(undefined)
    })
  }

  #timeOut(): void {
    const nowMs = performance.now() - this.#startedAt
    // A map keeps the order of insertion, which is that of sending: the oldest come first.
    for (const [token, sentAtMs] of this.#inFlight) {
      if (nowMs - sentAtMs < answerTimeoutMs) return
      this.#door.giveUp(token)
    }
  }

  #countUnsent(): void {
    for (; this.#schedule.nextMs !== Number.POSITIVE_INFINITY; this.#schedule.advance()) {
      if (this.#schedule.nextMs < this.#options.warmupMs) this.#warmup.unsent++
      else this.#unsent++
    }
  }

  #countError(kind: string, isWarmup: boolean): void {
    if (isWarmup) {
      this.#warmup.errors++
      return
    }
    const isNew = this.#errors[kind] === undefined
    const name = isNew && Object.keys(this.#errors).length >= errorKindsMax ? 'other' : kind
    this.#errors[name] = (this.#errors[name] ?? 0) + 1
  }

  #isWarmup(token: number): boolean {
    return (this.#intendedMs[token] ?? 0) < this.#options.warmupMs
  }

  #moveWindow(nowMs: number): void {
    if (this.#window === 'before' && nowMs >= this.#options.warmupMs) {
      this.#window = 'open'
      this.#options.onWindow('start')
    }
    if (this.#window === 'open' && nowMs >= this.#totalMs) {
      this.#window = 'closed'
      this.#options.onWindow('end')
    }
  }

  #tellProgress(nowMs: number): void {
    if (nowMs < this.#progressAtMs) return
    this.#progressAtMs = nowMs + 1_000
    const errors = Object.values(this.#errors).reduce((sum, count) => sum + count, 0)
    this.#options.onProgress({
      elapsedMs: nowMs,
      sent: this.#sent + this.#warmup.sent,
      inFlight: this.#inFlight.size,
      errors: errors + this.#warmup.errors,
      p99Ms: this.#latency.getValueAtPercentile(99) / 1000,
    })
  }

  *#approvedAnswers(): Generator<ApprovedAnswer> {
    for (const { token, ...answer } of this.#approved) {
      const { pan, terminalId } = mixedRequest(this.#options.mix, token)
      const idempotencyKey = `${this.#options.runId}-${token}`
      yield { ...answer, idempotencyKey, terminalId, maskedPan: maskPan(pan) }
    }
  }
}

/** Microseconds up to two minutes, three significant digits; some 200 kB each. */
function histogram(): Histogram {
  return build({
    bitBucketSize: 32,
    autoResize: false,
    lowestDiscernibleValue: 1,
    highestTrackableValue: 120_000_000,
    numberOfSignificantValueDigits: 3,
    useWebAssembly: false,
  })
}

function toMicros(ms: number): number {
  return Math.min(119_000_000, Math.max(1, Math.round(ms * 1000)))
}

/** A refusal that may be none a second later. */
function isForNow(error: string): boolean {
  return error.startsWith('http_503') || error === 'de39_91'
}

function openDoor(options: RunOptions, events: DoorEvents): Door {
  const { target, apiKey, runId, protocol } = options
  switch (protocol) {
    case 'json':
    case 'msgpack':
      return new HttpDoor(
        { target, apiKey, runId, format: protocol, now: () => performance.now() },
        events,
      )
    case 'websocket':
      return new StreamDoor({ target, apiKey, runId }, events)
    case 'iso8583':
      return new IsoDoor(target, events)
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms)
  })
}
