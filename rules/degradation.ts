// What is decided when a part of scoring is missing: packs/degradation.yaml, the analyst's policy.

import { RISK_OUTCOMES, type RiskOutcome } from './outcome.ts'
import { reasonShape } from './rule-file.ts'
import type { MissingParts } from './rule-set.ts'
import { integer, list, optional, record, required, type Shape, text, word } from './yaml/index.ts'

/** The file's name under RULES_DIR. */
export const degradationFile = 'packs/degradation.yaml'

const channels = ['pos', 'ecommerce', 'atm', 'moto', 'recurring', 'qr']

const entryShape: Shape = record({
  missing: required(
    list(word(['velocity', 'model']), 2),
    'The parts that must all be missing for this entry to apply.',
  ),
  channels: optional(list(word(channels), 6), 'The channels it applies to; all when left out.'),
  baseAmountFrom: optional(
    integer(0, Number.MAX_SAFE_INTEGER),
    'It applies from this amount on, in minor units of the base currency, and to an unknown amount.',
  ),
  outcome: required(word(RISK_OUTCOMES), 'The mildest outcome that is then allowed.'),
  reason: required(reasonShape, 'The reason code in the decision.'),
  description: optional(text(4_000), 'Why.'),
})

export const degradationShape: Shape = record({
  typology: required(word(['degradation']), 'Always degradation.'),
  description: optional(text(4_000), 'What this policy is for.'),
  policy: required(
    list(entryShape, 200),
    'The entries; of those that apply, the worst outcome wins.',
  ),
})

export interface DegradationEntry {
  readonly missing: readonly ('velocity' | 'model')[]
  readonly channels?: readonly string[]
  readonly baseAmountFrom?: number
  readonly outcome: RiskOutcome
  readonly reason: string
}

export interface MissingVerdict {
  readonly outcome: RiskOutcome
  readonly reason: string
}

/** Used when there is no file: whatever is missing, somebody looks at it. */
export const cautiousPolicy: readonly DegradationEntry[] = [
  { missing: ['velocity'], outcome: 'review', reason: 'risk_data_missing' },
  { missing: ['model'], outcome: 'review', reason: 'risk_data_missing' },
]

const nothing: MissingVerdict = Object.freeze({ outcome: 'approve', reason: '' })

/** The worst of the entries that apply; approve, without a reason, when none does. */
export function outcomeWhenMissing(
  policy: readonly DegradationEntry[],
  missing: MissingParts,
  channel: string,
  baseAmount: number,
): MissingVerdict {
  if (!missing.velocity && !missing.model) return nothing
  let worst: MissingVerdict = nothing
  for (const entry of policy) {
    if (entry.missing.some((part) => !missing[part])) continue
    if (entry.channels !== undefined && !entry.channels.includes(channel)) continue
    if (entry.baseAmountFrom !== undefined && baseAmount < entry.baseAmountFrom) continue
    if (RISK_OUTCOMES.indexOf(entry.outcome) > RISK_OUTCOMES.indexOf(worst.outcome)) {
      worst = { outcome: entry.outcome, reason: entry.reason }
    }
  }
  return worst
}
