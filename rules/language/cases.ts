// In which cases a condition is true, as far as can be said without values: each case says of every
// name what it must be. From that follow "never true", "always true" and "implied by another rule".
//
//     channel == "pos" && (amount < 5 || amount > 9)
//       -> { channel: in {pos}, amount: ..4 }, { channel: in {pos}, amount: 10.. }
//
// Numbers are intervals with holes, texts are sets of what they are or are not; what is neither
// (calls, comparisons of two names, arithmetic) is a statement that holds or doesn't.

import { aggregateKey } from '../aggregate.ts'
import { casesMax } from '../limits.ts'
import type { Expression } from './expression.ts'

/** Closed bounds; an open one of a decimal is its neighbour, since decimals are doubles. */
interface NumberRange {
  readonly kind: 'number'
  readonly integer: boolean
  readonly min: number
  readonly max: number
  readonly not: ReadonlySet<number>
}

interface TextSet {
  readonly kind: 'text'
  /** All that it may be; undefined: anything. */
  readonly oneOf: ReadonlySet<string> | undefined
  readonly not: ReadonlySet<string>
}

interface Statement {
  readonly kind: 'statement'
  readonly holds: boolean
}

type Constraint = NumberRange | TextSet | Statement

/** What must hold together, by subject. */
export type Case = ReadonlyMap<string, Constraint>

/**
 * The cases in which the condition is true (or false); none when it can't be. Undefined where there
 * are too many to say.
 */
export function casesOf(condition: Expression, wanted: boolean): readonly Case[] | undefined {
  switch (condition.op) {
    case 'literal':
      return condition.value === wanted ? [new Map()] : []
    case 'not':
      return casesOf(condition.value, !wanted)
    case 'and':
    case 'or': {
      const left = casesOf(condition.left, wanted)
      const right = casesOf(condition.right, wanted)
      if (left === undefined || right === undefined) return undefined
      return (condition.op === 'and') === wanted ? both(left, right) : either(left, right)
    }
    case 'choose': {
      const yes = both(casesOf(condition.condition, true), casesOf(condition.yes, wanted))
      const no = both(casesOf(condition.condition, false), casesOf(condition.no, wanted))
      return either(yes, no)
    }
    default:
      return casesOfTest(condition, wanted)
  }
}

type Cases = readonly Case[] | undefined

function either(left: Cases, right: Cases): Cases {
  if (left === undefined || right === undefined) return undefined
  return left.length + right.length > casesMax ? undefined : [...left, ...right]
}

function both(left: Cases, right: Cases): Cases {
  if (left === undefined || right === undefined) return undefined
  if (left.length * right.length > casesMax) return undefined
  return left.flatMap((one) => right.flatMap((other) => joined(one, other) ?? []))
}

/** Both at once; undefined when they exclude each other. */
function joined(one: Case, other: Case): Case | undefined {
  const result = new Map(one)
  for (const [subject, constraint] of other) {
    const known = result.get(subject)
    const merged = known === undefined ? constraint : meet(known, constraint)
    if (merged === undefined || isEmpty(merged)) return undefined
    result.set(subject, merged)
  }
  for (const [subject, constraint] of result) {
    if (constraint.kind !== 'statement' || constraint.holds) continue
    // has(x) is false, and yet x is something.
    const absent = /^has\((.*)\)$/.exec(subject)?.[1]
    if (absent !== undefined && result.has(absent)) return undefined
  }
  return result
}

function meet(one: Constraint, other: Constraint): Constraint | undefined {
  if (one.kind === 'number' && other.kind === 'number') {
    const [min, max] = [Math.max(one.min, other.min), Math.min(one.max, other.max)]
    return { ...one, min, max, not: new Set([...one.not, ...other.not]) }
  }
  if (one.kind === 'text' && other.kind === 'text') {
    const not = new Set([...one.not, ...other.not])
    const sets = [one.oneOf, other.oneOf].filter((set) => set !== undefined)
    const [first, second = first] = sets
    if (first === undefined || second === undefined) return { kind: 'text', oneOf: undefined, not }
    return { kind: 'text', oneOf: new Set([...first].filter((text) => second.has(text))), not }
  }
  if (one.kind !== 'statement' || other.kind !== 'statement') return one
  return one.holds === other.holds ? one : undefined
}

function isEmpty(constraint: Constraint): boolean {
  if (constraint.kind === 'text') {
    const { oneOf, not } = constraint
    return oneOf !== undefined && [...oneOf].every((text) => not.has(text))
  }
  if (constraint.kind === 'statement') return false
  const { integer, min, max, not } = constraint
  if (!(min <= max)) return true
  if (!integer) return min === max && not.has(min)
  if (max - min >= not.size) return false
  for (let value = min; value <= max; value++) if (!not.has(value)) return false
  return true
}

/** True when whatever fits the first case fits the second one too. */
export function caseImplies(narrow: Case, wide: Case): boolean {
  for (const [subject, constraint] of wide) {
    const known = narrow.get(subject)
    if (known === undefined || !isWithin(known, constraint)) return false
  }
  return true
}

function isWithin(narrow: Constraint, wide: Constraint): boolean {
  if (narrow.kind === 'number' && wide.kind === 'number') {
    const excluded = (value: number) =>
      narrow.not.has(value) || value < narrow.min || value > narrow.max
    return narrow.min >= wide.min && narrow.max <= wide.max && [...wide.not].every(excluded)
  }
  if (narrow.kind === 'text' && wide.kind === 'text') {
    const excluded = (text: string) => narrow.not.has(text) || narrow.oneOf?.has(text) === false
    if (![...wide.not].every(excluded)) return false
    if (wide.oneOf === undefined) return true
    return [...(narrow.oneOf ?? [])].every((text) => narrow.not.has(text) || wide.oneOf?.has(text))
      ? narrow.oneOf !== undefined
      : false
  }
  return narrow.kind === 'statement' && wide.kind === 'statement' && narrow.holds === wide.holds
}

/** The cases of a comparison or another test. */
function casesOfTest(test: Expression, wanted: boolean): readonly Case[] {
  const constraint = constraintOf(test, wanted)
  if (constraint !== undefined) {
    const [subject, value] = constraint
    return isEmpty(value) ? [] : [new Map([[subject, value]])]
  }
  if (test.op === 'compare') {
    // Both ways of writing it are one statement: a >= b is not a < b, and a > b is b < a.
    const { operator, left, right } = test
    const turned = operator === '>' || operator === '<='
    const [a, b] = turned ? [right, left] : [left, right]
    const negated = operator === '>=' || operator === '<='
    return statement(`${keyOf(a)} < ${keyOf(b)}`, wanted !== negated)
  }
  if (test.op === 'equal')
    return statement(equalKey(test.left, test.right), wanted !== test.negated)
  return statement(keyOf(test), wanted)
}

function statement(subject: string, holds: boolean): readonly Case[] {
  return [new Map([[subject, { kind: 'statement', holds }]])]
}

const opposite = { '<': '>=', '<=': '>', '>': '<=', '>=': '<' } as const
const mirrored = { '<': '>', '<=': '>=', '>': '<', '>=': '<=' } as const

/** A test of one name against literals, as what the name must be. */
function constraintOf(
  test: Expression,
  wanted: boolean,
): readonly [string, NumberRange | TextSet] | undefined {
  if (test.op === 'in') {
    const literals = test.items.flatMap((item) => (item.op === 'literal' ? [item.value] : []))
    if (literals.length < test.items.length) return undefined
    return among(test.value, literals, wanted)
  }
  if (test.op === 'equal') {
    const [subject, literal] = sides(test.left, test.right) ?? []
    if (subject === undefined || literal?.op !== 'literal') return undefined
    return among(subject, [literal.value], wanted !== test.negated)
  }
  if (test.op !== 'compare') return undefined
  const turned = test.left.op === 'literal'
  const [subject, literal] = turned ? [test.right, test.left] : [test.left, test.right]
  const start = isSubject(subject) ? domainOf(subject) : undefined
  if (start?.kind !== 'number' || literal.op !== 'literal') return undefined
  const written = turned ? mirrored[test.operator] : test.operator
  const operator = wanted ? written : opposite[written]
  const bound = Number(literal.value)
  const next = start.integer ? 1 : 0
  const edge = (up: boolean): number => {
    if (!start.integer) return neighbour(bound, up)
    return up ? Math.floor(bound) + next : Math.ceil(bound) - next
  }
  const limits = {
    '<': { max: edge(false) },
    '<=': { max: start.integer ? Math.floor(bound) : bound },
    '>': { min: edge(true) },
    '>=': { min: start.integer ? Math.ceil(bound) : bound },
  }[operator]
  const range = { min: Number.NEGATIVE_INFINITY, max: Number.POSITIVE_INFINITY, ...limits }
  const merged = meet(start, { ...start, ...range, not: noNumbers })
  return merged?.kind === 'number' ? [keyOf(subject), merged] : undefined
}

function sides(left: Expression, right: Expression): readonly [Expression, Expression] | undefined {
  if (right.op === 'literal') return [left, right]
  return left.op === 'literal' ? [right, left] : undefined
}

function among(
  subject: Expression,
  values: readonly (number | string | boolean)[],
  inside: boolean,
): readonly [string, NumberRange | TextSet] | undefined {
  const start = isSubject(subject) ? domainOf(subject) : undefined
  if (start === undefined) return undefined
  const key = keyOf(subject)
  if (start.kind === 'text') {
    const texts = new Set(values.map(String))
    const set: TextSet = inside
      ? { kind: 'text', oneOf: texts, not: new Set() }
      : { kind: 'text', oneOf: undefined, not: texts }
    return [key, meet(start, set) as TextSet]
  }
  const numbers = new Set(values.map(Number))
  if (!inside) return [key, { ...start, not: numbers }]
  const inRange = [...numbers].filter((value) => value >= start.min && value <= start.max)
  // Between the smallest and the largest, what is not listed is a hole where it can be counted.
  const [min, max] = [Math.min(...inRange), Math.max(...inRange)]
  if (inRange.length > 1 && (!start.integer || max - min > casesMax)) return undefined
  const holes = new Set<number>()
  for (let value = min; value < max; value++) if (!numbers.has(value)) holes.add(value)
  return [key, { ...start, min, max, not: holes }]
}

function isSubject(expression: Expression): boolean {
  return ['fact', 'aggregate', 'share', 'clock', 'arrival'].includes(expression.op)
}

const noNumbers: ReadonlySet<number> = new Set()
const noTexts: ReadonlySet<string> = new Set()

/** What a name can be at all. */
function domainOf(subject: Expression): NumberRange | TextSet {
  const numbers = (integer: boolean, min: number, max: number): NumberRange => ({
    kind: 'number',
    integer,
    min,
    max,
    not: noNumbers,
  })
  if (subject.op === 'fact') {
    const { kind, range, values } = subject.fact
    if (kind === 'int' || kind === 'double') {
      return numbers(kind === 'int', range?.[0] ?? 0, range?.[1] ?? Number.POSITIVE_INFINITY)
    }
    return { kind: 'text', oneOf: values === undefined ? undefined : new Set(values), not: noTexts }
  }
  if (subject.op === 'aggregate') {
    // This attempt is counted too; everything else may be nothing.
    const least = subject.aggregate.function === 'count' ? 1 : 0
    return numbers(subject.kind === 'int', least, Number.POSITIVE_INFINITY)
  }
  const isInteger = true
  if (subject.op === 'share') return numbers(isInteger, 0, 9_999)
  if (subject.op === 'clock' && subject.reads === 'weekday') return numbers(isInteger, 1, 7)
  if (subject.op === 'clock') return numbers(isInteger, 0, 1_439)
  return numbers(isInteger, Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY)
}

const doubleBits = new DataView(new ArrayBuffer(8))

/** The next double above or below. */
function neighbour(value: number, up: boolean): number {
  if (!Number.isFinite(value)) return value
  if (value === 0) return up ? Number.MIN_VALUE : -Number.MIN_VALUE
  doubleBits.setFloat64(0, value)
  doubleBits.setBigInt64(0, doubleBits.getBigInt64(0) + (value > 0 === up ? 1n : -1n))
  return doubleBits.getFloat64(0)
}

function equalKey(left: Expression, right: Expression): string {
  return `equal(${[keyOf(left), keyOf(right)].sort().join(', ')})`
}

/** A text that is equal for equal expressions, however they are written and ordered. */
export function keyOf(expression: Expression): string {
  switch (expression.op) {
    case 'literal':
      return `${expression.kind === 'double' ? 'double ' : ''}${JSON.stringify(expression.value)}`
    case 'fact':
      return expression.fact.path
    case 'has':
      return `has(${expression.fact.path})`
    case 'aggregate':
      return aggregateKey(expression.aggregate)
    case 'inList':
      return `inList(${keyOf(expression.value)}, ${expression.list})`
    case 'arrival':
      return 'arrival'
    case 'clock':
      return `${expression.reads}(${expression.timeZone})`
    case 'share':
      return `share(${expression.salt})`
    case 'local':
      return expression.name
    case 'and':
    case 'or':
      return `${expression.op}(${parts(expression, expression.op).sort().join(', ')})`
    case 'equal': {
      const key = equalKey(expression.left, expression.right)
      return expression.negated ? `not(${key})` : key
    }
    case 'compare': {
      const { operator, left, right } = expression
      const upward = operator === '>' || operator === '>='
      const [a, b] = upward ? [right, left] : [left, right]
      return `${keyOf(a)} ${operator.replace('>', '<')} ${keyOf(b)}`
    }
    case 'in':
      return `in(${keyOf(expression.value)}, ${expression.items.map(keyOf).sort().join(', ')})`
    case 'arithmetic':
      return `(${keyOf(expression.left)} ${expression.operator} ${keyOf(expression.right)})`
    case 'choose': {
      const { condition, yes, no } = expression
      return `(${keyOf(condition)} ? ${keyOf(yes)} : ${keyOf(no)})`
    }
    case 'text':
      return `${expression.method}(${keyOf(expression.value)}, ${keyOf(expression.argument)})`
    case 'convert':
      return `${expression.kind}(${keyOf(expression.value)})`
    case 'not':
    case 'negate':
    case 'size':
      return `${expression.op}(${keyOf(expression.value)})`
  }
}

/** The members of a chain of && or of ||. */
function parts(expression: Expression, op: 'and' | 'or'): string[] {
  if (expression.op !== op) return [keyOf(expression)]
  return [...parts(expression.left, op), ...parts(expression.right, op)]
}
