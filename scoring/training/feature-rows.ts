// Generated transactions through the code that scores live ones: the same facts, entity keys,
// velocity and feature table, in event time. What differs is only who asks. Answers and labels are
// told when they were known, and no earlier.

import { createEntityKeys } from '../entity-keys.ts'
import { type FactSource, factsOf } from '../facts.ts'
import { FEATURE_AGGREGATES, FEATURES, featureSlots, fillFeatures } from '../features.ts'
import {
  LateLabels,
  type Velocity,
  type VelocityAttempt,
  type VelocityOutcomeEvent,
} from '../velocity/index.ts'
import type { GeneratedTransaction, TransactionKind } from './purchase.ts'
import { createRandom } from './random.ts'

export interface FeatureRowOptions {
  /** Makes an empty velocity: once at the start and once at every restart. */
  readonly openVelocity: () => Velocity
  readonly factSource: FactSource
  /**
   * Moments at which velocity starts again from nothing, ascending, milliseconds since 1970: a
   * fresh switch knows nobody, and unknown must not look like fraud.
   */
  readonly restartsAtMs: readonly number[]
  /** Share of rows for which velocity did not answer. */
  readonly velocityMissingShare: number
  readonly seed: number
}

/** One row of the model's input with its truth. */
export interface FeatureRow {
  readonly atMs: number
  readonly kind: TransactionKind
  /** Minor units of the base currency; NaN where unknown. */
  readonly baseAmount: number
  /** Belongs to the caller until it asks for the next row. */
  readonly features: Float32Array
}

/** Long enough never to matter: nothing waits for anybody here. */
const DEADLINE_MS = 60_000

/** Any fixed key will do: tokens of generated identities protect nobody. */
const ENTITY_KEY = new Uint8Array(32).fill(1)

const NO_AGGREGATES = new Float64Array(0)

/** Yields a row for each transaction, in their order. */
export async function* featureRows(
  transactions: Iterable<GeneratedTransaction>,
  options: FeatureRowOptions,
): AsyncGenerator<FeatureRow, void, undefined> {
  const random = createRandom(options.seed)
  const keysOf = createEntityKeys(ENTITY_KEY)
  const slots = featureSlots(FEATURE_AGGREGATES)
  const features = new Float32Array(FEATURES.length)
  const restarts = [...options.restartsAtMs]
  const answers: VelocityOutcomeEvent[] = []
  const labels = new LateLabels()
  let velocity = options.openVelocity()
  try {
    for (const transaction of transactions) {
      const { request, kind, responseCode, answeredAtMs } = transaction
      const atMs = request.arrivedAtMs
      if (restarts[0] !== undefined && atMs >= restarts[0]) {
        restarts.shift()
        await velocity.close()
        velocity = options.openVelocity()
      }
      await tellAnswers(velocity, answers, atMs)
      for (const label of labels.until(atMs)) await velocity.publish([label], DEADLINE_MS)
      const facts = factsOf(request, options.factSource)
      const attempt: VelocityAttempt = {
        eventHash: request.eventHash,
        atMs,
        baseAmount: facts.baseAmount,
        keys: keysOf(request),
        latitude: request.merchant.latitude ?? Number.NaN,
        longitude: request.merchant.longitude ?? Number.NaN,
      }
      const [answer] = await velocity.observe([attempt], FEATURE_AGGREGATES, DEADLINE_MS)
      const missing = answer === undefined || random.chance(options.velocityMissingShare)
      fillFeatures(features, 0, facts, missing ? NO_AGGREGATES : answer.values, slots)
      yield { atMs, kind, baseAmount: facts.baseAmount, features }
      answers.push({
        eventHash: request.eventHash,
        atMs: answeredAtMs,
        keys: attempt.keys,
        kind: responseCode === '00' ? 'approved' : 'declined',
        responseCode,
      })
      const { eventHash } = request
      labels.add({ eventHash, atMs, keys: attempt.keys, kind: 'fraud' }, transaction.knownAtMs)
    }
  } finally {
    await velocity.close()
  }
}

/** Publishes what issuers answered up to `atMs`; the rest of `answers` stays. */
async function tellAnswers(
  velocity: Velocity,
  answers: VelocityOutcomeEvent[],
  atMs: number,
): Promise<void> {
  // Answers take at most two seconds, so the list is short and nearly in order.
  const due = answers.filter((answer) => answer.atMs <= atMs)
  if (due.length === 0) return
  const later = answers.filter((answer) => answer.atMs > atMs)
  answers.splice(0, answers.length, ...later)
  due.sort((one, other) => one.atMs - other.atMs)
  for (const answer of due) await velocity.publish([answer], DEADLINE_MS)
}
