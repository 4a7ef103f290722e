// One batch from requests to decisions: entity keys -> velocity -> features -> model -> rules ->
// decide. It knows no threads: a worker runs it, and so do tests, the simulation and backtests.
//
//   requests ──> facts ──> velocity ──> features ──> model ──> rules ──> decide
//                             │ missing             │ missing            │
//                             └─────────────────────┴───────> policy ────┘
//
// A part that fails is missing for the whole batch, is named in `degraded`, and its values are NaN:
// a rule that reads them is unknown, and the analyst's policy gives the least outcome. A cluster's
// velocity may be missing in part: then for the entities of the server that failed.

import {
  type AggregatePlan,
  aggregateKey,
  type Entity,
  type Lists,
  type MissingParts,
  type RuleFacts,
  type RuleSet,
} from '#rules'
import { decide, degradedParts } from './decide.ts'
import { createEntityKeys, type EntityKeyMaker } from './entity-keys.ts'
import { type FactSource, factSource, factsOf } from './facts.ts'
import { FEATURE_AGGREGATES, FEATURES, featureSlots, fillFeatures } from './features.ts'
import { bandOf, type Model } from './onnx/index.ts'
import type { Clock } from './ports.ts'
import { lookedUpOf, lowerBoundsOf } from './replay.ts'
import type { ChallengerScore, Decision, ScoringRequest } from './request.ts'
import type {
  Velocity,
  VelocityAttempt,
  VelocityLabel,
  VelocityOutcomeEvent,
  VelocityValues,
} from './velocity/index.ts'
import { whyOf } from './why.ts'
import type { OutcomeEvent } from './wire.ts'

export interface ScoringOptions {
  readonly ruleSet: RuleSet
  readonly lists: Lists
  readonly model: Model
  /** In shadow: scored on the same batch, kept with the decision, without effect. */
  readonly challengers?: readonly Model[]
  readonly velocity: Velocity
  readonly clock: Clock
  /** For entity tokens: 16 bytes or more, derived for this purpose alone. */
  readonly entityKey: Uint8Array
  /** Of the same key, with its warm cache; absent: a new one. */
  readonly keysOf?: EntityKeyMaker
}

export interface Scoring {
  /** What `Decision.aggregates` holds, in order. */
  readonly plan: AggregatePlan
  /**
   * Scores up to BATCH_MAX requests; one decision each, in their order. Never rejects. Takes at
   * most `velocityDeadlineMs` for velocity, then a few milliseconds.
   */
  score(requests: readonly ScoringRequest[], velocityDeadlineMs: number): Promise<ScoredBatch>
  /** Tells velocity what became of attempts. Rejects where velocity does not take them. */
  publish(outcomes: readonly OutcomeEvent[], deadlineMs: number): Promise<void>
}

/**
 * Why a part was missing for a batch: a stable code where there is one, else the error's message.
 */
export interface ScoringFaults {
  readonly velocity: string | null
  readonly model: string | null
}

export interface ScoredBatch {
  /** One a request, in their order. */
  readonly decisions: readonly Decision[]
  readonly faults: ScoringFaults
}

export const NO_FAULTS: ScoringFaults = { velocity: null, model: null }

export function createScoring(options: ScoringOptions): Scoring {
  return new BatchScoring(options)
}

/** Rules and model ask together: the rules' aggregates first, so that theirs are a prefix. */
export function mergePlans(rules: AggregatePlan, model: AggregatePlan): AggregatePlan {
  const known = new Set(rules.map(aggregateKey))
  return [...rules, ...model.filter((aggregate) => !known.has(aggregateKey(aggregate)))]
}

/** What the steps of one batch took, in microseconds. */
type StepMicros = Decision['stepMicros']

/** A batch on its way through the steps; null is missing, and why is in `faults`. */
interface Batch {
  readonly facts: readonly RuleFacts[]
  readonly requests: readonly ScoringRequest[]
  velocity: readonly VelocityValues[] | null
  readonly features: Float32Array
  scores: Float32Array | null
  /** One a challenger; null where it failed. */
  shadowScores: readonly (Float32Array | null)[]
  readonly faults: { velocity: string | null; model: string | null }
}

class BatchScoring implements Scoring {
  readonly plan: AggregatePlan
  readonly #options: ScoringOptions
  readonly #keysOf: EntityKeyMaker
  readonly #featureSlots: Uint16Array
  readonly #factSource: FactSource
  /** Which entity each aggregate of the plan counts. */
  readonly #entities: readonly Entity[]
  /** Stands for the values of a message whose velocity is missing: shared, nobody writes to it. */
  readonly #nothingKnown: VelocityValues
  readonly #readsExpiry: boolean

  constructor(options: ScoringOptions) {
    this.#options = options
    this.plan = mergePlans(options.ruleSet.aggregates, FEATURE_AGGREGATES)
    this.#factSource = factSource(options.lists)
    this.#keysOf = options.keysOf ?? createEntityKeys(options.entityKey)
    this.#featureSlots = featureSlots(this.plan)
    this.#readsExpiry = options.ruleSet.paths.includes('card.expiry')
    this.#entities = this.plan.map((aggregate) => aggregate.entity)
    this.#nothingKnown = {
      values: new Float64Array(this.plan.length).fill(Number.NaN),
      saturated: new Uint8Array(this.plan.length),
      isPartial: true,
    }
  }

  async score(
    requests: readonly ScoringRequest[],
    velocityDeadlineMs: number,
  ): Promise<ScoredBatch> {
    if (requests.length === 0) return { decisions: [], faults: NO_FAULTS }
    const { clock } = this.#options
    const startMs = clock.monotonic()
    const batch: Batch = {
      requests,
      facts: requests.map((request) => factsOf(request, this.#factSource)),
      velocity: null,
      features: new Float32Array(requests.length * FEATURES.length),
      scores: null,
      shadowScores: [],
      faults: { velocity: null, model: null },
    }
    await this.#observe(batch, requests, velocityDeadlineMs)
    const velocityMs = clock.monotonic()
    this.#fill(batch)
    const featuresMs = clock.monotonic()
    await this.#infer(batch)
    const modelMs = clock.monotonic()
    const stepMicros = {
      velocity: micros(velocityMs - startMs),
      features: micros(featuresMs - velocityMs),
      model: micros(modelMs - featuresMs),
      rules: 0,
    }
    const decisions = batch.facts.map((facts, row) => this.#decide(batch, facts, row, stepMicros))
    // Known only now; the decisions share the one object.
    stepMicros.rules = micros(clock.monotonic() - modelMs)
    return { decisions, faults: batch.faults }
  }

  async publish(outcomes: readonly OutcomeEvent[], deadlineMs: number): Promise<void> {
    const events = outcomes.map((outcome): VelocityOutcomeEvent | VelocityLabel => {
      const { eventHash, atMs, kind, responseCode } = outcome
      const keys = this.#keysOf(outcome)
      if (kind === 'fraud' || kind === 'cleared') return { eventHash, atMs, keys, kind }
      return { eventHash, atMs, keys, kind, responseCode }
    })
    await this.#options.velocity.publish(events, deadlineMs)
  }

  async #observe(
    batch: Batch,
    requests: readonly ScoringRequest[],
    deadlineMs: number,
  ): Promise<void> {
    const attempts = requests.map(
      (request, row): VelocityAttempt => ({
        eventHash: request.eventHash,
        atMs: request.arrivedAtMs,
        baseAmount: (batch.facts[row] as RuleFacts).baseAmount,
        keys: this.#keysOf(request),
        latitude: request.merchant.latitude ?? Number.NaN,
        longitude: request.merchant.longitude ?? Number.NaN,
      }),
    )
    try {
      batch.velocity = await this.#options.velocity.observe(attempts, this.plan, deadlineMs)
      if (batch.velocity.some(({ isPartial }) => isPartial)) {
        batch.faults.velocity = 'velocity_partial'
      }
    } catch (error) {
      batch.faults.velocity = faultOf(error)
    }
  }

  #fill(batch: Batch): void {
    for (let row = 0; row < batch.facts.length; row++) {
      const facts = batch.facts[row] as RuleFacts
      const { values } = batch.velocity?.[row] ?? this.#nothingKnown
      fillFeatures(batch.features, row * FEATURES.length, facts, values, this.#featureSlots)
    }
  }

  /** One inference for the batch. */
  async #infer(batch: Batch): Promise<void> {
    try {
      batch.scores = await this.#options.model.score(batch.features, batch.facts.length)
    } catch (error) {
      batch.faults.model = faultOf(error)
    }
    const { challengers = [] } = this.#options
    if (challengers.length === 0) return
    const shadow: (Float32Array | null)[] = []
    for (const challenger of challengers) {
      // A challenger that fails is missing, for the comparison only.
      shadow.push(await challenger.score(batch.features, batch.facts.length).catch(() => null))
    }
    batch.shadowScores = shadow
  }

  #challengerScores(batch: Batch, row: number): readonly ChallengerScore[] | undefined {
    const { challengers = [] } = this.#options
    if (challengers.length === 0) return undefined
    return challengers.map(({ version }, i) => ({
      model: version,
      score: batch.shadowScores[i]?.[row] ?? null,
    }))
  }

  #decide(batch: Batch, facts: RuleFacts, row: number, stepMicros: StepMicros): Decision {
    const { ruleSet, model } = this.#options
    const { values, saturated, isPartial } = batch.velocity?.[row] ?? this.#nothingKnown
    const score = batch.scores === null ? null : (batch.scores[row] as number)
    const verdict = ruleSet.evaluate({
      facts,
      aggregates: values.subarray(0, ruleSet.aggregates.length),
      saturated: saturated.subarray(0, ruleSet.aggregates.length),
      score: score ?? Number.NaN,
      atMs: batch.requests[row]?.arrivedAtMs ?? Number.NaN,
    })
    const missing: MissingParts = { velocity: isPartial, model: score === null }
    const ruling = decide(ruleSet, verdict, missing, facts.channel, facts.baseAmount)
    const width = FEATURES.length
    return {
      outcome: ruling.outcome,
      score,
      band: score === null ? null : (bandOf(model.bands, score)?.name ?? null),
      reasons: ruling.reasons,
      disclosedReasons: ruling.disclosedReasons,
      hits: verdict.hits,
      degraded: degradedParts(missing),
      ruleSet: ruleSet.hash,
      model: score === null ? null : model.version,
      features: score === null ? NO_FEATURES : batch.features.slice(row * width, (row + 1) * width),
      aggregates: values,
      unknownRules: verdict.unknownRules,
      saturated: this.#saturatedEntities(saturated),
      lookedUp: lookedUpOf(facts, this.#readsExpiry),
      lowerBounds: lowerBoundsOf(saturated),
      challengers: this.#challengerScores(batch, row),
      why:
        score === null || ruling.outcome === 'approve'
          ? undefined
          : whyOf(model, batch.features, row * width),
      stepMicros,
    }
  }

  #saturatedEntities(saturated: Uint8Array): readonly Entity[] {
    if (!saturated.includes(1)) return NO_ENTITIES
    return [...new Set(this.#entities.filter((_, slot) => saturated[slot] === 1))]
  }
}

const NO_FEATURES = new Float32Array(0)
const NO_ENTITIES: readonly Entity[] = []

/** Velocity's errors have a stable code. A bug shows by its message, and the batch is degraded. */
function faultOf(error: unknown): string {
  const { code, message } = error as { code?: unknown; message?: unknown }
  return typeof code === 'string' ? code : String(message)
}

function micros(ms: number): number {
  return Math.round(ms * 1000)
}
