// Checked conditions in, one straight-line JavaScript function out.
//
// CEL has three results: true, false, and an error, which here always means unknown. Numbers carry
// unknown as NaN, text as undefined. A condition becomes two plain boolean expressions, "surely
// false" and "surely true"; neither holding is unknown. That needs no exceptions, no objects and no
// calls: `channel == "ecommerce" && baseAmount <= 500` becomes
//
//     if (!(f0 !== "ecommerce" || f1 > 500)) {
//       if (f0 === "ecommerce" && f1 <= 500) hits[h++] = 7; else unknown[u++] = 7;
//     }
//
// and NaN, false in every comparison, makes unknown by itself. Where a sub-expression is needed as
// a value (the condition of ?:, true or false compared with each other), it becomes one expression
// of true, false or undefined with temporaries, so the code stays linear in the condition's length.
//
// When and for whom a rule applies (rules/scope.ts) is part of its expression, with three leaves
// that no condition can write: the time of arrival, the clock in a zone, the card's share of a roll-out.
//
// An aggregate is read once into two locals: a (the value, maybe a lower bound) and x (the value,
// NaN when it is only a lower bound). `count(...) >= 8` is surely true by a and surely false by x.

import { type AggregatePlan, aggregateKey } from '../aggregate.ts'
import { createLocalTime } from '../local-time.ts'
import type { RuleFacts } from '../rule-set.ts'
import { createFunction } from './create-function.ts'
import { children, type Expression, withChildren } from './expression.ts'
import { shareOf } from './share.ts'

/** A list as conditions ask it. */
export interface ListMembership {
  has(value: string, atMs: number): boolean
  /** The first moment the value is off it; Infinity: never, -Infinity: it is not on it at all. */
  until(value: string): number
}

/** Where a compiled function leaves its findings: rule numbers, in rule order. */
export interface Findings {
  readonly hits: Uint16Array
  readonly unknown: Uint16Array
  /** How many of each: [hits, unknown]. */
  readonly counts: Uint32Array
}

/** Evaluates all conditions. Allocates nothing, throws nothing. */
export type CompiledConditions = (
  facts: RuleFacts,
  aggregates: Float64Array,
  saturated: Uint8Array,
  score: number,
  atMs: number,
  findings: Findings,
) => void

/**
 * V8 does not optimize a function beyond 60 kB of bytecode (1,000 rules in one function took 8 µs
 * instead of 1), so a large rule set is cut into parts that one function calls in turn.
 */
const partCharactersMax = 40_000

/** Literal lists up to this length are compared one by one, longer ones asked as a Set. */
const inlineItemsMax = 6

/** The compiled function's own arithmetic: what leaves the safe integers or the finite is unknown. */
const prologue = `'use strict';
function whole(r) { return r <= 9007199254740991 && r >= -9007199254740991 ? r : NaN }
function divide(a, b) { return b === 0 ? NaN : Math.trunc(a / b) }
function finite(r) { return r - r === 0 ? r : NaN }
function size(s) { let n = 0; for (const _ of s) n++; return n }
`

/**
 * Compiles conditions, in order; condition i is reported as number i. `plan` must hold every
 * aggregate that they read, `lists` every list.
 */
export function compileConditions(
  conditions: readonly Expression[],
  plan: AggregatePlan,
  lists: ReadonlyMap<string, ListMembership>,
): CompiledConditions {
  const slots = new Map(plan.map((aggregate, slot) => [aggregateKey(aggregate), slot]))
  const constants = new Constants(lists)
  const parts: string[] = []
  let part = new Part(slots, constants)
  conditions.forEach((condition, number) => {
    if (part.length > partCharactersMax) {
      parts.push(part.source(parts.length))
      part = new Part(slots, constants)
    }
    part.add(condition, number)
  })
  parts.push(part.source(parts.length))
  const calls = parts.map((_, index) => `part${index}(facts, a, s, score, at, out)`).join('\n')
  const source = `${prologue}${constants.source()}${parts.join('')}
return function evaluate(facts, a, s, score, at, out) {
out.counts[0] = 0; out.counts[1] = 0
${calls}
}`
  // Every text inside is a JSON literal and every number a number: a rule can't write code.
  const make = createFunction(['constants', 'share', 'localTime'], source)
  return make(constants.values, shareOf, createLocalTime()) as CompiledConditions
}

/** Values that the code refers to by number: lists and sets of literals. */
class Constants {
  readonly values: (ReadonlySet<unknown> | ListMembership)[] = []
  readonly #lists: ReadonlyMap<string, ListMembership>
  readonly #numbers = new Map<string, number>()

  constructor(lists: ReadonlyMap<string, ListMembership>) {
    this.#lists = lists
  }

  list(name: string): string {
    const list = this.#lists.get(name)
    if (list === undefined) throw new Error(`no list ${name}`)
    return this.#name(`list ${name}`, () => list)
  }

  set(items: readonly (number | string | boolean)[]): string {
    return this.#name(`set ${JSON.stringify(items)}`, () => new Set<unknown>(items))
  }

  #name(key: string, make: () => ReadonlySet<unknown> | ListMembership): string {
    let number = this.#numbers.get(key)
    if (number === undefined) {
      number = this.values.length
      this.values.push(make())
      this.#numbers.set(key, number)
    }
    return `c${number}`
  }

  source(): string {
    return this.values.map((_, number) => `const c${number} = constants[${number}]\n`).join('')
  }
}

/** One generated function: the locals that its rules read, then a block a rule. */
class Part {
  readonly #slots: ReadonlyMap<string, number>
  readonly #constants: Constants
  readonly #locals = new Map<string, string>()
  readonly #blocks: string[] = []
  #temporaries = 0
  length = 0

  constructor(slots: ReadonlyMap<string, number>, constants: Constants) {
    this.#slots = slots
    this.#constants = constants
  }

  add(expression: Expression, number: number): void {
    this.#temporaries = 0
    const isFalse = this.#isFalse(expression)
    const isTrue = this.#isTrue(expression)
    const names = Array.from({ length: this.#temporaries }, (_, index) => `t${index + 1}`)
    const declared = names.length > 0 ? `let ${names.join(', ')};\n` : ''
    const block = `{ ${declared}if (!(${isFalse})) {
if (${isTrue}) hits[h++] = ${number}; else unknown[u++] = ${number}
} }\n`
    this.#blocks.push(block)
    this.length += block.length
  }

  source(index: number): string {
    const locals = [...this.#locals].map(([name, value]) => `const ${name} = ${value}\n`).join('')
    return `function part${index}(facts, a, s, score, at, out) {
const hits = out.hits, unknown = out.unknown
let h = out.counts[0], u = out.counts[1]
${locals}${this.#blocks.join('')}out.counts[0] = h; out.counts[1] = u
}\n`
  }

  #temporary(): string {
    this.#temporaries++
    return `t${this.#temporaries}`
  }

  #local(name: string, value: string): string {
    if (!this.#locals.has(name)) this.#locals.set(name, value)
    return name
  }

  #fact(path: string): string {
    if (path === 'score') return 'score'
    const [root, field] = path.split('.')
    if (field === undefined) return this.#local(`f_${root}`, `facts.${root}`)
    this.#local(`r_${root}`, `facts.${root}`)
    return this.#local(`f_${root}_${field}`, `r_${root}.${field}`)
  }

  #aggregate(expression: Expression & { op: 'aggregate' }, exact: boolean): string {
    const slot = this.#slots.get(aggregateKey(expression.aggregate))
    if (slot === undefined) throw new Error(`no slot for ${aggregateKey(expression.aggregate)}`)
    const value = this.#local(`a${slot}`, `a[${slot}]`)
    return exact ? this.#local(`x${slot}`, `s[${slot}] === 0 ? a${slot} : NaN`) : value
  }

  /** A number (NaN when unknown) or text (undefined when unknown). */
  #value(expression: Expression): string {
    switch (expression.op) {
      case 'literal':
        return JSON.stringify(expression.value)
      case 'local':
        return expression.name
      case 'arrival':
        return 'at'
      case 'clock':
        return `localTime.${expression.reads}(${JSON.stringify(expression.timeZone)}, at)`
      case 'share':
        return `share(${this.#fact('card.token')}, ${expression.salt})`
      case 'fact':
        return this.#fact(expression.fact.path)
      case 'aggregate':
        return this.#aggregate(expression, true)
      case 'arithmetic':
        return this.#arithmetic(expression)
      case 'negate':
        return `(-${this.#value(expression.value)})`
      case 'convert':
        return expression.kind === 'int' && expression.value.kind === 'double'
          ? `whole(Math.trunc(${this.#value(expression.value)}))`
          : this.#value(expression.value)
      case 'size': {
        const text = this.#temporary()
        return `((${text} = ${this.#value(expression.value)}) === undefined ? NaN : size(${text}))`
      }
      case 'choose': {
        const numeric = expression.kind === 'int' || expression.kind === 'double'
        const unknown = numeric ? 'NaN' : 'undefined'
        const [yes, no] = [this.#value(expression.yes), this.#value(expression.no)]
        return this.#choose(this.#tri(expression.condition), yes, no, unknown)
      }
      default:
        return this.#tri(expression)
    }
  }

  #choose(condition: string, yes: string, no: string, otherwise: string): string {
    const chosen = this.#temporary()
    return `((${chosen} = ${condition}) === true ? ${yes} : ${chosen} === false ? ${no} : ${otherwise})`
  }

  #arithmetic(expression: Expression & { op: 'arithmetic' }): string {
    const { operator, kind } = expression
    const left = this.#value(expression.left)
    const right = this.#value(expression.right)
    if (kind === 'string') {
      const [l, r] = [this.#temporary(), this.#temporary()]
      return `((${l} = ${left}) === undefined | (${r} = ${right}) === undefined ? undefined : ${l} + ${r})`
    }
    if (kind === 'double') return `finite(${left} ${operator} ${right})`
    if (operator === '/') return `divide(${left}, ${right})`
    return operator === '%' ? `(${left} % ${right})` : `whole(${left} ${operator} ${right})`
  }

  /** A JavaScript expression that holds exactly when the condition is surely true. */
  #isTrue(expression: Expression): string {
    return this.#surely(expression, true)
  }

  /** A JavaScript expression that holds exactly when the condition is surely false. */
  #isFalse(expression: Expression): string {
    return this.#surely(expression, false)
  }

  #surely(expression: Expression, wanted: boolean): string {
    switch (expression.op) {
      case 'literal':
        return String(expression.value === wanted)
      case 'and':
      case 'or': {
        const join = (expression.op === 'and') === wanted ? '&&' : '||'
        const left = this.#surely(expression.left, wanted)
        return `(${left} ${join} ${this.#surely(expression.right, wanted)})`
      }
      case 'not':
        return this.#surely(expression.value, !wanted)
      case 'has':
        return `${this.#known(expression.fact.path, expression.fact.kind, wanted)}`
      case 'compare':
        return this.#compare(expression, wanted)
      case 'equal':
        return this.#equal(expression, wanted !== expression.negated)
      case 'in':
        return this.#in(expression, wanted)
      case 'inList':
        return this.#inList(expression, wanted)
      case 'text':
        return this.#text(expression, wanted)
      case 'choose': {
        const yes = this.#surely(expression.yes, wanted)
        const no = this.#surely(expression.no, wanted)
        return this.#choose(this.#tri(expression.condition), yes, no, 'false')
      }
      default:
        throw new Error(`${expression.op} is no condition`)
    }
  }

  #known(path: string, kind: string, wanted: boolean): string {
    const fact = this.#fact(path)
    if (kind === 'string') return `(${fact} ${wanted ? '!==' : '==='} undefined)`
    return `(${fact} ${wanted ? '===' : '!=='} ${fact})`
  }

  #compare(expression: Expression & { op: 'compare' }, wanted: boolean): string {
    const { operator, left, right } = expression
    const opposite = { '<': '>=', '<=': '>', '>': '<=', '>=': '<' }[operator]
    // A lower bound can prove "at least", never disprove it: the bound itself is read only there.
    const upward = operator === '>' || operator === '>='
    const bounded = upward ? left : right
    if (wanted && bounded.op === 'aggregate' && bounded.lowerBound) {
      const bound = this.#aggregate(bounded, false)
      const other = this.#value(upward ? right : left)
      return upward ? `(${bound} ${operator} ${other})` : `(${other} ${operator} ${bound})`
    }
    return `(${this.#value(left)} ${wanted ? operator : opposite} ${this.#value(right)})`
  }

  /** `same` true: surely equal; false: surely different. */
  #equal(expression: Expression & { op: 'equal' }, same: boolean): string {
    const { left, right } = expression
    const [l, r] = [this.#value(left), this.#value(right)]
    if (left.kind === 'int' || left.kind === 'double') {
      if (same) return `(${l} === ${r})`
      if (isPlain(left) && isPlain(right)) return `(${l} < ${r} || ${l} > ${r})`
      const [a, b] = [this.#temporary(), this.#temporary()]
      return `(${a} = ${l}, ${b} = ${r}, ${a} < ${b} || ${a} > ${b})`
    }
    if (same && (isNeverUnknown(left) || isNeverUnknown(right))) return `(${l} === ${r})`
    const [a, known] = this.#knownText(left, l)
    const [b, alsoKnown] = this.#knownText(right, r)
    const both = [known, alsoKnown].filter((check) => check !== '')
    return `(${[...both, `${a} ${same ? '===' : '!=='} ${b}`].join(' && ')})`
  }

  /** How to name a value after the check that it is known; the check is '' where it always is. */
  #knownText(expression: Expression, code: string): readonly [name: string, check: string] {
    if (isNeverUnknown(expression)) return [code, '']
    if (isPlain(expression)) return [code, `${code} !== undefined`]
    const name = this.#temporary()
    return [name, `(${name} = ${code}) !== undefined`]
  }

  #in(expression: Expression & { op: 'in' }, wanted: boolean): string {
    const { value, items } = expression
    const numeric = value.kind === 'int' || value.kind === 'double'
    const checks: string[] = []
    const known = (part: Expression): string => {
      const code = this.#value(part)
      if (!numeric) {
        const [name, check] = this.#knownText(part, code)
        if (check !== '') checks.push(check)
        return name
      }
      if (part.op === 'literal') return code
      const name = this.#temporary()
      checks.push(`(${name} = ${code}, ${name} === ${name})`)
      return name
    }
    const subject = known(value)
    const names = items.map(known)
    const literals = items.flatMap((item) => (item.op === 'literal' ? [item.value] : []))
    const allLiteral = literals.length === items.length
    const inside =
      allLiteral && literals.length > inlineItemsMax
        ? `${this.#constants.set(literals)}.has(${subject})`
        : `(${names.map((name) => `${subject} === ${name}`).join(' || ')})`
    return `(${[...checks, wanted ? inside : `!${inside}`].join(' && ')})`
  }

  /** A value is on a list until its end: without the time, an entry with an end is unknown. */
  #inList(expression: Expression & { op: 'inList' }, wanted: boolean): string {
    const [subject, known] = this.#knownText(expression.value, this.#value(expression.value))
    const end = this.#temporary()
    const ask = `${end} = ${this.#constants.list(expression.list)}.until(${subject})`
    const test = wanted
      ? `(${ask}, ${end} === Infinity || at < ${end})`
      : `(${ask}, ${end} === -Infinity || at >= ${end})`
    return known === '' ? test : `(${known} && ${test})`
  }

  /** The text methods: a call on known text. */
  #text(expression: Expression & { op: 'text' }, wanted: boolean): string {
    const [subject, known] = this.#knownText(expression.value, this.#value(expression.value))
    const code = this.#value(expression.argument)
    const [argument, argumentKnown] = this.#knownText(expression.argument, code)
    const method = { startsWith: 'startsWith', endsWith: 'endsWith', contains: 'includes' }
    const call = `${subject}.${method[expression.method]}(${argument})`
    const checks = [known, argumentKnown].filter((check) => check !== '')
    return `(${[...checks, wanted ? call : `!${call}`].join(' && ')})`
  }

  /** One expression of true, false or undefined. Every part of the condition appears in it once. */
  #tri(expression: Expression): string {
    switch (expression.op) {
      case 'literal':
        return String(expression.value)
      case 'and':
      case 'or': {
        const settles = String(expression.op === 'or')
        const [l, r] = [this.#temporary(), this.#temporary()]
        const left = this.#tri(expression.left)
        const right = this.#tri(expression.right)
        return `((${l} = ${left}) === ${settles} ? ${settles} : (${r} = ${right}) === ${settles} ? ${settles} : ${l} === undefined ? undefined : ${r})`
      }
      case 'not': {
        const value = this.#temporary()
        return `((${value} = ${this.#tri(expression.value)}) === undefined ? undefined : !${value})`
      }
      case 'choose': {
        const [yes, no] = [this.#tri(expression.yes), this.#tri(expression.no)]
        return this.#choose(this.#tri(expression.condition), yes, no, 'undefined')
      }
      default:
        return this.#triLeaf(expression)
    }
  }

  /** A test as true, false or undefined; its operands are first put into temporaries. */
  #triLeaf(expression: Expression): string {
    if (children(expression).every(isPlain)) {
      return `(${this.#isTrue(expression)} ? true : ${this.#isFalse(expression)} ? false : undefined)`
    }
    const assignments: string[] = []
    const plain = withChildren(expression, (child) => {
      if (isPlain(child)) return child
      const name = this.#temporary()
      assignments.push(`${name} = ${this.#value(child)}`)
      return { op: 'local', kind: child.kind, name }
    })
    const [isTrue, isFalse] = [this.#isTrue(plain), this.#isFalse(plain)]
    return `(${assignments.join(', ')}, ${isTrue} ? true : ${isFalse} ? false : undefined)`
  }
}

/** Reading it again costs nothing and writes no code twice. */
function isPlain(expression: Expression): boolean {
  return ['literal', 'fact', 'aggregate', 'local', 'arrival'].includes(expression.op)
}

function isNeverUnknown(expression: Expression): boolean {
  if (expression.op === 'literal') return true
  return expression.op === 'fact' && expression.fact.always
}
