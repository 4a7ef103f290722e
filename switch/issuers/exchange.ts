// One message on its way to an issuer and back, and the check that an answer is its own.

import { RESPONSE_CODE } from '../response-codes.ts'
import type { Attempt, QueuedMessage } from '../store/index.ts'
import type { DeadlineEntry } from './deadlines.ts'
import type { AskResult, IssuerAnswer } from './issuer.ts'
import { amountOf, type ParsedAnswer } from './issuer-message.ts'
import type { Line } from './line.ts'

/** `given_up`: whoever asked was told `unknown`; an answer is still awaited, as a late one. */
export type ExchangeState = 'in_flight' | 'given_up'

/** What an answer has to say to be the answer of this exchange. */
export class Exchange implements DeadlineEntry<Exchange> {
  /** The numeric STAN, by which it is found. */
  readonly stan: number
  /** First three digits of the answer's MTI: 011, 021, 023 or 043. */
  readonly answerClass: string
  readonly transmittedAt: string
  readonly rrn: string
  readonly amount: number
  readonly standing: number
  readonly terminalId: string
  readonly currencyNumeric: string
  /** Of a request; null for a queued message: no late answer is of use, its repeat is answered. */
  readonly attempt: Attempt | null
  /** The connection that its bytes left on; null where an earlier process sent them. */
  readonly line: Line | null
  readonly dial: number
  /** Left through a half-open breaker. */
  isTrial = false
  state: ExchangeState = 'in_flight'
  /** Monotonic: the time-out while in flight, the end of the window once given up. */
  deadlineMs: number
  earlier: Exchange | null = null
  later: Exchange | null = null
  readonly settle: (result: AskResult) => void

  constructor(
    expected: ExpectedAnswer,
    attempt: Attempt | null,
    line: Line | null,
    deadlineMs: number,
    settle: (result: AskResult) => void,
  ) {
    this.stan = Number(expected.stan)
    this.answerClass = expected.answerClass
    this.transmittedAt = expected.transmittedAt
    this.rrn = expected.rrn
    this.amount = expected.amount
    this.standing = expected.standing
    this.terminalId = expected.original.terminalId.trimEnd()
    this.currencyNumeric = expected.original.currencyNumeric
    this.attempt = attempt
    this.line = line
    this.dial = line === null ? 0 : line.link.dial
    this.deadlineMs = deadlineMs
    this.settle = settle
  }
}

/** The numbers that the message itself carries, and the attempt that it is about. */
export interface ExpectedAnswer {
  readonly answerClass: string
  readonly stan: string
  readonly transmittedAt: string
  readonly rrn: string
  /** DE4 of the message. */
  readonly amount: number
  /** What stands after a partial reversal, which is DE4 from 1993 on; else the amount. */
  readonly standing: number
  readonly original: Attempt
}

/** The field by which an answer is not that exchange's. */
export type MismatchField = 'connection' | 'mti' | '4' | '7' | '11' | '37' | '41' | '49'

/**
 * Null: the answer belongs to the exchange. The STAN is compared by the caller, who found the
 * exchange by it. A queued message's answer need not echo DE4, DE41 and DE49, but may not contradict.
 */
export function mismatchOf(
  exchange: Exchange,
  answer: ParsedAnswer,
  line: Line | null,
): MismatchField | null {
  const mayOmit = exchange.attempt === null
  // While its own connection lives, an answer comes on that one; a late one may come on any.
  if (exchange.state === 'in_flight' && exchange.line !== line) return 'connection'
  if (!answer.mti.startsWith(exchange.answerClass)) return 'mti'
  if (answer.transmittedAt !== exchange.transmittedAt) return '7'
  if (answer.rrn !== exchange.rrn) return '37'
  if (!amountFits(exchange, answer)) return '4'
  if (answer.terminalId !== exchange.terminalId && !(mayOmit && answer.terminalId === '')) {
    return '41'
  }
  const currency = answer.currencyNumeric
  if (currency !== exchange.currencyNumeric && !(mayOmit && currency === '')) return '49'
  return null
}

function amountFits(exchange: Exchange, answer: ParsedAnswer): boolean {
  if (answer.amount === exchange.amount) return true
  if (exchange.attempt === null) return answer.amount === -1 || answer.amount === exchange.standing
  return (
    answer.responseCode === RESPONSE_CODE.partiallyApproved &&
    answer.amount > 0 &&
    answer.amount < exchange.amount
  )
}

/** What answers an attempt. */
export function expectedOf(attempt: Attempt): ExpectedAnswer {
  const { mti, stan, transmittedAt, rrn, amount } = attempt
  const answerClass = answerClassOf(mti)
  const numbers = { stan, transmittedAt, rrn, amount, standing: amount }
  return { answerClass, ...numbers, original: attempt }
}

/** What answers a queued message. */
export function expectedOfQueued(message: QueuedMessage): ExpectedAnswer {
  const { mti, stan, transmittedAt, rrn, original } = message
  const amount = amountOf(message)
  const standing = message.replacementAmount ?? amount
  const answerClass = answerClassOf(mti)
  return { answerClass, stan, transmittedAt, rrn, amount, standing, original }
}

/** A request's third digit is even, its answer's is one more: 0200 and 0210, 0420 and 0430. */
function answerClassOf(mti: string): string {
  return `${mti.slice(0, 2)}${Number(mti[2]) + 1}`
}

/** What an answer comes to. A declined one may omit what was approved: nothing was. */
export function answerOf(answer: ParsedAnswer, exchange: Exchange): IssuerAnswer {
  return {
    responseCode: answer.responseCode,
    approvalCode: answer.approvalCode === '' ? null : answer.approvalCode,
    amount: answer.amount === -1 ? exchange.amount : answer.amount,
    ...(answer.passThrough === undefined ? {} : { passThrough: answer.passThrough }),
  }
}
