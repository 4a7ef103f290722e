// What issuers have in common, however they are reached: a name, their times, and trace numbers.

import type { Clock } from '../ports.ts'
import type { TraceNumbers, TracePurpose } from './issuer.ts'
import { ANSWERED_HOLD_MS } from './limits.ts'
import { NO_STAN, TraceBook, type TraceSlot } from './trace-numbers.ts'

export interface NumberedIssuerOptions {
  readonly name: string
  readonly timeoutMs: number
  readonly lateAnswerWindowMs: number
  readonly inFlightMax: number
  /** The high-water mark of the store, '000000' where there is none. */
  readonly lastStan: string
  /** The numbers that may be drawn; all where it is absent. */
  readonly traceSlot?: TraceSlot | undefined
}

export abstract class NumberedIssuer {
  readonly name: string
  readonly timeoutMs: number
  readonly lateAnswerWindowMs: number
  protected readonly book: TraceBook

  constructor(options: NumberedIssuerOptions, clock: Clock) {
    const { name, timeoutMs, lateAnswerWindowMs, lastStan, inFlightMax, traceSlot } = options
    this.name = name
    this.timeoutMs = timeoutMs
    this.lateAnswerWindowMs = lateAnswerWindowMs
    this.book = new TraceBook(clock, lastStan, inFlightMax, traceSlot)
  }

  drawTraceNumbers(purpose: TracePurpose = 'request'): TraceNumbers {
    return this.book.draw(purpose)
  }

  holdStan(stan: string): void {
    if (stan !== NO_STAN) this.book.keep(Number(stan))
  }

  releaseStan(stan: string): void {
    if (stan !== NO_STAN) this.book.rest(Number(stan), ANSWERED_HOLD_MS)
  }
}
