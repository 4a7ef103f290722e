// Lists are CSV: a header line, then one entry a line; `#` starts a comment line. A field may be in
// double quotes, with "" for one inside (RFC 4180), but may not span lines.

import type { ProblemList, RuleFile } from '../problem.ts'
import type { Steps } from '../steps.ts'

export interface TableRow {
  readonly line: number
  readonly fields: readonly string[]
}

export interface Table {
  readonly file: string
  readonly columns: readonly string[]
  readonly rows: readonly TableRow[]
}

/** Reads a list file; undefined when it has no header. Notes lines that don't fit the header. */
export function* readTable(file: RuleFile, problems: ProblemList): Steps<Table | undefined> {
  const rows: TableRow[] = []
  const takeRow: TakeRow = (line, fields) => rows.push({ line, fields })
  const columns = yield* scanTable(file, problems, () => takeRow)
  return columns === undefined ? undefined : { file: file.name, columns, rows }
}

/** Lines between two steps: about half a millisecond. */
const linesAStep = 1_024

/** Takes the fields of one entry; there are as many as columns. */
export type TakeRow = (line: number, fields: readonly string[]) => void

/**
 * Reads a list file entry by entry, so that a million of them are never rows at the same time.
 * `start` is told the header and gives what takes the entries, or undefined to read no further.
 * Returns the header; undefined when there is none.
 */
export function* scanTable(
  file: RuleFile,
  problems: ProblemList,
  start: (columns: readonly string[]) => TakeRow | undefined,
): Steps<readonly string[] | undefined> {
  let columns: readonly string[] | undefined
  let take: TakeRow | undefined
  let line = 0
  for (let at = 0; at <= file.text.length; ) {
    const newline = file.text.indexOf('\n', at)
    const end = newline === -1 ? file.text.length : newline
    const text = file.text.slice(at, file.text[end - 1] === '\r' ? end - 1 : end)
    at = end + 1
    line++
    if (line % linesAStep === 0) yield
    if (isIgnored(text)) continue
    const fields = splitFields(text)
    if (fields === undefined) {
      listProblem(problems, file.name, line, 'a quoted field does not end')
    } else if (columns === undefined) {
      columns = fields
      take = start(columns)
      if (take === undefined) return columns
    } else if (fields.length !== columns.length) {
      const expected = `${columns.length} fields (${columns.join(', ')})`
      listProblem(problems, file.name, line, `expected ${expected}, found ${fields.length}`)
    } else {
      take?.(line, fields)
    }
  }
  if (columns === undefined) {
    listProblem(problems, file.name, 1, 'a list starts with a header line that names its columns')
  }
  return columns
}

/** A comment, or nothing but space. */
export function isIgnored(line: string): boolean {
  return line.startsWith('#') || line.trim() === ''
}

export function listProblem(
  problems: ProblemList,
  file: string,
  line: number,
  message: string,
  code = 'bad_list_line',
): void {
  problems.add({ file, line, column: 1, severity: 'error', code, message })
}

/** The fields of one line; undefined when a quote is left open. */
export function splitFields(text: string): string[] | undefined {
  if (!text.includes('"')) return text.split(',').map((field) => field.trim())
  const fields: string[] = []
  let rest = text
  for (;;) {
    const quoted = /^\s*"((?:[^"]|"")*)"\s*(,|$)/.exec(rest)
    const plain = quoted === null ? /^([^",]*)(,|$)/.exec(rest) : null
    const match = quoted ?? plain
    if (match === null) return undefined
    const field = match[1] ?? ''
    fields.push(quoted === null ? field.trim() : field.replaceAll('""', '"'))
    if (match[2] !== ',') return fields
    rest = rest.slice(match[0].length)
  }
}
