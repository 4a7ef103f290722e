// What is wrong where the library's parser gave up, told by the text at that place: what people
// write who know another language. The library's own words name tokens, which nobody has written.

import type { ParseError } from '@marcbachmann/cel-js'

/** `start` and `end` count characters of the condition from 0. */
export interface SyntaxProblem {
  readonly start: number
  readonly end: number
  readonly message: string
}

/** A hint holds where `before` ends and `after` begins; what `before` matches is part of it. */
interface Hint {
  readonly before?: RegExp
  readonly after: RegExp
  readonly say: (before: string, after: string) => string
}

const words: ReadonlyMap<string, string> = new Map([
  ['and', operator('and', '&&')],
  ['or', operator('or', '||')],
  ['not', '"not" is no operator; write "!", as !has(card.country)'],
  ['not in', '"not in" is no operator; write "!" before all of it, as !(channel in ["pos"])'],
  ['is', operator('is', '==')],
  ['is not', operator('is not', '!=')],
  ['between', '"between" is no operator; write ">= ... && <= ...", with the name on both sides'],
  ['like', '"like" is no operator; write .contains(), .startsWith() or .endsWith()'],
  ['if', 'leave out "if": the condition is the test alone'],
  ['when', 'leave out "when": the condition is the test alone'],
  ['then', 'leave out "then": the outcome stands in a line of its own'],
])

/** What to write instead of a word of another language; undefined for any other word. */
export function wordHint(word: string): string | undefined {
  return words.get(word.toLowerCase().replace(/\s+/g, ' '))
}

function operator(wrong: string, right: string): string {
  return `"${wrong}" is no operator; write "${right}"`
}

/** The first that holds is said. */
const hints: readonly Hint[] = [
  {
    before: /\b(and|or|not|if|when)\s+$/i,
    after: /^/,
    say: (before) => wordHint(before.trim()) ?? '',
  },
  {
    after: /^(and|or|not\s+in|not|is\s+not|is|between|like|if|when|then)\b/i,
    say: (_, after) => wordHint(after) ?? '',
  },
  { before: /<\s*$/, after: /^>/, say: () => operator('<>', '!=') },
  { after: /^=[<>]/, say: (_, after) => operator(after, `${after.charAt(1)}=`) },
  { before: /[=!]=$/, after: /^=/, say: (before) => operator(`${before}=`, before) },
  { before: /[<>=!]\s+$/, after: /^=/, say: (before) => `write "${before.charAt(0)}=" in one` },
  { after: /^=(?!=)/, say: () => 'one "=" is no comparison; write "=="' },
  { after: /^&(?!&)/, say: () => 'one "&" is no operator; write "&&"' },
  { after: /^\|(?!\|)/, say: () => 'one "|" is no operator; write "||"' },
  { after: /^≥/, say: () => operator('≥', '>=') },
  { after: /^≤/, say: () => operator('≤', '<=') },
  { after: /^≠/, say: () => operator('≠', '!=') },
  { after: /^[“”„‟«»‘’]/, say: () => 'a text stands in straight quotes, as "pos"' },
  {
    before: /(?<=\bin\b\s*)(?!\s)[({]?[^()[\]{}&|]*$/,
    after: /^,/,
    say: () => 'the values to the right of "in" stand in brackets, as ["pos", "atm"]',
  },
  {
    before: /\d[\d.]*$/,
    after: /^,\d+/,
    say: () =>
      'a number has no comma: decimals take a dot; amounts are in minor units, 100.00 EUR is 10000',
  },
  {
    before: /(?<=,\s*)\d+\s*$/,
    after: /^(m|h|d|min|minutes?|hours?|days?)\b/i,
    say: (before, unit) =>
      `a window stands in quotes; write "${before.trim()}${unit.charAt(0).toLowerCase()}"`,
  },
  {
    before: /\d[\d.]*\s*$/,
    after: /^([A-Z]{3}\b|[€$£])/,
    say: (_, after) => `a number stands without "${after}"; amounts are in minor units`,
  },
  {
    before: /\b\d[\d.]*$/,
    after: /^[A-Za-z_]\w*/,
    say: (_, after) => `a number is digits and at most one dot, without "${after}"`,
  },
]

/** Codes of the library whose place is where the text stops making sense. */
const placed: readonly string[] = [
  'expected_token',
  'unexpected_token',
  'unexpected_character',
  'reserved_identifier',
]

/** Where a condition can't be read, and why, without a word that only the parser knows. */
export function syntaxProblem(text: string, error: ParseError): SyntaxProblem {
  const start = Math.min(error.range?.start ?? 0, text.length)
  const end = error.range?.end ?? start
  if (!placed.includes(error.code)) return { start, end, message: lowered(error.summary) }
  const left = text.slice(0, start)
  const right = text.slice(start)
  for (const { before, after, say } of hints) {
    const behind = after.exec(right)?.[0]
    if (behind === undefined) continue
    const ahead = before === undefined ? '' : before.exec(left)?.[0]
    if (ahead === undefined) continue
    return {
      start: start - ahead.length,
      end: start + behind.length,
      message: say(ahead, behind),
    }
  }
  return { start, end, message: plain(error, text.slice(start, end)) }
}

const tokenWords: Readonly<Record<string, string>> = {
  RPAREN: '")"',
  RBRACKET: '"]"',
  RBRACE: '"}"',
  COLON: '":"',
  IDENTIFIER: 'a name',
}

/** `found` is what stands where another thing should; nothing at the end of the text. */
function plain({ code, summary }: ParseError, found: string): string {
  const shown = /^["']/.test(found) ? found : `"${found}"`
  if (code === 'expected_token') {
    const wanted = tokenWords[/^Expected (\w+)/.exec(summary)?.[1] ?? ''] ?? 'something else'
    return found === '' ? `${wanted} is missing at the end` : `expected ${wanted}, found ${shown}`
  }
  if (found === '') return 'the condition ends where something must follow'
  if (code === 'unexpected_token') return `a name or a value is missing before ${shown}`
  if (code === 'reserved_identifier') return `${shown} can't be a name`
  // What follows a whole condition, or a character that no condition has.
  return /^[\w"'!(]/.test(found)
    ? `an operator is missing before ${shown}, as "&&" or "=="`
    : `${shown} has no place here`
}

function lowered(summary: string): string {
  return summary.charAt(0).toLowerCase() + summary.slice(1)
}
