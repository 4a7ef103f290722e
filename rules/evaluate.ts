// From findings to a verdict: which rules fired, which outcome wins, with which reasons and values.

import type { CompiledConditions, Explain, Findings } from './language/index.ts'
import type { RiskOutcome, RuleHit, RuleMode } from './outcome.ts'
import type { RuleInput, RuleVerdict } from './rule-set.ts'

/** A rule that is evaluated (live or shadow), in the order of the compiled conditions. */
export interface ActiveRule {
  readonly id: string
  readonly mode: RuleMode
  readonly outcome: RiskOutcome
  readonly reason: string
  readonly disclose: boolean
  readonly overridesDecline: boolean
  readonly explain: Explain
}

const quiet: RuleVerdict = Object.freeze({
  outcome: 'approve',
  reasons: Object.freeze([]),
  disclosedReasons: Object.freeze([]),
  hits: Object.freeze([]),
  unknownRules: Object.freeze([]),
})

/** The evaluation of a rule set. One call at a time, which is all that one thread can make. */
export function createEvaluate(
  rules: readonly ActiveRule[],
  conditions: CompiledConditions,
): (input: RuleInput) => RuleVerdict {
  const findings: Findings = {
    hits: new Uint16Array(rules.length),
    unknown: new Uint16Array(rules.length),
    counts: new Uint32Array(2),
  }
  return (input) => {
    const { facts, aggregates, saturated, score, atMs = Number.NaN } = input
    conditions(facts, aggregates, saturated, score, atMs, findings)
    const hitCount = findings.counts[0] ?? 0
    const unknownCount = findings.counts[1] ?? 0
    if (hitCount === 0 && unknownCount === 0) return quiet
    const hits: RuleHit[] = []
    const live: ActiveRule[] = []
    for (let index = 0; index < hitCount; index++) {
      const rule = rules[findings.hits[index] ?? 0]
      if (rule === undefined) continue
      const { id, mode, outcome, reason, disclose } = rule
      const values = rule.explain(facts, aggregates, score, atMs)
      hits.push({ rule: id, mode, outcome, reason, disclose, values })
      if (rule.mode === 'live') live.push(rule)
    }
    const unknownRules: string[] = []
    for (let index = 0; index < unknownCount; index++) {
      unknownRules.push(rules[findings.unknown[index] ?? 0]?.id ?? '')
    }
    return verdictOf(live, hits, unknownRules)
  }
}

/**
 * The worst live hit wins, with two exceptions: an approve rule beats review and challenge, and one
 * that overrides decline beats that too.
 */
export function outcomeOf(
  live: readonly Pick<ActiveRule, 'outcome' | 'overridesDecline'>[],
): RiskOutcome {
  let approved = false
  let overridden = false
  let declined = false
  let challenged = false
  for (const rule of live) {
    if (rule.outcome === 'decline') declined = true
    else if (rule.outcome === 'challenge') challenged = true
    else if (rule.outcome === 'approve') {
      approved = true
      overridden ||= rule.overridesDecline
    }
  }
  if (declined && !overridden) return 'decline'
  if (approved || live.length === 0) return 'approve'
  return challenged ? 'challenge' : 'review'
}

function verdictOf(
  live: readonly ActiveRule[],
  hits: readonly RuleHit[],
  unknownRules: readonly string[],
): RuleVerdict {
  const outcome = outcomeOf(live)
  const reasons: string[] = []
  const disclosedReasons: string[] = []
  for (const rule of live) {
    if (rule.outcome !== outcome) continue
    if (!reasons.includes(rule.reason)) reasons.push(rule.reason)
    if (rule.disclose && !disclosedReasons.includes(rule.reason)) disclosedReasons.push(rule.reason)
  }
  return { outcome, reasons, disclosedReasons, hits, unknownRules }
}
