// Looks for a shorter plan that breaks the same promise: delta debugging (Zeller and Hildebrandt,
// "Simplifying and Isolating Failure-Inducing Input", 2002). Halves, quarters, and so on are taken
// out as long as what is left still fails.

import { SHRINK_RUNS_MAX } from './limits.ts'

export interface Shrunk<Entry> {
  readonly entries: readonly Entry[]
  /** How many runs the search took. */
  readonly runs: number
}

/** `fails` says whether a part of the plan still breaks the promise. `entries` does. */
export async function shrink<Entry>(
  entries: readonly Entry[],
  fails: (part: readonly Entry[]) => Promise<boolean>,
  runsMax = SHRINK_RUNS_MAX,
): Promise<Shrunk<Entry>> {
  let left = entries
  let runs = 0
  let parts = 2
  while (left.length > 1 && runs < runsMax) {
    const size = Math.ceil(left.length / parts)
    let hasShrunk = false
    for (let from = 0; from < left.length && runs < runsMax; from += size) {
      const without = [...left.slice(0, from), ...left.slice(from + size)]
      runs++
      if (!(await fails(without))) continue
      left = without
      parts = Math.max(parts - 1, 2)
      hasShrunk = true
      break
    }
    if (hasShrunk) continue
    if (size === 1) break
    parts = Math.min(parts * 2, left.length)
  }
  return { entries: left, runs }
}
