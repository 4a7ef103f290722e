// The entries of a list as they are written: for people.

import { createProblemList } from '../problem.ts'
import { atOnce } from '../steps.ts'
import { untilMs } from '../until.ts'
import { readTable } from './table.ts'

export interface WrittenList {
  /** The header. */
  readonly columns: readonly string[]
  readonly entries: readonly WrittenEntry[]
}

export interface WrittenEntry {
  readonly line: number
  /** One for each column. */
  readonly fields: readonly string[]
  /** Its `until` has passed: it is in the file, and no longer on the list. */
  readonly ended: boolean
}

/** Reads the text of a list; lines that don't fit the header are left out. */
export function writtenList(text: string, atMs: number): WrittenList {
  const table = atOnce(readTable({ name: 'lists/', text }, createProblemList()))
  const { columns = [], rows = [] } = table ?? {}
  const until = columns.indexOf('until')
  const entries = rows.map(({ line, fields }) => {
    const end = until === -1 ? Number.NaN : untilMs(fields[until] ?? '')
    return { line, fields, ended: atMs >= end }
  })
  return { columns, entries }
}
