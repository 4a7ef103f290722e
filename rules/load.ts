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
import {
  type CheckedCondition,
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
import { isTimeZone } from './local-time.ts'
import { compareText, createProblemList, type ProblemList, type RuleFile } from './problem.ts'
import { type PackData, packShape, type RuleData, type Snooze } from './rule-file.ts'
import type { RuleDescription, RuleProblem, RuleSet, RuleSetResult } from './rule-set.ts'
import { scopedCondition } from './scope.ts'
import { untilMs } from './until.ts'
import { readYaml, type YamlData } from './yaml/index.ts'

/** A rule with its checked condition and where it stands. */
interface LoadedRule {
  readonly data: RuleData
  readonly pack: PackData
  readonly condition: CheckedCondition
}

/**
 * Compiles the files of a rules folder (`packs/*.yaml`, `lists/*.csv`; names relative to the folder).
 * Refused as a whole when anything in it is an error; never throws for what a file holds.
 */
export function compileRuleSet(files: readonly RuleFile[]): RuleSetResult {
  const problems = createProblemList()
  const sound = soundFiles(files, problems)
  const lists = createLists(
    sound.filter((file) => file.name.startsWith('lists/')),
    problems,
  )
  const checker = createConditionChecker([...lists.named.keys()])
  const rules: LoadedRule[] = []
  const places = new Map<string, string>()
  let policy: readonly DegradationEntry[] | undefined
  for (const file of sound) {
    if (!file.name.startsWith('packs/') || file.name.endsWith('.test.yaml')) continue
    if (file.name === degradationFile) policy = readPolicy(file, problems)
    else rules.push(...readPack(file, checker, places, problems))
  }
  if (!sound.some((file) => file.name === degradationFile)) {
    note(problems, degradationFile, 'warning', 'no_degradation_policy', noPolicyMessage)
  }
  const plan = planOf(rules)
  checkSizes(rules, plan, problems)
  if (problems.hasErrors) return { ok: false, problems: problems.sorted() }
  const ruleSet = createRuleSet(rules, plan, lists, policy ?? cautiousPolicy, hashOf(sound, rules))
  return { ok: true, ruleSet, lists, problems: problems.sorted() }
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

/** The files that may be read, by name. Too big, too many, or with a card number: noted. */
function soundFiles(files: readonly RuleFile[], problems: ProblemList): readonly RuleFile[] {
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
    refuseCardNumbers(file, problems)
    sound.push(file)
  }
  return sound.sort((a, b) => compareText(a.name, b.name))
}

function readPolicy(
  file: RuleFile,
  problems: ProblemList,
): readonly DegradationEntry[] | undefined {
  const yaml = readYaml(file, degradationShape, problems)
  return yaml.sound ? (yaml.data as { policy: DegradationEntry[] }).policy : undefined
}

/** The rules of one pack whose conditions check. `places` remembers every id of the whole set. */
function readPack(
  file: RuleFile,
  checker: ConditionChecker,
  places: Map<string, string>,
  problems: ProblemList,
): readonly LoadedRule[] {
  const yaml = readYaml(file, packShape, problems)
  // What fits is checked further even when another part doesn't: all problems are told at once.
  const pack = yaml.data as (Partial<PackData> & { rules?: unknown }) | undefined
  if (pack === undefined || !Array.isArray(pack.rules)) return []
  const error = (path: readonly (string | number)[], code: string, message: string) =>
    problems.add({ file: file.name, ...yaml.place(path), severity: 'error', code, message })
  const fileTypology = file.name.replace(/^packs\//, '').replace(/\.yaml$/, '')
  if (typeof pack.typology === 'string' && pack.typology !== fileTypology) {
    error(['typology'], 'wrong_typology', `the file is called ${fileTypology}.yaml; use one name`)
  }
  for (const field of ['acquirers', 'channels'] as const) {
    if (pack[field]?.length === 0)
      error([field], 'bad_value', `"${field}" names none; leave it out`)
  }
  const rules: LoadedRule[] = []
  pack.rules.forEach((entry: Partial<RuleData> | undefined, index) => {
    if (entry === undefined) return
    if (typeof entry.id === 'string') {
      const first = places.get(entry.id)
      const place = yaml.place(['rules', index, 'id'])
      if (first !== undefined) {
        error(['rules', index, 'id'], 'duplicate_rule', `"${entry.id}" is already at ${first}`)
      } else places.set(entry.id, `${file.name}:${place.line}:${place.column}`)
      if (!entry.id.startsWith(`${fileTypology}.`)) {
        error(['rules', index, 'id'], 'bad_rule_id', `the id starts with "${fileTypology}."`)
      }
    }
    if (entry.overrides !== undefined && entry.outcome !== 'approve') {
      error(['rules', index, 'overrides'], 'bad_overrides', 'only an approve rule overrides')
    }
    checkScope(entry, (path, code, message) => error(['rules', index, ...path], code, message))
    if (typeof entry.when !== 'string') return
    const condition = readCondition(file, yaml, index, entry.when, checker, problems)
    if (condition === undefined || !yaml.sound) return
    noteRule(file, yaml, index, entry as RuleData, condition, problems)
    rules.push({ data: entry as RuleData, pack: pack as PackData, condition })
  })
  return rules
}

/** What the shape of a rule can't say: dates and time zones that don't exist, empty lists. */
function checkScope(
  { active, snooze }: Partial<RuleData>,
  error: (path: readonly (string | number)[], code: string, message: string) => void,
): void {
  if (active?.timeZone !== undefined && !isTimeZone(active.timeZone)) {
    const message = `unknown time zone "${active.timeZone}"; IANA names are known, as Europe/Berlin`
    error(['active', 'timeZone'], 'bad_time_zone', message)
  }
  if (active?.days?.length === 0) error(['active', 'days'], 'bad_value', 'no day is named')
  if (active?.from !== undefined && active.from === active.to) {
    error(['active', 'to'], 'bad_value', '"from" and "to" are the same; leave both out for all day')
  }
  snooze?.forEach((entry: Partial<Snooze> | undefined, index) => {
    if (entry?.until === undefined || !Number.isNaN(untilMs(entry.until))) return
    error(['snooze', index, 'until'], 'bad_value', `there is no ${entry.until}`)
  })
}

function readCondition(
  file: RuleFile,
  yaml: YamlData,
  index: number,
  when: string,
  checker: ConditionChecker,
  problems: ProblemList,
): CheckedCondition | undefined {
  const checked = checker.check(when)
  if (checked.ok) return checked.condition
  for (const { start, code, message } of checked.problems) {
    const place = yaml.placeInText(['rules', index, 'when'], start)
    problems.add({ file: file.name, ...place, severity: 'error', code, message })
  }
  return undefined
}

/** Notes what an analyst should know of a sound rule. */
function noteRule(
  file: RuleFile,
  yaml: YamlData,
  index: number,
  rule: RuleData,
  condition: CheckedCondition,
  problems: ProblemList,
): void {
  const add = (field: string, code: string, message: string) =>
    problems.add({
      file: file.name,
      ...yaml.place(['rules', index, field]),
      severity: 'note',
      code,
      message,
    })
  if (rule.overrides === 'decline') {
    add('overrides', 'allow_beats_decline', `"${rule.id}" lets through what other rules decline`)
  }
  const guarded = new Set<string>()
  const optionalNames = new Set<string>()
  for (const { expression } of condition.readings) {
    if (expression.op === 'has') guarded.add(expression.fact.path)
    if (expression.op === 'fact' && !expression.fact.always) optionalNames.add(expression.fact.path)
    if (
      expression.op === 'inList' &&
      expression.value.op === 'fact' &&
      !expression.value.fact.always
    )
      optionalNames.add(expression.value.fact.path)
  }
  const names = [...optionalNames].filter((name) => !guarded.has(name))
  if (names.length === 0) return
  add(
    'when',
    'can_be_unknown',
    `"${rule.id}" may be unknown, and then does not fire, without ${names.join(', ')}`,
  )
}

function planOf(rules: readonly LoadedRule[]): AggregatePlan {
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

function checkSizes(
  rules: readonly LoadedRule[],
  plan: AggregatePlan,
  problems: ProblemList,
): void {
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

function createRuleSet(
  loaded: readonly LoadedRule[],
  plan: AggregatePlan,
  lists: Lists,
  policy: readonly DegradationEntry[],
  hash: string,
): RuleSet {
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
    active.map(({ data, pack, condition }) => scopedCondition(condition.expression, data, pack)),
    plan,
    lists.named,
  )
  const descriptions = loaded.map(({ data, pack }): RuleDescription => {
    const { id, title, mode, outcome, reason } = data
    return { id, title, pack: pack.typology, mode, outcome, reason }
  })
  return {
    hash,
    rules: descriptions,
    aggregates: plan,
    evaluate: createEvaluate(rules, conditions),
    outcomeWhenMissing: (missing, channel, baseAmount) =>
      outcomeWhenMissing(policy, missing, channel, baseAmount),
  }
}

/**
 * Names what decides: rules as data (so a comment or a line break changes nothing), lists and
 * policy without comment lines. Tests are left out.
 */
function hashOf(files: readonly RuleFile[], rules: readonly LoadedRule[]): string {
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
