// What scoring is asked, and what it answers. The request carries tokens and BIN, never a PAN.

import type { Entity, RiskOutcome, RuleHit } from '#rules'
import type { LabelEventKind, OutcomeKind } from './velocity/index.ts'

/**
 * One authorization as rules and model see it. Field names are the request's own paths (CEL
 * conditions read them); absent means unknown, never zero. Amounts are integers in minor units.
 */
export interface ScoringRequest {
  /** The transaction's id, `auth_...`. */
  readonly id: string
  /**
   * Identity of the velocity event: 64 bits (16 hex digits) of a hash of (acquirer, idempotency
   * key).
   */
  readonly eventHash: string
  /** Arrival by the switch's clock, milliseconds since 1970. */
  readonly arrivedAtMs: number
  readonly acquirer: string
  readonly type: string
  readonly amount: number
  readonly currency: string
  readonly channel: string
  readonly card: {
    readonly token: string
    /** First 8 digits (6 where the PAN is shorter than 16). */
    readonly bin: string
    readonly country?: string
    readonly expiry?: string
  }
  readonly merchant: {
    readonly id: string
    readonly mcc: string
    readonly name?: string
    readonly city?: string
    readonly country?: string
    readonly latitude?: number
    readonly longitude?: number
    readonly timeZone?: string
  }
  readonly terminal?: { readonly id?: string; readonly entryMode?: string }
  readonly device?: {
    readonly id?: string
    readonly ip?: string
    readonly ipCountry?: string
    readonly userAgent?: string
  }
  readonly customer?: { readonly id?: string; readonly email?: string; readonly country?: string }
  readonly threeDs?: { readonly version?: string; readonly eci?: string; readonly status?: string }
}

/** A part of the decision that was missing when it was made. */
export type DegradedPart = 'velocity' | 'model' | 'worker'

/** A model in shadow: its version, and its probability of fraud, null where it failed. */
export interface ChallengerScore {
  readonly model: string
  readonly score: number | null
}

/** What one input of the model added to its raw score. */
export interface Contribution {
  readonly feature: string
  /** The feature table's words: completes "the model saw ...". */
  readonly meaning: string
  /** Null is missing. */
  readonly value: number | null
  /** In units of the raw score (log-odds for boosted trees); above 0 speaks for fraud. */
  readonly amount: number
}

/** Why the model scored as it did: raw = base + the contributions' amounts + others. */
export interface Why {
  /** Null where the model can't be explained. */
  readonly raw: number | null
  /** What the model would say of no message in particular. */
  readonly base: number | null
  /** The largest first. */
  readonly contributions: readonly Contribution[]
  readonly others: number
  /** Why there are none. */
  readonly unexplained: string | null
}

/** The answer of scoring, stored whole with the outcome. */
export interface Decision {
  readonly outcome: RiskOutcome
  /** Probability of fraud, 0..1; null when the model was missing. */
  readonly score: number | null
  /** Name of the model's band that holds the score; null when the model was missing. */
  readonly band: string | null
  /** Reason codes of the live rules that decided, worst first, without repeats. */
  readonly reasons: readonly string[]
  /** Reasons of rules that an acquirer may see (packs with `disclose: false` left out). */
  readonly disclosedReasons: readonly string[]
  readonly hits: readonly RuleHit[]
  readonly degraded: readonly DegradedPart[]
  /** Hash of the rule set and version of the model; null where that part was missing. */
  readonly ruleSet: string | null
  readonly model: string | null
  /** The model's inputs in manifest order; NaN is missing. Empty when the model was missing. */
  readonly features: Float32Array
  /** Values of the aggregates that were asked for, in the plan's order; NaN is missing. */
  readonly aggregates: Float64Array
  /** Rules whose condition was unknown. */
  readonly unknownRules: readonly string[]
  /** Entities whose ring was saturated inside a window that was asked for. */
  readonly saturated: readonly Entity[]
  /**
   * What rules saw beside the stored request, so that the decision can be replayed: the values of
   * `LOOKED_UP`, in that order; null is unknown. Decisions of older versions lack it.
   */
  readonly lookedUp?: readonly (string | number | null)[] | undefined
  /**
   * Bit i is set where aggregate i is only a lower bound; empty where none is. Decisions of older
   * versions lack it.
   */
  readonly lowerBounds?: Uint8Array | undefined
  /**
   * What the models in shadow said, by version; null where one failed. Without effect. Absent where
   * there are none, and in older decisions.
   */
  readonly challengers?: readonly ChallengerScore[] | undefined
  /** Why the score; absent for an approval, without a model, and in older decisions. */
  readonly why?: Why | undefined
  /**
   * Microseconds a step, for the metrics: what the message waited for, so each message of a batch
   * has the time of the whole batch. Zero for a step that was not taken.
   */
  readonly stepMicros: {
    readonly velocity: number
    readonly features: number
    readonly model: number
    readonly rules: number
  }
}

/**
 * What became of an attempt: a later event of the same entities. Or its label: `fraud`, and
 * `cleared` where an earlier one was wrong.
 */
export interface VelocityOutcome {
  readonly request: ScoringRequest
  readonly kind: OutcomeKind | LabelEventKind
  /** DE39 where declined. */
  readonly responseCode?: string
}

/** Port: scores authorizations. The production adapter is the pool of workers. */
export interface Scorer {
  /** Never rejects: what is missing is named in `degraded`. Resolves within `deadlineMs`. */
  score(request: ScoringRequest, deadlineMs: number): Promise<Decision>
  /** Tells velocity what became of an attempt. Best effort, bounded queue. */
  publish(outcome: VelocityOutcome): void
}
