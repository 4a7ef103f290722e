// Past payments as lines of the documented layout, for demo data and for carrying data elsewhere.

import type { ScoringRequest } from '../request.ts'
import { COLUMNS } from './columns.ts'
import type { PastPayment } from './past-payment.ts'

export const csvHead = `${COLUMNS.map(({ name }) => name).join(',')}\n`

/** One line with its end; a field is quoted where it must be. */
export function csvLine(payment: PastPayment): string {
  return `${cellsOf(payment).map(quoted).join(',')}\n`
}

function quoted(cell: string | number | undefined): string {
  if (cell === undefined) return ''
  const text = String(cell)
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

function cellsOf(payment: PastPayment): readonly (string | number | undefined)[] {
  const { request, rrn, outcome, responseCode, endedAtMs, decided, label } = payment
  const { card, merchant, terminal, device, customer, threeDs }: ScoringRequest = request
  return [
    request.id,
    timeOf(request.arrivedAtMs),
    request.acquirer,
    request.type,
    request.amount,
    request.currency,
    request.channel,
    ...[card.token, card.bin, card.country, card.expiry],
    ...[merchant.id, merchant.mcc, merchant.name, merchant.city, merchant.country],
    ...[merchant.latitude, merchant.longitude, merchant.timeZone],
    ...[terminal?.id, terminal?.entryMode],
    ...[device?.id, device?.ip, device?.ipCountry, device?.userAgent],
    ...[customer?.id, customer?.email, customer?.country],
    ...[threeDs?.version, threeDs?.eci, threeDs?.status],
    ...[rrn, outcome, responseCode, timeOf(endedAtMs), decided],
    ...[label?.kind, label === undefined ? undefined : timeOf(label.knownAtMs)],
  ]
}

function timeOf(atMs: number): string | undefined {
  return Number.isNaN(atMs) ? undefined : new Date(atMs).toISOString()
}
