// A purchase that says only what every request says: tests of this folder add what they are about.

import type { RuleFacts, RuleInput, RuleSet } from './rule-set.ts'

const absent = undefined

export const sampleFacts: RuleFacts = {
  type: 'authorization',
  amount: 2_599,
  currency: 'EUR',
  baseAmount: 2_599,
  channel: 'ecommerce',
  acquirer: 'demo',
  localHour: Number.NaN,
  localWeekday: Number.NaN,
  card: { bin: '47617390', country: 'DE', token: 'tok-1', expiry: absent },
  merchant: { id: 'M-1', mcc: '5411', name: absent, city: absent, country: absent },
  terminal: { id: absent, entryMode: absent },
  device: { id: absent, ip: absent, ipCountry: absent, userAgent: absent },
  customer: { id: absent, email: absent, country: absent },
  threeDs: { version: absent, eci: absent, status: absent },
}

/** The purchase as a rule set reads it; every aggregate has the same `value`, there is no score. */
export function sampleInput(
  { aggregates }: Pick<RuleSet, 'aggregates'>,
  value: number,
  changes: Partial<RuleInput> = {},
): RuleInput {
  return {
    facts: sampleFacts,
    aggregates: new Float64Array(aggregates.length).fill(value),
    saturated: new Uint8Array(aggregates.length),
    score: Number.NaN,
    ...changes,
  }
}
