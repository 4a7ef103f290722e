// "Did you mean": the nearest known word, by edit distance.

/**
 * Optimal string alignment distance (insert, delete, replace, swap neighbours each cost 1),
 * stopping at `limit + 1`. Source: Damerau 1964, Levenshtein 1966.
 */
export function editDistance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) > limit) return limit + 1
  let before: number[] = []
  let previous = Array.from({ length: b.length + 1 }, (_, column) => column)
  for (let row = 1; row <= a.length; row++) {
    const current = [row]
    let best = row
    for (let column = 1; column <= b.length; column++) {
      const same = a[row - 1] === b[column - 1]
      let cost = Math.min(
        (previous[column] ?? 0) + 1,
        (current[column - 1] ?? 0) + 1,
        (previous[column - 1] ?? 0) + (same ? 0 : 1),
      )
      const swapped = a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1]
      if (row > 1 && column > 1 && swapped) cost = Math.min(cost, (before[column - 2] ?? 0) + 1)
      current.push(cost)
      best = Math.min(best, cost)
    }
    if (best > limit) return limit + 1
    before = previous
    previous = current
  }
  return previous[b.length] ?? limit + 1
}

/** The known word nearest to `word`, or undefined when none is near. Capital letters don't count. */
export function nearest(word: string, known: Iterable<string>): string | undefined {
  const lower = word.slice(0, 64).toLowerCase()
  // Two slips in five letters: `delay` for `delayMs`.
  const limit = Math.max(lower.length < 5 ? 1 : 2, Math.floor(lower.length / 3))
  let found: string | undefined
  let foundDistance = limit + 1
  for (const candidate of known) {
    const distance = editDistance(lower, candidate.toLowerCase(), limit)
    if (distance < foundDistance) {
      found = candidate
      foundDistance = distance
    }
  }
  return found
}

/** `; did you mean "x"?`, or the full list when nothing is near and the list is short. */
export function didYouMean(word: string, known: readonly string[]): string {
  const near = nearest(word, known)
  if (near !== undefined) return `; did you mean "${near}"?`
  return known.length > 0 && known.length <= 12 ? `; known: ${known.join(', ')}` : ''
}
