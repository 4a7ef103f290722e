// Reads a pack: YAML in, rules whose conditions are checked out, each with the places of its parts.

import type { CheckedCondition, ConditionChecker, Expression } from './language/index.ts'
import { isTimeZone } from './local-time.ts'
import type { ProblemList, RuleFile } from './problem.ts'
import { type PackData, packShape, type RuleData, type Snooze } from './rule-file.ts'
import { scopedCondition } from './scope.ts'
import type { Steps } from './steps.ts'
import { untilMs } from './until.ts'
import { type DataPath, type Place, readYaml, type YamlData } from './yaml/index.ts'

/** A rule with its checked condition: what decides. */
export interface ReadRule {
  readonly data: RuleData
  readonly pack: PackData
  readonly condition: CheckedCondition
  /** The condition and the rule's scope, as they are compiled. */
  readonly scoped: Expression
  readonly file: string
}

/** The same with where it stands: it holds the whole YAML document. */
export interface LoadedRule extends ReadRule {
  /** Where a field of the rule stands. */
  place(...path: DataPath): Place
  /** Where the character at `offset` of its condition stands. */
  placeInCondition(offset: number): Place
}

/** The rules of one pack whose conditions check. `places` remembers every id of the whole set. */
export function* readPack(
  file: RuleFile,
  checker: ConditionChecker,
  places: Map<string, string>,
  problems: ProblemList,
): Steps<readonly LoadedRule[]> {
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
  yield
  for (const [index, entry] of (pack.rules as (Partial<RuleData> | undefined)[]).entries()) {
    yield
    if (entry === undefined) continue
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
    if (typeof entry.when !== 'string') continue
    const condition = readCondition(file, yaml, index, entry.when, checker, problems)
    if (condition === undefined || !yaml.sound) continue
    rules.push({
      data: entry as RuleData,
      pack: pack as PackData,
      condition,
      scoped: scopedCondition(condition.expression, entry as RuleData, pack as PackData),
      file: file.name,
      place: (...path) => yaml.place(['rules', index, ...path]),
      placeInCondition: (offset) => yaml.placeInText(['rules', index, 'when'], offset),
    })
  }
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
