// The Handbook's split by time: a week to train, a week in which labels are on their way, a week to
// test, without the customers of whom a fraud is known by then.
//
//   day    0 ........ 6 | 7 ....... 13 | 14 ....... 20
//          train        | delay        | test day k = 0..6: without customers with a fraud in
//                                        training, or on days 6 ... 6 + k, which are known by then

import { DAY_MS } from './history.ts'
import type { HandbookTransaction } from './transactions.ts'

const WEEK_DAYS = 7

/** The first days of training of the four folds; the last is the one of the Handbook's tables. */
export const FOLD_STARTS: readonly string[] = [
  '2018-08-15',
  '2018-08-08',
  '2018-08-01',
  '2018-07-25',
]

/** Indexes into the transactions. */
export interface Fold {
  /** First day of training, YYYY-MM-DD. */
  readonly start: string
  readonly train: Uint32Array
  readonly test: Uint32Array
}

/** The days that folds read: for the rest no columns are needed. */
export function isInFolds(atMs: number): boolean {
  return FOLD_STARTS.some((start) => {
    const day = dayOf(atMs) - dayOf(Date.parse(start))
    return day >= 0 && day < 3 * WEEK_DAYS
  })
}

/** Throws where the transactions do not cover the fold's days, or know no fraud to learn from. */
export function foldOf(transactions: readonly HandbookTransaction[], start: string): Fold {
  const first = dayOf(Date.parse(start))
  const days = Array.from({ length: 3 * WEEK_DAYS }, (): number[] => [])
  for (const [index, { atMs }] of transactions.entries()) days[dayOf(atMs) - first]?.push(index)
  const empty = days.findIndex((day) => day.length === 0)
  if (empty >= 0) {
    const day = new Date((first + empty) * DAY_MS).toISOString().slice(0, 10)
    throw new Error(`there are no transactions on ${day}, which the fold from ${start} needs`)
  }
  const frauds = (day: number): readonly HandbookTransaction[] =>
    (days[day] ?? [])
      .map((index) => transactions[index] as HandbookTransaction)
      .filter(({ fraud }) => fraud)
  const train = days.slice(0, WEEK_DAYS).flat()
  const known = new Set<string>()
  for (let day = 0; day < WEEK_DAYS; day++) {
    for (const { customer } of frauds(day)) known.add(customer)
  }
  if (known.size === 0) throw new Error(`no fraud in the week of training from ${start}`)
  const test: number[] = []
  for (let k = 0; k < WEEK_DAYS; k++) {
    for (const { customer } of frauds(WEEK_DAYS + k - 1)) known.add(customer)
    for (const index of days[2 * WEEK_DAYS + k] ?? []) {
      if (!known.has((transactions[index] as HandbookTransaction).customer)) test.push(index)
    }
  }
  return { start, train: Uint32Array.from(train), test: Uint32Array.from(test) }
}

/** Days since 1970. */
export function dayOf(atMs: number): number {
  return Math.floor(atMs / DAY_MS)
}
