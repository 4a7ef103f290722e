// Which rules the tests make fire, and which clauses of their conditions the tests see both ways. A
// clause that is never false in a test could be left out, one that is never true could be anything.

import type { AggregatePlan } from './aggregate.ts'
import { compileConditions, type Findings } from './language/index.ts'
import type { Lists } from './lists/index.ts'
import type { LoadedRule } from './read-pack.ts'
import type { RuleInput, RuleVerdict } from './rule-set.ts'

/** Something that no test reaches, with its place. */
export interface Unreached {
  readonly file: string
  readonly line: number
  readonly column: number
  readonly rule: string
  /** The clause as it is written; undefined: the rule as a whole. */
  readonly clause?: string
  /** What never happens: the rule fires, the clause is true, the clause is false. */
  readonly never: 'fires' | 'true' | 'false'
}

export interface Coverage {
  readonly rules: number
  readonly rulesReached: number
  readonly clauses: number
  /** Clauses that were true in some test and false in another. */
  readonly clausesReached: number
  readonly unreached: readonly Unreached[]
}

export interface CoverageMeter {
  /** Counts one test: what was given, and which rules fired. */
  take(input: RuleInput, verdict: RuleVerdict): void
  coverage(): Coverage
}

/** Meters the rules of one pack; those that are disabled are left out. */
export function createCoverageMeter(
  rules: readonly LoadedRule[],
  plan: AggregatePlan,
  lists: Lists,
): CoverageMeter {
  const metered = rules.filter(({ data }) => data.mode !== 'disabled')
  const clauses = metered.flatMap((rule) =>
    rule.condition.clauses.map((clause) => ({ rule, clause, wasTrue: false, wasFalse: false })),
  )
  const evaluate = compileConditions(
    clauses.map(({ clause }) => clause.expression),
    plan,
    lists.named,
  )
  const findings: Findings = {
    hits: new Uint16Array(clauses.length),
    unknown: new Uint16Array(clauses.length),
    counts: new Uint32Array(2),
  }
  const fired = new Set<string>()
  return {
    take({ facts, aggregates, saturated, score, atMs = Number.NaN }, verdict) {
      for (const hit of verdict.hits) fired.add(hit.rule)
      evaluate(facts, aggregates, saturated, score, atMs, findings)
      const hits = new Set(findings.hits.subarray(0, findings.counts[0]))
      const unknown = new Set(findings.unknown.subarray(0, findings.counts[1]))
      for (const [index, clause] of clauses.entries()) {
        if (hits.has(index)) clause.wasTrue = true
        else if (!unknown.has(index)) clause.wasFalse = true
      }
    },
    coverage() {
      const unreached: Unreached[] = []
      for (const rule of metered) {
        if (fired.has(rule.data.id)) continue
        const { line, column } = rule.place('id')
        unreached.push({ file: rule.file, line, column, rule: rule.data.id, never: 'fires' })
      }
      for (const { rule, clause, wasTrue, wasFalse } of clauses) {
        if (wasTrue && wasFalse) continue
        const { line, column } = rule.placeInCondition(clause.start)
        const never = wasTrue ? 'false' : 'true'
        const place = { file: rule.file, line, column }
        unreached.push({ ...place, rule: rule.data.id, clause: clause.text, never })
      }
      return {
        rules: metered.length,
        rulesReached: metered.filter(({ data }) => fired.has(data.id)).length,
        clauses: clauses.length,
        clausesReached: clauses.filter(({ wasTrue, wasFalse }) => wasTrue && wasFalse).length,
        unreached,
      }
    },
  }
}

/** The coverage of several packs together. */
export function joinCoverage(parts: readonly Coverage[]): Coverage {
  const sum = (key: 'rules' | 'rulesReached' | 'clauses' | 'clausesReached') =>
    parts.reduce((total, part) => total + part[key], 0)
  return {
    rules: sum('rules'),
    rulesReached: sum('rulesReached'),
    clauses: sum('clauses'),
    clausesReached: sum('clausesReached'),
    unreached: parts.flatMap((part) => part.unreached),
  }
}
