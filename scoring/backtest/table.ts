// The rows of a CSV or NDJSON file as texts by column, whatever the columns are: payments and
// labels are both read with it. A line that can't be read is told, never skipped.

import { lineCharactersMax } from './limits.ts'
import { fieldsOf, linesOf } from './lines.ts'
import type { BadLine } from './past-payment.ts'

export interface TableLayout {
  readonly format: 'csv' | 'ndjson'
  /** The columns that are read, in the order of a row's fields. */
  readonly columns: readonly string[]
  /** Their names in the file, where these are others. */
  readonly renamed: ReadonlyMap<string, string>
}

export interface TableRow {
  readonly line: number
  /** By column of the layout; undefined where the row has none. */
  readonly fields: readonly (string | undefined)[]
}

/** What the first line says: the columns that are there, and those that nobody reads. */
export interface TableHead {
  readonly present: readonly string[]
  readonly unused: readonly string[]
}

export interface TableReader {
  /** Known once the first rows came; NDJSON has none, and every column may be present. */
  readonly head: TableHead | undefined
  /** Yields rows some thousand at a time. `onBad` is told every line that can't be read. */
  rows(
    bytes: AsyncIterable<Uint8Array>,
    onBad: (bad: BadLine) => void,
  ): AsyncGenerator<readonly TableRow[], void, undefined>
}

export function createTableReader(layout: TableLayout): TableReader {
  return layout.format === 'csv' ? new CsvReader(layout) : new NdjsonReader(layout)
}

const delimiters: readonly string[] = [',', ';', '\t']

class CsvReader implements TableReader {
  readonly #layout: TableLayout
  #head: TableHead | undefined
  #delimiter = ','
  /** By field of the file: where it goes, or -1. */
  #slots: readonly number[] = []

  constructor(layout: TableLayout) {
    this.#layout = layout
  }

  get head(): TableHead | undefined {
    return this.#head
  }

  async *rows(bytes: AsyncIterable<Uint8Array>, onBad: (bad: BadLine) => void) {
    for await (const lines of linesOf(bytes, true)) {
      const rows: TableRow[] = []
      for (const { number, text } of lines) {
        if (this.#head === undefined) {
          this.#readHead(text)
          continue
        }
        const fields = text.length > lineCharactersMax ? undefined : this.#split(text)
        if (typeof fields === 'object') rows.push({ line: number, fields })
        else onBad({ line: number, column: undefined, message: fields ?? tooLong })
      }
      yield rows
    }
  }

  #readHead(text: string): void {
    const line = text.replace(/^\uFEFF/, '')
    const most = (one: string, other: string) =>
      line.split(other).length > line.split(one).length ? other : one
    this.#delimiter = delimiters.reduce(most)
    const names = (fieldsOf(line, this.#delimiter) ?? []).map((name) => name.trim())
    const { columns, renamed } = this.#layout
    const byFile = new Map(columns.map((column) => [renamed.get(column) ?? column, column]))
    this.#slots = names.map((name) => columns.indexOf(byFile.get(name) ?? ''))
    this.#head = {
      present: columns.filter((_, slot) => this.#slots.includes(slot)),
      unused: names.filter((_, at) => this.#slots[at] === -1),
    }
  }

  /** The fields, or what is wrong with the line. */
  #split(text: string): readonly (string | undefined)[] | string {
    const texts = fieldsOf(text, this.#delimiter)
    if (texts === undefined) return 'a quoted field does not end, or something stands behind it'
    const slots = this.#slots
    if (texts.length !== slots.length) {
      return `expected ${slots.length} fields as in the header, found ${texts.length}`
    }
    const fields: (string | undefined)[] = new Array(this.#layout.columns.length).fill(undefined)
    for (let at = 0; at < texts.length; at++) {
      const slot = slots[at] as number
      const field = texts[at] as string
      if (slot !== -1 && field !== '') fields[slot] = field
    }
    return fields
  }
}

const tooLong = `a line has at most ${lineCharactersMax} characters`

class NdjsonReader implements TableReader {
  readonly head = undefined
  readonly #paths: readonly (readonly string[])[]
  readonly #names: readonly string[]

  constructor({ columns, renamed }: TableLayout) {
    this.#names = columns.map((column) => renamed.get(column) ?? column)
    this.#paths = this.#names.map((name) => name.split('.'))
  }

  async *rows(bytes: AsyncIterable<Uint8Array>, onBad: (bad: BadLine) => void) {
    for await (const lines of linesOf(bytes, false)) {
      const rows: TableRow[] = []
      for (const { number, text } of lines) {
        const fields = text.length > lineCharactersMax ? tooLong : this.#read(text)
        if (typeof fields === 'object') rows.push({ line: number, fields })
        else onBad({ line: number, column: undefined, message: fields })
      }
      yield rows
    }
  }

  #read(text: string): readonly (string | undefined)[] | string {
    let value: unknown
    try {
      value = JSON.parse(text)
    } catch {
      return 'this is no JSON'
    }
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      return 'a line is one object'
    }
    return this.#paths.map((path, index) => {
      // A dotted name may stand as it is, too.
      const found = this.#at(value, path) ?? this.#at(value, [this.#names[index] as string])
      return found === undefined || found === null || found === '' ? undefined : String(found)
    })
  }

  #at(value: unknown, path: readonly string[]): unknown {
    let found: unknown = value
    for (const name of path) {
      if (typeof found !== 'object' || found === null || !Object.hasOwn(found, name))
        return undefined
      found = (found as Readonly<Record<string, unknown>>)[name]
    }
    return typeof found === 'object' ? undefined : found
  }
}
