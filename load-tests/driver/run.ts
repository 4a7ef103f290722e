// One run: offers requests at their intended times whatever the answers do, and keeps what the
// books need. Latency counts from the intended time, so a stall is paid by every request that it
// delayed.

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
import type { RequestSource } from './mix.ts'
import type { Phase } from './scenario.ts'
import { Schedule } from './schedule.ts'
import { StreamDoor } from './stream-door.ts'
import { type Second, Tally, Timeline, toMicros } from './tally.ts'

export interface RunOptions {
  /** Where the protocol is taken: the HTTP port, or that of ISO 8583. */
  readonly target: Target
  readonly protocol: Protocol
  readonly apiKey: string
  readonly phases: readonly Phase[]
  readonly arrivals: 'fixed' | 'poisson'
  readonly connections: number
  readonly seed: number
  readonly requests: RequestSource
  /** When each is due, of a replay. */
  readonly timesMs?: readonly number[] | undefined
  /** Makes the keys of this run its own: keys are `<runId>-<number>`. */
  readonly runId: string
  /** Between two questions for the same unanswered key; 1 s where absent. */
  readonly retryPauseMs?: number
  /** Stops offering; what is in flight is still awaited. */
  readonly signal: AbortSignal
  /** Called at the beginning of each phase, by its number, and once when all are over. */
  readonly onPhase: (phase: number) => void
  readonly onSecond: () => void
  readonly onProgress: (progress: Progress) => void
}

export interface Progress {
  readonly elapsedMs: number
  readonly phase: string
  readonly sent: number
  readonly servedPerSecond: number
  readonly inFlight: number
  readonly errors: number
  readonly p99Ms: number
}

export interface PhaseResult {
  readonly phase: Phase
  readonly tally: Tally
  /** How long it was offered; shorter than planned when interrupted. */
  readonly windowMs: number
  /** All answers (200) that came while it was under way, whichever phase asked. */
  readonly answered: number
}

export interface RunResult {
  /** Those that began, in order. */
  readonly phases: readonly PhaseResult[]
  readonly seconds: readonly Second[]
  /** Answers by repetition of what was unanswered, and what stayed so. */
  readonly retried: Readonly<Record<OutcomeName | 'refused' | 'unanswered', number>>
  /** Approved answers of the whole run, whatever phase, retries included. */
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

export class LoadRun {
  readonly #options: RunOptions
  readonly #door: Door
  readonly #schedule: Schedule
  /** Where each phase begins, and where the last ends, ms from the start. */
  readonly #startsMs: readonly number[]
  readonly #tallies: readonly Tally[]
  /** Answers while each phase was under way. */
  readonly #answered: number[] = []
  /** What the last closed loop served a second. */
  #peakPerSecond = 0
  readonly #timeline = new Timeline()
  /** Intended time of each request sent, ms from the start; index = token. */
  readonly #intendedMs: number[] = []
  /** Send times in order of sending, for time-outs. */
  readonly #inFlight = new Map<number, number>()
  readonly #unanswered: number[] = []
  readonly #approved: Approved[] = []
  readonly #retries = new Map<number, (answer: DoorAnswer | undefined) => void>()
  #startedAt = 0
  #sent = 0
  #phase = -1
  #secondsClosed = 0
  #stoppedAtMs: number | undefined

  constructor(options: RunOptions) {
    this.#options = options
    let atMs = 0
    this.#startsMs = [0, ...options.phases.map(({ seconds }) => (atMs += seconds * 1000))]
    this.#tallies = options.phases.map(() => new Tally())
    this.#schedule = new Schedule({
      phases: options.phases,
      arrivals: options.arrivals,
      seed: options.seed,
      timesMs: options.timesMs,
      peakPerSecond: () => this.#peakPerSecond,
    })
    this.#door = openDoor(options, {
      onAnswer: (token, answer) => this.#onAnswer(token, answer),
      onNoAnswer: (token, why) => this.#onNoAnswer(token, why),
      onIdle: () => this.#sendDue(),
      onConnectFailed: () => this.#countError('connect_failed', Math.max(0, this.#phase)),
    })
  }

  /** Runs to the end: offers, waits for what is in flight, asks again for what stayed open. */
  async run(): Promise<RunResult> {
    this.#startedAt = Number.POSITIVE_INFINITY
    await this.#door.open(this.#options.connections)
    this.#startedAt = performance.now()
    await this.#offer()
    if (this.#stoppedAtMs === undefined) this.#closeSeconds(this.#totalMs)
    if (this.#phase < this.#options.phases.length)
      this.#options.onPhase(this.#options.phases.length)
    this.#phase = this.#options.phases.length
    const retried = await this.#askAgain()
    this.#door.close()
    return this.#result(retried)
  }

  get #totalMs(): number {
    return this.#startsMs[this.#startsMs.length - 1] as number
  }

  #result(retried: RunResult['retried']): RunResult {
    const endedAtMs = this.#stoppedAtMs ?? this.#totalMs
    const phases = this.#options.phases.map((phase, i): PhaseResult => {
      const startMs = this.#startsMs[i] as number
      const windowMs = Math.max(0, Math.min(phase.seconds * 1000, endedAtMs - startMs))
      const tally = this.#tallies[i] as Tally
      return { phase, tally, windowMs, answered: this.#answered[i] ?? 0 }
    })
    return {
      phases: phases.filter(({ windowMs }) => windowMs > 0),
      seconds: this.#timeline.rows,
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
        this.#movePhase(nowMs)
        if (this.#options.signal.aborted) this.#stoppedAtMs ??= Math.min(nowMs, this.#totalMs)
        this.#sendDue()
        this.#timeOut()
        this.#closeSeconds(nowMs)
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
    if (this.#stoppedAtMs !== undefined || this.#startedAt === Number.POSITIVE_INFINITY) return
    for (;;) {
      const nowMs = performance.now() - this.#startedAt
      // Before the schedule: what follows a closed loop counts from its peak.
      this.#movePhase(nowMs)
      this.#schedule.moveTo(nowMs)
      const intendedMs = this.#schedule.nextMs
      if (intendedMs > nowMs || this.#inFlight.size >= this.#schedule.inFlightMax) return
      const token = this.#schedule.index
      if (!this.#door.send(token, this.#options.requests(token), false)) return
      const tally = this.#tallies[this.#schedule.phase] as Tally
      this.#schedule.advance()
      this.#intendedMs[token] = intendedMs
      this.#inFlight.set(token, nowMs)
      this.#sent++
      tally.sent++
      this.#timeline.offered++
      tally.sendDelayMicros.recordValue(toMicros(nowMs - intendedMs))
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
    const phase = this.#schedule.phaseOf(token)
    const tally = this.#tallies[phase] as Tally
    const micros = toMicros(nowMs - (this.#intendedMs[token] ?? nowMs))
    if (answer.kind === 'refused') {
      this.#countError(answer.error, phase)
      tally.refusedMicros.recordValue(micros)
      if (answer.isOpen) this.#unanswered.push(token)
    } else {
      this.#remember(token, answer)
      this.#timeline.answered(micros, answer.outcome)
      this.#answered[this.#phase] = (this.#answered[this.#phase] ?? 0) + 1
      if (nowMs < (this.#startsMs[phase + 1] as number)) tally.served++
      tally.outcomes[answer.outcome]++
      tally.latencyMicros.recordValue(micros)
    }
    if (this.#schedule.inFlightMax !== Number.POSITIVE_INFINITY) this.#sendDue()
  }

  #onNoAnswer(token: number, why: NoAnswer): void {
    const retry = this.#retries.get(token)
    if (retry !== undefined) {
      retry(undefined)
      return
    }
    if (!this.#inFlight.delete(token)) return
    this.#countError(why, this.#schedule.phaseOf(token))
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
      const request = this.#options.requests(token)
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
      const tally = this.#tallies[this.#schedule.phase] as Tally
      tally.unsent++
      this.#timeline.unsent++
    }
  }

  #countError(kind: string, phase: number): void {
    this.#tallies[phase]?.countError(kind)
    this.#timeline.errors++
  }

  /** Enters the phases that have begun by then. */
  #movePhase(nowMs: number): void {
    const { phases } = this.#options
    while (this.#phase < phases.length && nowMs >= (this.#startsMs[this.#phase + 1] as number)) {
      const ended = phases[this.#phase]
      if (ended?.inFlight !== undefined) {
        this.#peakPerSecond = (this.#answered[this.#phase] ?? 0) / ended.seconds
      }
      this.#phase++
      this.#options.onPhase(this.#phase)
    }
  }

  /** Ends the seconds that are over; the part of one at the end of a run is none. */
  #closeSeconds(nowMs: number): void {
    if (nowMs < (this.#secondsClosed + 1) * 1000 || this.#secondsClosed * 1000 >= this.#totalMs) {
      return
    }
    this.#timeline.close(this.#secondsClosed, this.#inFlight.size)
    this.#secondsClosed = Math.floor(nowMs / 1000)
    const row = this.#timeline.rows.at(-1) as Second
    this.#options.onSecond()
    this.#options.onProgress({
      elapsedMs: nowMs,
      phase: this.#options.phases[this.#phase]?.name ?? 'end',
      sent: this.#sent,
      servedPerSecond: row.served,
      inFlight: this.#inFlight.size,
      errors: this.#tallies.reduce((sum, tally) => sum + tally.errorCount, 0),
      p99Ms: row.p99Ms ?? 0,
    })
  }

  *#approvedAnswers(): Generator<ApprovedAnswer> {
    for (const { token, ...answer } of this.#approved) {
      const { pan, terminalId } = this.#options.requests(token)
      const idempotencyKey = `${this.#options.runId}-${token}`
      yield { ...answer, idempotencyKey, terminalId, maskedPan: maskPan(pan) }
    }
  }
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
