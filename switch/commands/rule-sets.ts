// Which rule set is meant: a folder, or the hash of one.

import { existsSync } from 'node:fs'
import path from 'node:path'
import { compileRuleSet, keptSetsFolder, type RuleFile, readKeptSet, readRuleFiles } from '#rules'
import type { CompiledRules } from '#scoring'
import { readConfigured } from './configured.ts'
import { filesOf, rulesFolder } from './rule-folder.ts'

export interface OpenedRules extends CompiledRules {
  /** As it was named, for a person. */
  readonly name: string
  readonly files: readonly RuleFile[]
}

/** Reads and compiles a rule set; undefined after saying on standard error why it can't be. */
export async function openRules(named: string | undefined): Promise<OpenedRules | undefined> {
  const folder = rulesFolder(named)
  if (!existsSync(folder) && /^[0-9a-f]{16}$/.test(folder)) return openByHash(folder)
  const files = await filesOf(folder)
  return files && compile(folder, files)
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

/** The set with this hash: what the folder holds now, or one that the switch kept. */
async function openByHash(hash: string): Promise<OpenedRules | undefined> {
  const folder = rulesFolder(undefined)
  const now = await readRuleFiles(folder).catch(() => undefined)
  const compiled = now && compileRuleSet(now)
  if (compiled?.ok && compiled.ruleSet.hash === hash) return compile(hash, now ?? [])
  const config = await readConfigured()
  if (config === undefined) return undefined
  const read = await readKeptSet(keptSetsFolder(config.dataDir), hash)
  if (read.ok) return compile(hash, read.set.files)
  console.error(`${read.message}; \`switchyard rules history\` lists what is kept`)
  return undefined
}
