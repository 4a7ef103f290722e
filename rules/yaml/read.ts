// Reads a YAML file against a shape. Everything wrong is noted with line and column; what could be
// read comes back as plain data together with the places of its parts.

import { isMap, isScalar, isSeq, LineCounter, type Node, parseDocument, type Scalar } from 'yaml'
import { didYouMean } from '../language/index.ts'
import { yamlNestingMax } from '../limits.ts'
import { type ProblemList, placeAt, type RuleFile } from '../problem.ts'
import { nestsTooDeep } from './nesting.ts'
import { sourcePositions } from './positions.ts'
import type { Shape } from './shape.ts'

export interface Place {
  readonly line: number
  readonly column: number
}

/** A path into the data: `['rules', 0, 'when']`. */
export type DataPath = readonly (string | number)[]

export interface YamlData {
  /** Fits the shape; undefined when anything was wrong with the file as a whole. */
  readonly data: unknown
  /** True when every part fits. */
  readonly sound: boolean
  /** Where a part stands; the start of the file for what isn't there. */
  place(path: DataPath): Place
  /** Where the character at `offset` of a text stands. */
  placeInText(path: DataPath, offset: number): Place
}

export function readYaml(file: RuleFile, shape: Shape, problems: ProblemList): YamlData {
  const tooDeep = nestsTooDeep(file.text)
  if (tooDeep !== -1) return refused(file, tooDeep, problems)
  const lineCounter = new LineCounter()
  const document = parseDocument(file.text, { lineCounter, version: '1.2', prettyErrors: false })
  const placeOf = (offset: number): Place => {
    const { line, col } = lineCounter.linePos(offset)
    return { line: Math.max(line, 1), column: Math.max(col, 1) }
  }
  const reader = new Reader(file, problems, placeOf)
  for (const problem of [...document.errors, ...document.warnings]) {
    reader.note(problem.pos[0], 'yaml_error', yamlMessage(problem.code, problem.message))
  }
  const contents = document.contents
  const data = reader.sound ? reader.read(contents as Node | null, shape, '', 0) : undefined
  const nodeAt = (path: DataPath): Node | undefined => {
    const node = path.length === 0 ? contents : document.getIn(path, true)
    return node !== null && typeof node === 'object' ? (node as Node) : undefined
  }
  return {
    data,
    sound: reader.sound,
    place: (path) => placeOf(nodeAt(path)?.range?.[0] ?? 0),
    placeInText(path, offset) {
      const node = nodeAt(path)
      if (!isScalar(node)) return placeOf(node?.range?.[0] ?? 0)
      const positions = sourcePositions(file.text, node)
      return placeOf(positions[Math.min(offset, positions.length - 1)] ?? 0)
    },
  }
}

function refused(file: RuleFile, position: number, problems: ProblemList): YamlData {
  const place = placeAt(file.text, position)
  const message = `nested deeper than ${yamlNestingMax} levels, or as many colons in one line`
  problems.add({ file: file.name, ...place, severity: 'error', code: 'yaml_error', message })
  return { data: undefined, sound: false, place: () => place, placeInText: () => place }
}

function yamlMessage(code: string, message: string): string {
  if (code === 'DUPLICATE_KEY') return 'this field is given twice'
  if (code === 'TAG_RESOLVE_FAILED') {
    return 'YAML reads a leading "!" as a tag; put the condition in quotes or after "|"'
  }
  const quotes = /nested mappings|unexpected scalar/i.test(message)
    ? ' (a condition with ": " or a leading quote or bracket goes in quotes, or after ">-")'
    : ''
  return `not readable as YAML: ${message.charAt(0).toLowerCase()}${message.slice(1)}${quotes}`
}

class Reader {
  sound = true
  readonly #file: RuleFile
  readonly #problems: ProblemList
  readonly #placeOf: (offset: number) => Place

  constructor(file: RuleFile, problems: ProblemList, placeOf: (offset: number) => Place) {
    this.#file = file
    this.#problems = problems
    this.#placeOf = placeOf
  }

  note(offset: number, code: string, message: string): undefined {
    this.sound = false
    const place = this.#placeOf(offset)
    this.#problems.add({ file: this.#file.name, ...place, severity: 'error', code, message })
    return undefined
  }

  /** `name` is how the analyst calls the part, '' for the file; `at` is its place when it is absent. */
  read(node: Node | null | undefined, shape: Shape, name: string, at: number): unknown {
    const start = node?.range?.[0] ?? at
    const what = name === '' ? 'the file' : `"${name}"`
    switch (shape.kind) {
      case 'record':
      case 'map':
        if (isMap(node)) return this.#readMap(node, shape, name)
        return this.note(start, 'bad_value', `${what} holds fields, each written "name: value"`)
      case 'list':
        if (!isSeq(node)) {
          return this.note(
            start,
            'bad_value',
            `${what} is a list: "- " before each entry, or [a, b]`,
          )
        }
        if (node.items.length > shape.lengthMax) {
          return this.note(start, 'bad_value', `${what} may have ${shape.lengthMax} entries`)
        }
        return node.items.map((item) => this.read(item as Node, shape.of, name, start))
      default:
        if (!isScalar(node)) {
          return this.note(start, 'bad_value', `${what} is ${scalarWords(shape)}`)
        }
        return this.#readScalar(node, shape, what)
    }
  }

  #readMap(
    node: {
      items: { key: unknown; value: unknown }[]
      range?: readonly number[] | null | undefined
    },
    shape: Extract<Shape, { kind: 'record' | 'map' }>,
    name: string,
  ): Record<string, unknown> {
    const data: Record<string, unknown> = {}
    const known = shape.kind === 'record' ? Object.keys(shape.fields) : []
    for (const { key, value } of node.items) {
      const keyText = isScalar(key) ? String(key.value) : ''
      const keyStart = (key as Node).range?.[0] ?? 0
      const inner = shape.kind === 'map' ? shape.of : shape.fields[keyText]?.shape
      if (inner === undefined || !(shape.kind === 'map' || Object.hasOwn(shape.fields, keyText))) {
        this.note(
          keyStart,
          'unknown_field',
          `unknown field "${keyText}"${didYouMean(keyText, known)}`,
        )
        continue
      }
      data[keyText] = this.read(value as Node | null, inner, keyText, keyStart)
    }
    if (shape.kind === 'record') {
      for (const [field, { required }] of Object.entries(shape.fields)) {
        if (!required || Object.hasOwn(data, field)) continue
        const where = name === '' ? '' : ` in "${name}"`
        this.note(node.range?.[0] ?? 0, 'missing_field', `the field "${field}" is missing${where}`)
      }
    } else if (node.items.length > shape.sizeMax) {
      this.note(node.range?.[0] ?? 0, 'bad_value', `"${name}" may have ${shape.sizeMax} fields`)
    }
    return data
  }

  #readScalar(
    node: Scalar,
    shape: Exclude<Shape, { kind: 'record' | 'map' | 'list' }>,
    what: string,
  ): unknown {
    const start = node.range?.[0] ?? 0
    const value = node.value
    if (shape.kind === 'flag' && typeof value === 'boolean') return value
    if (shape.kind === 'number' && typeof value === 'number') {
      const fits = value >= shape.min && value <= shape.max
      if (fits && (!shape.integer || Number.isInteger(value))) return value
    }
    if (shape.kind === 'word' && typeof value === 'string') {
      if (shape.words.includes(value)) return value
      const near = didYouMean(value, shape.words)
      return this.note(start, 'bad_value', `${what} is never "${value}"${near}`)
    }
    if (shape.kind === 'text') {
      if (typeof value !== 'string') {
        const hint = value === null ? ', and is empty here' : '; put it in quotes'
        return this.note(start, 'bad_value', `${what} is text${hint}`)
      }
      if (value.length === 0 || value.length > shape.lengthMax) {
        return this.note(start, 'bad_value', `${what} has 1 to ${shape.lengthMax} characters`)
      }
      if (shape.pattern === undefined || shape.pattern.test(value)) return value
      return this.note(start, 'bad_value', `${what} is ${shape.looks ?? 'written otherwise'}`)
    }
    return this.note(start, 'bad_value', `${what} is ${scalarWords(shape)}`)
  }
}

function scalarWords(shape: Shape): string {
  switch (shape.kind) {
    case 'flag':
      return 'true or false'
    case 'number': {
      const kind = shape.integer ? 'a whole number' : 'a number'
      return `${kind} from ${shape.min} to ${shape.max}`
    }
    case 'word':
      return `one of ${shape.words.join(', ')}`
    default:
      return 'text'
  }
}
