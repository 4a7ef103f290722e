// Lists are CSV: a header line, then one entry a line; `#` starts a comment line. A field may be in
// double quotes, with "" for one inside (RFC 4180), but may not span lines.

import type { ProblemList, RuleFile } from '../problem.ts'

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
export function readTable(file: RuleFile, problems: ProblemList): Table | undefined {
  let columns: readonly string[] | undefined
  const rows: TableRow[] = []
  let line = 0
  for (const raw of file.text.split('\n')) {
    line++
    const text = raw.endsWith('\r') ? raw.slice(0, -1) : raw
    if (text.trim() === '' || text.startsWith('#')) continue
    const fields = splitFields(text)
    if (fields === undefined) {
      listProblem(problems, file.name, line, 'a quoted field does not end')
    } else if (columns === undefined) {
      columns = fields
    } else if (fields.length !== columns.length) {
      const expected = `${columns.length} fields (${columns.join(', ')})`
      listProblem(problems, file.name, line, `expected ${expected}, found ${fields.length}`)
    } else {
      rows.push({ line, fields })
    }
  }
  if (columns === undefined) {
    listProblem(problems, file.name, 1, 'a list starts with a header line that names its columns')
    return undefined
  }
  return { file: file.name, columns, rows }
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

function splitFields(text: string): string[] | undefined {
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
