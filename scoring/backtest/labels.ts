// A file of labels: the id or the RRN of a payment, what it was, and when that was known. CSV or
// NDJSON. Of several labels of one payment the one known last counts.

import { COLUMNS, columnIndex } from './columns.ts'
import { labelsMax } from './limits.ts'
import type { BadLine, Label } from './past-payment.ts'
import { createTableReader, type TableRow } from './table.ts'
import type { Labels } from './truth.ts'

export const LABEL_COLUMNS = ['id', 'rrn', 'kind', 'knownAt'] as const

const kindColumn = COLUMNS[columnIndex('label.kind')] as (typeof COLUMNS)[number]
const timeColumn = COLUMNS[columnIndex('label.knownAt')] as (typeof COLUMNS)[number]

export interface LabelsRead {
  readonly labels: Labels
  readonly count: number
}

/** Reads all labels that were known at `asOfMs`; `onBad` is told every line that says nothing. */
export async function readLabels(
  bytes: AsyncIterable<Uint8Array>,
  format: 'csv' | 'ndjson',
  asOfMs: number,
  onBad: (bad: BadLine) => void,
): Promise<LabelsRead | { readonly message: string }> {
  const byId = new Map<string, Label>()
  const byRrn = new Map<string, Label>()
  const reader = createTableReader({ format, columns: LABEL_COLUMNS, renamed: new Map() })
  let count = 0
  for await (const rows of reader.rows(bytes, onBad)) {
    const present = reader.head?.present
    if (present !== undefined && !isComplete(present)) {
      return { message: 'a file of labels has the columns id or rrn, kind, and knownAt' }
    }
    for (const row of rows) {
      const label = labelIn(row, onBad)
      if (label === undefined || label.knownAtMs > asOfMs) continue
      const [id, rrn] = row.fields
      if (id !== undefined) keepNewest(byId, id, label)
      else keepNewest(byRrn, rrn as string, label)
      if (++count > labelsMax) return { message: `a file has at most ${labelsMax} labels` }
    }
  }
  return { labels: { byId, byRrn }, count }
}

function isComplete(present: readonly string[]): boolean {
  return present.includes('kind') && (present.includes('id') || present.includes('rrn'))
}

function labelIn({ line, fields }: TableRow, onBad: (bad: BadLine) => void): Label | undefined {
  const [id, rrn, kind, knownAt] = fields
  const bad = (column: string, message: string): undefined => {
    onBad({ line, column, message })
  }
  if (id === undefined && rrn === undefined) return bad('id', 'is required, or rrn')
  if (kind === undefined || kindColumn.read(kind) === undefined) {
    return bad('kind', `is ${kindColumn.looks}`)
  }
  if (knownAt === undefined) return { kind, knownAtMs: Number.NaN }
  const knownAtMs = timeColumn.read(knownAt)
  if (typeof knownAtMs !== 'number') return bad('knownAt', `is ${timeColumn.looks}`)
  return { kind, knownAtMs }
}

function keepNewest(labels: Map<string, Label>, key: string, label: Label): void {
  const known = labels.get(key)
  if (known !== undefined && known.knownAtMs > label.knownAtMs) return
  labels.set(key, label)
}
