import { maskCardNumbers } from '../card-digits.ts'
import type { RuleProblem } from '../rule-set.ts'

const widthMax = 96

/**
 * The line of a problem with a caret under the column, indented by two. A long line is cut around
 * the column; control characters are shown as dots.
 */
export function codeFrame(problem: RuleProblem, text: string): string {
  const found = text.split('\n')[problem.line - 1]?.trimEnd()
  if (found === undefined || found === '') return ''
  // As long as before: the caret stays below its column.
  const line = maskCardNumbers(found)
  const from = Math.max(0, Math.min(problem.column - 1 - widthMax / 2, line.length - widthMax))
  // A terminal must not run what a file says.
  const shown = line.slice(from, from + widthMax).replace(/\p{Cc}/gu, '.')
  const number = String(problem.line).padStart(5)
  const caret = ' '.repeat(Math.max(0, problem.column - 1 - from))
  return `${number} | ${shown}\n      | ${caret}^\n`
}
