// Which rule set is meant: a folder, or the hash of one.

import { existsSync } from 'node:fs'
import path from 'node:path'
import { compileRuleSet, keptSetsFolder, type RuleFile, readKeptSet, readRuleFiles } from '#rules'
import type { CompiledRules } from '#scoring'
import { readConfigFile } from '../adapters/config-files.ts'
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

/** The set with this hash: what the folder holds now, or one that the switch kept. */
async function openByHash(hash: string): Promise<OpenedRules | undefined> {
  const folder = rulesFolder(undefined)
  const now = await readRuleFiles(folder).catch(() => undefined)
  const compiled = now && compileRuleSet(now)
  if (compiled?.ok && compiled.ruleSet.hash === hash) return compile(hash, now ?? [])
  const kept = keptFolder()
  if (kept === undefined) return undefined
  const read = await readKeptSet(kept, hash)
  if (read.ok) return compile(hash, read.set.files)
  console.error(`${read.message}; \`switchyard rules history\` lists what is kept`)
  return undefined
}

function keptFolder(): string | undefined {
  const read = readConfigFile(process.env)
  if (read.ok) return keptSetsFolder(read.config.dataDir)
  for (const problem of read.problems) console.error(`${read.file}: ${problem}`)
  return undefined
}
