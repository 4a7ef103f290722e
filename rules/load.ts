// Rule files in, a compiled rule set out, or everything that is wrong with them. Pure: the files
// come as texts, so a test, a reload and an editor's check run the same code.

import { createHash } from 'node:crypto'
import { type Aggregate, type AggregatePlan, aggregateKey } from './aggregate.ts'
import { refuseCardNumbers } from './card-number.ts'
import {
  cautiousPolicy,
  type DegradationEntry,
  degradationFile,
  degradationShape,
  outcomeWhenMissing,
} from './degradation.ts'
import { type ActiveRule, createEvaluate } from './evaluate.ts'
import { type FilesRead, readOnce, readOnceWhole } from './files-read.ts'
import {
  type ConditionChecker,
  compileConditions,
  compileExplanations,
  createConditionChecker,
  type Explain,
} from './language/index.ts'
import {
  aggregatesMax,
  listFileBytesMax,
  ruleFileBytesMax,
  ruleFilesMax,
  rulesMax,
} from './limits.ts'
import { createLists, type Lists } from './lists/index.ts'
import { compareText, createProblemList, type ProblemList, type RuleFile } from './problem.ts'
import { type LoadedRule, type ReadRule, readPack } from './read-pack.ts'
import { filesOfBundle, type RuleBundle } from './rule-bundle.ts'
import type { RuleDescription, RuleProblem, RuleSet, RuleSetResult } from './rule-set.ts'
import { atOnce, inSlices, type Steps } from './steps.ts'
import { readYaml } from './yaml/index.ts'

/** What a folder holds, read and checked but not yet compiled. */
export interface LoadedRules<Rule extends ReadRule = LoadedRule> {
  readonly rules: readonly Rule[]
  readonly lists: Lists
  readonly plan: AggregatePlan
  readonly policy: readonly DegradationEntry[]
  readonly hash: string
}

/**
 * Compiles the files of a rules folder (`packs/*.yaml`, `lists/*.csv`; names relative to it).
 * Refused as a whole when anything in it is an error; never throws for what a file holds. What
 * is in `filesRead` is not read again.
 */
export function compileRuleSet(files: readonly RuleFile[], filesRead?: FilesRead): RuleSetResult {
  return atOnce(compile(files, undefined, filesRead))
}

/**
 * The same, slice by slice: `pause` is asked between steps, and a promise that it gives is waited
 * for. `hash` is that of a set which was compiled from the same files before; it is not computed
 * again, nor are sizes and card numbers looked at again.
 */
export function compileRuleSetInSlices(
  files: readonly RuleFile[],
  hash: string,
  pause: () => Promise<void> | undefined,
  filesRead?: FilesRead,
): Promise<RuleSetResult> {
  return inSlices(compile(files, hash, filesRead), pause)
}

function* compile(
  files: readonly RuleFile[],
  hash?: string,
  filesRead?: FilesRead,
): Steps<RuleSetResult> {
  const problems = createProblemList()
  const loaded = yield* readInSteps(files, problems, readDeciding(filesRead), filesRead, hash)
  if (problems.hasErrors) return { ok: false, problems: problems.sorted() }
  yield
  return {
    ok: true,
    ruleSet: createRuleSet(loaded),
    lists: loaded.lists,
    problems: problems.sorted(),
  }
}

/**
 * Reads the files of a rules folder; what is sound comes back even where something else is not. Of
 * `filesRead` only lists are taken: the rules are to know their places.
 */
export function readRules(
  files: readonly RuleFile[],
  problems: ProblemList,
  filesRead?: FilesRead,
): LoadedRules {
  return atOnce(readInSteps(files, problems, readPack, filesRead))
}

/** The same without the places of the rules, and mostly without reading. */
export function readDecidingRules(
  files: readonly RuleFile[],
  problems: ProblemList,
  filesRead: FilesRead | undefined,
): LoadedRules<ReadRule> {
  return atOnce(readInSteps(files, problems, readDeciding(filesRead), filesRead))
}

type PackReader<Rule> = (
  file: RuleFile,
  checker: ConditionChecker,
  places: Map<string, string>,
  problems: ProblemList,
) => Steps<readonly Rule[]>

/** Reads packs to what decides alone; what a pack was read to before is taken. */
function readDeciding(filesRead: FilesRead | undefined): PackReader<ReadRule> {
  if (filesRead === undefined) return readPack
  return function* (file, checker, places, problems) {
    const read = function* () {
      const loaded = yield* readPack(file, checker, places, problems)
      return loaded.map(({ data, pack, condition, scoped, place }) => {
        const { line, column } = place('id')
        const at = `${file.name}:${line}:${column}`
        return { rule: { data, pack, condition, scoped, file: file.name }, at }
      })
    }
    const reading = { file, purpose: `pack ${checker.listNames.join()}`, problems }
    const problemsBefore = problems.total
    const known = yield* readOnce(filesRead, reading, read)
    if (problems.total > problemsBefore) return known.map(({ rule }) => rule)
    // Another pack may have taken one of its ids since: then it is read again, and says so.
    const isTaken = ({ rule, at }: (typeof known)[number]) =>
      (places.get(rule.data.id) ?? at) !== at
    if (known.some(isTaken)) return (yield* read()).map(({ rule }) => rule)
    for (const { rule, at } of known) places.set(rule.data.id, at)
    return known.map(({ rule }) => rule)
  }
}

function* readInSteps<Rule extends ReadRule>(
  files: readonly RuleFile[],
  problems: ProblemList,
  readPackFile: PackReader<Rule>,
  filesRead: FilesRead | undefined,
  knownHash?: string,
): Steps<LoadedRules<Rule>> {
  const sound = knownHash === undefined ? soundFiles(files, problems, filesRead) : byName(files)
  const lists = yield* createLists(
    sound.filter((file) => file.name.startsWith('lists/')),
    problems,
    filesRead,
  )
  const checker = createConditionChecker([...lists.named.keys()])
  const rules: Rule[] = []
  const places = new Map<string, string>()
  let policy: readonly DegradationEntry[] | undefined
  for (const file of sound) {
    if (!file.name.startsWith('packs/') || file.name.endsWith('.test.yaml')) continue
    if (file.name === degradationFile) policy = readPolicy(file, problems)
    else rules.push(...(yield* readPackFile(file, checker, places, problems)))
    yield
  }
  if (!sound.some((file) => file.name === degradationFile)) {
    note(problems, degradationFile, 'warning', 'no_degradation_policy', noPolicyMessage)
  }
  const plan = planOf(rules)
  checkSizes(rules, plan, problems)
  const hash = knownHash ?? hashOf(sound, rules)
  return { rules, lists, plan, policy: policy ?? cautiousPolicy, hash }
}

const noPolicyMessage =
  'there is no degradation policy; whatever part is missing, the outcome is at least review'

function note(
  problems: ProblemList,
  file: string,
  severity: RuleProblem['severity'],
  code: string,
  message: string,
): void {
  problems.add({ file, line: 1, column: 1, severity, code, message })
}

const noCardNumbers = {}

/** The files that may be read, by name. Too big, too many, or with a card number: noted. */
function soundFiles(
  files: readonly RuleFile[],
  problems: ProblemList,
  filesRead: FilesRead | undefined,
): readonly RuleFile[] {
  if (files.length > ruleFilesMax) {
    const message = `a rules folder may have ${ruleFilesMax} files, this one has ${files.length}`
    note(problems, files[0]?.name ?? '', 'error', 'too_many_files', message)
    return []
  }
  const sound: RuleFile[] = []
  for (const file of files) {
    const isList = file.name.startsWith('lists/')
    const bytesMax = isList ? listFileBytesMax : ruleFileBytesMax
    // UTF-8 has one to three bytes a UTF-16 code unit: the cheap test comes first.
    if (file.text.length > bytesMax || Buffer.byteLength(file.text) > bytesMax) {
      const message = `the file may have ${bytesMax} bytes, this one has more`
      note(problems, file.name, 'error', 'file_too_big', message)
      continue
    }
    if (!isList && !file.name.endsWith('.yaml')) {
      note(problems, file.name, 'error', 'bad_file_name', 'a pack is a file packs/<typology>.yaml')
      continue
    }
    const reading = { file, purpose: 'card numbers', problems }
    readOnceWhole(filesRead, reading, () => {
      refuseCardNumbers(file, problems)
      return noCardNumbers
    })
    sound.push(file)
  }
  return byName(sound)
}

function byName(files: readonly RuleFile[]): readonly RuleFile[] {
  return [...files].sort((a, b) => compareText(a.name, b.name))
}

function readPolicy(
  file: RuleFile,
  problems: ProblemList,
): readonly DegradationEntry[] | undefined {
  const yaml = readYaml(file, degradationShape, problems)
  return yaml.sound ? (yaml.data as { policy: DegradationEntry[] }).policy : undefined
}

function planOf(rules: readonly ReadRule[]): AggregatePlan {
  const plan = new Map<string, Aggregate>()
  for (const { data, condition } of rules) {
    if (data.mode === 'disabled') continue
    for (const { expression } of condition.readings) {
      if (expression.op === 'aggregate') {
        plan.set(aggregateKey(expression.aggregate), expression.aggregate)
      }
    }
  }
  return [...plan.values()]
}

function pathsOf(rules: readonly ReadRule[]): readonly string[] {
  const paths = new Set<string>()
  for (const { condition } of rules) {
    for (const { expression } of condition.readings) {
      if (expression.op === 'fact') paths.add(expression.fact.path)
      else if (expression.op === 'inList' && expression.value.op === 'fact') {
        paths.add(expression.value.fact.path)
      }
    }
  }
  return [...paths]
}

function checkSizes(rules: readonly ReadRule[], plan: AggregatePlan, problems: ProblemList): void {
  const last = rules.at(-1)
  if (last === undefined) {
    if (problems.hasErrors) return
    note(problems, 'packs', 'error', 'no_rules', 'there is no rule in packs/*.yaml')
    return
  }
  const file = `packs/${last.pack.typology}.yaml`
  if (rules.length > rulesMax) {
    const message = `a rule set may have ${rulesMax} rules, this one has ${rules.length}`
    note(problems, file, 'error', 'too_many_rules', message)
  }
  if (plan.length > aggregatesMax) {
    const message = `a rule set may ask for ${aggregatesMax} aggregates, this one for ${plan.length}`
    note(problems, file, 'error', 'too_many_aggregates', message)
  }
}

/** Compiles what was read without an error. */
export function createRuleSet({
  rules: loaded,
  plan,
  lists,
  policy,
  hash,
}: LoadedRules<ReadRule>): RuleSet {
  const active = loaded.filter(({ data }) => data.mode !== 'disabled')
  const explanations = compileExplanations(
    active.map(({ condition }) => condition.readings),
    plan,
    lists.named,
  )
  const rules = active.map(({ data, pack }, index): ActiveRule => {
    const { id, mode, outcome, reason } = data
    return {
      id,
      mode,
      outcome,
      reason,
      disclose: pack.disclose !== false && data.disclose !== false,
      overridesDecline: data.overrides === 'decline',
      explain: explanations[index] as Explain,
    }
  })
  const conditions = compileConditions(
    active.map(({ scoped }) => scoped),
    plan,
    lists.named,
  )
  const descriptions = loaded.map(({ data, pack }): RuleDescription => {
    const { id, title, mode, outcome, reason } = data
    const overridesDecline = data.overrides === 'decline'
    return { id, title, pack: pack.typology, mode, outcome, reason, overridesDecline }
  })
  return {
    hash,
    rules: descriptions,
    aggregates: plan,
    paths: pathsOf(active),
    evaluate: createEvaluate(rules, conditions),
    outcomeWhenMissing: (missing, channel, baseAmount) =>
      outcomeWhenMissing(policy, missing, channel, baseAmount),
  }
}

/** What decides where no worker answers: the policy and the exchange rates of a rule set. */
export interface Fallback extends Pick<RuleSet, 'hash' | 'outcomeWhenMissing'> {
  readonly baseAmount: Lists['baseAmount']
}

/** The fallback of a set that was compiled before; the rest of its files is not looked at. */
export function compileFallback(
  bundle: RuleBundle,
  pause: () => Promise<void> | undefined,
): Promise<Fallback> {
  const isRead = (name: string) => name === 'lists/fx.csv' || name === degradationFile
  const read = { ...bundle, files: bundle.files.filter(({ name }) => isRead(name)) }
  return inSlices(readFallback(filesOfBundle(read), bundle.hash), pause)
}

function* readFallback(files: readonly RuleFile[], hash: string): Steps<Fallback> {
  const problems = createProblemList()
  const ofRates = files.filter(({ name }) => name === 'lists/fx.csv')
  const { baseAmount } = yield* createLists(ofRates, problems)
  yield
  const file = files.find(({ name }) => name === degradationFile)
  const policy = (file && readPolicy(file, problems)) ?? cautiousPolicy
  return {
    hash,
    baseAmount,
    outcomeWhenMissing: (missing, channel, amount) =>
      outcomeWhenMissing(policy, missing, channel, amount),
  }
}

/**
 * Names what decides: rules as data (so a comment or a line break changes nothing), lists and
 * policy without comment lines. Tests are left out.
 */
function hashOf(files: readonly RuleFile[], rules: readonly ReadRule[]): string {
  const hash = createHash('sha256')
  for (const { data, pack } of rules) {
    const { id, mode, when, outcome, reason, overrides, rollout, active, snooze } = data
    const { acquirers, channels } = pack
    const disclose = pack.disclose !== false && data.disclose !== false
    const ends = snooze?.map(({ entity, value, until }) => [entity, value, until])
    const scope = { overrides, rollout, active, snooze: ends, acquirers, channels }
    hash.update(`${JSON.stringify([id, mode, when, outcome, reason, disclose, scope])}\n`)
  }
  for (const { name, text } of files) {
    if (!name.startsWith('lists/') && name !== degradationFile) continue
    hash.update(`${JSON.stringify(name)}\n`)
    // Comment lines and empty ones decide nothing. One call: a list may have a million lines.
    hash.update(text.replace(/^[^\S\n]*(?:#.*)?[\r]?\n/gm, '').replaceAll('\r', ''))
  }
  return hash.digest('hex').slice(0, 16)
}
