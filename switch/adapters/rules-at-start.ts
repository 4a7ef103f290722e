// Which rules a start decides by: the pinned set; else the rules folder; and where that is refused,
// the set that decided last, so that a bad file never keeps a switch from coming back.

import {
  checkRuleSet,
  compileRuleSet,
  keepSet,
  type RuleFile,
  type RuleProblem,
  type RuleSetResult,
  readKeptSet,
  readRuleFiles,
} from '#rules'
import type { Clock } from '#scoring'
import { lastLive, type PinnedSet, type RuleEvent, type RulesStatus } from '../operations/index.ts'
import { readPinnedSet, readRuleHistory } from './rule-record.ts'

type CompiledRules = Extract<RuleSetResult, { readonly ok: true }>

export interface RulesAtStart {
  readonly files: readonly RuleFile[]
  /** The same, where finding them took compiling them. */
  readonly compiled: CompiledRules | undefined
  readonly pinned: PinnedSet | null
  /** Why the rules folder was refused, where the set that decided last decides again. */
  readonly refused: RulesStatus['last']
}

export type RulesAtStartResult =
  | { readonly ok: true; readonly rules: RulesAtStart }
  | { readonly ok: false; readonly problems: readonly RuleProblem[] }

/** Reads, and writes nothing. Rejects with the system's error where the record can't be read. */
export async function rulesAtStart(
  rulesDir: string,
  keptFolder: string,
  clock: Clock,
): Promise<RulesAtStartResult> {
  const pinned = await readPinnedSet(keptFolder)
  if (pinned !== undefined) {
    const kept = await readKeptSet(keptFolder, pinned.hash)
    if (kept.ok) return taken(kept.set.files, undefined, pinned, null)
    const advice = `it is pinned by ${pinned.by} since ${pinned.since}; switchyard rules release ends that`
    return { ok: false, problems: [problem(keptFolder, kept.code, `${kept.message}: ${advice}`)] }
  }
  const last = lastLive(await readRuleHistory(keptFolder))
  const found = await tryFolder(rulesDir, last?.hash)
  if (found.ok) return taken(found.files, found.compiled, null, null)
  const kept = last === undefined ? undefined : await readKeptSet(keptFolder, last.hash)
  if (last === undefined || kept?.ok !== true) return { ok: false, problems: found.problems }
  const at = new Date(clock.now()).toISOString()
  const { hash } = last
  const { problems } = found
  const refused = { result: 'refused', hash, pinned: null, problems, at, by: 'the start' } as const
  return taken(kept.set.files, undefined, null, refused)
}

/** What decided last is not tried by its tests again: it was, before it decided. */
async function tryFolder(
  rulesDir: string,
  last: string | undefined,
): Promise<
  | { ok: true; files: readonly RuleFile[]; compiled: CompiledRules | undefined }
  | { ok: false; problems: readonly RuleProblem[] }
> {
  let files: readonly RuleFile[]
  try {
    files = await readRuleFiles(rulesDir)
  } catch (error) {
    const message = `the rules can't be read: ${(error as Error).message}`
    return { ok: false, problems: [problem(rulesDir, 'rules_unreadable', message)] }
  }
  const compiled = compileRuleSet(files)
  if (compiled.ok && (last === undefined || compiled.ruleSet.hash === last)) {
    return { ok: true, files, compiled }
  }
  const checked = checkRuleSet(files)
  return checked.ok ? { ok: true, files, compiled: undefined } : checked
}

/** Makes the set that a start decides by durable, with its line in the history. */
export async function keepStartSet(
  keptFolder: string,
  { files, pinned }: RulesAtStart,
  hash: string,
  clock: Clock,
): Promise<RuleEvent> {
  const at = new Date(clock.now()).toISOString()
  if (pinned === null) await keepSet(keptFolder, { hash, keptAt: at, files }, [])
  const before = lastLive(await readRuleHistory(keptFolder))?.hash ?? null
  return { at, result: 'started', by: 'the start', hash, before }
}

function taken(
  files: readonly RuleFile[],
  compiled: CompiledRules | undefined,
  pinned: PinnedSet | null,
  refused: RulesStatus['last'],
): RulesAtStartResult {
  return { ok: true, rules: { files, compiled, pinned, refused } }
}

function problem(file: string, code: string, message: string): RuleProblem {
  return { file, line: 0, column: 0, severity: 'error', code, message }
}
