// A decision again, from what was stored of it. The stored request lacks what was looked up when
// the message arrived (exchange rates, countries and time zones change) and the card's expiry, so
// the decision keeps these few values; velocity's answers and the model's score it keeps anyway.

import type { MissingParts, RuleFacts, RuleInput, RuleSet } from '#rules'
import { decide, decideWithoutWorker, type Ruling } from './decide.ts'
import { type FactSource, factsOf } from './facts.ts'
import type { Decision, ScoringRequest } from './request.ts'

/** What `Decision.lookedUp` holds, in order. The expiry only where a rule reads it. */
export const LOOKED_UP = [
  'baseAmount',
  'localHour',
  'localWeekday',
  'card.country',
  'device.ipCountry',
  'card.expiry',
] as const

/** Values of `LOOKED_UP`, those at the end left out where they are unknown. */
export function lookedUpOf(
  facts: RuleFacts,
  readsExpiry: boolean,
): readonly (string | number | null)[] {
  const { baseAmount, localHour, localWeekday, card, device } = facts
  const values = [
    known(baseAmount),
    known(localHour),
    known(localWeekday),
    card.country ?? null,
    device.ipCountry ?? null,
  ]
  if (readsExpiry) values.push(card.expiry ?? null)
  let length = values.length
  while (length > 0 && values[length - 1] === null) length--
  values.length = length
  return values
}

/** NaN is no value that every reader of a stored record knows. */
function known(value: number): number | null {
  return Number.isNaN(value) ? null : value
}

const NO_BOUNDS = new Uint8Array(0)

/** One bit an aggregate, the lowest bit of the first byte first; empty where none is set. */
export function lowerBoundsOf(saturated: Uint8Array): Uint8Array {
  if (!saturated.includes(1)) return NO_BOUNDS
  const bits = new Uint8Array((saturated.length + 7) >>> 3)
  for (let slot = 0; slot < saturated.length; slot++) {
    if (saturated[slot] === 1) bits[slot >>> 3] = (bits[slot >>> 3] ?? 0) | (1 << (slot & 7))
  }
  return bits
}

/** The facts that the rules saw: the request's own, and what had been looked up. */
export function replayedFacts(
  request: ScoringRequest,
  { lookedUp }: Pick<Decision, 'lookedUp'>,
  source: FactSource,
): RuleFacts {
  const facts = factsOf(request, source)
  if (lookedUp === undefined) return facts
  const number = (index: number) => (lookedUp[index] ?? Number.NaN) as number
  const text = (index: number) => (lookedUp[index] ?? undefined) as string | undefined
  return {
    ...facts,
    baseAmount: number(0),
    localHour: number(1),
    localWeekday: number(2),
    card: { ...facts.card, country: text(3), expiry: text(5) ?? facts.card.expiry },
    device: { ...facts.device, ipCountry: text(4) },
  }
}

/**
 * What `ruleSet` was asked when the decision was made. `aggregates` must be those that the decision
 * was made with: the set that the decision names, or one that asks velocity for the same.
 */
export function replayedInput(
  request: ScoringRequest,
  decision: Decision,
  ruleSet: Pick<RuleSet, 'aggregates'>,
  source: FactSource,
): RuleInput {
  const size = ruleSet.aggregates.length
  const saturated = new Uint8Array(size)
  const { lowerBounds } = decision
  for (let slot = 0; slot < size; slot++) {
    saturated[slot] = ((lowerBounds?.[slot >>> 3] ?? 0) >>> (slot & 7)) & 1
  }
  const aggregates =
    decision.aggregates.length >= size
      ? decision.aggregates.subarray(0, size)
      : new Float64Array(size).fill(Number.NaN)
  return {
    facts: replayedFacts(request, decision, source),
    aggregates,
    saturated,
    score: decision.score ?? Number.NaN,
    atMs: request.arrivedAtMs,
  }
}

export interface Replay extends Ruling {
  /** Rules that fired, with their values, as the decision has them. */
  readonly hits: Decision['hits']
  readonly unknownRules: readonly string[]
}

/** Decides again under the rule set that made the decision. */
export function replay(
  request: ScoringRequest,
  decision: Decision,
  ruleSet: RuleSet,
  source: FactSource,
): Replay {
  const facts = replayedFacts(request, decision, source)
  if (decision.degraded.includes('worker')) {
    return decideWithoutWorker(ruleSet, facts.channel, facts.baseAmount)
  }
  const verdict = ruleSet.evaluate(replayedInput(request, decision, ruleSet, source))
  const missing: MissingParts = {
    velocity: decision.degraded.includes('velocity'),
    model: decision.degraded.includes('model'),
  }
  const ruling = decide(ruleSet, verdict, missing, facts.channel, facts.baseAmount)
  return { ...ruling, hits: verdict.hits, unknownRules: verdict.unknownRules }
}
