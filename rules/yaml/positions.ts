// A condition's character positions, traced back into the YAML file that it was written in.

import type { Scalar } from 'yaml'

const escapeLengths: Readonly<Record<string, number>> = { x: 4, u: 6, U: 10 }

/**
 * For each character of a scalar's value, and for its end, the position in the source. YAML folds
 * lines, strips indentation and reads escapes, but keeps the order of everything that is not white
 * space, so value and source are walked side by side.
 */
export function sourcePositions(source: string, scalar: Scalar): number[] {
  let at = scalar.range?.[0] ?? 0
  const end = scalar.range?.[1] ?? source.length
  const doubleQuoted = scalar.type === 'QUOTE_DOUBLE'
  const singleQuoted = scalar.type === 'QUOTE_SINGLE'
  if (doubleQuoted || singleQuoted) at++
  if (scalar.type === 'BLOCK_FOLDED' || scalar.type === 'BLOCK_LITERAL') {
    at = source.indexOf('\n', at) + 1
  }
  const isSpace = (position: number) => /\s/.test(source[position] ?? '')
  const isContinuation = (position: number) =>
    doubleQuoted && source[position] === '\\' && /[\r\n]/.test(source[position + 1] ?? '')
  const positions: number[] = []
  for (const character of String(scalar.value).split('')) {
    const wantsSpace = /\s/.test(character)
    while (at < end && ((!wantsSpace && isSpace(at)) || isContinuation(at))) at++
    positions.push(at)
    if (doubleQuoted && source[at] === '\\') at += escapeLengths[source[at + 1] ?? ''] ?? 2
    else if (singleQuoted && character === "'") at += 2
    else if (!wantsSpace || isSpace(at)) at++
  }
  positions.push(at)
  return positions
}
