// What is wrong with a rules folder, its test files included.

import { readRules } from '../load.ts'
import { createProblemList, type RuleFile } from '../problem.ts'
import type { RuleProblem } from '../rule-set.ts'
import { runPackTests } from '../run-pack-tests.ts'
import { noteFindings, type RingSizes } from './findings.ts'

export interface LintOptions {
  /** What velocity keeps: without it, thresholds are not compared with it. */
  readonly rings?: RingSizes
}

/** All problems of a rules folder, in file order, each once. */
export function lintRuleFiles(
  files: readonly RuleFile[],
  { rings = {} }: LintOptions = {},
): readonly RuleProblem[] {
  const ofRules = createProblemList()
  const loaded = readRules(files, ofRules)
  // A list that only a rule with an error asks for is not unused: first things first.
  if (!ofRules.hasErrors) noteFindings(loaded, rings, ofRules)
  const problems = ofRules.sorted()
  const seen = new Set(problems.map(keyOf))
  const ofTests = runPackTests(files).problems.filter((problem) => !seen.has(keyOf(problem)))
  return [...problems, ...ofTests]
}

function keyOf(problem: RuleProblem): string {
  const { file, line, column, code, message } = problem
  return `${file}:${line}:${column}:${code}:${message}`
}
