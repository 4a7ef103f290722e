// The last step of scoring: rules have spoken, the model has (or hasn't) scored; what is the
// outcome?
//
// - The rule set's verdict is the worst live hit, allow-lists already applied.
// - Where parts were missing, the analyst's policy gives the least outcome; it can make a verdict
//   worse, never better: a card on an allow-list is no proof that the missing parts were fine.
// - Whether a challenge can be carried out (step-up) is the switch's business, not decided here.

import {
  type MissingParts,
  RISK_OUTCOMES,
  type RiskOutcome,
  type RuleSet,
  type RuleVerdict,
} from '#rules'
import type { Decision, DegradedPart } from './request.ts'

/** The worse of two outcomes. */
export function worse(one: RiskOutcome, other: RiskOutcome): RiskOutcome {
  return RISK_OUTCOMES.indexOf(one) >= RISK_OUTCOMES.indexOf(other) ? one : other
}

/** What the rules said, with the policy for missing parts applied. */
export interface Ruling {
  readonly outcome: RiskOutcome
  /** Worst first, without repeats. */
  readonly reasons: readonly string[]
  readonly disclosedReasons: readonly string[]
}

/**
 * Applies the policy for missing parts. `channel` and `baseAmount` (minor units of the base
 * currency; NaN is unknown) are what the policy may depend on.
 */
export function decide(
  ruleSet: Pick<RuleSet, 'outcomeWhenMissing'>,
  verdict: RuleVerdict,
  missing: MissingParts,
  channel: string,
  baseAmount: number,
): Ruling {
  if (!missing.velocity && !missing.model) return verdict
  const least = ruleSet.outcomeWhenMissing(missing, channel, baseAmount)
  if (least.outcome === 'approve') return verdict
  const outcome = worse(verdict.outcome, least.outcome)
  // The policy's reason stands where the policy counted: before milder reasons, after its equals,
  // and not at all behind a worse outcome that it did not bring about.
  if (outcome !== least.outcome) return verdict
  const first = verdict.outcome !== outcome
  return {
    outcome,
    reasons: joined(verdict.reasons, least.reason, first),
    disclosedReasons: joined(verdict.disclosedReasons, least.reason, first),
  }
}

function joined(reasons: readonly string[], reason: string, first: boolean): readonly string[] {
  if (reasons.includes(reason)) return reasons
  return first ? [reason, ...reasons] : [...reasons, reason]
}

const NO_RULES: RuleVerdict = {
  outcome: 'approve',
  reasons: [],
  disclosedReasons: [],
  hits: [],
  unknownRules: [],
}
const WORKER_MISSING: readonly DegradedPart[] = ['worker']
const NO_FEATURES = new Float32Array(0)
const NO_AGGREGATES = new Float64Array(0)
const NO_LOWER_BOUNDS = new Uint8Array(0)
const NO_STEPS: Decision['stepMicros'] = { velocity: 0, features: 0, model: 0, rules: 0 }

/**
 * The decision for a message that no worker answered in time: everything is missing, so the policy
 * for that decides alone. `ruleSet` names the set whose policy it was.
 */
export function decideWithoutWorker(
  ruleSet: Pick<RuleSet, 'hash' | 'outcomeWhenMissing'>,
  channel: string,
  baseAmount: number,
): Decision {
  const missing = { velocity: true, model: true }
  const ruling = decide(ruleSet, NO_RULES, missing, channel, baseAmount)
  return {
    outcome: ruling.outcome,
    score: null,
    band: null,
    reasons: ruling.reasons,
    disclosedReasons: ruling.disclosedReasons,
    hits: NO_RULES.hits,
    degraded: WORKER_MISSING,
    ruleSet: ruleSet.hash,
    model: null,
    features: NO_FEATURES,
    aggregates: NO_AGGREGATES,
    unknownRules: NO_RULES.unknownRules,
    saturated: [],
    lookedUp: [Number.isNaN(baseAmount) ? null : baseAmount],
    lowerBounds: NO_LOWER_BOUNDS,
    stepMicros: NO_STEPS,
  }
}

const NOTHING: readonly DegradedPart[] = []
const VELOCITY: readonly DegradedPart[] = ['velocity']
const MODEL: readonly DegradedPart[] = ['model']
const VELOCITY_AND_MODEL: readonly DegradedPart[] = ['velocity', 'model']

/** The missing parts as a decision names them. */
export function degradedParts(missing: MissingParts): readonly DegradedPart[] {
  if (missing.velocity) return missing.model ? VELOCITY_AND_MODEL : VELOCITY
  return missing.model ? MODEL : NOTHING
}
