// What is in flight toward one issuer, and what was given up but may still be answered.
//
//   start ──> in flight ──answer──> gone, remembered for duplicates
//               │ time-out, connection lost
//               └──> given up ──late answer──> gone, remembered
//                      └ window over, or GIVEN_UP_MAX newer ones ──> gone
//
// Both are keyed by the STAN, which the trace book keeps unique over both.

import type { Clock, Timers } from '../ports.ts'
import { Deadlines } from './deadlines.ts'
import { type Exchange, type MismatchField, mismatchOf } from './exchange.ts'
import type { AskResult } from './issuer.ts'
import type { ParsedAnswer } from './issuer-message.ts'
import { ANSWERED_HOLD_MS, ANSWERED_REMEMBERED, GIVEN_UP_MAX } from './limits.ts'
import type { Line } from './line.ts'
import type { TraceBook } from './trace-numbers.ts'

/** An answer that belongs to nobody; `candidate` is what it comes nearest to. */
export interface Unmatched {
  /** The first thing that differs. */
  readonly field: MismatchField
  readonly candidate: Exchange | null
}

export type Match = Exchange | 'duplicate' | Unmatched

const TIMED_OUT: AskResult = { kind: 'unknown', why: 'timeout' }
const LOST: AskResult = { kind: 'unknown', why: 'connection_lost' }

export class Exchanges {
  readonly #clock: Clock
  readonly #book: TraceBook
  readonly #lateAnswerWindowMs: number
  readonly #onTimeout: (exchange: Exchange) => void
  readonly #inFlight = new Map<number, Exchange>()
  readonly #givenUp = new Map<number, Exchange>()
  readonly #timeouts: Deadlines<Exchange>
  readonly #windows: Deadlines<Exchange>
  /** The newest answered, by STAN modulo the length: STAN, DE7, class (11, 21, 23, 43), numbers. */
  readonly #answeredStan = new Uint32Array(ANSWERED_REMEMBERED)
  readonly #answeredAt = new Uint32Array(ANSWERED_REMEMBERED)
  readonly #answeredClass = new Uint8Array(ANSWERED_REMEMBERED)

  constructor(
    clock: Clock,
    timers: Timers,
    book: TraceBook,
    lateAnswerWindowMs: number,
    onTimeout: (exchange: Exchange) => void,
  ) {
    this.#clock = clock
    this.#book = book
    this.#lateAnswerWindowMs = lateAnswerWindowMs
    this.#onTimeout = onTimeout
    this.#timeouts = new Deadlines(clock, timers, (exchange) => this.#timedOut(exchange))
    this.#windows = new Deadlines(clock, timers, (exchange) => {
      this.#givenUp.delete(exchange.stan)
    })
  }

  get size(): number {
    return this.#inFlight.size
  }

  get givenUpSize(): number {
    return this.#givenUp.size
  }

  /** Whether the number stands for something that could still be answered. */
  has(stan: number): boolean {
    return this.#inFlight.has(stan) || this.#givenUp.has(stan)
  }

  /** What is in flight or given up under that number. */
  find(stan: number): Exchange | undefined {
    return this.#inFlight.get(stan) ?? this.#givenUp.get(stan)
  }

  /** The bytes of this exchange leave now; its deadline is set. */
  start(exchange: Exchange): void {
    this.#inFlight.set(exchange.stan, exchange)
    this.#timeouts.add(exchange)
  }

  /** The write was refused after all: nothing is awaited. */
  withdraw(exchange: Exchange): void {
    this.#inFlight.delete(exchange.stan)
    this.#timeouts.remove(exchange)
  }

  /**
   * Finds whose answer this is and takes that exchange out; its `state` tells whether the answer
   * is in time (`in_flight`) or late (`given_up`). Settling it is the caller's.
   */
  match(answer: ParsedAnswer, line: Line): Match {
    const stan = Number(answer.stan)
    const exchange = this.find(stan)
    const field = exchange === undefined ? '11' : mismatchOf(exchange, answer, line)
    if (exchange !== undefined && field === null) {
      this.#takeOut(exchange)
      if (exchange.attempt !== null) this.#book.rest(stan, ANSWERED_HOLD_MS)
      this.#remember(exchange)
      return exchange
    }
    if (this.#wasAnswered(stan, answer)) return 'duplicate'
    return { field: field ?? '11', candidate: exchange ?? this.#nearest(answer) }
  }

  /** A connection is gone: what is in flight on it is unknown at once. Says how many. */
  lose(line: Line): number {
    let lost = 0
    for (const exchange of this.#inFlight.values()) {
      if (exchange.line !== line) continue
      lost++
      this.#timeouts.remove(exchange)
      this.#giveUp(exchange)
      exchange.settle(LOST)
    }
    return lost
  }

  /** Awaits the late answer of a request that an earlier process gave up. */
  awaitLate(exchange: Exchange): void {
    this.#giveUp(exchange)
  }

  /** Forgets what was given up. */
  close(): void {
    for (const exchange of this.#givenUp.values()) this.#windows.remove(exchange)
    this.#givenUp.clear()
  }

  #timedOut(exchange: Exchange): void {
    this.#giveUp(exchange)
    this.#onTimeout(exchange)
    exchange.settle(TIMED_OUT)
  }

  #giveUp(exchange: Exchange): void {
    this.#inFlight.delete(exchange.stan)
    if (exchange.attempt === null) return
    this.#book.rest(exchange.stan, this.#lateAnswerWindowMs)
    if (this.#givenUp.size >= GIVEN_UP_MAX) this.#takeOut(this.#windows.earliest as Exchange)
    exchange.state = 'given_up'
    exchange.deadlineMs = this.#clock.monotonic() + this.#lateAnswerWindowMs
    this.#givenUp.set(exchange.stan, exchange)
    this.#windows.add(exchange)
  }

  #takeOut(exchange: Exchange): void {
    if (exchange.state === 'in_flight') {
      this.#inFlight.delete(exchange.stan)
      this.#timeouts.remove(exchange)
    } else {
      this.#givenUp.delete(exchange.stan)
      this.#windows.remove(exchange)
    }
  }

  /** An issuer that mangled DE11 may have echoed DE37, whose last six digits are the STAN. */
  #nearest(answer: ParsedAnswer): Exchange | null {
    const stan = Number(answer.rrn.slice(6))
    return this.#inFlight.get(stan) ?? this.#givenUp.get(stan) ?? null
  }

  #remember(exchange: Exchange): void {
    const slot = exchange.stan % ANSWERED_REMEMBERED
    this.#answeredStan[slot] = exchange.stan
    this.#answeredAt[slot] = Number(exchange.transmittedAt)
    this.#answeredClass[slot] = Number(exchange.answerClass)
  }

  #wasAnswered(stan: number, answer: ParsedAnswer): boolean {
    const slot = stan % ANSWERED_REMEMBERED
    return (
      this.#answeredStan[slot] === stan &&
      this.#answeredAt[slot] === Number(answer.transmittedAt) &&
      this.#answeredClass[slot] === Number(answer.mti.slice(0, 3))
    )
  }
}
