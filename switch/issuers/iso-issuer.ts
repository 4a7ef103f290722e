// An issuer behind an ISO 8583 link: asks, deliveries, and whose answer is whose.

import type { FramingProblem, IsoMessage, IsoProblem } from '../iso8583/index.ts'
import type { Clock } from '../ports.ts'
import type { Attempt, QueuedMessage } from '../store/index.ts'
import type { BreakerOptions, BreakerState } from './breaker.ts'
import { type DialectRoom, roomOf } from './dialect-room.ts'
import {
  answerOf,
  Exchange,
  type ExpectedAnswer,
  expectedOf,
  expectedOfQueued,
} from './exchange.ts'
import { Exchanges, type Unmatched } from './exchanges.ts'
import type { BadMac, IsoLinkOptions, IsoLinkPorts, LinkDownReason } from './iso-link.ts'
import type {
  AskResult,
  CardData,
  DeliveredCard,
  DeliverResult,
  Issuer,
  LateIssuerAnswer,
} from './issuer.ts'
import {
  createIssuerCounters,
  type IssuerCounters,
  type IssuerEvent,
  unmatchedEvent,
} from './issuer-events.ts'
import { buildQueued, buildRequest, type ParsedAnswer, parseAnswer } from './issuer-message.ts'
import { REVERSALS_IN_FLIGHT_MAX } from './limits.ts'
import { Line, type LineState } from './line.ts'
import { NumberedIssuer, type NumberedIssuerOptions } from './numbered-issuer.ts'
import { NO_STAN } from './trace-numbers.ts'

export interface IsoIssuerOptions extends NumberedIssuerOptions {
  readonly link: IsoLinkOptions & { readonly breaker: BreakerOptions }
  readonly connections: number
  /** Called on the message path: they must not throw. */
  readonly onLateAnswer: (late: LateIssuerAnswer) => void
  readonly onEvent: (event: IssuerEvent) => void
}

/** What the operator may look at beside the door. */
export interface IssuerState {
  readonly counters: Readonly<IssuerCounters>
  readonly inFlight: number
  readonly givenUp: number
  readonly freeStans: number
}

const NOT_SENT = { kind: 'not_sent' } as const

/** `new Promise` needs a function; this one is made once, and not for each message. */
let settleOfNewest: (result: AskResult) => void
const keepSettle = (settle: (result: AskResult) => void): void => {
  settleOfNewest = settle
}
const settleNobody = (): void => {}

export class IsoIssuer extends NumberedIssuer implements Issuer {
  readonly #options: IsoIssuerOptions
  readonly #clock: Clock
  readonly #room: DialectRoom
  readonly #inFlight: Exchanges
  readonly #lines: readonly Line[]
  #nextLine = 0
  readonly #counters = createIssuerCounters()
  #closed: Promise<void> | undefined
  #onEmpty: (() => void) | undefined

  constructor(options: IsoIssuerOptions, ports: IsoLinkPorts) {
    super(options, ports.clock)
    this.#options = options
    this.#clock = ports.clock
    this.#room = roomOf(options.link.dialect)
    const window = options.lateAnswerWindowMs
    this.#inFlight = new Exchanges(ports.clock, ports.timers, this.book, window, (exchange) =>
      this.#timedOut(exchange),
    )
    const owner = {
      linkUp: (line: Line) => this.#linkUp(line),
      linkDown: (line: Line, reason: LinkDownReason, code: string | null) =>
        this.#linkDown(line, reason, code),
      breakerChanged: (line: Line, state: BreakerState) => this.#breakerChanged(line, state),
      messageReceived: (line: Line, message: IsoMessage) => this.#messageReceived(line, message),
      undecodable: (problem: IsoProblem) => this.#undecodable(problem),
      badMac: (mti: string, verdict: BadMac) => this.#badMac(mti, verdict),
      unencodable: (mti: string, problem: IsoProblem | FramingProblem) =>
        this.#unencodable(mti, problem),
      strayNetworkAnswer: (message: IsoMessage) => {
        this.#report(parseAnswer(message), { field: '11', candidate: null })
      },
    }
    this.#lines = Array.from(
      { length: options.connections },
      (_, i) => new Line(i + 1, options.link, ports, this.book, owner),
    )
  }

  /** Starts to dial. */
  open(): void {
    for (const line of this.#lines) line.link.open()
  }

  get isUp(): boolean {
    return this.#closed === undefined && this.#lines.some((line) => line.takesDeliveries)
  }

  get connections(): readonly LineState[] {
    return this.#lines.map((line) => line.state)
  }

  get state(): IssuerState {
    return {
      counters: this.#counters,
      inFlight: this.#inFlight.size,
      givenUp: this.#inFlight.givenUpSize,
      freeStans: this.book.free,
    }
  }

  expectLateAnswer(attempt: Attempt): void {
    if (attempt.stan === NO_STAN || this.#inFlight.has(Number(attempt.stan))) return
    this.#inFlight.awaitLate(new Exchange(expectedOf(attempt), attempt, null, 0, settleNobody))
  }

  ask(attempt: Attempt, card: CardData, timeoutMs: number): Promise<AskResult> {
    const stan = Number(attempt.stan)
    if (this.#inFlight.has(stan)) throw new Error(`STAN ${attempt.stan} was asked with already`)
    const isRefused =
      this.#closed !== undefined ||
      timeoutMs <= 0 ||
      attempt.stan === NO_STAN ||
      this.#inFlight.size >= this.#options.inFlightMax ||
      !this.#lines.some((line) => line.takesRequests)
    const line = isRefused ? undefined : this.#sendRequest(buildRequest(attempt, card, this.#room))
    if (line === undefined) {
      this.#counters.notSent++
      return Promise.resolve(NOT_SENT)
    }
    this.book.rest(stan, timeoutMs + this.lateAnswerWindowMs)
    return this.#await(expectedOf(attempt), attempt, line, timeoutMs)
  }

  async deliver(
    message: QueuedMessage,
    card: DeliveredCard,
    isRepeat: boolean,
    timeoutMs: number,
  ): Promise<DeliverResult> {
    const isRefused =
      !this.isUp ||
      timeoutMs <= 0 ||
      message.stan === NO_STAN ||
      this.#inFlight.has(Number(message.stan)) ||
      this.#inFlight.size >= this.#options.inFlightMax + REVERSALS_IN_FLIGHT_MAX
    const line = isRefused
      ? undefined
      : this.#sendDelivery(message.original, buildQueued(message, card, isRepeat, this.#room))
    if (line === undefined) {
      this.#counters.notSent++
      return NOT_SENT
    }
    const result = await this.#await(expectedOfQueued(message), null, line, timeoutMs)
    if (result.kind !== 'answered') return { kind: 'unknown' }
    return { kind: 'answered', responseCode: result.answer.responseCode }
  }

  close(): Promise<void> {
    this.#closed ??= this.#finish()
    return this.#closed
  }

  async #finish(): Promise<void> {
    if (this.#inFlight.size > 0) {
      await new Promise<void>((resolve) => {
        this.#onEmpty = resolve
      })
    }
    await Promise.all(this.#lines.map((line) => line.link.close()))
    this.#inFlight.close()
  }

  /** Connections take turns; one that refuses before any byte passes the turn on. */
  #sendRequest(message: IsoMessage): Line | undefined {
    const lines = this.#lines
    const framed = (lines[0] as Line).link.frame(message)
    if (framed === undefined) return undefined
    for (let i = 0; i < lines.length; i++) {
      const line = lines[this.#nextLine] as Line
      this.#nextLine = (this.#nextLine + 1) % lines.length
      if (line.takesRequests && line.link.write(framed)) return line
    }
    return undefined
  }

  /**
   * A reversal may not overtake its request: it waits for the connection that its request left on,
   * while that lives.
   */
  #sendDelivery(original: Attempt, message: IsoMessage): Line | undefined {
    const framed = (this.#lines[0] as Line).link.frame(message)
    if (framed === undefined) return undefined
    const own = this.#lineOf(original)
    for (const line of own === undefined ? this.#lines : [own]) {
      if (line.takesDeliveries && line.link.write(framed)) return line
    }
    return undefined
  }

  /** The connection on which an unanswered request left, if it is still that connection. */
  #lineOf(original: Attempt): Line | undefined {
    const exchange = this.#inFlight.find(Number(original.stan))
    if (exchange === undefined || exchange.transmittedAt !== original.transmittedAt) {
      return undefined
    }
    const { line, dial } = exchange
    return line !== null && line.link.dial === dial ? line : undefined
  }

  #await(
    expected: ExpectedAnswer,
    attempt: Attempt | null,
    line: Line,
    timeoutMs: number,
  ): Promise<AskResult> {
    this.#counters.sent++
    const promise = new Promise<AskResult>(keepSettle)
    const deadlineMs = this.#clock.monotonic() + timeoutMs
    const exchange = new Exchange(expected, attempt, line, deadlineMs, settleOfNewest)
    if (attempt !== null) exchange.isTrial = line.breaker.requestLeft()
    this.#inFlight.start(exchange)
    return promise
  }

  #timedOut({ attempt, line, isTrial }: Exchange): void {
    this.#counters.timeouts++
    if (attempt !== null) line?.breaker.requestTimedOut(isTrial)
    this.#emptied()
  }

  #messageReceived(line: Line, message: IsoMessage): void {
    const answer = parseAnswer(message)
    const match = this.#inFlight.match(answer, line)
    if (match === 'duplicate') {
      this.#counters.duplicates++
    } else if (!(match instanceof Exchange)) {
      this.#report(answer, match)
    } else if (match.state === 'in_flight') {
      this.#counters.answered++
      if (match.attempt !== null) line.breaker.requestAnswered()
      match.settle({ kind: 'answered', answer: answerOf(answer, match) })
      this.#emptied()
    } else {
      this.#counters.answeredLate++
      const attempt = match.attempt as Attempt
      this.#options.onLateAnswer({ attempt, answer: answerOf(answer, match) })
    }
  }

  #linkUp(line: Line): void {
    this.#counters.linkUps++
    this.#options.onEvent({ kind: 'link_up', issuer: this.name, connection: line.number })
  }

  #linkDown(line: Line, reason: LinkDownReason, code: string | null): void {
    // After a sign-off the connection lives on, and answers to what is in flight still come.
    const lost = reason === 'signed_off_by_issuer' ? 0 : this.#inFlight.lose(line)
    this.#counters.linkDowns++
    this.#counters.lost += lost
    const connection = line.number
    this.#options.onEvent({ kind: 'link_down', issuer: this.name, connection, reason, code, lost })
    this.#emptied()
  }

  #breakerChanged(line: Line, state: BreakerState): void {
    if (state === 'open') this.#counters.breakerOpenings++
    const connection = line.number
    this.#options.onEvent({ kind: `breaker_${state}`, issuer: this.name, connection })
  }

  #undecodable(problem: IsoProblem): void {
    this.#counters.undecodable++
    this.#options.onEvent({ kind: 'undecodable_message', issuer: this.name, problem })
  }

  #badMac(mti: string, verdict: BadMac): void {
    this.#counters.badMacs++
    this.#options.onEvent({ kind: 'bad_mac', issuer: this.name, mti, verdict })
  }

  #unencodable(mti: string, problem: IsoProblem | FramingProblem): void {
    this.#counters.unencodable++
    this.#options.onEvent({ kind: 'unencodable_message', issuer: this.name, mti, problem })
  }

  #report(answer: ParsedAnswer, { field, candidate }: Unmatched): void {
    this.#counters.unmatched++
    this.#options.onEvent(unmatchedEvent(this.name, answer, field, candidate))
  }

  #emptied(): void {
    if (this.#onEmpty !== undefined && this.#inFlight.size === 0) this.#onEmpty()
  }
}
