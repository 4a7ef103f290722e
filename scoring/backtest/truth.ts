// What is known of a past payment: a label where there is one, and what the absence of one means.

import { isFraud, type Label, type PastPayment } from './past-payment.ts'

/** `apart`: it was refused then, so nobody ever learned whether it was a fraud. */
export type Truth = 'fraud' | 'genuine' | 'unknown' | 'apart'

export interface LabelSource {
  /** Labels by payment id or RRN that came in a file of their own. */
  readonly labels: Labels | undefined
  /** Labels known later don't count: what could be known on that day. Infinity: all. */
  readonly asOfMs: number
  /** An unlabelled payment that is at least this old counts as genuine. */
  readonly maturityMs: number
}

export interface Labels {
  readonly byId: ReadonlyMap<string, Label>
  readonly byRrn: ReadonlyMap<string, Label>
}

/** The label of a payment, as far as it was known by then. */
export function labelOf(payment: PastPayment, source: LabelSource): Label | undefined {
  const { request, rrn, label } = payment
  const { labels, asOfMs } = source
  const found =
    labels?.byId.get(request.id) ??
    (rrn === undefined ? undefined : labels?.byRrn.get(rrn)) ??
    label
  // A label without a time is taken as known: the file says it, and says no more.
  if (found === undefined || found.knownAtMs > asOfMs) return undefined
  return found
}

/** The truth about a payment. */
export function truthOf(
  payment: PastPayment,
  label: Label | undefined,
  source: LabelSource,
): Truth {
  if (payment.outcome === 'declined' || payment.outcome === 'challenged') return 'apart'
  if (label !== undefined) return isFraud(label) ? 'fraud' : 'genuine'
  const { asOfMs, maturityMs } = source
  return payment.request.arrivedAtMs <= asOfMs - maturityMs ? 'genuine' : 'unknown'
}
