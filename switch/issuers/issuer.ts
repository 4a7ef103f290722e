// The door to one issuer: how the message path asks it, and what it can say.

import type { Pan } from '../card-data/index.ts'
import type { FieldValue } from '../iso8583/index.ts'
import type { Attempt, QueuedMessage } from '../store/index.ts'
import type { LineState } from './line.ts'

/**
 * What an acquirer sent for the issuer's eyes, and nobody else's: in memory from one message to the
 * other, for each attempt of one authorization; never stored, logged or translated. Each as its
 * field was decoded, so it is written only where the issuer's dialect can hold it.
 */
export interface PassThrough {
  /** DE23: which of the cards with this PAN; the chip's cryptogram needs it. */
  readonly cardSequence?: string
  /** DE35, DE45. */
  readonly track2?: string
  readonly track1?: string
  /** DE52, 8 bytes as upper-case hex: encrypted under the acquirer's key, which the issuer shares. */
  readonly pinBlock?: string
  /** DE53: n 16 in 1987; upper-case hex from 1993 on. */
  readonly securityControl?: string
  /** DE55: tags in their order, or upper-case hex where the dialect does not divide it. */
  readonly chip?: FieldValue
}

/** What an issuer sent for the terminal: in memory only, so a repeat's answer does not have it. */
export interface AnswerPassThrough {
  /** DE55: the issuer's authentication data and scripts. */
  readonly chip?: FieldValue
  /** DE54: balances. */
  readonly additionalAmounts?: string
}

/** What the message needs beyond the attempt's durable numbers; never stored. */
export interface CardData {
  readonly pan: Pan
  /** YYMM (DE14). */
  readonly expiry: string
  /** Passed on in DE48 where the dialect has a place for it; never stored. */
  readonly cvv: string | undefined
  readonly passThrough?: PassThrough | undefined
}

/** The issuer's answer, already matched to its request. */
export interface IssuerAnswer {
  /** DE39 as the dialect writes it. */
  readonly responseCode: string
  /** DE38, or null. */
  readonly approvalCode: string | null
  /** DE4 of the answer: what was approved, in minor units. */
  readonly amount: number
  readonly passThrough?: AnswerPassThrough
}

/** What a queued message needs beyond its durable numbers. */
export type DeliveredCard = Pick<CardData, 'pan' | 'expiry'>

/** How an attempt ended. An unknown outcome is never called failed. */
export type AskResult =
  | { readonly kind: 'answered'; readonly answer: IssuerAnswer }
  /**
   * Certainly not sent: no connection, not signed on, breaker open, or the write was refused before
   * any byte.
   */
  | { readonly kind: 'not_sent' }
  /**
   * Bytes may have left and no answer came in time, or the connection was lost, or what came on it
   * was no answer to this.
   */
  | { readonly kind: 'unknown'; readonly why: 'timeout' | 'connection_lost' | 'bad_answer' }

/** An answer that came after its attempt was given up; matched to it all the same. */
export interface LateIssuerAnswer {
  readonly attempt: Attempt
  readonly answer: IssuerAnswer
}

/** Trace numbers toward one issuer, drawn before the claim so that they are durable with it. */
export interface TraceNumbers {
  readonly stan: string
  readonly transmittedAt: string
  readonly rrn: string
}

/** What the numbers are for. */
export type TracePurpose = 'request' | 'reversal'

export type DeliverResult =
  | { readonly kind: 'answered'; readonly responseCode: string }
  | { readonly kind: 'not_sent' }
  | { readonly kind: 'unknown' }

export interface Issuer {
  readonly name: string
  /** Some connection is signed on, and its breaker is not open. */
  readonly isUp: boolean
  /** Each connection of the link, in the order of their numbers. */
  readonly connections: readonly LineState[]
  /** How long it may take for an answer, by its configuration. */
  readonly timeoutMs: number
  /** How long after it was given up a request may still be answered. */
  readonly lateAnswerWindowMs: number
  /**
   * Draws numbers that are neither pending nor inside the late-answer window. Where none is free
   * the STAN is '000000' (NO_STAN), which `ask` refuses as `not_sent`; reversals have a reserve.
   */
  drawTraceNumbers(purpose?: TracePurpose): TraceNumbers
  /** Keeps the number of a queued message out of circulation, however long it is queued. */
  holdStan(stan: string): void
  /** Ends `holdStan`: the message is acknowledged, or dead. */
  releaseStan(stan: string): void
  /**
   * Says that an earlier process sent this attempt and gave it up: its answer may still come, and
   * its number rests for the late-answer window.
   */
  expectLateAnswer(attempt: Attempt): void
  /** Sends the attempt once and waits for its answer, `timeoutMs` at most. Never rejects. */
  ask(attempt: Attempt, card: CardData, timeoutMs: number): Promise<AskResult>
  /**
   * Sends a reversal or an advice (0420, 0220, 0120; 0421, 0221, 0121 as a repeat) and waits for
   * its 0430, 0230 or 0130. Never rejects.
   */
  deliver(
    message: QueuedMessage,
    card: DeliveredCard,
    isRepeat: boolean,
    timeoutMs: number,
  ): Promise<DeliverResult>
  /**
   * Stops: no new messages; what is in flight ends by answer or deadline, then sign-off where
   * connected.
   */
  close(): Promise<void>
}
