// Do the books of whole payments balance? What the acquirer was last told of each payment is held
// against the issuer's own ledger, to the cent.

import { isLive, type LedgerEntry, type Position, positionOf } from '../issuer/index.ts'
import type { IssuerLedger } from './books.ts'
import { discrepanciesNamedMax } from './limits.ts'

/** A payment as its last answer has it; amounts in minor units. */
export interface AcquirerPayment extends Position {
  readonly issuer: string
  /** DE38 of the authorization. */
  readonly approvalCode: string
  /** A sale and a cash withdrawal are captured with their approval: no advice is expected. */
  readonly takesAtOnce: boolean
}

export interface PaymentDiscrepancy {
  readonly issuer: string
  readonly approvalCode: string
  readonly what: keyof Position | 'unknown_to_issuer' | 'unknown_to_acquirer' | 'names_no_payment'
  readonly acquirerHas: number
  readonly issuerHas: number
}

export interface PaymentBooks {
  readonly balanced: boolean
  readonly payments: number
  /** By the acquirer's answers. */
  readonly totals: Position
  readonly discrepancyCount: number
  /** The first of them. */
  readonly discrepancies: readonly PaymentDiscrepancy[]
}

const PARTS = ['authorized', 'captured', 'reversed', 'refunded'] as const

/**
 * Compares both sides: every payment of the acquirer's, every first request that stands. `namedMax`
 * discrepancies are named, the rest is counted.
 */
export function balancePayments(
  payments: Iterable<AcquirerPayment>,
  ledgers: readonly IssuerLedger[],
  namedMax = discrepanciesNamedMax,
): PaymentBooks {
  const discrepancies: PaymentDiscrepancy[] = []
  let discrepancyCount = 0
  const found = (
    issuer: string,
    approvalCode: string,
    what: PaymentDiscrepancy['what'],
    acquirerHas: number,
    issuerHas: number,
  ) => {
    discrepancyCount++
    if (discrepancies.length >= namedMax) return
    discrepancies.push({ issuer, approvalCode, what, acquirerHas, issuerHas })
  }

  const firsts = readFirsts(ledgers, found)
  const totals = { authorized: 0, captured: 0, reversed: 0, refunded: 0 }
  let count = 0
  for (const payment of payments) {
    count++
    for (const part of PARTS) totals[part] += payment[part]
    const { issuer, approvalCode } = payment
    const key = `${issuer} ${approvalCode}`
    const position = firsts.get(key)
    firsts.delete(key)
    if (position === undefined) {
      found(issuer, approvalCode, 'unknown_to_issuer', payment.authorized, 0)
      continue
    }
    for (const part of PARTS) {
      if (part === 'captured' && payment.takesAtOnce) continue
      if (payment[part] !== position[part]) {
        found(issuer, approvalCode, part, payment[part], position[part])
      }
    }
  }
  for (const [key, { authorized, reversed }] of firsts) {
    if (authorized === reversed) continue
    const [issuer = '', approvalCode = ''] = key.split(' ')
    found(issuer, approvalCode, 'unknown_to_acquirer', 0, authorized - reversed)
  }
  return {
    balanced: discrepancyCount === 0,
    payments: count,
    totals,
    discrepancyCount,
    discrepancies,
  }
}

/** First requests that hold money, by issuer and approval code; steps must name one of them. */
function readFirsts(
  ledgers: readonly IssuerLedger[],
  found: (
    issuer: string,
    approvalCode: string,
    what: 'names_no_payment',
    acquirerHas: number,
    issuerHas: number,
  ) => void,
): Map<string, Position> {
  const firsts = new Map<string, Position>()
  for (const { issuer, entries } of ledgers) {
    const steps = new Map<string, LedgerEntry[]>()
    for (const entry of entries) {
      if (entry.original === null) continue
      const list = steps.get(entry.original)
      if (list === undefined) steps.set(entry.original, [entry])
      else list.push(entry)
    }
    for (const entry of entries) {
      if (entry.original !== null || entry.approvalCode === null) continue
      const own = steps.get(entry.key) ?? []
      steps.delete(entry.key)
      if (entry.approvedAmount > 0) {
        firsts.set(`${issuer} ${entry.approvalCode}`, positionOf(entry, own))
      }
    }
    for (const orphans of steps.values()) {
      for (const orphan of orphans.filter(isLive)) {
        const { approvalCode, approvedAmount } = orphan
        found(issuer, approvalCode ?? '', 'names_no_payment', 0, approvedAmount)
      }
    }
  }
  return firsts
}
