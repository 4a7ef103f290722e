// Past payments counted anew, in event time: what rebuilds counters that were lost, and what they
// are checked against.

import type { Lists } from '#rules'
import { createEntityKeys } from '../entity-keys.ts'
import { BATCH_MAX } from '../limits.ts'
import type { Velocity, VelocityAttempt } from '../velocity/index.ts'
import { DEADLINE_MS, type EventTimeVelocity, eventTimeVelocity } from './event-time.ts'
import { isFraud, type PastPayment } from './past-payment.ts'

export interface CountPastOptions {
  /** Turns amounts into base amounts, as they are counted. */
  readonly lists: Pick<Lists, 'baseAmount'>
  /** The key of the switch whose counters these are. */
  readonly entityKey: Uint8Array
  /** Payments from before are left out: no window reaches them. Milliseconds since 1970. */
  readonly sinceMs: number
  /** Told after each chunk how many were counted so far. */
  readonly onProgress?: (payments: number) => void
}

export interface PastCounted {
  readonly payments: number
  /** Of the first and last that was counted, milliseconds since 1970; NaN where there was none. */
  readonly firstMs: number
  readonly lastMs: number
}

const NO_AGGREGATES: [] = []

/**
 * Counts payments in `velocity`, which must hold none of them, or events that are long gone from its
 * rings would count twice. They come in order of arrival. Rejects with what velocity rejects with.
 */
export async function countPast(
  velocity: Velocity,
  chunks: AsyncIterable<readonly PastPayment[]>,
  options: CountPastOptions,
): Promise<PastCounted> {
  const keysOf = createEntityKeys(options.entityKey)
  const counting = eventTimeVelocity(velocity)
  const counted = { payments: 0, firstMs: Number.NaN, lastMs: Number.NaN }
  for await (const chunk of chunks) {
    const payments = chunk.filter(({ request }) => request.arrivedAtMs >= options.sinceMs)
    for (let from = 0; from < payments.length; from += BATCH_MAX) {
      await countBatch(counting, payments.slice(from, from + BATCH_MAX), keysOf, options)
    }
    const [first] = payments
    const last = payments.at(-1)
    if (first !== undefined && counted.payments === 0) counted.firstMs = first.request.arrivedAtMs
    if (last !== undefined) counted.lastMs = last.request.arrivedAtMs
    counted.payments += payments.length
    options.onProgress?.(counted.payments)
  }
  await counting.settle()
  return counted
}

async function countBatch(
  counting: EventTimeVelocity,
  payments: readonly PastPayment[],
  keysOf: ReturnType<typeof createEntityKeys>,
  { lists }: CountPastOptions,
): Promise<void> {
  const attempts = payments.map(
    ({ request, outcome, endedAtMs, responseCode, label }): VelocityAttempt => {
      const { amount, currency, arrivedAtMs, eventHash, merchant } = request
      if (outcome !== undefined && outcome !== 'approved' && !Number.isNaN(endedAtMs)) {
        counting.expect(eventHash, { atMs: endedAtMs, responseCode })
      }
      if (label !== undefined && isFraud(label)) counting.expectFraud(eventHash, label.knownAtMs)
      return {
        eventHash,
        atMs: arrivedAtMs,
        baseAmount: lists.baseAmount(amount, currency, arrivedAtMs),
        keys: keysOf(request),
        latitude: merchant.latitude ?? Number.NaN,
        longitude: merchant.longitude ?? Number.NaN,
      }
    },
  )
  await counting.observe(attempts, NO_AGGREGATES, DEADLINE_MS)
}
