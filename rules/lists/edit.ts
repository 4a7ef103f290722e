// Changes the text of a list as an analyst's hand would: an entry is a line at the end, comments and
// everything else stay as they are.

import { ENTRY_COLUMNS, kindOf, LIST_KEYS, type ListKind } from './named-list.ts'
import { isIgnored, splitFields } from './table.ts'

/** One entry: the fields that its kind starts with, and what is known about it. */
export interface ListEntry {
  readonly key: readonly string[]
  readonly until?: string
  readonly added?: string
  readonly by?: string
  readonly why?: string
}

export type ListEdit =
  | { readonly ok: true; readonly text: string }
  | { readonly ok: false; readonly problem: string }

/** A new list of a kind, without entries. */
export function newList(kind: ListKind): string {
  return `${[...LIST_KEYS[kind], ...ENTRY_COLUMNS].join(',')}\n`
}

/** Adds entries; columns that the list doesn't have yet are given to all its lines. */
export function addToList(text: string, entries: readonly ListEntry[]): ListEdit {
  const list = readLines(text)
  if (!list.ok) return list
  const { lines, key } = list
  let { columns } = list
  const wanted = ENTRY_COLUMNS.filter((column) => entries.some((entry) => field(entry, column)))
  const missing = wanted.filter((column) => !columns.includes(column))
  columns = [...columns, ...missing]
  const padded = lines.map((line, index) => {
    if (missing.length === 0 || isIgnored(line)) return line
    return index === list.headerAt ? columns.join(',') : `${line}${','.repeat(missing.length)}`
  })
  const known = new Set(lines.flatMap((line) => keyTexts(line, key.length)))
  for (const entry of entries) {
    const unwritable = [...entry.key, ...columns.map((column) => field(entry, column))]
    if (unwritable.some((value) => /[\r\n]/.test(value))) {
      return { ok: false, problem: 'an entry is one line' }
    }
    const fields = keyFields(entry.key, key.length)
    if (fields === undefined) {
      return { ok: false, problem: `an entry of this list is written ${key.join(' ')}` }
    }
    const keyText = fields.join('\n')
    if (known.has(keyText))
      return { ok: false, problem: `${entry.key.join(' ')} is listed already` }
    known.add(keyText)
    const rest = columns.slice(key.length).map((column) => field(entry, column))
    padded.push([...fields, ...rest].map(quoted).join(','))
  }
  return { ok: true, text: `${padded.join('\n')}\n` }
}

/** Removes the lines of an entry. */
export function removeFromList(text: string, entryKey: readonly string[]): ListEdit {
  const list = readLines(text)
  if (!list.ok) return list
  const fields = keyFields(entryKey, list.key.length)
  const wanted = fields?.join('\n')
  const kept = list.lines.filter(
    (line, index) =>
      index === list.headerAt || !keyTexts(line, list.key.length).includes(wanted ?? '\n'),
  )
  if (kept.length === list.lines.length) {
    return { ok: false, problem: `${entryKey.join(' ')} is not on the list` }
  }
  return { ok: true, text: `${kept.join('\n')}\n` }
}

type ListLines =
  | {
      readonly ok: true
      readonly lines: readonly string[]
      readonly headerAt: number
      readonly columns: readonly string[]
      readonly key: readonly string[]
    }
  | { readonly ok: false; readonly problem: string }

function readLines(text: string): ListLines {
  const lines = text.replace(/\s+$/, '').split(/\r?\n/)
  const headerAt = lines.findIndex((line) => !isIgnored(line))
  const columns = splitFields(lines[headerAt] ?? '') ?? []
  const kind = kindOf(columns)
  if (kind === undefined) return { ok: false, problem: 'it has no header that is known' }
  return { ok: true, lines, headerAt, columns, key: LIST_KEYS[kind] }
}

/** The entry's key fields; an empty end of a range is its start. */
function keyFields(written: readonly string[], length: number): readonly string[] | undefined {
  const [first = '', second = first] = written
  if (first === '' || written.length > length) return undefined
  return length === 1 ? [first] : [first, second === '' ? first : second]
}

/** What a line lists, as one text; nothing for a comment. */
function keyTexts(line: string, length: number): readonly string[] {
  if (isIgnored(line)) return []
  const fields = keyFields(splitFields(line)?.slice(0, length) ?? [], length)
  return fields === undefined ? [] : [fields.join('\n')]
}

function field(entry: ListEntry, column: string): string {
  switch (column) {
    case 'until':
      return entry.until ?? ''
    case 'added':
      return entry.added ?? ''
    case 'by':
      return entry.by ?? ''
    case 'why':
      return entry.why ?? ''
    default:
      return ''
  }
}

function quoted(value: string): string {
  const isPlain = !/[",]/.test(value) && value.trim() === value && !value.startsWith('#')
  return isPlain ? value : `"${value.replaceAll('"', '""')}"`
}
