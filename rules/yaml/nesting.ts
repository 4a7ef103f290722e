// How deep a YAML text may nest, asked before it is parsed: the parser calls itself for each
// level, and a stack that is nearly used up ends the process (V8 aborts where it then compiles a
// regular expression), which no try can catch.

import { yamlNestingMax } from '../limits.ts'

const openers = '[{'
const closers = ']}'

/**
 * The position where a text may nest deeper than `yamlNestingMax`; -1 where it can't. Brackets are
 * counted wherever they stand, in quotes too, and each column of a line's indentation, each "- " and
 * each ": " as a level: never too few, and far above what a pack has.
 */
export function nestsTooDeep(text: string): number {
  let brackets = 0
  let levels = 0
  let isIndentation = true
  for (let at = 0; at < text.length; at++) {
    const character = text[at] as string
    if (character === '\n') {
      levels = 0
      isIndentation = true
    } else if (openers.includes(character)) brackets++
    else if (closers.includes(character)) brackets = Math.max(0, brackets - 1)
    else if (isIndentation && /[\s\-?:]/.test(character)) levels++
    else {
      isIndentation = false
      if (character === ':') levels++
    }
    if (brackets > yamlNestingMax || levels > yamlNestingMax) return at
  }
  return -1
}
