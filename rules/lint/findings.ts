// What is odd about rules that load: they can't fire, or always do, or say what others say already.
// The switch runs such rules; whoever wrote them meant something else.

import { type Aggregate, ENTITIES, type Entity } from '../aggregate.ts'
import {
  type Case,
  caseImplies,
  casesOf,
  children,
  ENTITY_PATHS,
  type Expression,
  factByPath,
  keyOf,
} from '../language/index.ts'
import type { LoadedRules } from '../load.ts'
import { RISK_OUTCOMES } from '../outcome.ts'
import type { ProblemList } from '../problem.ts'
import type { LoadedRule } from '../read-pack.ts'
import type { RuleProblem } from '../rule-set.ts'

/** How many attempts velocity keeps of an entity that it counts exactly; others have no bound. */
export type RingSizes = Readonly<Partial<Record<Entity, number>>>

export function noteFindings(loaded: LoadedRules, rings: RingSizes, problems: ProblemList): void {
  const rules = loaded.rules.map(studied)
  for (const rule of rules) {
    noteTruth(rule, problems)
    noteUnknown(rule, problems)
    noteThresholds(rule, rings, problems)
    noteArithmetic(rule, problems)
    noteAllowRule(rule, problems)
  }
  noteDuplicates(rules, problems)
  noteShadowed(rules, problems)
  noteUnusedLists(loaded, problems)
}

/** A rule with what the pairwise comparison needs of it. */
interface StudiedRule {
  readonly rule: LoadedRule
  readonly key: string
  /** When it is true, its scope included; undefined where that has too many cases. */
  readonly cases: readonly Case[] | undefined
}

function studied(rule: LoadedRule): StudiedRule {
  return { rule, key: keyOf(rule.scoped), cases: casesOf(rule.scoped, true) }
}

function add(
  problems: ProblemList,
  rule: LoadedRule,
  field: string,
  severity: RuleProblem['severity'],
  code: string,
  message: string,
): void {
  problems.add({ file: rule.file, ...rule.place(field), severity, code, message })
}

function noteTruth({ rule, cases }: StudiedRule, problems: ProblemList): void {
  const { expression } = rule.condition
  if (casesOf(expression, true)?.length === 0) {
    const message = `"${rule.data.id}" never fires: no request can make this true`
    add(problems, rule, 'when', 'error', 'never_true', message)
  } else if (cases?.length === 0) {
    const message = `"${rule.data.id}" never fires: its pack's channels or its hours exclude it`
    add(problems, rule, 'when', 'error', 'never_true', message)
  } else if (casesOf(expression, false)?.length === 0) {
    const message = `"${rule.data.id}" fires for every request whose values are known`
    add(problems, rule, 'when', 'error', 'always_true', message)
  }
}

function noteAllowRule({ rule }: StudiedRule, problems: ProblemList): void {
  if (rule.data.overrides !== 'decline' || rule.data.mode === 'disabled') return
  const message = `"${rule.data.id}" lets through what other rules decline`
  add(problems, rule, 'overrides', 'warning', 'allow_beats_decline', message)
}

/** Names that a request may not have, of which the rule does not ask with has(). */
function noteUnknown({ rule }: StudiedRule, problems: ProblemList): void {
  const asked = new Set<string>()
  const read = new Set<string>()
  for (const { expression } of rule.condition.readings) {
    if (expression.op === 'has') asked.add(expression.fact.path)
    else if (expression.op === 'fact') read.add(expression.fact.path)
    else if (expression.op === 'aggregate') read.add(ENTITY_PATHS[expression.aggregate.entity])
    else if (expression.value.op === 'fact') read.add(expression.value.fact.path)
  }
  const names = [...read].filter((path) => !factByPath.get(path)?.always && !asked.has(path))
  if (names.length === 0) return
  const message = `"${rule.data.id}" may be unknown, and then does not fire, without ${names.join(', ')}`
  add(problems, rule, 'when', 'note', 'can_be_unknown', message)
}

/**
 * A ring keeps the newest attempts only: a count above its size is a lower bound for ever, and a
 * rule that waits for more is unknown instead of true.
 */
function noteThresholds({ rule }: StudiedRule, rings: RingSizes, problems: ProblemList): void {
  const visit = (expression: Expression): void => {
    const found = countedAgainst(expression)
    const size = found === undefined ? undefined : rings[found.aggregate.entity]
    if (found !== undefined && size !== undefined && found.least > size) {
      const { aggregate, least } = found
      const message = `${aggregate.function}(${aggregate.entity}, ...) reaches ${size} at most, the attempts that are kept of a ${aggregate.entity}; never ${least}`
      add(problems, rule, 'when', 'error', 'threshold_above_ring', message)
    }
    for (const child of children(expression)) visit(child)
  }
  visit(rule.condition.expression)
}

/** What is unknown whatever a request brings: a division by zero, a number beyond the largest. */
function noteArithmetic({ rule }: StudiedRule, problems: ProblemList): void {
  const visit = (expression: Expression): boolean => {
    if (children(expression).some(visit)) return true
    if (expression.op !== 'arithmetic') return false
    const { operator, right } = expression
    const dividesByZero = (operator === '/' || operator === '%') && constantOf(right) === 0
    if (!dividesByZero && !Number.isNaN(constantOf(expression))) return false
    const what = dividesByZero ? 'a division by zero' : 'a number beyond the largest'
    const message = `"${rule.data.id}" has ${what}: that part is always unknown`
    add(problems, rule, 'when', 'error', 'never_known', message)
    return true
  }
  visit(rule.condition.expression)
}

/** The number that literals alone make; NaN where they make none, undefined where not all are. */
function constantOf(expression: Expression): number | undefined {
  if (expression.op === 'literal') {
    return typeof expression.value === 'number' ? expression.value : undefined
  }
  if (expression.op === 'negate') {
    const value = constantOf(expression.value)
    return value === undefined ? undefined : -value
  }
  if (expression.op !== 'arithmetic' || expression.kind === 'string') return undefined
  const { operator, kind } = expression
  const [left, right] = [constantOf(expression.left), constantOf(expression.right)]
  if (left === undefined || right === undefined) return undefined
  const result = {
    '+': left + right,
    '-': left - right,
    '*': left * right,
    '/': kind === 'int' ? Math.trunc(left / right) : left / right,
    '%': left % right,
  }[operator]
  const isKnown = kind === 'int' ? Number.isSafeInteger(result) : Number.isFinite(result)
  return isKnown ? result : Number.NaN
}

/** The least number of attempts that a comparison asks for: `count(card, "1h") >= 60`. */
function countedAgainst(
  expression: Expression,
): { aggregate: Aggregate; least: number } | undefined {
  if (expression.op !== 'compare' && expression.op !== 'equal') return undefined
  const turned = expression.left.op === 'literal'
  const [counted, literal] = turned
    ? [expression.right, expression.left]
    : [expression.left, expression.right]
  if (counted.op !== 'aggregate' || literal.op !== 'literal') return undefined
  const { aggregate } = counted
  if (!['count', 'distinct', 'declines'].includes(aggregate.function)) return undefined
  const value = Number(literal.value)
  if (expression.op === 'equal') {
    return expression.negated ? undefined : { aggregate, least: value }
  }
  const upward = (expression.operator === '>' || expression.operator === '>=') !== turned
  if (!upward) return undefined
  const isOpen = expression.operator === '>' || expression.operator === '<'
  return { aggregate, least: isOpen ? Math.floor(value) + 1 : Math.ceil(value) }
}

/** Rules that ask the same. A shadow rule may repeat a live one: that is how it is tried. */
function noteDuplicates(rules: readonly StudiedRule[], problems: ProblemList): void {
  const first = new Map<string, LoadedRule>()
  for (const { rule, key } of rules) {
    const known = `${rule.data.mode} ${key}`
    const other = first.get(known)
    if (other === undefined) first.set(known, rule)
    else {
      const message = `"${rule.data.id}" asks exactly what "${other.data.id}" (${placeOf(other)}) asks`
      add(problems, rule, 'when', 'error', 'duplicate_condition', message)
    }
  }
}

function placeOf(rule: LoadedRule): string {
  const { line, column } = rule.place('when')
  return `${rule.file}:${line}:${column}`
}

/** Live rules that change nothing: one that is at least as strict fires whenever they do. */
function noteShadowed(rules: readonly StudiedRule[], problems: ProblemList): void {
  const live = rules.filter(({ rule, cases }) => rule.data.mode === 'live' && cases?.length)
  const masks = live.map(({ cases = [] }) => cases.map(subjectMask))
  live.forEach(({ rule, key, cases = [] }, index) => {
    const narrow = masks[index] ?? []
    const above = live.find((other, at) => {
      if (other.key === key || !isStricter(other.rule, rule)) return false
      const wide = masks[at] ?? []
      return cases.every((one, n) =>
        (other.cases ?? []).some((two, m) => {
          // A subject that the wider case has and the narrower has not: no need to look further.
          const missing = (wide[m] ?? 0) & ~(narrow[n] ?? 0)
          return missing === 0 && caseImplies(one, two)
        }),
      )
    })
    if (above === undefined) return
    const { id, outcome } = above.rule.data
    const message = `"${rule.data.id}" changes nothing: whenever it fires, "${id}" (${placeOf(above.rule)}) fires too, with ${outcome}`
    add(problems, rule, 'when', 'error', 'shadowed', message)
  })
}

/** Its outcome wins whenever both fire, or is the same. */
function isStricter(one: LoadedRule, other: LoadedRule): boolean {
  const [a, b] = [one.data, other.data]
  if (a.outcome === 'approve' || b.outcome === 'approve') {
    return a.outcome === b.outcome && (a.overrides === 'decline' || b.overrides === undefined)
  }
  return RISK_OUTCOMES.indexOf(a.outcome) >= RISK_OUTCOMES.indexOf(b.outcome)
}

/** Thirty-one bits, one or more of which stand for each subject of a case. */
function subjectMask(one: Case): number {
  let mask = 0
  for (const subject of one.keys()) {
    let hash = 7
    for (let index = 0; index < subject.length; index++) {
      hash = (Math.imul(hash, 31) + subject.charCodeAt(index)) | 0
    }
    mask |= 1 << ((hash >>> 0) % 31)
  }
  return mask
}

function noteUnusedLists({ rules, lists }: LoadedRules, problems: ProblemList): void {
  const used = new Set<string>()
  for (const { condition } of rules) {
    for (const { expression } of condition.readings) {
      if (expression.op === 'inList') used.add(expression.list)
    }
  }
  for (const name of lists.named.keys()) {
    if (used.has(name)) continue
    const message = `no rule asks inList(..., "${name}")`
    const file = `lists/${name}.csv`
    problems.add({ file, line: 1, column: 1, severity: 'error', code: 'unused_list', message })
  }
}

/** The entities of which velocity keeps a ring of this many attempts. */
export function ringSizes(attempts: number, tiles: readonly Entity[]): RingSizes {
  return Object.fromEntries(
    ENTITIES.filter((entity) => !tiles.includes(entity)).map((entity) => [entity, attempts]),
  )
}
