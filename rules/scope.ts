// Where and when a rule applies beside its condition: its pack's acquirers and channels, the hours it
// is active, the share of cards it is rolled out to, the entities it is snoozed for. All of it is
// part of the condition, so it is compiled with it and unknown in the same way.

import type { Entity } from './aggregate.ts'
import {
  ENTITY_PATHS,
  type Expression,
  type FactName,
  factByPath,
  SHARE_PARTS,
  shareSalt,
} from './language/index.ts'
import {
  type ActiveHours,
  type PackData,
  type RuleData,
  type Snooze,
  WEEKDAYS,
} from './rule-file.ts'
import { untilMs } from './until.ts'

/**
 * The condition of a rule together with its scope. Where the pack applies is asked first, which is
 * cheap; the clock, the card's share and snoozes only where the condition holds.
 */
export function scopedCondition(
  condition: Expression,
  rule: RuleData,
  pack: Pick<PackData, 'acquirers' | 'channels'>,
): Expression {
  const before: Expression[] = []
  if (pack.channels !== undefined) before.push(oneOf(fact('channel'), pack.channels))
  if (pack.acquirers !== undefined) before.push(oneOf(fact('acquirer'), pack.acquirers))
  const after: Expression[] = []
  if (rule.active !== undefined) after.push(isActive(rule.active))
  if (rule.rollout !== undefined) {
    const salt = shareSalt(rule.id)
    const share: Expression = { op: 'share', kind: 'int', salt }
    after.push(compare(share, '<', Math.round((rule.rollout / 100) * SHARE_PARTS)))
  }
  for (const snooze of rule.snooze ?? []) after.push(not(isSnoozed(snooze)))
  return all([...before, condition, ...after])
}

function isSnoozed({ entity, value, until }: Snooze): Expression {
  const subject = factByPath.get(ENTITY_PATHS[entity as Entity]) as FactName
  const isEntity: Expression = {
    op: 'equal',
    kind: 'bool',
    negated: false,
    left: { op: 'fact', kind: 'string', fact: subject },
    right: literal(value),
  }
  const stillOn = compare({ op: 'arrival', kind: 'int' }, '<', untilMs(until))
  // A request without the entity is not the one that is snoozed: it must not make the rule unknown.
  return all([{ op: 'has', kind: 'bool', fact: subject }, isEntity, stillOn])
}

const dayMinutes = 1_440

/** Hours over midnight belong to the day on which they start. */
function isActive({ from = '00:00', to = '24:00', days, timeZone }: ActiveHours): Expression {
  const minute: Expression = { op: 'clock', kind: 'int', reads: 'minuteOfDay', timeZone }
  const weekday: Expression = { op: 'clock', kind: 'int', reads: 'weekday', timeZone }
  const [start, end] = [minuteOf(from), minuteOf(to)]
  const numbers = days?.map((day) => WEEKDAYS.indexOf(day) + 1)
  const onDays = (list: readonly number[] | undefined): Expression[] =>
    list === undefined ? [] : [oneOf(weekday, list)]
  if (start < end) {
    const within = [compare(minute, '>=', start)]
    if (end < dayMinutes) within.push(compare(minute, '<', end))
    return all([...within, ...onDays(numbers)])
  }
  const evening = all([compare(minute, '>=', start), ...onDays(numbers)])
  const following = numbers?.map((day) => (day % 7) + 1)
  const morning = all([compare(minute, '<', end), ...onDays(following)])
  return { op: 'or', kind: 'bool', left: evening, right: morning }
}

/** Minutes since midnight of a time that fits its shape. */
function minuteOf(written: string): number {
  const [hours = '', minutes = ''] = written.split(':')
  return Number(hours) * 60 + Number(minutes)
}

function fact(path: string): Expression {
  const name = factByPath.get(path) as FactName
  return { op: 'fact', kind: name.kind, fact: name }
}

function literal(value: string | number): Expression {
  return { op: 'literal', kind: typeof value === 'string' ? 'string' : 'int', value }
}

function oneOf(value: Expression, items: readonly (string | number)[]): Expression {
  return { op: 'in', kind: 'bool', value, items: items.map(literal) }
}

function compare(left: Expression, operator: '<' | '>=', right: number): Expression {
  return { op: 'compare', kind: 'bool', operator, left, right: literal(right) }
}

function not(value: Expression): Expression {
  return { op: 'not', kind: 'bool', value }
}

function all(parts: readonly Expression[]): Expression {
  return parts.reduce((left, right) => ({ op: 'and', kind: 'bool', left, right }))
}
