// Collects what is wrong in rule files: all of it, up to a limit, in file order.

import { maskCardNumbers } from './card-digits.ts'
import { problemsMax } from './limits.ts'
import type { RuleProblem } from './rule-set.ts'

/** A text file under RULES_DIR; `name` is relative to it: `packs/card-testing.yaml`. */
export interface RuleFile {
  readonly name: string
  readonly text: string
  /** SHA-256 of the text, where it is known. */
  readonly digest?: string
}

export interface ProblemList {
  add(problem: RuleProblem): void
  /** By file, line and column. */
  sorted(): readonly RuleProblem[]
  readonly hasErrors: boolean
  /** How many were added, those beyond the limit too. */
  readonly total: number
}

export function createProblemList(): ProblemList {
  const problems: RuleProblem[] = []
  let dropped = 0
  let hasErrors = false
  return {
    add(problem) {
      if (problem.severity === 'error') hasErrors = true
      const { message } = problem
      if (problems.length >= problemsMax) dropped++
      // A message may repeat what is wrong, and goes into logs, histories and answers.
      else problems.push({ ...problem, message: maskCardNumbers(message) })
    },
    sorted() {
      const byPlace = (a: RuleProblem, b: RuleProblem): number =>
        compareText(a.file, b.file) || a.line - b.line || a.column - b.column
      const sorted = [...problems].sort(byPlace)
      const last = sorted.at(-1)
      if (dropped === 0 || last === undefined) return sorted
      const message = `${dropped} more problems are not shown`
      return [...sorted, { ...last, severity: 'error', code: 'too_many_problems', message }]
    },
    get hasErrors() {
      return hasErrors
    },
    get total() {
      return problems.length + dropped
    },
  }
}

/** By code units, so that the order is the same on every machine. */
export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/** Line and column, from 1, of a character position in a text. */
export function placeAt(text: string, position: number): { line: number; column: number } {
  const before = text.slice(0, position)
  const lastBreak = before.lastIndexOf('\n')
  let line = 1
  for (let at = before.indexOf('\n'); at !== -1; at = before.indexOf('\n', at + 1)) line++
  return { line, column: position - lastBreak }
}
