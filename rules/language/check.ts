// Reads a condition: CEL text in, a checked expression or all its problems out. The library parses
// and has the last word on types; the walk here knows the vocabulary, so it can name what was
// expected, the nearest known name, and every problem instead of the first.

import { type ASTNode, type Environment, ParseError } from '@marcbachmann/cel-js'
import { ENTITIES, type Entity } from '../aggregate.ts'
import { conditionCharactersMax } from '../limits.ts'
import { celEnvironment, libraryNameOfType } from './environment.ts'
import type { CompareOperator, Expression, Reading, TextMethod } from './expression.ts'
import { didYouMean, nearest } from './nearest.ts'
import { syntaxProblem, wordHint } from './syntax.ts'
import {
  AGGREGATE_FUNCTIONS,
  aggregateFunctionByName,
  ENTITY_PATHS,
  FACT_NAMES,
  type FactName,
  FUNCTION_NAMES,
  factByPath,
  RECORD_NAMES,
  type ValueKind,
} from './vocabulary.ts'
import { windowSeconds } from './window.ts'

/** A problem inside a condition; `start` and `end` count characters of its text from 0. */
export interface ConditionProblem {
  readonly start: number
  readonly end: number
  readonly code: string
  readonly message: string
}

export interface CheckedCondition {
  readonly text: string
  readonly expression: Expression
  /** Each name and call that it reads, once, in reading order. */
  readonly readings: readonly Reading[]
  /** Its parts that are joined by &&, ||, ! and ?:, in their order. */
  readonly clauses: readonly Clause[]
}

/** A test inside a condition; `start` counts characters of the condition from 0. */
export interface Clause {
  readonly text: string
  readonly start: number
  readonly expression: Expression
}

export type ConditionResult =
  | { readonly ok: true; readonly condition: CheckedCondition }
  | { readonly ok: false; readonly problems: readonly ConditionProblem[] }

const kindWords: Readonly<Record<ValueKind, string>> = {
  int: 'a whole number',
  double: 'a decimal number',
  string: 'text',
  bool: 'true or false',
}

/** Checks conditions against the vocabulary and the names of the lists that exist. */
export interface ConditionChecker {
  readonly listNames: readonly string[]
  check(text: string): ConditionResult
}

let environment: Environment | undefined

export function createConditionChecker(listNames: readonly string[]): ConditionChecker {
  // One for all: it holds no values, and making it costs as much as checking a pack.
  environment ??= celEnvironment()
  const checking = environment
  return { listNames, check: (text) => checkCondition(checking, listNames, text) }
}

function checkCondition(
  environment: Environment,
  listNames: readonly string[],
  text: string,
): ConditionResult {
  const refuse = (
    code: string,
    message: string,
    start = 0,
    end = text.length,
  ): ConditionResult => ({
    ok: false,
    problems: [{ code, message, start, end }],
  })
  if (text.length > conditionCharactersMax) {
    return refuse(
      'condition_too_long',
      `a condition may have ${conditionCharactersMax} characters, this one has ${text.length}`,
    )
  }
  let parsed: ReturnType<Environment['parse']>
  try {
    parsed = environment.parse(text)
  } catch (error) {
    if (!(error instanceof ParseError)) throw error
    const { start, end, message } = syntaxProblem(text, error)
    return refuse('syntax_error', message, start, end)
  }
  const walk = new Walk(text, listNames)
  const expression = walk.read(parsed.ast)
  if (expression !== undefined && expression.kind !== 'bool') {
    walk.problem(
      parsed.ast,
      'not_a_condition',
      `a condition is true or false, this is ${kindWords[expression.kind]}`,
    )
  }
  if (expression === undefined || walk.problems.length > 0) {
    return { ok: false, problems: walk.problems }
  }
  const verdict = parsed.check()
  if (!verdict.valid) {
    const range = verdict.error?.range
    return refuse(
      'type_error',
      verdict.error?.summary ?? 'refused by the type checker',
      range?.start,
      range?.end,
    )
  }
  return {
    ok: true,
    condition: { text, expression, readings: walk.readings(), clauses: walk.clauses() },
  }
}

const topNames: readonly string[] = [
  ...FACT_NAMES.filter((fact) => !fact.path.includes('.')).map((fact) => fact.path),
  ...RECORD_NAMES,
]

type NodeOf<Op extends ASTNode['op']> = Extract<ASTNode, { op: Op }>

/** One walk over one condition; collects problems and readings on the way. */
class Walk {
  readonly problems: ConditionProblem[] = []
  readonly #text: string
  readonly #listNames: readonly string[]
  readonly #readings = new Map<string, Reading>()
  readonly #clauses: Clause[] = []

  constructor(text: string, listNames: readonly string[]) {
    this.#text = text
    this.#listNames = listNames
  }

  readings(): readonly Reading[] {
    return [...this.#readings.values()]
  }

  problem(node: ASTNode, code: string, message: string): undefined {
    this.problems.push({ code, message, start: node.range.start, end: node.range.end })
    return undefined
  }

  #reading<Kind extends Reading['expression']>(node: ASTNode, expression: Kind): Kind {
    const source = this.#text.slice(node.range.start, node.range.end).replace(/\s+/g, ' ')
    if (!this.#readings.has(source)) this.#readings.set(source, { label: source, expression })
    return expression
  }

  /** Tests that stand inside another test are part of it. */
  clauses(): readonly Clause[] {
    const isInside = (inner: Clause, outer: Clause) =>
      inner !== outer &&
      inner.start >= outer.start &&
      inner.start + inner.text.length <= outer.start + outer.text.length
    const outermost = this.#clauses.filter(
      (clause) => !this.#clauses.some((outer) => isInside(clause, outer)),
    )
    return outermost.sort((a, b) => a.start - b.start)
  }

  /** The checked expression, or undefined when a problem was noted inside. */
  read(node: ASTNode): Expression | undefined {
    const expression = this.#read(node)
    if (expression?.kind === 'bool' && !['and', 'or', 'not', 'choose'].includes(expression.op)) {
      const { start, end } = node.range
      this.#clauses.push({ text: this.#text.slice(start, end), start, expression })
    }
    return expression
  }

  #read(node: ASTNode): Expression | undefined {
    switch (node.op) {
      case 'value':
        return this.#literal(node)
      case 'id':
        return this.#name(node, node.args)
      case '.':
        return this.#field(node)
      case 'call':
        return this.#call(node)
      case 'rcall':
        return this.#method(node)
      case '&&':
      case '||':
        return this.#logical(node)
      case '!_':
        return this.#not(node)
      case '-_':
        return this.#negate(node)
      case '?:':
        return this.#choose(node)
      case '<':
      case '<=':
      case '>':
      case '>=':
        return this.#compare(node, node.op)
      case '==':
      case '!=':
        return this.#equal(node)
      case 'in':
        return this.#in(node)
      case '+':
      case '-':
      case '*':
      case '/':
      case '%':
        return this.#arithmetic(node)
      default:
        return this.problem(
          node,
          'outside_language',
          'lists stand only to the right of "in", and maps, indexes and bytes are not part of the language',
        )
    }
  }

  #literal(node: NodeOf<'value'>): Expression | undefined {
    const value = node.args
    if (typeof value === 'bigint') {
      if (value <= BigInt(Number.MAX_SAFE_INTEGER) && value >= BigInt(Number.MIN_SAFE_INTEGER)) {
        return { op: 'literal', kind: 'int', value: Number(value) }
      }
      return this.problem(node, 'number_too_big', 'whole numbers go up to 9007199254740991')
    }
    if (typeof value === 'number') return { op: 'literal', kind: 'double', value }
    if (typeof value === 'string') return { op: 'literal', kind: 'string', value }
    if (typeof value === 'boolean') return { op: 'literal', kind: 'bool', value }
    if (value === null) {
      return this.problem(node, 'outside_language', 'nothing is null; ask with has(path)')
    }
    return this.problem(
      node,
      'outside_language',
      'bytes and unsigned numbers are not part of the language',
    )
  }

  #fact(node: ASTNode, fact: FactName): Expression {
    return this.#reading(node, { op: 'fact', kind: fact.kind, fact })
  }

  #name(node: NodeOf<'id'>, name: string, asText = false): Expression | undefined {
    const fact = factByPath.get(name)
    if (fact !== undefined) {
      const expression = this.#fact(node, fact)
      if (name === 'type') (node as { args: string }).args = libraryNameOfType
      return expression
    }
    if (RECORD_NAMES.includes(name)) {
      const fields = fieldsOf(name).join(', ')
      return this.problem(node, 'not_a_value', `"${name}" has fields; name one: ${fields}`)
    }
    if ((ENTITIES as readonly string[]).includes(name)) {
      const path = ENTITY_PATHS[name as Entity]
      return this.problem(
        node,
        'not_a_value',
        `"${name}" is an entity, for count(${name}, "10m") and the like; its value is ${path}`,
      )
    }
    const hint = asText ? `; as text it is "${name}"` : didYouMean(name, topNames)
    return this.problem(node, 'unknown_name', `unknown name "${name}"${hint}`)
  }

  /** One side of a comparison: beside a text, a bare word may be meant as one. */
  #side(node: ASTNode, other: ASTNode): Expression | undefined {
    if (node.op !== 'id' || nearest(node.args, topNames) !== undefined) return this.read(node)
    const path = this.#text.slice(other.range.start, other.range.end)
    return this.#name(node, node.args, factByPath.get(path)?.kind === 'string')
  }

  /** The fact of a select such as `card.country`; notes the problem where there is none. */
  #selected(node: NodeOf<'.'>): FactName | undefined {
    const [left, field] = node.args
    if (left.op !== 'id') {
      return this.problem(node, 'unknown_name', 'names have at most two parts, as card.country')
    }
    const fact = factByPath.get(`${left.args}.${field}`)
    if (fact !== undefined) return fact
    if (!RECORD_NAMES.includes(left.args)) {
      const near = didYouMean(
        `${left.args}.${field}`,
        FACT_NAMES.map((known) => known.path),
      )
      return this.problem(left, 'unknown_name', `unknown name "${left.args}"${near}`)
    }
    const position = { start: node.range.end - field.length, end: node.range.end }
    const near = didYouMean(field, fieldsOf(left.args))
    this.problems.push({
      ...position,
      code: 'unknown_name',
      message: `unknown field "${field}" of "${left.args}"${near}`,
    })
    return undefined
  }

  #field(node: NodeOf<'.'>): Expression | undefined {
    const fact = this.#selected(node)
    return fact === undefined ? undefined : this.#fact(node, fact)
  }

  #call(node: NodeOf<'call'>): Expression | undefined {
    const [name, args] = node.args
    if (aggregateFunctionByName.has(name)) return this.#aggregate(node, name, args)
    switch (name) {
      case 'has':
        return this.#has(node, args)
      case 'inList':
        return this.#inList(node, args)
      case 'double':
      case 'int':
        return this.#convert(node, name, args)
      case 'size':
        return args[0] !== undefined && args.length === 1
          ? this.#size(args[0])
          : this.problem(node, 'bad_call', 'size() takes one text: size(card.bin)')
      default:
        return this.problem(
          node,
          'unknown_function',
          wordHint(name) ?? `unknown function "${name}"${didYouMean(name, FUNCTION_NAMES)}`,
        )
    }
  }

  #aggregate(node: ASTNode, name: string, args: readonly ASTNode[]): Expression | undefined {
    const definition = AGGREGATE_FUNCTIONS.find((entry) => entry.name === name)
    if (definition === undefined) return undefined
    const distinct = name === 'distinct'
    const form = distinct ? 'distinct(card, merchant, "24h")' : `${name}(card, "10m")`
    if (args.length !== (distinct ? 3 : 2)) {
      return this.problem(node, 'bad_call', `${name}() is written ${form}`)
    }
    const entity = this.#entity(args[0], name)
    const of = distinct ? this.#entity(args[1], name) : undefined
    const window = this.#window(args[distinct ? 2 : 1])
    if (entity === undefined || window === undefined || (distinct && of === undefined)) {
      return undefined
    }
    if (of === entity) {
      return this.problem(node, 'bad_call', `a ${entity} has exactly one ${entity}; count another`)
    }
    const aggregate = {
      function: definition.name,
      entity,
      windowSeconds: window,
      ...(of === undefined ? {} : { of }),
    }
    const { kind, lowerBound } = definition
    return this.#reading(node, { op: 'aggregate', kind, aggregate, lowerBound })
  }

  #entity(node: ASTNode | undefined, name: string): Entity | undefined {
    if (node === undefined) return undefined
    if (node.op === 'id' && (ENTITIES as readonly string[]).includes(node.args)) {
      return node.args as Entity
    }
    const written =
      node.op === 'id' ? node.args : this.#text.slice(node.range.start, node.range.end)
    const near =
      node.op === 'id' ? didYouMean(node.args, ENTITIES) : `; known: ${ENTITIES.join(', ')}`
    return this.problem(
      node,
      'bad_entity',
      `${name}() counts over an entity, not "${written}"${near}`,
    )
  }

  #window(node: ASTNode | undefined): number | undefined {
    if (node === undefined) return undefined
    const shape = 'a window is a literal from "1m" to "30d": digits and m, h or d'
    if (node.op !== 'value' || typeof node.args !== 'string') {
      return this.problem(node, 'bad_window', shape)
    }
    const seconds = windowSeconds(node.args)
    if (seconds !== undefined) return seconds
    return this.problem(node, 'bad_window', `bad window "${node.args}"; ${shape}`)
  }

  #has(node: ASTNode, args: readonly ASTNode[]): Expression | undefined {
    const path = args[0]
    if (args.length !== 1 || path === undefined || path.op !== '.') {
      return this.problem(node, 'bad_call', 'has() takes one path, as has(card.country)')
    }
    const fact = this.#selected(path)
    return fact && this.#reading(node, { op: 'has', kind: 'bool', fact })
  }

  #inList(node: ASTNode, args: readonly ASTNode[]): Expression | undefined {
    const [subject, list] = args
    if (args.length !== 2 || subject === undefined || list === undefined) {
      return this.problem(node, 'bad_call', 'inList() is written inList(card, "stolen-cards")')
    }
    const isEntity = subject.op === 'id' && (ENTITIES as readonly string[]).includes(subject.args)
    const fact = isEntity ? factByPath.get(ENTITY_PATHS[subject.args as Entity]) : undefined
    const value: Expression | undefined =
      fact === undefined ? this.read(subject) : { op: 'fact', kind: fact.kind, fact }
    if (value !== undefined && value.kind !== 'string') {
      this.problem(subject, 'type_error', `a list holds text, this is ${kindWords[value.kind]}`)
    }
    if (list.op !== 'value' || typeof list.args !== 'string') {
      return this.problem(list, 'unknown_list', 'the list is named by a literal, as "stolen-cards"')
    }
    if (!this.#listNames.includes(list.args)) {
      const near = didYouMean(list.args, this.#listNames)
      return this.problem(list, 'unknown_list', `no list "${list.args}" in lists/${near}`)
    }
    if (value === undefined || value.kind !== 'string') return undefined
    return this.#reading(node, { op: 'inList', kind: 'bool', list: list.args, value })
  }

  #convert(
    node: ASTNode,
    kind: 'int' | 'double',
    args: readonly ASTNode[],
  ): Expression | undefined {
    const argument = args[0]
    if (args.length !== 1 || argument === undefined) {
      return this.problem(node, 'bad_call', `${kind}() takes one number`)
    }
    const value = this.read(argument)
    if (value === undefined) return undefined
    if (value.kind === 'int' || value.kind === 'double') return { op: 'convert', kind, value }
    return this.problem(
      argument,
      'type_error',
      `${kind}() takes a number, not ${kindWords[value.kind]}`,
    )
  }

  #size(node: ASTNode): Expression | undefined {
    const value = this.read(node)
    if (value === undefined) return undefined
    if (value.kind === 'string') return { op: 'size', kind: 'int', value }
    return this.problem(node, 'type_error', `size() takes text, not ${kindWords[value.kind]}`)
  }

  #method(node: NodeOf<'rcall'>): Expression | undefined {
    const [name, receiver, args] = node.args
    if (name === 'size' && args.length === 0) return this.#size(receiver)
    if (name !== 'startsWith' && name !== 'endsWith' && name !== 'contains') {
      const known = ['startsWith', 'endsWith', 'contains', 'size']
      const why =
        name === 'matches'
          ? '; regular expressions are not part of the language (their cost has no limit)'
          : ''
      return this.problem(
        node,
        'unknown_function',
        `unknown function ".${name}()"${why || didYouMean(name, known)}`,
      )
    }
    return this.#textMethod(node, name, receiver, args)
  }

  #textMethod(
    node: ASTNode,
    method: TextMethod,
    receiver: ASTNode,
    args: readonly ASTNode[],
  ): Expression | undefined {
    const value = this.read(receiver)
    const first = args[0]
    if (first === undefined || args.length !== 1) {
      return this.problem(node, 'bad_call', `.${method}() takes one text`)
    }
    const argument = this.read(first)
    if (value === undefined || argument === undefined) return undefined
    if (value.kind === 'string' && argument.kind === 'string') {
      return { op: 'text', kind: 'bool', method, value, argument }
    }
    const wrong = value.kind === 'string' ? argument : value
    const place = value.kind === 'string' ? first : receiver
    return this.problem(
      place,
      'type_error',
      `.${method}() is for text, not ${kindWords[wrong.kind]}`,
    )
  }

  #bool(node: ASTNode, what: string): Expression | undefined {
    const value = this.read(node)
    if (value === undefined || value.kind === 'bool') return value
    return this.problem(
      node,
      'type_error',
      `${what} needs true or false, this is ${kindWords[value.kind]}`,
    )
  }

  #logical(node: NodeOf<'&&' | '||'>): Expression | undefined {
    const left = this.#bool(node.args[0], node.op)
    const right = this.#bool(node.args[1], node.op)
    if (left === undefined || right === undefined) return undefined
    return { op: node.op === '&&' ? 'and' : 'or', kind: 'bool', left, right }
  }

  #not(node: NodeOf<'!_'>): Expression | undefined {
    const value = this.#bool(node.args, '"!"')
    return value && { op: 'not', kind: 'bool', value }
  }

  #negate(node: NodeOf<'-_'>): Expression | undefined {
    const value = this.read(node.args)
    if (value === undefined) return undefined
    if (value.kind !== 'int' && value.kind !== 'double') {
      return this.problem(
        node,
        'type_error',
        `"-" needs a number, this is ${kindWords[value.kind]}`,
      )
    }
    if (value.op === 'literal') return { ...value, value: -Number(value.value) }
    return { op: 'negate', kind: value.kind, value }
  }

  #choose(node: NodeOf<'?:'>): Expression | undefined {
    const condition = this.#bool(node.args[0], '"?"')
    const yes = this.read(node.args[1])
    const no = this.read(node.args[2])
    if (condition === undefined || yes === undefined || no === undefined) return undefined
    if (yes.kind === no.kind) return { op: 'choose', kind: yes.kind, condition, yes, no }
    return this.problem(
      node,
      'type_error',
      `both sides of ":" must be of one kind, not ${kindWords[yes.kind]} and ${kindWords[no.kind]}`,
    )
  }

  #pair(node: { readonly args: readonly [ASTNode, ASTNode] }) {
    const left = this.#side(node.args[0], node.args[1])
    const right = this.#side(node.args[1], node.args[0])
    return left === undefined || right === undefined ? undefined : { left, right }
  }

  #compare(node: NodeOf<CompareOperator>, operator: CompareOperator): Expression | undefined {
    const pair = this.#pair(node)
    if (pair === undefined) return undefined
    const { left, right } = pair
    const numbers = isNumber(left) && isNumber(right)
    if (numbers || (left.kind === 'string' && right.kind === 'string')) {
      return { op: 'compare', kind: 'bool', operator, left, right }
    }
    return this.#mismatch(node, operator, left, right)
  }

  #equal(node: NodeOf<'==' | '!='>): Expression | undefined {
    const pair = this.#pair(node)
    if (pair === undefined) return undefined
    const { left, right } = pair
    if (left.kind !== right.kind) return this.#mismatch(node, node.op, left, right)
    this.#canMatch(node.args[1], left, right)
    this.#canMatch(node.args[0], right, left)
    return { op: 'equal', kind: 'bool', negated: node.op === '!=', left, right }
  }

  #in(node: NodeOf<'in'>): Expression | undefined {
    const value = this.read(node.args[0])
    const list = node.args[1]
    if (list.op !== 'list' || list.args.length === 0) {
      return this.problem(
        list,
        'type_error',
        'to the right of "in" stands a list with values, as ["DE", "FR"]; files are asked by inList()',
      )
    }
    const items: Expression[] = []
    for (const element of list.args) {
      const item = this.#side(element, node.args[0])
      if (item === undefined || value === undefined) continue
      if (item.kind !== value.kind) this.#mismatch(element, 'in', value, item)
      this.#canMatch(element, value, item)
      items.push(item)
    }
    return value && { op: 'in', kind: 'bool', value, items }
  }

  #arithmetic(node: NodeOf<'+' | '-' | '*' | '/' | '%'>): Expression | undefined {
    const pair = this.#pair(node)
    if (pair === undefined) return undefined
    const { left, right } = pair
    const operator = node.op
    if (left.kind !== right.kind) return this.#mismatch(node, operator, left, right)
    if (left.kind === 'int' || (left.kind === 'double' && operator !== '%')) {
      return { op: 'arithmetic', kind: left.kind, operator, left, right }
    }
    if (left.kind === 'string' && operator === '+') {
      return { op: 'arithmetic', kind: 'string', operator, left, right }
    }
    return this.problem(node, 'type_error', `"${operator}" is not for ${kindWords[left.kind]}`)
  }

  #mismatch(node: ASTNode, operator: string, left: Expression, right: Expression): undefined {
    const sides = `${kindWords[left.kind]} and ${kindWords[right.kind]}`
    const hint = isNumber(left) && isNumber(right) ? numbersHint(left, right) : ''
    return this.problem(node, 'type_error', `"${operator}" can't join ${sides}${hint}`)
  }

  /** A text that the name can never have is a mistake that would hide a rule for ever. */
  #canMatch(node: ASTNode, name: Expression, literal: Expression): void {
    if (name.op !== 'fact' || literal.op !== 'literal' || typeof literal.value !== 'string') return
    const { path, values, shape } = name.fact
    if (values !== undefined && !values.includes(literal.value)) {
      const near = didYouMean(literal.value, values)
      this.problem(node, 'unknown_value', `${path} is never "${literal.value}"${near}`)
    } else if (shape !== undefined && !shape.pattern.test(literal.value)) {
      this.problem(node, 'unknown_value', `${path} is ${shape.looks}, never "${literal.value}"`)
    }
  }
}

function numbersHint(left: Expression, right: Expression): string {
  const [whole, decimal] = left.kind === 'int' ? [left, right] : [right, left]
  if (whole.op === 'literal') return `; write ${String(whole.value)}.0 for the whole number`
  if (decimal.op === 'literal' && Number.isInteger(decimal.value)) {
    return `; write ${String(decimal.value)} for the decimal number`
  }
  return '; convert the whole number with double()'
}

function isNumber(expression: Expression): boolean {
  return expression.kind === 'int' || expression.kind === 'double'
}

function fieldsOf(record: string): readonly string[] {
  const prefix = `${record}.`
  return FACT_NAMES.filter((fact) => fact.path.startsWith(prefix)).map((fact) =>
    fact.path.slice(prefix.length),
  )
}
