// The rules that are measured: three comparisons each, one rule in fifty fires. As CEL for us,
// and as data for the engines that we are compared with.

import { compileRuleSet, type RuleFacts, type RuleFile, type RuleInput, type RuleSet } from '#rules'

/** One rule; `country` or `amount` is its second comparison. */
export interface MeasuredRule {
  readonly name: string
  readonly channel: string
  readonly amount: number | undefined
  readonly country: string | undefined
  /** Index into `calls`. */
  readonly call: number
  readonly least: number
}

export const calls: readonly string[] = [
  'count(card, "10m")',
  'count(device, "1h")',
  'sum(card, "24h")',
  'declines(card, "1h")',
]
/** What every one of the calls is worth. */
export const callValue = 3

const channels = ['ecommerce', 'pos', 'atm', 'moto']
const countries = ['DE', 'FR', 'NL', 'BR', 'US']

export function measuredRules(length: number): readonly MeasuredRule[] {
  return Array.from({ length }, (_, rule) => {
    const fires = rule % 50 === 0
    const isEven = rule % 2 === 0
    return {
      name: `r${rule}`,
      channel: fires ? 'ecommerce' : (channels[rule % channels.length] ?? ''),
      amount: isEven ? 5_000 + rule : undefined,
      country: isEven ? undefined : countries[rule % countries.length],
      call: rule % calls.length,
      least: fires ? 1 : 100 + rule,
    }
  })
}

export function conditionOf({ channel, amount, country, call, least }: MeasuredRule): string {
  const second = amount === undefined ? `card.country != "${country}"` : `baseAmount <= ${amount}`
  return `channel == "${channel}" && ${second} && ${calls[call]} >= ${least}`
}

export function ruleFileOf(rules: readonly MeasuredRule[]): RuleFile {
  const texts = rules.map(
    (rule, index) => `  - id: x.${rule.name}
    title: rule ${rule.name}
    mode: live
    when: ${conditionOf(rule)}
    outcome: review
    reason: r${index % 10}
`,
  )
  return { name: 'packs/x.yaml', text: `typology: x\nrules:\n${texts.join('')}` }
}

export function ruleSetOf(rules: readonly MeasuredRule[]): RuleSet {
  const result = compileRuleSet([ruleFileOf(rules)])
  if (!result.ok) throw new Error(result.problems[0]?.message)
  return result.ruleSet
}

const absent = undefined
export const facts: RuleFacts = {
  type: 'authorization',
  amount: 2_599,
  currency: 'EUR',
  baseAmount: 2_599,
  channel: 'ecommerce',
  acquirer: 'demo',
  localHour: 10,
  localWeekday: 3,
  card: { bin: '47617390', country: 'DE', token: 'tok', expiry: '2912' },
  merchant: { id: 'M-1001', mcc: '5411', name: absent, city: absent, country: 'DE' },
  terminal: { id: absent, entryMode: absent },
  device: { id: 'D-77', ip: '203.0.113.7', ipCountry: 'DE', userAgent: absent },
  customer: { id: 'C-42', email: absent, country: absent },
  threeDs: { version: absent, eci: absent, status: absent },
}

export function inputFor(ruleSet: RuleSet): RuleInput {
  return {
    facts,
    aggregates: new Float64Array(ruleSet.aggregates.length).fill(callValue),
    saturated: new Uint8Array(ruleSet.aggregates.length),
    score: 0.1,
    atMs: Date.UTC(2026, 10, 22),
  }
}
