// Why the model scored a message as it did, in the feature table's words: for every decision that
// is no plain approval, stored with it.

import { FEATURES, type Feature } from './features.ts'
import { CONTRIBUTIONS_MAX } from './limits.ts'
import type { Model } from './onnx/index.ts'
import type { Contribution, Why } from './request.ts'

/** Working memory: one a thread, `whyOf` runs to its end. */
const amounts = new Float64Array(FEATURES.length)

/**
 * The contributions of the row at `features[offset ...]`, the largest first; the rest is one sum, so
 * that base, contributions and others make the raw score.
 */
export function whyOf(model: Model, features: Float32Array, offset: number): Why {
  const { explainer } = model
  if (explainer === undefined) return unexplained('the model brings no explanation')
  if (!explainer.ok) return unexplained(explainer.reason)
  const raw = explainer.explain(features, offset, amounts)
  const contributions: Contribution[] = []
  let others = 0
  for (let column = 0; column < amounts.length; column++) {
    const amount = amounts[column] as number
    if (amount === 0) continue
    let place = contributions.length
    while (place > 0 && isSmaller(contributions[place - 1], amount)) place--
    if (place < CONTRIBUTIONS_MAX) {
      contributions.splice(place, 0, contributionOf(column, features[offset + column], amount))
    } else others += amount
    if (contributions.length > CONTRIBUTIONS_MAX) others += contributions.pop()?.amount ?? 0
  }
  return { raw, base: explainer.base, contributions, others, unexplained: null }
}

function isSmaller(contribution: Contribution | undefined, amount: number): boolean {
  return Math.abs(contribution?.amount ?? 0) < Math.abs(amount)
}

function contributionOf(column: number, value: number | undefined, amount: number): Contribution {
  const { name, meaning } = FEATURES[column] as Feature
  const known = value === undefined || Number.isNaN(value) ? null : value
  return { feature: name, meaning, value: known, amount }
}

function unexplained(reason: string): Why {
  return { raw: null, base: null, contributions: [], others: 0, unexplained: reason }
}
