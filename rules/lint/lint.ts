// What is wrong with a rules folder, its test files included.

import { compileRuleSet } from '../load.ts'
import type { RuleFile } from '../problem.ts'
import type { RuleProblem } from '../rule-set.ts'
import { runPackTests } from '../run-pack-tests.ts'

/** All problems of a rules folder, in file order, each once. */
export function lintRuleFiles(files: readonly RuleFile[]): readonly RuleProblem[] {
  const ofRules = compileRuleSet(files).problems
  const seen = new Set(ofRules.map(keyOf))
  const ofTests = runPackTests(files).problems.filter((problem) => !seen.has(keyOf(problem)))
  return [...ofRules, ...ofTests]
}

function keyOf(problem: RuleProblem): string {
  const { file, line, column, code, message } = problem
  return `${file}:${line}:${column}:${code}:${message}`
}
