// Which rule set is meant: a folder, or the hash of one.

import { existsSync } from 'node:fs'
import path from 'node:path'
import { compileRuleSet, type RuleFile, readRuleFiles } from '#rules'
import type { CompiledRules } from '#scoring'
import { PROJECT_ROOT } from './run-tool.ts'

export interface OpenedRules extends CompiledRules {
  /** As it was named, for a person. */
  readonly name: string
  readonly files: readonly RuleFile[]
}

/** The rules folder that the switch would read. */
export function rulesFolder(named: string | undefined): string {
  return named ?? process.env.RULES_DIR ?? path.join(PROJECT_ROOT, 'rules')
}

/** Reads and compiles a rule set; undefined after saying on standard error why it can't be. */
export async function openRules(named: string | undefined): Promise<OpenedRules | undefined> {
  const folder = rulesFolder(named)
  if (!existsSync(folder) && /^[0-9a-f]{16}$/.test(folder)) return openByHash(folder)
  try {
    return compile(folder, await readRuleFiles(folder))
  } catch (error) {
    console.error(`can't read ${folder}: ${(error as Error).message}`)
    return undefined
  }
}

function compile(name: string, files: readonly RuleFile[]): OpenedRules | undefined {
  const compiled = compileRuleSet(files)
  if (compiled.ok) {
    const { ruleSet, lists } = compiled
    return { name, files, ruleSet, lists }
  }
  for (const { file, line, column, severity, code, message } of compiled.problems) {
    if (severity !== 'error') continue
    console.error(`${path.join(name, file)}:${line}:${column} error ${code}: ${message}`)
  }
  console.error(`${name} is not loaded: mend what \`switchyard rules lint ${name}\` shows`)
  return undefined
}

/** The set with this hash: what the folder holds now. */
async function openByHash(hash: string): Promise<OpenedRules | undefined> {
  const folder = rulesFolder(undefined)
  const current = await openRules(folder)
  if (current === undefined) return undefined
  if (current.ruleSet.hash === hash) return current
  console.error(`no rule set ${hash}: ${folder} holds ${current.ruleSet.hash}`)
  return undefined
}
