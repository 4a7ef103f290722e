// Past payments through the code that scores live ones: the same compiled rules, features, model
// and decision, on counters of its own. Rule sets with the same exchange rates share counters and
// model: half the work, and what differs between their decisions comes from the rules alone.

import { type AggregatePlan, aggregateKey, type Lists, type RuleSet } from '#rules'
import { createEntityKeys } from '../entity-keys.ts'
import { BATCH_MAX } from '../limits.ts'
import type { Model } from '../onnx/index.ts'
import type { Decision } from '../request.ts'
import { createScoring, mergePlans, type Scoring } from '../score.ts'
import {
  createEmbeddedVelocity,
  type EmbeddedVelocity,
  type Velocity,
  type VelocityAttempt,
  type VelocityValues,
} from '../velocity/index.ts'
import { DEADLINE_MS, type EventTimeVelocity, eventTimeVelocity } from './event-time.ts'
import { tokenCacheEntriesMax, velocityBytesMax } from './limits.ts'
import { isFraud, type Label, type PastPayment } from './past-payment.ts'

export interface CompiledRules {
  readonly ruleSet: RuleSet
  readonly lists: Lists
}

export interface BacktestEngine {
  /**
   * The decisions of each rule set, in the order of the payments, which must be that of their
   * arrival. At most `BATCH_MAX` payments.
   */
  decide(payments: readonly PastPayment[]): Promise<readonly (readonly Decision[])[]>
  /** Entities that were counted, and how many were forgotten for want of memory. */
  readonly counted: { readonly entities: number; readonly evicted: number }
  close(): Promise<void>
}

export { BATCH_MAX }

/** Any fixed key will do: these counters leave the process in no form. */
const entityKey = new Uint8Array(32).fill(1)

/** Steps of a batch are not timed: the report has the time of the whole run. */
const clock = { now: () => 0, monotonic: () => 0 }

/**
 * `labelOf`: what is known of a payment, and since when. `sharesCounters`: the sets turn amounts
 * into base amounts alike, so one state of the counters does for all of them.
 */
export function createEngine(
  sets: readonly CompiledRules[],
  model: Model,
  labelOf: (payment: PastPayment) => Label | undefined,
  sharesCounters = true,
): BacktestEngine {
  if (sets.length === 0) throw new RangeError('there is no rule set to decide with')
  return new Engine(sets, model, labelOf, sharesCounters)
}

class Engine implements BacktestEngine {
  readonly #embedded: readonly EmbeddedVelocity[]
  readonly #velocities: readonly EventTimeVelocity[]
  readonly #scorings: readonly Scoring[]
  readonly #labelOf: (payment: PastPayment) => Label | undefined

  constructor(
    sets: readonly CompiledRules[],
    model: Model,
    labelOf: (payment: PastPayment) => Label | undefined,
    sharesCounters: boolean,
  ) {
    this.#labelOf = labelOf
    const count = sharesCounters ? 1 : sets.length
    this.#embedded = Array.from({ length: count }, () =>
      createEmbeddedVelocity({ bytesMax: velocityBytesMax / count, offline: true }),
    )
    this.#velocities = this.#embedded.map(eventTimeVelocity)
    const [first] = this.#velocities
    const plans = sets.map(({ ruleSet }) => ruleSet.aggregates)
    const isShared = first !== undefined && sharesCounters && sets.length > 1
    const shared = isShared ? sharedVelocity(first, plans) : undefined
    const remembering = isShared ? rememberingModel(model) : model
    const keysOf = createEntityKeys(entityKey, tokenCacheEntriesMax)
    this.#scorings = sets.map(({ ruleSet, lists }, index) => {
      const velocity = shared ?? (this.#velocities[index] as Velocity)
      const parts = { ruleSet, lists, model: remembering, velocity, clock }
      return createScoring({ ...parts, entityKey, keysOf })
    })
  }

  get counted() {
    const [first] = this.#embedded
    const evicted = this.#embedded.reduce((sum, { evicted: gone }) => sum + gone, 0)
    return { entities: first?.entities ?? 0, evicted }
  }

  async decide(payments: readonly PastPayment[]): Promise<readonly (readonly Decision[])[]> {
    for (const payment of payments) {
      const { request, outcome, endedAtMs, responseCode } = payment
      const label = this.#labelOf(payment)
      if (label !== undefined && isFraud(label)) {
        for (const velocity of this.#velocities) {
          velocity.expectFraud(request.eventHash, label.knownAtMs)
        }
      }
      if (outcome === undefined || outcome === 'approved' || Number.isNaN(endedAtMs)) continue
      const ending = { atMs: endedAtMs, responseCode }
      for (const velocity of this.#velocities) velocity.expect(request.eventHash, ending)
    }
    const requests = payments.map(({ request }) => request)
    const all: (readonly Decision[])[] = []
    for (const scoring of this.#scorings) {
      const { decisions, faults } = await scoring.score(requests, DEADLINE_MS)
      // Here nothing is late: a part that fails is a bug, and its report would be worth nothing.
      const fault = faults.velocity ?? faults.model
      if (fault !== null) throw new Error(`a part of scoring failed: ${fault}`)
      all.push(decisions)
    }
    return all
  }

  async close(): Promise<void> {
    for (const velocity of this.#velocities) await velocity.close()
  }
}

/**
 * One velocity for several askers of the same attempts: the first that asks has them counted, with
 * the aggregates of all; the others get the rest of that answer.
 */
function sharedVelocity(velocity: Velocity, plans: readonly AggregatePlan[]): Velocity {
  const slotsOf = new Map<AggregatePlan, Uint16Array>()
  let whole: AggregatePlan = plans.reduce(mergePlans)
  let last: { first: VelocityAttempt; size: number; values: readonly VelocityValues[] } | undefined
  const slots = (plan: AggregatePlan): Uint16Array => {
    let known = slotsOf.get(plan)
    if (known === undefined) {
      const keys = whole.map(aggregateKey)
      known = Uint16Array.from(plan, (aggregate) => keys.indexOf(aggregateKey(aggregate)))
      slotsOf.set(plan, known)
    }
    return known
  }
  return {
    async observe(attempts, plan) {
      const [first] = attempts
      if (first === undefined) return []
      const isNew = last?.first.eventHash !== first.eventHash || last.size !== attempts.length
      if (isNew) {
        // The plan of an asker has the model's aggregates too, which the rule sets don't tell.
        if (slotsOf.size === 0) whole = mergePlans(whole, plan)
        const values = await velocity.observe(attempts, whole, DEADLINE_MS)
        last = { first, size: attempts.length, values }
      }
      const chosen = slots(plan)
      return (last?.values ?? []).map(({ values, saturated, isPartial }) => ({
        values: Float64Array.from(chosen, (slot) => values[slot] as number),
        saturated: Uint8Array.from(chosen, (slot) => saturated[slot] as number),
        isPartial,
      }))
    },
    publish: (outcomes, deadlineMs) => velocity.publish(outcomes, deadlineMs),
    close: () => velocity.close(),
  }
}

/** A model that scores the same rows once. */
function rememberingModel(model: Model): Model {
  let asked: Float32Array | undefined
  let scores: Float32Array | undefined
  const { explainer } = model
  return {
    ...(explainer === undefined ? {} : { explainer }),
    name: model.name,
    version: model.version,
    featureNames: model.featureNames,
    bands: model.bands,
    async score(features, rows) {
      if (scores === undefined || asked === undefined || !sameBytes(asked, features)) {
        scores = await model.score(features, rows)
        asked = features.slice()
      }
      return scores
    },
    release: () => model.release(),
  }
}

function sameBytes(one: Float32Array, other: Float32Array): boolean {
  const bytes = (values: Float32Array) =>
    Buffer.from(values.buffer, values.byteOffset, values.byteLength)
  return bytes(one).equals(bytes(other))
}
