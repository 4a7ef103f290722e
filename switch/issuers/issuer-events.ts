// What happens on an issuer link besides answers: for logs and alarms, and counted for metrics.
// No event holds card data.

import type { FramingProblem, IsoProblem } from '../iso8583/index.ts'
import type { Exchange, MismatchField } from './exchange.ts'
import type { BadMac, LinkDownReason } from './iso-link.ts'
import type { ParsedAnswer } from './issuer-message.ts'

export type IssuerEvent =
  | {
      readonly kind: 'link_up'
      readonly issuer: string
      /** Which of the link's connections, from 1. */
      readonly connection: number
    }
  | {
      readonly kind: 'link_down'
      readonly issuer: string
      readonly connection: number
      readonly reason: LinkDownReason
      /** The system's code (ECONNREFUSED), the frame's problem, or DE39 of a refused sign-on. */
      readonly code: string | null
      /** Requests and reversals that became unknown by it. */
      readonly lost: number
    }
  /** Open: the connection takes requests and gives no answers; nothing more is asked on it. */
  | {
      readonly kind: 'breaker_open' | 'breaker_half_open' | 'breaker_closed'
      readonly issuer: string
      readonly connection: number
    }
  | UnmatchedAnswer
  /** An alarm: a message whose authentication code is not right reaches nobody. */
  | {
      readonly kind: 'bad_mac'
      readonly issuer: string
      readonly mti: string
      readonly verdict: BadMac
    }
  /** By HTTP: no 200, or no JSON of an answer. Its outcome is unknown. */
  | { readonly kind: 'bad_http_answer'; readonly issuer: string; readonly status: number }
  | {
      readonly kind: 'undecodable_message'
      readonly issuer: string
      readonly problem: IsoProblem
    }
  | {
      readonly kind: 'unencodable_message'
      readonly issuer: string
      readonly mti: string
      readonly problem: IsoProblem | FramingProblem
    }

/** An answer that was handed to nobody, and what it comes nearest to. */
export interface UnmatchedAnswer {
  readonly kind: 'unmatched_answer'
  readonly issuer: string
  readonly mti: string
  readonly stan: string
  readonly transmittedAt: string
  readonly rrn: string
  readonly responseCode: string
  /** The first field that differs from the candidate; 11 where no request has that STAN. */
  readonly field: MismatchField
  readonly candidate: {
    readonly stan: string
    readonly transmittedAt: string
    readonly rrn: string
    /** Whether its request still waits, or was given up. */
    readonly state: 'in_flight' | 'given_up'
  } | null
}

/** Since the start. One object a link, for the metrics to read. */
export interface IssuerCounters {
  /** Requests and reversals whose bytes were handed to the connection. */
  sent: number
  /** Refused before any byte. */
  notSent: number
  /** In time and matched. */
  answered: number
  /** Matched after the request was given up. */
  answeredLate: number
  /** Of what was answered before. */
  duplicates: number
  /** Handed to nobody. */
  unmatched: number
  timeouts: number
  /** In flight when the connection went. */
  lost: number
  undecodable: number
  /** Messages whose authentication code was wrong, absent or misplaced. */
  badMacs: number
  unencodable: number
  linkUps: number
  linkDowns: number
  breakerOpenings: number
}

export function createIssuerCounters(): IssuerCounters {
  return {
    sent: 0,
    notSent: 0,
    answered: 0,
    answeredLate: 0,
    duplicates: 0,
    unmatched: 0,
    timeouts: 0,
    lost: 0,
    undecodable: 0,
    badMacs: 0,
    unencodable: 0,
    linkUps: 0,
    linkDowns: 0,
    breakerOpenings: 0,
  }
}

/** An answer that belongs to nobody, beside what it comes nearest to. No card data. */
export function unmatchedEvent(
  issuer: string,
  { mti, stan, transmittedAt, rrn, responseCode }: ParsedAnswer,
  field: MismatchField,
  candidate: Exchange | null,
): UnmatchedAnswer {
  return {
    kind: 'unmatched_answer',
    issuer,
    mti,
    stan,
    transmittedAt,
    rrn,
    responseCode,
    field,
    candidate:
      candidate === null
        ? null
        : {
            stan: String(candidate.stan).padStart(6, '0'),
            transmittedAt: candidate.transmittedAt,
            rrn: candidate.rrn,
            state: candidate.state,
          },
  }
}
