// A file of labels: CSV with a header line, or a JSON object a line. Every line is read; what is
// wrong is told with its number.

import { type LabelItem, readLabelItem } from './labels.ts'

export interface LabelLine {
  /** Counts from 1. */
  readonly line: number
  readonly item: LabelItem
  /** As it may be sent on. */
  readonly sent: Readonly<Record<string, unknown>>
}

export interface LabelFile {
  readonly lines: readonly LabelLine[]
  readonly bad: readonly { readonly line: number; readonly problem: string }[]
}

const COLUMNS = ['id', 'acquirer', 'rrn', 'kind', 'knownAt']

/** Reads a whole file. Empty lines are left out. Never throws for what a file holds. */
export function readLabelFile(text: string, nowMs: number): LabelFile {
  const lines: LabelLine[] = []
  const bad: { line: number; problem: string }[] = []
  const rows = text.replace(/^\uFEFF/, '').split(/\r?\n/)
  const isJson =
    rows
      .find((row) => row.trim() !== '')
      ?.trimStart()
      .startsWith('{') === true
  let columns: readonly string[] | undefined
  for (const [index, row] of rows.entries()) {
    const line = index + 1
    if (row.trim() === '') continue
    if (!isJson && columns === undefined) {
      columns = fieldsOf(row)
      const problem = columnProblem(columns)
      if (problem !== undefined) return { lines: [], bad: [{ line, problem }] }
      continue
    }
    const value = isJson ? jsonOf(row) : record(columns ?? [], fieldsOf(row))
    const read =
      typeof value === 'string'
        ? { ok: false as const, problem: value }
        : readLabelItem(value, nowMs)
    if (read.ok) lines.push({ line, item: read.item, sent: value as LabelLine['sent'] })
    else bad.push({ line, problem: read.problem })
  }
  if (lines.length === 0 && bad.length === 0) {
    bad.push({ line: 1, problem: 'the file holds no label' })
  }
  return { lines, bad }
}

/** The value, or what is wrong. */
function jsonOf(row: string): unknown {
  try {
    const value: unknown = JSON.parse(row)
    return typeof value === 'string' ? 'a line is a JSON object' : value
  } catch (error) {
    return `the line is not JSON: ${(error as Error).message}`
  }
}

function fieldsOf(row: string): readonly string[] {
  // None of the fields may hold a comma; quotes around a field are taken off.
  return row.split(',').map((field) => field.trim().replace(/^"(.*)"$/, '$1'))
}

function columnProblem(columns: readonly string[]): string | undefined {
  const unknown = columns.find((name) => !COLUMNS.includes(name))
  const known = `the columns are ${COLUMNS.join(', ')}`
  if (unknown !== undefined) return `"${unknown}": ${known}`
  if (new Set(columns).size < columns.length) return `a column is there twice: ${known}`
  const isNamed =
    columns.includes('id') || (columns.includes('acquirer') && columns.includes('rrn'))
  if (columns.includes('kind') && isNamed) return undefined
  return 'the header has kind, and id or acquirer and rrn'
}

/** The fields by their names, empty ones left out; or what is wrong. */
function record(columns: readonly string[], fields: readonly string[]): object | string {
  if (fields.length !== columns.length) {
    return `expected ${columns.length} fields (${columns.join(', ')}), found ${fields.length}`
  }
  const entries = columns.map((name, index) => [name, fields[index]] as const)
  return Object.fromEntries(entries.filter(([, field]) => field !== ''))
}
