// What a switch would know at each transaction, by the velocity code that scores live ones:
//
//   customers   attempts, known at once, the current one included
//   terminals   what became of attempts, known LABEL_DELAY_MS later. Genuine, fraud, and ordinary
//               fraud (of an amount that was nothing special for the customer: it points at the
//               terminal) are kept apart, each in counters that run a delay behind
//
// A window that is read with a delay of d at time t is the window of counters that have heard of
// everything up to t - d and are asked as of t - d: (t - d - w, t - d].

import type { AggregatePlan } from '#rules'
import {
  createEmbeddedVelocity,
  type EmbeddedVelocity,
  type VelocityAttempt,
} from '../../velocity/index.ts'
import type { HandbookTransaction } from './transactions.ts'

export const DAY_MS = 86_400_000

/** Nobody knows before this whether a transaction was a fraud. */
export const LABEL_DELAY_MS = 7 * DAY_MS

export const CUSTOMER_DAYS = [1, 7, 14, 30] as const
export const TERMINAL_DAYS = [1, 7, 14, 21, 28, 30] as const
export type CustomerDays = (typeof CUSTOMER_DAYS)[number]
export type TerminalDays = (typeof TERMINAL_DAYS)[number]

/** Below this multiple of the customer's mean an amount is ordinary. */
const ORDINARY_RATIO_MAX = 2

/** Twenty a day for 30 days; the busiest simulated customer makes some ten. */
const RING_ATTEMPTS = 600
const VELOCITY_BYTES_MAX = 8e9
const DEADLINE_MS = 60_000
const SECONDS_A_DAY = 86_400

const CUSTOMER_PLAN: AggregatePlan = CUSTOMER_DAYS.flatMap((days) =>
  (['count', 'sum', 'max'] as const).map((of) => ({
    function: of,
    entity: 'customer' as const,
    windowSeconds: days * SECONDS_A_DAY,
  })),
)

const TERMINAL_PLAN: AggregatePlan = [
  ...TERMINAL_DAYS.map((days) => ({
    function: 'count' as const,
    entity: 'terminal' as const,
    windowSeconds: days * SECONDS_A_DAY,
  })),
  { function: 'secondsSinceLast', entity: 'terminal', windowSeconds: 28 * SECONDS_A_DAY },
]

/** What is known of one kind of outcome at a terminal, as of a delay ago. */
export class TerminalHistory {
  readonly #values: Float64Array
  constructor(values: Float64Array) {
    this.#values = values
  }
  count(days: TerminalDays): number {
    return this.#values[TERMINAL_DAYS.indexOf(days)] as number
  }
  /** Since the last one in 28 days; NaN without. */
  get secondsSinceLast(): number {
    return this.#values[TERMINAL_DAYS.length] as number
  }
}

/** The attempts of a customer up to and including the current one. Amounts in minor units. */
export class CustomerHistory {
  readonly #values: Float64Array
  constructor(values: Float64Array) {
    this.#values = values
  }
  count(days: CustomerDays): number {
    return this.#values[3 * CUSTOMER_DAYS.indexOf(days)] as number
  }
  sum(days: CustomerDays): number {
    return this.#values[3 * CUSTOMER_DAYS.indexOf(days) + 1] as number
  }
  max(days: CustomerDays): number {
    return this.#values[3 * CUSTOMER_DAYS.indexOf(days) + 2] as number
  }
}

/** One transaction with all that was known when it came. */
export interface KnownTransaction {
  readonly transaction: HandbookTransaction
  readonly customer: CustomerHistory
  readonly genuine: TerminalHistory
  readonly fraud: TerminalHistory
  readonly ordinaryFraud: TerminalHistory
}

/**
 * Yields the transactions for which `isWanted` holds, in their order, which must be that of time.
 * All of them are counted. Throws where one is earlier than the one before it.
 */
export async function* withHistory(
  transactions: readonly HandbookTransaction[],
  isWanted: (transaction: HandbookTransaction) => boolean,
): AsyncGenerator<KnownTransaction, void, undefined> {
  const customers = openCounters()
  const genuine = openCounters()
  const fraud = openCounters()
  const ordinaryFraud = openCounters()
  const isOrdinary = new Uint8Array(transactions.length)
  let labelled = 0
  let lastMs = Number.NEGATIVE_INFINITY
  for (const [index, transaction] of transactions.entries()) {
    const { atMs, customer, terminal } = transaction
    if (atMs < lastMs) throw new RangeError(`transaction ${transaction.id} is out of order`)
    lastMs = atMs
    for (; (transactions[labelled]?.atMs ?? atMs) <= atMs - LABEL_DELAY_MS; labelled++) {
      const known = transactions[labelled] as HandbookTransaction
      const attempt = attemptOf(known, { terminal: known.terminal })
      await append(known.fraud ? fraud : genuine, attempt)
      if (known.fraud && isOrdinary[labelled] === 1) await append(ordinaryFraud, attempt)
    }
    const own = attemptOf(transaction, { customer })
    const [answer] = await customers.observe([own], CUSTOMER_PLAN, DEADLINE_MS)
    const history = new CustomerHistory(answer?.values ?? new Float64Array(0))
    isOrdinary[index] = amountToEarlierMean(transaction, history) >= ORDINARY_RATIO_MAX ? 0 : 1
    if (!isWanted(transaction)) continue
    const probe = { ...attemptOf(transaction, { terminal }), atMs: atMs - LABEL_DELAY_MS }
    yield {
      transaction,
      customer: history,
      genuine: readTerminal(genuine, probe),
      fraud: readTerminal(fraud, probe),
      ordinaryFraud: readTerminal(ordinaryFraud, probe),
    }
  }
}

/** The amount over the mean of the customer's earlier ones in 30 days; NaN without any. */
export function amountToEarlierMean(
  transaction: HandbookTransaction,
  customer: CustomerHistory,
): number {
  const earlier = customer.count(30) - 1
  const sum = customer.sum(30) - transaction.amount
  return earlier > 0 && sum > 0 ? (transaction.amount * earlier) / sum : Number.NaN
}

function openCounters(): EmbeddedVelocity {
  return createEmbeddedVelocity({ bytesMax: VELOCITY_BYTES_MAX, ringAttemptsMax: RING_ATTEMPTS })
}

function attemptOf(
  transaction: HandbookTransaction,
  keys: VelocityAttempt['keys'],
): VelocityAttempt {
  return {
    // An event's identity is the first 56 bits.
    eventHash: `${transaction.id.toString(16).padStart(14, '0')}00`,
    atMs: transaction.atMs,
    baseAmount: transaction.amount,
    keys,
    latitude: Number.NaN,
    longitude: Number.NaN,
  }
}

const NOTHING_ASKED: AggregatePlan = []

async function append(counters: EmbeddedVelocity, attempt: VelocityAttempt): Promise<void> {
  await counters.observe([attempt], NOTHING_ASKED, DEADLINE_MS)
}

function readTerminal(counters: EmbeddedVelocity, probe: VelocityAttempt): TerminalHistory {
  const [answer] = counters.read([probe], TERMINAL_PLAN)
  return new TerminalHistory(answer?.values ?? new Float64Array(0))
}
