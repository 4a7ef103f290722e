// One decision, rule by rule and clause by clause: what was true, what was not, what nobody knew,
// and the values that it was so by. For people who ask why; the switch itself never runs this.

import { type Aggregate, aggregateKey } from './aggregate.ts'
import {
  type Clause,
  children,
  compileConditions,
  compileExplanations,
  type Expression,
  type Findings,
  keyOf,
  type Reading,
  type ReadingValues,
} from './language/index.ts'
import { readRules } from './load.ts'
import type { RiskOutcome, RuleMode } from './outcome.ts'
import { createProblemList, type RuleFile } from './problem.ts'
import type { LoadedRule } from './read-pack.ts'
import type { RuleInput, RuleProblem } from './rule-set.ts'

export type TruthValue = 'true' | 'false' | 'unknown'

export interface ClauseExplanation {
  /** As it is written. */
  readonly text: string
  readonly result: TruthValue
  /** Each name and call of the clause with its value; null is unknown. */
  readonly values: ReadingValues
  /** The calls whose value is only a lower bound. */
  readonly lowerBounds: readonly string[]
}

export interface RuleExplanation {
  readonly id: string
  readonly title: string
  readonly mode: RuleMode
  readonly outcome: RiskOutcome
  readonly reason: string
  readonly disclose: boolean
  readonly file: string
  readonly line: number
  /** Whether it fired: its condition, and where and when it applies. */
  readonly result: TruthValue
  readonly condition: { readonly text: string; readonly result: TruthValue }
  readonly clauses: readonly ClauseExplanation[]
}

export type ExplainedRules =
  | { readonly ok: true; readonly rules: readonly RuleExplanation[] }
  | { readonly ok: false; readonly problems: readonly RuleProblem[] }

/**
 * Explains every rule of a folder, disabled ones left out. `input` must be what the rule set of these
 * files is asked: its aggregates in the order of its plan.
 */
export function explainRules(files: readonly RuleFile[], input: RuleInput): ExplainedRules {
  const problems = createProblemList()
  const { rules, plan, lists } = readRules(files, problems)
  if (problems.hasErrors) return { ok: false, problems: problems.sorted() }
  const active = rules.filter(({ data }) => data.mode !== 'disabled')
  const evaluate = (expressions: readonly Expression[]) =>
    truthsOf(expressions, (all, findings) => {
      const { facts, aggregates, saturated, score, atMs = Number.NaN } = input
      const conditions = compileConditions(all, plan, lists.named)
      conditions(facts, aggregates, saturated, score, atMs, findings)
    })
  const fired = evaluate(active.map(({ scoped }) => scoped))
  const held = evaluate(active.map(({ condition }) => condition.expression))
  const clauses = active.map(({ condition }) => condition.clauses)
  const clauseTruths = evaluate(clauses.flat().map(({ expression }) => expression))
  const readings = clauses.flatMap((own, at) =>
    own.map((clause) => readingsIn(clause, active[at] as LoadedRule)),
  )
  const explain = compileExplanations(readings, plan, lists.named)
  const slots = new Map(plan.map((aggregate, slot) => [aggregateKey(aggregate), slot]))
  const isBound = (aggregate: Aggregate) =>
    input.saturated[slots.get(aggregateKey(aggregate)) ?? -1] === 1
  let next = 0
  return {
    ok: true,
    rules: active.map((rule, at): RuleExplanation => {
      const { id, title, mode, outcome, reason } = rule.data
      const disclose = rule.pack.disclose !== false && rule.data.disclose !== false
      const own = (clauses[at] ?? []).map((clause): ClauseExplanation => {
        const index = next++
        const { facts, aggregates, score, atMs = Number.NaN } = input
        const values = explain[index]?.(facts, aggregates, score, atMs) ?? {}
        const bounds = (readings[index] ?? []).flatMap(({ label, expression }) =>
          expression.op === 'aggregate' && isBound(expression.aggregate) ? [label] : [],
        )
        const result = clauseTruths[index] ?? 'unknown'
        return { text: clause.text, result, values, lowerBounds: bounds }
      })
      return {
        ...{ id, title, mode, outcome, reason, disclose },
        ...{ file: rule.file, line: rule.place('id').line },
        result: fired[at] ?? 'unknown',
        condition: { text: rule.data.when.trim(), result: held[at] ?? 'unknown' },
        clauses: own,
      }
    }),
  }
}

function truthsOf(
  expressions: readonly Expression[],
  evaluate: (expressions: readonly Expression[], findings: Findings) => void,
): readonly TruthValue[] {
  const findings: Findings = {
    hits: new Uint16Array(expressions.length),
    unknown: new Uint16Array(expressions.length),
    counts: new Uint32Array(2),
  }
  evaluate(expressions, findings)
  const truths: TruthValue[] = expressions.map(() => 'false')
  for (const at of findings.hits.subarray(0, findings.counts[0])) truths[at] = 'true'
  for (const at of findings.unknown.subarray(0, findings.counts[1])) truths[at] = 'unknown'
  return truths
}

/** What a clause reads, as its rule labels it. */
function readingsIn({ expression }: Clause, rule: LoadedRule): readonly Reading[] {
  const keys = new Set<string>()
  const visit = (node: Expression): void => {
    keys.add(keyOf(node))
    for (const child of children(node)) visit(child)
  }
  visit(expression)
  return rule.condition.readings.filter((reading) => keys.has(keyOf(reading.expression)))
}
