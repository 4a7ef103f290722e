// A list that conditions ask by inList(value, "name"). The first column says what its entries are;
// columns for an end, for who added an entry, when and why may follow.
//
//     value             M-1001                       exactly this text
//     from,to           3000,3299                    texts of the same length, both included
//     binFrom,binTo     476173,47617399              BINs of 6 to 8 digits, both included
//     cidr              203.0.113.0/24               addresses, IPv4 or IPv6
//     ... until,added,by,why

import { nearest } from '../language/index.ts'
import type { ProblemList, RuleFile } from '../problem.ts'
import type { Steps } from '../steps.ts'
import { untilLooks, untilMs } from '../until.ts'
import { type AddressRange, parseCidr } from './address.ts'
import { binRange, cidrMessage, createAddressLookup, createBinLookup } from './countries.ts'
import { createRangeTable, noteOverlaps, type Range, type RangeTable } from './ranges.ts'
import { listProblem, scanTable, type TakeRow } from './table.ts'
import { createValueTable } from './value-table.ts'

export interface NamedList {
  /** True when the value is on the list at that time; without a time, ends don't count. */
  has(value: string, atMs?: number): boolean
  /**
   * The first millisecond at which the value is no longer on the list: Infinity where its entry has
   * no end, -Infinity where it has no entry.
   */
  until(value: string): number
  /** What its entries are. */
  readonly kind: ListKind
  /** Number of entries. */
  readonly size: number
}

export type ListKind = 'value' | 'range' | 'bin' | 'cidr'

/** The columns that a list starts with, by its kind. */
export const LIST_KEYS: Readonly<Record<ListKind, readonly string[]>> = {
  value: ['value'],
  range: ['from', 'to'],
  bin: ['binFrom', 'binTo'],
  cidr: ['cidr'],
}

/** The columns that may follow. */
export const ENTRY_COLUMNS: readonly string[] = ['until', 'added', 'by', 'why']

/** The kind that a header is for; undefined when it is none. */
export function kindOf(columns: readonly string[]): ListKind | undefined {
  const kinds = Object.keys(LIST_KEYS) as ListKind[]
  return kinds.find((kind) => LIST_KEYS[kind].every((name, index) => columns[index] === name))
}

interface Collector {
  /** Keeps an entry, or says what is wrong with it. */
  add(fields: readonly string[], until: number, line: number): string | undefined
  finish(file: string, problems: ProblemList): (value: string) => number | undefined
  size(): number
}

/** Reads a named list. What is wrong is noted with its line; the list is then refused whole. */
export function* createNamedList(file: RuleFile, problems: ProblemList): Steps<NamedList> {
  let collector = collectValues()
  let kind: ListKind = 'value'
  yield* scanTable(file, problems, (columns) => {
    const found = kindOf(columns)
    if (found === undefined) {
      listProblem(problems, file.name, 1, kindMessage)
      return undefined
    }
    noteColumns(file, columns.slice(LIST_KEYS[found].length), problems)
    kind = found
    collector = collectors[found]()
    return takeInto(collector, columns.indexOf('until'), file, problems)
  })
  const find = collector.finish(file.name, problems)
  const until = (value: string): number => find(value) ?? Number.NEGATIVE_INFINITY
  return {
    kind,
    size: collector.size(),
    until,
    has(value, atMs = Number.NEGATIVE_INFINITY) {
      const end = until(value)
      return end !== Number.NEGATIVE_INFINITY && !(atMs >= end)
    },
  }
}

const kindMessage =
  'a list starts with the column "value" or "cidr", or with "from,to" or "binFrom,binTo"'

function noteColumns(file: RuleFile, columns: readonly string[], problems: ProblemList): void {
  columns.forEach((column, index) => {
    if (ENTRY_COLUMNS.includes(column) && columns.indexOf(column) === index) return
    const near = nearest(column, ENTRY_COLUMNS)
    const hint = near === undefined ? '' : `; did you mean "${near}"?`
    const known = `after its entry a line has ${ENTRY_COLUMNS.join(', ')}, each once`
    listProblem(problems, file.name, 1, `column "${column}": ${known}${hint}`)
  })
}

function takeInto(
  collector: Collector,
  untilColumn: number,
  file: RuleFile,
  problems: ProblemList,
): TakeRow {
  return (line, fields) => {
    const written = untilColumn === -1 ? '' : (fields[untilColumn] ?? '')
    const until = written === '' ? Number.POSITIVE_INFINITY : untilMs(written)
    const problem = Number.isNaN(until)
      ? `"until" is ${untilLooks}`
      : collector.add(fields, until, line)
    if (problem !== undefined) listProblem(problems, file.name, line, problem)
  }
}

const collectors: Readonly<Record<ListKind, () => Collector>> = {
  value: collectValues,
  range: collectRanges,
  bin: collectBins,
  cidr: collectAddresses,
}

function collectValues(): Collector {
  const ends = createValueTable()
  return {
    size: () => ends.size,
    add([value = ''], until) {
      if (value === '') return 'the value is empty'
      return ends.add(value, until) ? undefined : 'this value is listed twice'
    },
    finish: () => (value) => ends.get(value),
  }
}

/** Texts are compared with those of their own length only: "3000" to "3299" holds no "30005". */
function collectRanges(): Collector {
  const byLength = new Map<number, Range<string, number>[]>()
  let size = 0
  return {
    size: () => size,
    add([from = '', to = ''], until, line) {
      if (from === '' || from.length !== to.length || from > to) {
        return '"from" and "to" are of the same length, and from is not after to'
      }
      const ranges = byLength.get(from.length) ?? []
      ranges.push({ from, to, value: until, line })
      byLength.set(from.length, ranges)
      size++
      return undefined
    },
    finish(file, problems) {
      const tables = new Map<number, RangeTable<string, number>>()
      for (const [length, ranges] of byLength) {
        const table = createRangeTable(ranges)
        noteOverlaps(file, table, problems)
        tables.set(length, table)
      }
      return (value) => tables.get(value.length)?.find(value)
    },
  }
}

function collectBins(): Collector {
  const ranges: Range<number, number>[] = []
  return {
    size: () => ranges.length,
    add([binFrom = '', binTo = ''], until, line) {
      const { from, to } = binRange(binFrom, binTo === '' ? binFrom : binTo)
      if (!(from <= to)) return 'a BIN range is 6 to 8 digits: binFrom,binTo'
      ranges.push({ from, to, value: until, line })
      return undefined
    },
    finish(file, problems) {
      const table = createRangeTable(ranges)
      noteOverlaps(file, table, problems)
      return createBinLookup(table)
    },
  }
}

function collectAddresses(): Collector {
  const ranges: { range: AddressRange; value: number; line: number }[] = []
  return {
    size: () => ranges.length,
    add([cidr = ''], until, line) {
      const range = parseCidr(cidr)
      if (range === undefined) return cidrMessage
      ranges.push({ range, value: until, line })
      return undefined
    },
    finish: (file, problems) => createAddressLookup(file, ranges, problems),
  }
}
