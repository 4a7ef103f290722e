// Ranges that don't overlap, in sorted arrays, found by binary search.

import type { ProblemList } from '../problem.ts'
import { listProblem } from './table.ts'

export interface Range<Key, Value> {
  readonly from: Key
  readonly to: Key
  readonly value: Value
  /** The line in the list file. */
  readonly line: number
}

export interface RangeTable<Key, Value> {
  /** The value of the range that holds the key. */
  find(key: Key): Value | undefined
  /** Pairs of ranges that overlap, by line; empty in a good table. */
  readonly overlaps: readonly (readonly [line: number, otherLine: number])[]
}

export function createRangeTable<Key extends number | string, Value>(
  ranges: readonly Range<Key, Value>[],
): RangeTable<Key, Value> {
  const sorted = [...ranges].sort((a, b) => (a.from < b.from ? -1 : a.from > b.from ? 1 : 0))
  const starts = sorted.map((range) => range.from)
  const overlaps: [number, number][] = []
  sorted.forEach((range, index) => {
    const next = sorted[index + 1]
    if (next !== undefined && next.from <= range.to) overlaps.push([next.line, range.line])
  })
  return {
    overlaps,
    find(key) {
      let low = 0
      let high = starts.length
      while (low < high) {
        const middle = (low + high) >>> 1
        if ((starts[middle] as Key) <= key) low = middle + 1
        else high = middle
      }
      const range = sorted[low - 1]
      return range !== undefined && key <= range.to ? range.value : undefined
    },
  }
}

export function noteOverlaps<Key, Value>(
  file: string,
  table: RangeTable<Key, Value>,
  problems: ProblemList,
): void {
  for (const [line, otherLine] of table.overlaps) {
    listProblem(problems, file, line, `overlaps the range on line ${otherLine}`)
  }
}
