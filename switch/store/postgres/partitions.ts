// Which partitions must be there, and the call that makes them.

import type { Statement } from './database.ts'
import { dayOfTime } from './day.ts'

/** In the order in which a day's go: what is looked up first. */
export const PARTITIONED = ['transaction', 'record', 'step', 'delivery', 'label'] as const

export const PARTITIONS: Statement = {
  name: 'create_partitions_1',
  text: 'SELECT switchyard.create_partitions($1, $2) AS made',
}

/** The first and last day of the partitions that must be there at `nowMs`. */
export function partitionDays(nowMs: number, aheadDays: number): readonly [number, number] {
  const today = dayOfTime(nowMs)
  // Yesterday's too: another process's clock may be a little behind.
  return [today - 1, today + aheadDays]
}
