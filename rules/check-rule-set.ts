// What must hold before a rule set may decide: it compiles, and the packs' own tests pass.

import { type FilesRead, withDigests } from './files-read.ts'
import { compileRuleSet, readDecidingRules } from './load.ts'
import { createProblemList, type RuleFile } from './problem.ts'
import type { RuleProblem, RuleSet } from './rule-set.ts'
import { runPackTests } from './run-pack-tests.ts'

export type CheckedRuleSet =
  | {
      readonly ok: true
      readonly ruleSet: RuleSet
      readonly testsPassed: number
    }
  /** Errors only; a test that fails is one, at the line of its case. */
  | { readonly ok: false; readonly problems: readonly RuleProblem[] }

/**
 * Compiles the files of a rules folder and runs its tests. Never throws for what a file holds. With
 * `filesRead` only what changed since is compiled and tested.
 */
export function checkRuleSet(given: readonly RuleFile[], filesRead?: FilesRead): CheckedRuleSet {
  const files = withDigests(given)
  const compiled = compileRuleSet(files, filesRead)
  if (!compiled.ok) return { ok: false, problems: errorsOf(compiled.problems) }
  const { problems, results } = runPackTests(files, filesRead)
  const failed = results.flatMap(({ file, line, name, ok, differences }): RuleProblem[] => {
    if (ok) return []
    const message = `the test "${name}" fails: ${differences.join('; ')}`
    return [{ file, line, column: 1, severity: 'error', code: 'test_failed', message }]
  })
  const all = [...errorsOf(problems), ...failed]
  if (all.length > 0) return { ok: false, problems: all }
  return { ok: true, ruleSet: compiled.ruleSet, testsPassed: results.length }
}

function errorsOf(problems: readonly RuleProblem[]): readonly RuleProblem[] {
  return problems.filter(({ severity }) => severity === 'error')
}

/** What differs between two sets, in what decides. */
export interface RuleChanges {
  /** Ids of rules. */
  readonly added: readonly string[]
  readonly removed: readonly string[]
  readonly changed: readonly string[]
  /** Files: lists, and the policy for missing parts. */
  readonly files: readonly string[]
}

/** Compares two folders, each sound by itself. */
export function ruleChanges(
  before: readonly RuleFile[],
  after: readonly RuleFile[],
  filesRead?: FilesRead,
): RuleChanges {
  const [old, now] = [rulesById(before, filesRead), rulesById(after, filesRead)]
  const inBoth = [...now.keys()].filter((id) => old.has(id))
  const [oldFiles, nowFiles] = [otherFiles(before), otherFiles(after)]
  const names = new Set([...oldFiles.keys(), ...nowFiles.keys()])
  return {
    added: [...now.keys()].filter((id) => !old.has(id)),
    removed: [...old.keys()].filter((id) => !now.has(id)),
    changed: inBoth.filter((id) => old.get(id) !== now.get(id)),
    files: [...names].filter((name) => oldFiles.get(name) !== nowFiles.get(name)).sort(),
  }
}

function rulesById(
  files: readonly RuleFile[],
  filesRead: FilesRead | undefined,
): ReadonlyMap<string, string> {
  const { rules } = readDecidingRules(files, createProblemList(), filesRead)
  return new Map(
    rules.map(({ data, pack }) => {
      const { acquirers, channels, disclose } = pack
      return [data.id, JSON.stringify([data, acquirers, channels, disclose])]
    }),
  )
}

function otherFiles(files: readonly RuleFile[]): ReadonlyMap<string, string> {
  const others = files.filter(({ name }) => name.startsWith('lists/') || /degradation/.test(name))
  return new Map(others.map(({ name, text }) => [name, text]))
}
