// The columns of two models of the Handbook's data: its own 15, and ours. Missing is NaN in ours;
// the Handbook writes 0.

import {
  amountToEarlierMean,
  CUSTOMER_DAYS,
  type CustomerDays,
  type KnownTransaction,
  type TerminalDays,
} from './history.ts'

export interface Column {
  readonly name: string
  readonly value: (known: KnownTransaction) => number
}

const MINOR_UNITS = 100
const HOUR_MS = 3_600_000

function column(name: string, value: Column['value']): Column {
  return { name, value }
}

function hour(atMs: number): number {
  return Math.floor(atMs / HOUR_MS) % 24
}

/** 1 to 7, Monday first: 1970-01-01 was a Thursday. */
function weekday(atMs: number): number {
  return ((Math.floor(atMs / (24 * HOUR_MS)) + 3) % 7) + 1
}

/** Share of fraud of what is known of the terminal; NaN where nothing is. */
function risk({ fraud, genuine }: KnownTransaction, days: TerminalDays): number {
  const frauds = fraud.count(days)
  return frauds / (frauds + genuine.count(days))
}

const HANDBOOK_DAYS = [1, 7, 30] as const

/** Amount, weekend, night; by window the customer's count and average, the terminal's and risk. */
export const HANDBOOK_COLUMNS: readonly Column[] = [
  column('amount', ({ transaction }) => transaction.amount / MINOR_UNITS),
  column('weekend', ({ transaction }) => (weekday(transaction.atMs) >= 6 ? 1 : 0)),
  column('night', ({ transaction }) => (hour(transaction.atMs) <= 6 ? 1 : 0)),
  ...HANDBOOK_DAYS.flatMap((days) => [
    column(`customer_count_${days}d`, ({ customer }) => customer.count(days)),
    column(
      `customer_average_${days}d`,
      ({ customer }) => customer.sum(days) / customer.count(days) / MINOR_UNITS,
    ),
  ]),
  ...HANDBOOK_DAYS.flatMap((days) => [
    column(
      `terminal_count_${days}d`,
      ({ fraud, genuine }) => fraud.count(days) + genuine.count(days),
    ),
    column(`terminal_risk_${days}d`, (known) => risk(known, days) || 0),
  ]),
]

/** The mean of the window over that of 30 days: how the customer spends lately. */
function recentMean({ customer }: KnownTransaction, days: CustomerDays): number {
  return (customer.sum(days) * customer.count(30)) / (customer.count(days) * customer.sum(30))
}

/** The mean of the customer's attempts before the last two weeks; NaN without any. */
function olderMean({ customer }: KnownTransaction): number {
  return (customer.sum(30) - customer.sum(14)) / (customer.count(30) - customer.count(14))
}

/** The largest of the window over the mean of the earlier attempts of 30 days. */
function largest({ customer, transaction }: KnownTransaction, days: CustomerDays): number {
  const ratio = amountToEarlierMean(transaction, customer)
  return (customer.max(days) * ratio) / transaction.amount
}

const OWN_DAYS = [1, 7, 14, 21, 28] as const

/** The amount against the customer's own history, and what is known of the terminal. */
export const OWN_COLUMNS: readonly Column[] = [
  column('amount', ({ transaction }) => transaction.amount / MINOR_UNITS),
  column('amount_to_earlier_mean_30d', (known) =>
    amountToEarlierMean(known.transaction, known.customer),
  ),
  column('amount_to_older_mean', (known) => known.transaction.amount / olderMean(known)),
  column('amount_to_max_30d', (known) => known.transaction.amount / known.customer.max(30)),
  ...([1, 7, 30] as const).flatMap((days) => [
    column(`customer_count_${days}d`, ({ customer }) => customer.count(days)),
    column(
      `customer_average_${days}d`,
      ({ customer }) => customer.sum(days) / customer.count(days) / MINOR_UNITS,
    ),
  ]),
  ...CUSTOMER_DAYS.slice(0, 3).map((days) =>
    column(`customer_recent_mean_${days}d`, (known) => recentMean(known, days)),
  ),
  column(
    'customer_mean_14d_to_older',
    (known) => known.customer.sum(14) / known.customer.count(14) / olderMean(known),
  ),
  ...([7, 14, 30] as const).map((days) =>
    column(`customer_largest_${days}d`, (known) => largest(known, days)),
  ),
  ...OWN_DAYS.flatMap((days) => [
    column(
      `terminal_count_${days}d`,
      ({ fraud, genuine }) => fraud.count(days) + genuine.count(days),
    ),
    column(`terminal_frauds_${days}d`, ({ fraud }) => fraud.count(days)),
    column(`terminal_ordinary_frauds_${days}d`, ({ ordinaryFraud }) => ordinaryFraud.count(days)),
  ]),
  ...([7, 14, 28] as const).map((days) =>
    column(`terminal_risk_${days}d`, (known) => risk(known, days)),
  ),
  column('terminal_seconds_since_fraud', ({ fraud }) => fraud.secondsSinceLast),
  column('terminal_seconds_since_genuine', ({ genuine }) => genuine.secondsSinceLast),
]
