// A rule set against one authorization: rules of three comparisons each, compiled by us and
// evaluated by the CEL library's own interpreter, in the same run. One rule in fifty fires.

import { celEnvironment } from '../../rules/language/index.ts'
import { type BenchCase, measure } from '../measure.ts'
import { conditionOf, facts, inputFor, measuredRules, ruleSetOf } from './three-comparisons.ts'

function compiled(rules: number): BenchCase {
  const ruleSet = ruleSetOf(measuredRules(rules))
  const input = inputFor(ruleSet)
  return { name: `rules ${rules} compiled`, run: () => ruleSet.evaluate(input) }
}

/** The library's interpreter on the same conditions; it answers calls from constants. */
function interpreted(rules: number): BenchCase {
  const environment = celEnvironment({ aggregate: () => 3n, inList: () => false })
  const conditions = measuredRules(rules).map((rule) => {
    const parsed = environment.parse(conditionOf(rule))
    parsed.check()
    return parsed
  })
  const context = {
    ...facts,
    baseAmount: 2_599n,
    card: { ...facts.card, entityName: 'card' },
    device: { ...facts.device, entityName: 'device' },
  }
  return {
    name: `rules ${rules} interpreted by cel-js`,
    run: () => conditions.reduce((hits, condition) => (condition(context) ? hits + 1 : hits), 0),
  }
}

await measure([compiled(100), interpreted(100), compiled(1_000), interpreted(1_000)])
