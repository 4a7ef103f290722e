// The thread that tries rule sets: reads a folder, compiles it, runs the packs' tests and keeps the
// set, while the threads that score go on scoring. Nothing else imports it.

import { constants, setPriority } from 'node:os'
import { parentPort, workerData } from 'node:worker_threads'
import {
  bundleRuleFiles,
  checkRuleSet,
  compileRuleSet,
  FilesRead,
  keepSet,
  type RuleFile,
  type RuleProblem,
  readKeptSet,
  readRuleFiles,
  ruleChanges,
} from '#rules'
import type { CheckedRules } from '../operations/index.ts'
import type { CheckAnswer, CheckOrder } from './rules-checker.ts'

const { rulesDir, keptFolder } = workerData as { rulesDir: string; keptFolder: string }

// On Linux the priority is that of the calling thread alone: where cores are short, messages go
// first. Elsewhere it would be that of the whole process.
if (process.platform === 'linux') setPriority(constants.priority.PRIORITY_LOW)

/** Of the last check: the next one reads, compiles and tests what changed since. */
const filesRead = new FilesRead()

parentPort?.on('message', (order: CheckOrder) => void answer(order))

async function answer(order: CheckOrder): Promise<void> {
  const reply: CheckAnswer = { number: order.number, checked: await check(order) }
  filesRead.forgetUnused()
  parentPort?.postMessage(reply)
}

async function check(order: CheckOrder): Promise<CheckedRules> {
  try {
    if (order.kept !== undefined) return await checkKept(order.kept, order)
    const files = await readRuleFiles(rulesDir)
    const checked = checkRuleSet(files, filesRead)
    if (!checked.ok) return checked
    const { hash, rules } = checked.ruleSet
    const bundle = bundleRuleFiles(files, hash, filesRead)
    if (hash === order.live) return { ok: true, bundle, rules: rules.length, changes: null }
    const keptAt = new Date().toISOString()
    await keepSet(keptFolder, { hash, keptAt, files }, [order.live, ...order.spared])
    return { ok: true, bundle, rules: rules.length, changes: await changesTo(files, order.live) }
  } catch (error) {
    return refuse('rules_unreadable', `the rules can't be read: ${(error as Error).message}`)
  }
}

/** A set that has decided before passed its tests then: it must compile, and be the same set. */
async function checkKept(hash: string, order: CheckOrder): Promise<CheckedRules> {
  const kept = await readKeptSet(keptFolder, hash)
  if (!kept.ok) return refuse(kept.code, kept.message)
  const { files } = kept.set
  const compiled = compileRuleSet(files, filesRead)
  if (!compiled.ok) {
    const problems = compiled.problems.filter(({ severity }) => severity === 'error')
    return { ok: false, problems }
  }
  const { ruleSet } = compiled
  if (ruleSet.hash !== hash) {
    const message = `rule set ${hash} was kept by another version: it is ${ruleSet.hash} here`
    return refuse('another_version', message)
  }
  const bundle = bundleRuleFiles(files, hash, filesRead)
  const changes = await changesTo(files, order.live)
  return { ok: true, bundle, rules: ruleSet.rules.length, changes }
}

async function changesTo(files: readonly RuleFile[], live: string) {
  const before = await readKeptSet(keptFolder, live)
  return before.ok ? ruleChanges(before.set.files, files, filesRead) : null
}

function refuse(code: string, message: string): CheckedRules {
  const place = { file: rulesDir, line: 0, column: 0, severity: 'error' as const }
  const problem: RuleProblem = { ...place, code, message }
  return { ok: false, problems: [problem] }
}
