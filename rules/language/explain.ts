// The values that made a rule true, as one object literal a rule: its shape is known when it is
// compiled, so explaining a hit costs a fraction of filling an object name by name.

import { type AggregatePlan, aggregateKey } from '../aggregate.ts'
import type { RuleFacts } from '../rule-set.ts'
import type { ListMembership } from './compile.ts'
import { createFunction } from './create-function.ts'
import type { Reading } from './expression.ts'

export type ReadingValues = Readonly<Record<string, number | string | boolean | null>>

/** The values of one rule's readings; unknown is null, which unlike NaN survives JSON. */
export type Explain = (
  facts: RuleFacts,
  aggregates: Float64Array,
  score: number,
  atMs: number,
) => ReadingValues

const prologue = `'use strict';
function known(v) { return v === undefined || v !== v ? null : v }
function listed(list, v, at) { return v === undefined ? null : list.has(v, at) }
`

/** Compiles one function a rule, in the order of `rules`. */
export function compileExplanations(
  rules: readonly (readonly Reading[])[],
  plan: AggregatePlan,
  lists: ReadonlyMap<string, ListMembership>,
): readonly Explain[] {
  const slots = new Map(plan.map((aggregate, slot) => [aggregateKey(aggregate), slot]))
  const listNames = [...lists.keys()]
  const fieldOf = ({ label, expression }: Reading): string => {
    const name = JSON.stringify(label)
    switch (expression.op) {
      case 'fact':
        return `${name}: known(${pathCode(expression.fact.path)})`
      case 'has':
        return `${name}: known(${pathCode(expression.fact.path)}) !== null`
      case 'aggregate':
        return `${name}: known(a[${slots.get(aggregateKey(expression.aggregate)) ?? -1}])`
      case 'inList': {
        const { value, list } = expression
        // A text put together by the condition is explained by its parts, which are readings too.
        if (value.op !== 'fact') return `${name}: null`
        const code = pathCode(value.fact.path)
        return `${name}: listed(lists[${listNames.indexOf(list)}], ${code}, at)`
      }
    }
  }
  const functions = rules.map(
    (readings) => `(facts, a, score, at) => ({ ${readings.map(fieldOf).join(', ')} })`,
  )
  const source = `${prologue}return [\n${functions.join(',\n')}\n]`
  return createFunction(['lists'], source)([...lists.values()]) as readonly Explain[]
}

function pathCode(path: string): string {
  return path === 'score' ? 'score' : `facts.${path}`
}
