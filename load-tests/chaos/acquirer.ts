// The acquirer of a chaos run. Open loop: authorizations leave at their intended times whatever the
// answers do, over HTTP and ISO 8583 to each switch. It keeps what it asked and every answer;
// what has none is asked again with its key, at the next switch. A share is sent twice at the same
// moment, a share again later, and a share of what was approved is captured or reversed.

import { maskPan } from '#switch'
import { answerTimeoutMs } from '../driver/limits.ts'
import { type MixedRequest, mixedRequest, panOf } from '../driver/mix.ts'
import { Schedule } from '../driver/schedule.ts'
import { pause } from '../processes/index.ts'
import { mix32 } from '../random.ts'
import type { Asked, AskedKind, Told } from './asked.ts'
import { HttpWay } from './http-way.ts'
import { IsoWay, isoKeyOf } from './iso-way.ts'
import {
  askAgainMs,
  repeatsAtEndMax,
  retriesAtOnceMax,
  retryPauseMs,
  unsureRetriesMax,
  waitingLookMs,
} from './limits.ts'
import type { Target } from './proxy.ts'
import type { Answer, Question, WayIn, WayName } from './way-in.ts'

/** Shares of authorizations, percent. */
const SHARES = { iso: 40, twiceAtOnce: 1, again: 2, captured: 10, reversed: 5 } as const
/** How long after its approval a payment is captured, reversed or asked again. */
const STEP_WITHIN_MS = 2_000

export interface AcquirerOptions {
  /** The switches; each gets its share, and retries of what another did not answer. */
  readonly targets: readonly Readonly<Record<WayName, Target>>[]
  readonly ratePerSecond: number
  readonly durationMs: number
  readonly seed: number
  /** Keys are `<runId>-<number>`. */
  readonly runId: string
  readonly signal: AbortSignal
  readonly onAnswer: (event: AnswerEvent) => void
}

/** A first answer as it came, for whoever times a recovery. */
export interface AnswerEvent {
  readonly told: Told
  /** Index of the switch that gave it. */
  readonly target: number
  readonly sentAtMs: number
  readonly atMs: number
  /** When a try before this one lost its connection; undefined where none did. */
  readonly lostAtMs: number | undefined
}

/** A question, how it goes in, and how often it is on its way. */
interface Errand extends Question {
  readonly way: WayName
  readonly index: number
  sends: number
  inFlight: number
  nextTarget: number
  lostAtMs: number | undefined
  /** It is in the list of what is asked again. */
  isWaiting: boolean
  /** Asked again although it was answered. */
  isRepeat: boolean
  /** How often it was answered 91 after the load. */
  unsure: number
  dueMs: number
}

interface Sent {
  readonly errand: Errand
  readonly target: number
  readonly sentAtMs: number
}

export class Acquirer {
  readonly #options: AcquirerOptions
  readonly #switches: readonly Readonly<Record<WayName, WayIn>>[]
  readonly #schedule: Schedule
  readonly #errands: Errand[] = []
  readonly #sent = new Map<number, Sent>()
  /** What is asked again, later, or for the first time as a step; any order. */
  #waiting: Errand[] = []
  readonly #refusals: Record<string, number> = {}
  #startedAtMs = 0
  #lookedAtMs = 0
  #token = 0
  #unanswered = 0
  #isEnding = false

  constructor(options: AcquirerOptions) {
    this.#options = options
    const { ratePerSecond, durationMs, seed } = options
    const phase = { name: 'chaos', seconds: durationMs / 1000, ratePerSecond }
    this.#schedule = new Schedule({ phases: [phase], arrivals: 'poisson', seed })
    const events = {
      onAnswer: (token: number, answer: Answer) => this.#onAnswer(token, answer),
      onNoAnswer: (token: number) => this.#onNoAnswer(token),
    }
    this.#switches = options.targets.map(({ http, iso }) => ({
      http: new HttpWay(http, events),
      iso: new IsoWay(iso, events),
    }))
  }

  get asked(): readonly Asked[] {
    return this.#errands.map(({ asked }) => asked)
  }

  /** For progress and the report. */
  get counts() {
    const { length: asked } = this.#errands
    return {
      asked,
      unanswered: this.#unanswered,
      inFlight: this.#sent.size,
      refusals: { ...this.#refusals },
    }
  }

  /** Offers to the end of its time, or until the signal. */
  async offer(): Promise<void> {
    const { signal } = this.#options
    await Promise.all(this.#ways().map((way) => way.open()))
    this.#startedAtMs = performance.now()
    while (!signal.aborted && this.#schedule.nextMs !== Number.POSITIVE_INFINITY) {
      this.#sendDue()
      this.#sendWaiting()
      this.#timeOut()
      await pause(1)
    }
  }

  /** Asks until all has an answer, then a part of it once more; true when nothing is open. */
  async finish(): Promise<boolean> {
    const untilMs = performance.now() + askAgainMs
    this.#isEnding = true
    await this.#drain(untilMs)
    const answered = this.#errands.filter(({ asked }) => asked.answer !== undefined)
    // The last ones, and those that had trouble first: what a fault touched is asked again.
    const troubled = answered.filter(({ lostAtMs }) => lostAtMs !== undefined)
    for (const errand of [...troubled, ...answered.reverse()].slice(0, repeatsAtEndMax)) {
      this.#wait(errand, 0, true)
    }
    await this.#drain(untilMs)
    return this.#unanswered === 0
  }

  close(): void {
    for (const way of this.#ways()) way.close()
  }

  #ways(): readonly WayIn[] {
    return this.#switches.flatMap(({ http, iso }) => [http, iso])
  }

  async #drain(untilMs: number): Promise<void> {
    while (this.#waiting.length + this.#sent.size > 0 && performance.now() < untilMs) {
      this.#sendWaiting()
      this.#timeOut()
      await pause(1)
    }
  }

  #sendDue(): void {
    while (this.#schedule.nextMs <= performance.now() - this.#startedAtMs) {
      const { index } = this.#schedule
      const errand = this.#authorization(index)
      // One that is down must not hold up the load of the others.
      if (!this.#switches.some(() => this.#send(errand))) return
      this.#schedule.advance()
      this.#errands.push(errand)
      this.#unanswered++
      if (this.#share(index, 11) < SHARES.twiceAtOnce) this.#send(errand)
    }
  }

  /** What waits and is due, oldest first, so many at a time. */
  #sendWaiting(): void {
    const nowMs = performance.now()
    if (nowMs - this.#lookedAtMs < waitingLookMs) return
    this.#lookedAtMs = nowMs
    const later: Errand[] = []
    for (const errand of this.#waiting) {
      const mayLeave = errand.dueMs <= nowMs && this.#sent.size < this.#inFlightMax
      if (mayLeave && this.#send(errand)) errand.isWaiting = false
      else later.push(errand)
    }
    this.#waiting = later
  }

  get #inFlightMax(): number {
    return this.#isEnding ? retriesAtOnceMax : Number.POSITIVE_INFINITY
  }

  /** False where that switch has no free connection: nothing left. */
  #send(errand: Errand): boolean {
    const target = errand.nextTarget
    const token = this.#token++
    const way = this.#switches[target]?.[errand.way]
    const isSent = way?.send(token, errand, errand.sends > 0) === true
    // The next try goes to the next switch, also where this one has no connection.
    errand.nextTarget = (target + 1) % this.#switches.length
    if (!isSent) return false
    errand.inFlight++
    errand.sends++
    this.#sent.set(token, { errand, target, sentAtMs: performance.now() })
    return true
  }

  #onAnswer(token: number, answer: Answer): void {
    const sent = this.#take(token)
    if (sent === undefined) return
    if (answer.kind === 'told') this.#told(sent, answer.told)
    else if (answer.kind === 'unsure') this.#unsure(sent, answer.told)
    else this.#refused(sent.errand, answer.name, answer.kind === 'later')
  }

  #told({ errand, target, sentAtMs }: Sent, told: Told): void {
    const { asked } = errand
    if (asked.answer === undefined) {
      const { lostAtMs } = errand
      this.#options.onAnswer({ told, target, sentAtMs, atMs: performance.now(), lostAtMs })
      asked.answer = told
      this.#unanswered--
      this.#follow(errand)
    } else if (asked.answer.digest === told.digest) {
      asked.repeats++
    } else if (asked.others.length < 3) {
      asked.others.push(told)
    }
  }

  /**
   * A 91 may have been said at the door, and nothing recorded: it is asked about again, and is the
   * answer once it was said often enough after the load has ended.
   */
  #unsure(sent: Sent, told: Told): void {
    const { errand } = sent
    const isKnown = errand.asked.answer?.digest === told.digest
    if (this.#isEnding) errand.unsure++
    if (isKnown || errand.unsure > unsureRetriesMax) this.#told(sent, told)
    else this.#refused(errand, `DE39 ${told.responseCode}`, true)
  }

  #refused(errand: Errand, name: string, isForNow: boolean): void {
    this.#refusals[name] = (this.#refusals[name] ?? 0) + 1
    if (isForNow) {
      this.#wait(errand, retryPauseMs, errand.isRepeat)
    } else if (errand.asked.answer === undefined && errand.asked.refusal === undefined) {
      errand.asked.refusal = name
      this.#unanswered--
    } else if (errand.asked.answer !== undefined) {
      errand.asked.refusal = `${name}, after it was answered`
    }
  }

  #onNoAnswer(token: number): void {
    const sent = this.#take(token)
    if (sent === undefined) return
    sent.errand.lostAtMs = performance.now()
    if (sent.errand.asked.answer === undefined) this.#wait(sent.errand, retryPauseMs, false)
  }

  #take(token: number): Sent | undefined {
    const sent = this.#sent.get(token)
    this.#sent.delete(token)
    if (sent !== undefined) sent.errand.inFlight--
    return sent
  }

  #wait(errand: Errand, ms: number, isRepeat: boolean): void {
    if (errand.isWaiting) return
    Object.assign(errand, { isWaiting: true, isRepeat, dueMs: performance.now() + ms })
    this.#waiting.push(errand)
  }

  #timeOut(): void {
    const nowMs = performance.now()
    for (const [token, { errand, target, sentAtMs }] of this.#sent) {
      if (nowMs - sentAtMs < answerTimeoutMs) return
      this.#switches[target]?.[errand.way].giveUp(token)
    }
  }

  /** What follows a first answer: a step of the payment, or the same once more. */
  #follow(errand: Errand): void {
    const { asked, index } = errand
    if (this.#isEnding || asked.kind !== 'authorization') return
    const inMs = (this.#share(index, 12) / 100) * STEP_WITHIN_MS
    const draw = this.#share(index, 13)
    if (draw < SHARES.again) this.#wait(errand, inMs, true)
    const kind =
      draw < SHARES.again || asked.answer?.outcome !== 'approved'
        ? undefined
        : draw < SHARES.again + SHARES.captured
          ? 'capture'
          : draw < SHARES.again + SHARES.captured + SHARES.reversed
            ? 'reversal'
            : undefined
    if (kind === undefined) return
    const step = this.#step(errand, kind)
    this.#errands.push(step)
    this.#unanswered++
    this.#wait(step, inMs, false)
  }

  #authorization(index: number): Errand {
    const request = this.#request(index)
    const { amount, pan, terminalId } = request
    const way = this.#share(index, 15) < SHARES.iso ? 'iso' : 'http'
    return this.#errand(index, way, {
      ...{
        idempotencyKey: this.#keyOf(index, way, 'authorization'),
        kind: 'authorization',
        amount,
      },
      ...{ maskedPan: maskPan(pan), terminalId, rrn: String(index).padStart(12, '0') },
      ...{ of: null, answer: undefined, others: [], repeats: 0, refusal: undefined },
    })
  }

  #step({ asked: of, index, way }: Errand, kind: 'capture' | 'reversal'): Errand {
    const whole = of.answer?.amount ?? of.amount
    const isPart = kind === 'capture' && this.#share(index, 14) < 50
    const amount = isPart ? Math.max(1, whole >> 1) : whole
    const { maskedPan, terminalId, rrn } = of
    return this.#errand(index, way, {
      ...{ idempotencyKey: this.#keyOf(index, way, kind), kind, amount },
      ...{ maskedPan, terminalId, rrn },
      ...{ of, answer: undefined, others: [], repeats: 0, refusal: undefined },
    })
  }

  #keyOf(index: number, way: WayName, kind: AskedKind): string {
    if (way === 'iso') return isoKeyOf(kind, this.#request(index))
    return `${this.#options.runId}-${index}${kind === 'authorization' ? '' : `-${kind}`}`
  }

  #errand(index: number, way: WayName, asked: Asked): Errand {
    const nextTarget = index % this.#switches.length
    return {
      ...{ asked, index, way, request: () => this.#request(index), nextTarget },
      ...{ sends: 0, inFlight: 0, lostAtMs: undefined, isWaiting: false, isRepeat: false },
      ...{ unsure: 0, dueMs: 0 },
    }
  }

  /**
   * As of the load driver, with a card of its own: messages about one card keep their order, and
   * one that waits out the late-answer window would hold up another payment's.
   */
  #request(index: number): MixedRequest {
    const { seed, ratePerSecond, durationMs } = this.#options
    const request = mixedRequest(
      {
        ...{ seed, ratePerSecond, secondIssuerPercent: 50, startedAtMs: Date.now() },
        cards: Math.max(10_000, Math.ceil((ratePerSecond * durationMs) / 2_000)),
      },
      index,
    )
    // The time stands in the request, and a retry must be the same request.
    const sentAtMs = START_OF_TIMES_MS + index
    return { ...request, pan: panOf(request.pan.slice(0, 6), index), sentAtMs }
  }

  /** 0 to 99 by the seed, one for each use of a request. */
  #share(index: number, use: number): number {
    return mix32(this.#options.seed ^ Math.imul(use, 0x9e3779b1), index) % 100
  }
}

/** What requests of any run call their time; nothing here is decided by it. */
const START_OF_TIMES_MS = Date.UTC(2026, 0, 1)
