// An issuer by HTTP: each message is one POST, its answer the response to it.
//
//   ask ──> waiting ──> on a connection ──200──> answered, where it says whose answer it is
//              │             ├── time-out ──> unknown; a response within `lateAnswerMs` is a late answer
//              │             └── lost, no 200, not its own answer ──> unknown
//              └── refused, or no connection in time ──> not sent
//
// Nothing is sent twice by itself: what is unknown is reversed, and a queued message repeated by
// store-and-forward says that it is a repeat. An answer is held to the same fields as one over
// ISO 8583, though it came on its request's connection: a server may mix them up, too.

import type {
  Address,
  Clock,
  CreateHttpClient,
  HttpClient,
  HttpSent,
  Random,
  TimerHandle,
  Timers,
} from '../ports.ts'
import type { Attempt, QueuedMessage } from '../store/index.ts'
import { type BackOff, backOffMs } from './back-off.ts'
import { Breaker, type BreakerOptions, type BreakerState } from './breaker.ts'
import { Deadlines } from './deadlines.ts'
import {
  answerOf,
  Exchange,
  type ExpectedAnswer,
  expectedOf,
  expectedOfQueued,
  mismatchOf,
} from './exchange.ts'
import {
  type HttpMessage,
  httpEcho,
  httpQueued,
  httpRequest,
  parseHttpAnswer,
} from './http-message.ts'
import { type HttpSigning, signedHeaders } from './http-signing.ts'
import type { IssuerState } from './iso-issuer.ts'
import type { LinkDownReason } from './iso-link.ts'
import type {
  AskResult,
  CardData,
  DeliveredCard,
  DeliverResult,
  Issuer,
  LateIssuerAnswer,
} from './issuer.ts'
import { createIssuerCounters, type IssuerEvent, unmatchedEvent } from './issuer-events.ts'
import type { ParsedAnswer } from './issuer-message.ts'
import { ANSWERED_HOLD_MS, HTTP_ANSWER_BYTES_MAX, REVERSALS_IN_FLIGHT_MAX } from './limits.ts'
import type { LineState } from './line.ts'
import { NumberedIssuer, type NumberedIssuerOptions } from './numbered-issuer.ts'
import { NO_STAN } from './trace-numbers.ts'

export interface HttpIssuerOptions extends NumberedIssuerOptions {
  readonly address: Address
  /** Before `/authorizations`, without a slash at its end. */
  readonly basePath: string
  readonly signing: HttpSigning
  readonly connections: number
  /** How long after its time-out a request keeps its connection for a late answer. */
  readonly lateAnswerMs: number
  readonly echoIntervalMs: number
  /** For the connection, and for the answer to an echo. */
  readonly echoTimeoutMs: number
  readonly reconnect: BackOff
  readonly breaker: BreakerOptions
  /** Called on the message path: they must not throw. */
  readonly onLateAnswer: (late: LateIssuerAnswer) => void
  readonly onEvent: (event: IssuerEvent) => void
}

export interface HttpIssuerPorts {
  readonly createHttpClient: CreateHttpClient
  readonly clock: Clock
  readonly timers: Timers
  readonly random: Random
}

const NOT_SENT = { kind: 'not_sent' } as const
const TIMED_OUT = { kind: 'unknown', why: 'timeout' } as const
const LOST = { kind: 'unknown', why: 'connection_lost' } as const
const BAD_ANSWER = { kind: 'unknown', why: 'bad_answer' } as const

/** DE39 of a message that the issuer can't read: told again it will not read better. */
const FORMAT_ERROR = '30'

/** Why an echo was no sign of life. */
interface Unwell {
  readonly reason: LinkDownReason
  readonly code: string
}

/** One message with who waits for it; `waiting` until it has a connection. */
interface Post {
  readonly exchange: Exchange
  readonly message: HttpMessage
  isWaiting: boolean
}

export class HttpIssuer extends NumberedIssuer implements Issuer {
  readonly #options: HttpIssuerOptions
  readonly #ports: HttpIssuerPorts
  readonly #client: HttpClient
  readonly #breaker: Breaker
  readonly #deadlines: Deadlines<Exchange>
  /** By STAN: waiting, on a connection, or given up while its connection lives. */
  readonly #posts = new Map<number, Post>()
  readonly #waiting: Post[] = []
  readonly #counters = createIssuerCounters()
  #active = 0
  #inFlight = 0
  #isReachable = false
  #failures = 0
  #lastHeardMs = 0
  #timer: TimerHandle | undefined
  #closed: Promise<void> | undefined
  #onEmpty: (() => void) | undefined

  constructor(options: HttpIssuerOptions, ports: HttpIssuerPorts) {
    super(options, ports.clock)
    const { clock, timers } = ports
    this.#options = options
    this.#ports = ports
    this.#deadlines = new Deadlines(clock, timers, (exchange) => this.#due(exchange))
    this.#breaker = new Breaker(options.breaker, timers, {
      probe: () => void this.#probe(),
      breakerChanged: (state) => this.#breakerChanged(state),
    })
    this.#client = ports.createHttpClient({
      address: options.address,
      // One more, so that an echo never waits behind requests that hang.
      connectionsMax: options.connections + 1,
      connectTimeoutMs: options.echoTimeoutMs,
      answerBytesMax: HTTP_ANSWER_BYTES_MAX,
    })
  }

  /** Starts to look whether it is there. */
  open(): void {
    void this.#look()
  }

  get isUp(): boolean {
    return this.#closed === undefined && this.#isReachable && this.#breaker.state !== 'open'
  }

  /** One word for the whole pool. */
  get connections(): readonly LineState[] {
    if (!this.#isReachable) return ['down']
    return [this.#breaker.state === 'closed' ? 'up' : this.#breaker.state]
  }

  get state(): IssuerState {
    return {
      counters: this.#counters,
      inFlight: this.#inFlight,
      givenUp: this.#posts.size - this.#inFlight,
      freeStans: this.book.free,
    }
  }

  /** Its connection ended with the earlier process, so no answer comes: its number rests. */
  expectLateAnswer(attempt: Attempt): void {
    if (attempt.stan === NO_STAN) return
    this.book.rest(Number(attempt.stan), this.lateAnswerWindowMs)
  }

  ask(attempt: Attempt, card: CardData, timeoutMs: number): Promise<AskResult> {
    const stan = Number(attempt.stan)
    if (this.#posts.has(stan)) throw new Error(`STAN ${attempt.stan} was asked with already`)
    const isRefused =
      this.#closed !== undefined ||
      timeoutMs <= 0 ||
      attempt.stan === NO_STAN ||
      this.#inFlight >= this.#options.inFlightMax ||
      !(this.#isReachable && this.#breaker.admitsRequest)
    if (isRefused) {
      this.#counters.notSent++
      return Promise.resolve(NOT_SENT)
    }
    this.book.rest(stan, timeoutMs + this.lateAnswerWindowMs)
    return this.#post(expectedOf(attempt), attempt, httpRequest(attempt, card), timeoutMs)
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
      this.#posts.has(Number(message.stan)) ||
      this.#isUnderWay(message.original) ||
      this.#inFlight >= this.#options.inFlightMax + REVERSALS_IN_FLIGHT_MAX
    if (isRefused) {
      this.#counters.notSent++
      return NOT_SENT
    }
    const body = httpQueued(message, card, isRepeat)
    const result = await this.#post(expectedOfQueued(message), null, body, timeoutMs)
    if (result.kind === 'not_sent') return NOT_SENT
    if (result.kind === 'unknown') return { kind: 'unknown' }
    return { kind: 'answered', responseCode: result.answer.responseCode }
  }

  close(): Promise<void> {
    this.#closed ??= this.#finish()
    return this.#closed
  }

  async #finish(): Promise<void> {
    if (this.#inFlight > 0) {
      await new Promise<void>((resolve) => {
        this.#onEmpty = resolve
      })
    }
    this.#clearTimer()
    this.#breaker.connectionLost()
    if (this.#isReachable) this.#unreachable('closing', null)
    this.#clearTimer()
    this.#client.close()
  }

  /** A reversal may not overtake its request, which is on another connection while it lives. */
  #isUnderWay({ stan, transmittedAt }: Attempt): boolean {
    return this.#posts.get(Number(stan))?.exchange.transmittedAt === transmittedAt
  }

  #post(
    expected: ExpectedAnswer,
    attempt: Attempt | null,
    message: HttpMessage,
    timeoutMs: number,
  ): Promise<AskResult> {
    return new Promise((resolve) => {
      const deadlineMs = this.#ports.clock.monotonic() + timeoutMs
      const exchange = new Exchange(expected, attempt, null, deadlineMs, resolve)
      const post: Post = { exchange, message, isWaiting: true }
      this.#posts.set(exchange.stan, post)
      this.#inFlight++
      this.#deadlines.add(exchange)
      this.#waiting.push(post)
      this.#pump()
    })
  }

  /** Gives connections to those that wait for one. */
  #pump(): void {
    while (this.#active < this.#options.connections) {
      const post = this.#waiting.shift()
      if (post === undefined) return
      this.#active++
      post.isWaiting = false
      if (post.exchange.attempt !== null) {
        post.exchange.isTrial = this.#breaker.requestLeft()
      }
      this.#counters.sent++
      void this.#send(post)
    }
  }

  async #send(post: Post): Promise<void> {
    const { exchange } = post
    const leftMs = exchange.deadlineMs - this.#ports.clock.monotonic()
    const sent = await this.#exchange(post.message, leftMs + this.#options.lateAnswerMs)
    this.#active--
    this.#posts.delete(exchange.stan)
    this.#heard(exchange, sent)
    this.#pump()
  }

  #exchange({ path, idempotencyKey, body }: HttpMessage, giveUpMs: number): Promise<HttpSent> {
    const { address, basePath, signing } = this.#options
    const { clock, random } = this.#ports
    const bytes = Buffer.from(JSON.stringify(body))
    const target = `${basePath}/${path}`
    const headers = signedHeaders(
      {
        scheme: address.tls === undefined ? 'http' : 'https',
        host: hostOf(address),
        path: target,
        idempotencyKey,
        body: bytes,
        signing,
        nowMs: clock.now(),
      },
      random,
    )
    return this.#client.send({ path: target, headers, body: bytes, giveUpMs })
  }

  #heard(exchange: Exchange, sent: HttpSent): void {
    const { clock } = this.#ports
    if (sent.kind === 'not_sent') {
      this.#settle(exchange, NOT_SENT)
      this.#unreachable('connection_error', sent.code)
      return
    }
    if (sent.kind === 'unknown') {
      if (exchange.state === 'in_flight') this.#counters.lost++
      this.#failed(exchange, LOST)
      return
    }
    this.#lastHeardMs = clock.monotonic()
    const answer = this.#answerIn(exchange, sent)
    if (answer === undefined) {
      this.#failed(exchange, BAD_ANSWER)
    } else if (exchange.state === 'in_flight') {
      this.#counters.answered++
      if (exchange.attempt !== null) {
        this.book.rest(exchange.stan, ANSWERED_HOLD_MS)
        this.#breaker.requestAnswered()
      }
      this.#settle(exchange, { kind: 'answered', answer: answerOf(answer, exchange) })
    } else if (exchange.attempt !== null) {
      this.#counters.answeredLate++
      const { attempt } = exchange
      this.#options.onLateAnswer({ attempt, answer: answerOf(answer, exchange) })
    }
  }

  /** The answer, where it is one and belongs to the exchange. */
  #answerIn(
    exchange: Exchange,
    { status, body }: Extract<HttpSent, { kind: 'answered' }>,
  ): ParsedAnswer | undefined {
    const answer = status === 200 ? parseHttpAnswer(body) : undefined
    if (answer === undefined) {
      this.#counters.undecodable++
      this.#options.onEvent({ kind: 'bad_http_answer', issuer: this.name, status })
      const isRefusal = exchange.attempt === null && (status === 400 || status === 422)
      return isRefusal ? refusalOf(exchange) : undefined
    }
    const field = Number(answer.stan) === exchange.stan ? mismatchOf(exchange, answer, null) : '11'
    if (field === null) return answer
    this.#counters.unmatched++
    this.#options.onEvent(unmatchedEvent(this.name, answer, field, exchange))
    return undefined
  }

  #due(exchange: Exchange): void {
    const post = this.#posts.get(exchange.stan)
    if (post?.isWaiting === true) {
      this.#waiting.splice(this.#waiting.indexOf(post), 1)
      this.#posts.delete(exchange.stan)
      this.#counters.notSent++
      this.#end(exchange, NOT_SENT)
      return
    }
    this.#counters.timeouts++
    if (exchange.attempt !== null) {
      this.book.rest(exchange.stan, this.lateAnswerWindowMs)
      this.#breaker.requestTimedOut(exchange.isTrial)
    }
    this.#end(exchange, TIMED_OUT)
  }

  /** No answer of any use: to the breaker the same as none in time. */
  #failed(exchange: Exchange, result: AskResult): void {
    if (exchange.state === 'given_up') return
    if (exchange.attempt !== null) {
      this.book.rest(exchange.stan, this.lateAnswerWindowMs)
      this.#breaker.requestTimedOut(exchange.isTrial)
    }
    this.#settle(exchange, result)
  }

  /** Tells whoever still waits; one that was given up was told. */
  #settle(exchange: Exchange, result: AskResult): void {
    if (exchange.state === 'given_up') return
    this.#deadlines.remove(exchange)
    this.#end(exchange, result)
  }

  #end(exchange: Exchange, result: AskResult): void {
    exchange.state = 'given_up'
    this.#inFlight--
    exchange.settle(result)
    if (this.#inFlight === 0) this.#onEmpty?.()
  }

  /** Asks for a sign of life, and again: soon while there is none, after silence while there is. */
  async #look(): Promise<void> {
    const isAlive = await this.#echo()
    if (this.#closed !== undefined) return
    if (isAlive !== true) this.#unreachable(isAlive.reason, isAlive.code)
    else if (!this.#isReachable) this.#reachable()
    else this.#lookLater(this.#options.echoIntervalMs)
  }

  async #echo(): Promise<true | Unwell> {
    const { stan, transmittedAt } = this.book.draw('reversal')
    const sent = await this.#exchange(httpEcho(stan, transmittedAt), this.#options.echoTimeoutMs)
    if (sent.kind === 'not_sent') return { reason: 'connection_error', code: sent.code }
    if (sent.kind === 'unknown') return { reason: 'echo_timeout', code: sent.code }
    this.#lastHeardMs = this.#ports.clock.monotonic()
    return sent.status === 200 ? true : { reason: 'echo_refused', code: `HTTP_${sent.status}` }
  }

  async #probe(): Promise<void> {
    if ((await this.#echo()) === true) this.#breaker.probeAnswered()
    else this.#breaker.probeFailed()
  }

  #reachable(): void {
    this.#isReachable = true
    this.#failures = 0
    this.#counters.linkUps++
    this.#options.onEvent({ kind: 'link_up', issuer: this.name, connection: 1 })
    this.#lookLater(this.#options.echoIntervalMs)
  }

  /** What is in flight has connections of its own, which may live. */
  #unreachable(reason: LinkDownReason, code: string | null): void {
    const wasReachable = this.#isReachable
    if (this.#closed !== undefined && reason !== 'closing') return
    this.#isReachable = false
    this.#breaker.connectionLost()
    const { reconnect, onEvent } = this.#options
    if (wasReachable || this.#timer === undefined) {
      this.#lookLater(backOffMs(reconnect, this.#failures++, this.#ports.random))
      this.#counters.linkDowns++
      onEvent({ kind: 'link_down', issuer: this.name, connection: 1, reason, code, lost: 0 })
    }
  }

  #lookLater(delayMs: number): void {
    this.#clearTimer()
    this.#timer = this.#ports.timers.set(delayMs, () => {
      this.#timer = undefined
      const silentMs = this.#ports.clock.monotonic() - this.#lastHeardMs
      const restMs = this.#options.echoIntervalMs - silentMs
      if (this.#isReachable && restMs > 0) this.#lookLater(restMs)
      else void this.#look()
    })
  }

  #clearTimer(): void {
    if (this.#timer === undefined) return
    this.#ports.timers.clear(this.#timer)
    this.#timer = undefined
  }

  #breakerChanged(state: BreakerState): void {
    if (state === 'open') this.#counters.breakerOpenings++
    this.#options.onEvent({ kind: `breaker_${state}`, issuer: this.name, connection: 1 })
  }
}

/** As a Host header has it: without the scheme's own port. */
function hostOf({ host, port, tls }: Address): string {
  const name = host.includes(':') ? `[${host}]` : host
  return port === (tls === undefined ? 80 : 443) ? name : `${name}:${port}`
}

/** 400 or 422 to a reversal or an advice, in the words of an answer. */
function refusalOf(exchange: Exchange): ParsedAnswer {
  return {
    mti: `${exchange.answerClass}0`,
    amount: exchange.amount,
    transmittedAt: exchange.transmittedAt,
    stan: String(exchange.stan).padStart(6, '0'),
    rrn: exchange.rrn,
    approvalCode: '',
    responseCode: FORMAT_ERROR,
    terminalId: exchange.terminalId,
    currencyNumeric: exchange.currencyNumeric,
    networkCode: '',
    passThrough: undefined,
  }
}
