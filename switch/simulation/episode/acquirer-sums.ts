// What an acquirer knows of one payment from its answers alone, in the order in which it asked.

import type { Books, Request } from './books.ts'
import type { PayEntry } from './plan.ts'

/** Minor units. */
export interface Sums {
  readonly authorized: number
  readonly captured: number
  readonly reversed: number
  readonly refunded: number
}

/** The amount of a reversal of all that then stands: over ISO 8583 its answer does not say it. */
export const ALL_THAT_STANDS = -1

/** Undefined where the payment was not approved, or one of the answers never came. */
export function acquirerSums(books: Books, { body, entry }: Request): Sums | undefined {
  if (body?.outcome !== 'approved' || entry.kind !== 'pay') return undefined
  const takesAtOnce = entry.type === 'sale' || entry.type === 'cash_withdrawal'
  let authorized = Number(body.amount)
  let captured = 0
  let reversed = 0
  let refunded = 0
  for (const other of stepsOf(books, entry)) {
    if (other.body === undefined && other.refusedWith === undefined) return undefined
    if (other.body?.outcome !== 'approved') continue
    const amount = Number(other.body.amount)
    const standing = authorized - reversed - (takesAtOnce ? refunded : captured)
    const type = String(other.body.type)
    if (type === 'increment') authorized += amount
    else if (type === 'capture') captured += amount
    else if (type === 'refund') refunded += amount
    else reversed += amount === ALL_THAT_STANDS ? standing : amount
  }
  return {
    authorized,
    captured: takesAtOnce ? authorized - reversed : captured,
    reversed,
    refunded,
  }
}

function* stepsOf({ requests }: Books, { id }: PayEntry): Generator<Request> {
  for (const [name, other] of requests) {
    const isStep = other.entry.kind === 'step' && other.entry.of === id
    if (isStep || name === `${id}-reversal`) yield other
  }
}
