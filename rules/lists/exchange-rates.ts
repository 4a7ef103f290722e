// lists/fx.csv: date,currency,perEur,until. `perEur` is how much of the currency one euro buys, as the
// European Central Bank publishes it. A rate holds from its date to the currency's next rate, to its
// `until` (included), or, without one, for rateAgeDaysMax days; after that the amount is unknown.

import { currencyByCode } from '../currency.ts'
import { rateAgeDaysMax } from '../limits.ts'
import type { ProblemList } from '../problem.ts'
import { listProblem, type Table } from './table.ts'

export const BASE_CURRENCY = 'EUR'
const baseExponent = 2
const dayMs = 86_400_000

interface Rate {
  readonly fromMs: number
  readonly beforeMs: number
  /** Minor units of the base currency for one minor unit of this one. */
  readonly factor: number
}

/** (amount in minor units, currency, time in ms) to minor units of the base currency, or NaN. */
export type BaseAmount = (amount: number, currency: string, atMs: number) => number

export function createBaseAmount(table: Table | undefined, problems: ProblemList): BaseAmount {
  const rates = new Map<string, Rate[]>()
  if (table !== undefined) readRates(table, rates, problems)
  for (const list of rates.values()) list.sort((a, b) => a.fromMs - b.fromMs)
  return (amount, currency, atMs) => {
    if (currency === BASE_CURRENCY) return amount
    const list = rates.get(currency)
    if (list === undefined) return Number.NaN
    let index = list.length - 1
    while (index >= 0 && (list[index]?.fromMs ?? 0) > atMs) index--
    const rate = list[index]
    if (rate === undefined || atMs >= rate.beforeMs) return Number.NaN
    const base = Math.round(amount * rate.factor)
    return Number.isSafeInteger(base) ? base : Number.NaN
  }
}

function readRates(table: Table, rates: Map<string, Rate[]>, problems: ProblemList): void {
  const column = (name: string) => table.columns.indexOf(name)
  const places = { date: column('date'), currency: column('currency'), perEur: column('perEur') }
  if (Object.values(places).includes(-1)) {
    listProblem(problems, table.file, 1, 'the header is date,currency,perEur,until')
    return
  }
  const seen = new Set<string>()
  for (const { line, fields } of table.rows) {
    const refuse = (message: string) => listProblem(problems, table.file, line, message)
    const fromMs = dateMs(fields[places.date] ?? '')
    const code = fields[places.currency] ?? ''
    const perEur = Number(fields[places.perEur])
    const untilText = fields[column('until')] ?? ''
    const untilMs = untilText === '' ? fromMs + (rateAgeDaysMax - 1) * dayMs : dateMs(untilText)
    const currency = currencyByCode(code)
    if (Number.isNaN(fromMs)) refuse('the date is written YYYY-MM-DD')
    else if (currency === undefined) refuse(`unknown currency "${code}"`)
    else if (code === BASE_CURRENCY) refuse('the base currency has no rate')
    else if (!(perEur > 0) || perEur > 1e9) refuse('perEur is a number above 0, as 1.0832')
    else if (!(untilMs >= fromMs)) refuse('until is a date YYYY-MM-DD, not before date')
    else if (seen.has(`${code} ${fromMs}`)) refuse(`a second rate of ${code} for this date`)
    else {
      seen.add(`${code} ${fromMs}`)
      const factor = 10 ** (baseExponent - currency.exponent) / perEur
      const list = rates.get(code) ?? []
      list.push({ fromMs, beforeMs: untilMs + dayMs, factor })
      rates.set(code, list)
    }
  }
}

/** Midnight UTC of a date; NaN when there is no such date. */
function dateMs(text: string): number {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(text)) return Number.NaN
  const ms = Date.parse(`${text}T00:00:00Z`)
  return Number.isNaN(ms) || new Date(ms).toISOString().slice(0, 10) !== text ? Number.NaN : ms
}
