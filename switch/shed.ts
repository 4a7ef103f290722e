// Refusals for now: every trace number toward an issuer is taken, or what is stored does not read.

import { type ErrorCode, type Refusal, refuseForNow } from './errors.ts'
import { RETRY_AFTER_SECONDS } from './limits.ts'
import { isOperatingError } from './store/index.ts'
import type { World } from './world.ts'

export function refuseTraceNumber(world: Pick<World, 'journal'>): Refusal {
  world.journal.shed('trace_numbers')
  const detail = 'too much is in flight to this issuer: retry'
  return refuseForNow('overloaded', detail, RETRY_AFTER_SECONDS)
}

/** What does not read, and what the acquirer is told of it. */
export interface Unreadable {
  /** As the log says it: "a payment". */
  readonly what: string
  readonly transactionId?: string
  readonly code: ErrorCode
  readonly detail: string
}

const PAYMENT: Unreadable = {
  what: 'a payment',
  code: 'store_unavailable',
  detail: 'the payment could not be read: retry with the same Idempotency-Key',
}

/** A record that does not read is the disk's fault: refused for now. Throws what is a bug. */
export function refuseUnreadable(
  world: Pick<World, 'journal'>,
  error: unknown,
  unreadable: Unreadable = PAYMENT,
): Refusal {
  noteUnreadable(world, error, unreadable)
  return refuseForNow(unreadable.code, unreadable.detail, RETRY_AFTER_SECONDS)
}

/** Logs what did not read, for whoever goes on without it. Throws what is a bug. */
export function noteUnreadable(
  { journal }: Pick<World, 'journal'>,
  error: unknown,
  { what, transactionId }: Pick<Unreadable, 'what' | 'transactionId'>,
): void {
  if (!isOperatingError(error)) throw error
  const about = transactionId === undefined ? {} : { transactionId }
  journal.log.error({ code: error.code, error: error.message, ...about }, `${what} can't be read`)
}
