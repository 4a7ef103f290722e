// A pack as analysts write it: packs/<typology>.yaml.

import { conditionCharactersMax, rulesMax } from './limits.ts'
import { RISK_OUTCOMES, type RiskOutcome, type RuleMode } from './outcome.ts'
import { flag, list, optional, record, required, type Shape, text, word } from './yaml/index.ts'

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

const ruleShape: Shape = record({
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
})

export const packShape: Shape = record({
  typology: required(typologyShape, 'The fraud pattern; also the name of the file.'),
  title: optional(line, 'The pattern, in one line.'),
  description: optional(prose, 'How the fraud works and what gives it away.'),
  sources: optional(list(line, 50), 'Where the pattern is described.'),
  falsePositives: optional(list(line, 50), 'Honest behaviour that looks the same.'),
  disclose: optional(flag, 'false: no reason of this pack is ever shown to an acquirer.'),
  rules: required(list(ruleShape, rulesMax), 'The rules, evaluated all, in this order.'),
})

/** Data that fits `packShape`. */
export interface PackData {
  readonly typology: string
  readonly disclose?: boolean
  readonly rules: readonly RuleData[]
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
}
