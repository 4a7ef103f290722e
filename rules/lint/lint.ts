// What is wrong with a rules folder, its test files included.

import { readRules } from '../load.ts'
import { createProblemList, type ProblemList, type RuleFile } from '../problem.ts'
import type { LoadedRule } from '../read-pack.ts'
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
  if (!ofRules.hasErrors) {
    noteFindings(loaded, rings, ofRules)
    notePacksWithoutTests(files, loaded.rules, ofRules)
  }
  const problems = ofRules.sorted()
  const seen = new Set(problems.map(keyOf))
  const ofTests = runPackTests(files).problems.filter((problem) => !seen.has(keyOf(problem)))
  return [...problems, ...ofTests]
}

function notePacksWithoutTests(
  files: readonly RuleFile[],
  rules: readonly LoadedRule[],
  problems: ProblemList,
): void {
  for (const file of new Set(rules.map((rule) => rule.file))) {
    const tests = file.replace(/\.yaml$/, '.test.yaml')
    if (files.some(({ name }) => name === tests)) continue
    const message = `nothing tests this pack: write ${tests}`
    problems.add({ file, line: 1, column: 1, severity: 'note', code: 'no_tests', message })
  }
}

function keyOf(problem: RuleProblem): string {
  const { file, line, column, code, message } = problem
  return `${file}:${line}:${column}:${code}:${message}`
}
