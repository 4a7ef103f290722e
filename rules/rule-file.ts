// A pack as analysts write it: packs/<typology>.yaml.

import { ENTITIES } from './aggregate.ts'
import { factByPath } from './language/index.ts'
import { conditionCharactersMax, rulesMax, snoozesMax } from './limits.ts'
import { RISK_OUTCOMES, type RiskOutcome, type RuleMode } from './outcome.ts'
import { untilLooks } from './until.ts'
import {
  flag,
  list,
  number,
  optional,
  record,
  required,
  type Shape,
  text,
  word,
} from './yaml/index.ts'

export const RULE_MODES: readonly RuleMode[] = ['live', 'shadow', 'disabled']

const prose = text(4_000)
const line = text(200)

export const typologyShape = text(
  64,
  /^[a-z][a-z0-9]*(-[a-z0-9]+)*$/,
  'small letters, digits and dashes, as card-testing',
)

/** Reason codes of rules and of the degradation policy. */
export const reasonShape = text(
  64,
  /^[a-z][a-z0-9]*(_[a-z0-9]+)*$/,
  'a snake_case word, as velocity_device',
)

/** ISO order: Monday is 1. */
export const WEEKDAYS = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const
type Weekday = (typeof WEEKDAYS)[number]

const timeOfDay = text(5, /^(([01]\d|2[0-3]):[0-5]\d|24:00)$/, 'hours and minutes, as 08:30')

const activeShape: Shape = record({
  from: optional(timeOfDay, 'The first minute; 00:00 when left out.'),
  to: optional(
    timeOfDay,
    'The first minute after; 24:00 when left out. Before "from": past midnight.',
  ),
  days: optional(list(word(WEEKDAYS), 7), 'The days on which the hours start; all when left out.'),
  timeZone: required(text(64), 'Whose clock: an IANA name, as Europe/Berlin or UTC.'),
})

/** An end of a list entry or a snooze; load.ts checks that the date exists. */
const untilShape = text(20, /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2})?Z)?$/, untilLooks)

const snoozeShape: Shape = record({
  entity: required(word(ENTITIES), 'What is left alone.'),
  value: required(text(200), 'Which one, as conditions see it; a card by its token.'),
  until: required(untilShape, 'The last day (UTC), or the moment it ends.'),
  by: optional(line, 'Who asked for it.'),
  why: optional(line, 'Why.'),
})

export const ruleShape: Shape = record({
  id: required(
    text(
      128,
      /^[a-z][a-z0-9]*(-[a-z0-9]+)*\.[a-z0-9]+(-[a-z0-9]+)*$/,
      'the typology, a dot, and a name: card-testing.many-small-amounts',
    ),
    'The name of the rule, in decisions and metrics: <typology>.<name>.',
  ),
  title: required(line, 'What the rule finds, in one line.'),
  mode: required(
    word(RULE_MODES),
    'live: in effect. shadow: evaluated and recorded, without effect. disabled: checked only.',
  ),
  when: required(
    text(conditionCharactersMax),
    'The condition, in CEL. The names and functions are in rules/docs/language.md.',
  ),
  outcome: required(
    word(RISK_OUTCOMES),
    'What the rule asks for. The worst hit wins; approve beats review and challenge, not decline.',
  ),
  reason: required(reasonShape, 'The reason code in the decision, a snake_case word.'),
  description: optional(prose, 'What the pattern is and why the rule finds it.'),
  falsePositives: optional(list(line, 50), 'Honest behaviour that looks the same.'),
  sources: optional(list(line, 50), 'Where the pattern is described.'),
  overrides: optional(word(['decline']), 'On an approve rule: it beats decline too.'),
  disclose: optional(flag, 'false: the reason is never shown to an acquirer.'),
  rollout: optional(
    number(0, 100),
    'Percent of the cards that the rule sees; a card stays in or out, and more is always added.',
  ),
  active: optional(
    activeShape,
    'The hours in which the rule applies, by arrival; always if left out.',
  ),
  snooze: optional(
    list(snoozeShape, snoozesMax),
    'Entities that the rule leaves alone until a date. Lists are for more than a few.',
  ),
})

export const packShape: Shape = record({
  typology: required(typologyShape, 'The fraud pattern; also the name of the file.'),
  title: optional(line, 'The pattern, in one line.'),
  description: optional(prose, 'How the fraud works and what gives it away.'),
  sources: optional(list(line, 50), 'Where the pattern is described.'),
  falsePositives: optional(list(line, 50), 'Honest behaviour that looks the same.'),
  disclose: optional(flag, 'false: no reason of this pack is ever shown to an acquirer.'),
  acquirers: optional(
    list(line, 100),
    'The acquirers whose messages the pack is for, by their names in the configuration; all if left out.',
  ),
  channels: optional(
    list(word(factByPath.get('channel')?.values ?? []), 6),
    'The channels that the pack is for; all if left out.',
  ),
  rules: required(list(ruleShape, rulesMax), 'The rules, evaluated all, in this order.'),
})

/** Data that fits `packShape`. */
export interface PackData {
  readonly typology: string
  readonly disclose?: boolean
  readonly acquirers?: readonly string[]
  readonly channels?: readonly string[]
  readonly rules: readonly RuleData[]
}

export interface ActiveHours {
  readonly from?: string
  readonly to?: string
  readonly days?: readonly Weekday[]
  readonly timeZone: string
}

export interface Snooze {
  readonly entity: string
  readonly value: string
  readonly until: string
}

export interface RuleData {
  readonly id: string
  readonly title: string
  readonly mode: RuleMode
  readonly when: string
  readonly outcome: RiskOutcome
  readonly reason: string
  readonly overrides?: 'decline'
  readonly disclose?: boolean
  readonly rollout?: number
  readonly active?: ActiveHours
  readonly snooze?: readonly Snooze[]
}
