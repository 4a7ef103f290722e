// The same rules in three engines in one run: ours, json-rules-engine and the GoRules zen engine
// (one decision table, hit policy "collect"). Each must find the same hits before it is measured.
// The others answer asynchronously, so they are awaited one call at a time, as a message would.

import { ZenEngine } from '@gorules/zen-engine'
import { Engine } from 'json-rules-engine'
import { isBrief } from '../measure.ts'
import {
  calls,
  callValue,
  facts,
  inputFor,
  type MeasuredRule,
  measuredRules,
  ruleSetOf,
} from './three-comparisons.ts'

/** One engine with its rules: the names of the rules that fire. */
interface Contender {
  readonly name: string
  readonly evaluate: () => Promise<readonly string[]> | readonly string[]
  /** Calls in one sample. */
  readonly batch: number
  readonly samples: number
}

function ours(rules: readonly MeasuredRule[]): Contender {
  const ruleSet = ruleSetOf(rules)
  const input = inputFor(ruleSet)
  const names = () => ruleSet.evaluate(input).hits.map((hit) => hit.rule.replace('x.', ''))
  return { name: 'compiled', evaluate: names, batch: 200, samples: 400 }
}

/** What the other engines are given: the same values under plain names. */
const values: Record<string, string | number> = {
  channel: facts.channel,
  baseAmount: facts.baseAmount,
  country: facts.card.country ?? '',
  ...Object.fromEntries(calls.map((_, index) => [`call${index}`, callValue])),
}

function jsonRulesEngine(rules: readonly MeasuredRule[]): Contender {
  const engine = new Engine()
  for (const { name, channel, amount, country, call, least } of rules) {
    const second =
      amount === undefined
        ? { fact: 'country', operator: 'notEqual', value: country }
        : { fact: 'baseAmount', operator: 'lessThanInclusive', value: amount }
    engine.addRule({
      conditions: {
        all: [
          { fact: 'channel', operator: 'equal', value: channel },
          second,
          { fact: `call${call}`, operator: 'greaterThanInclusive', value: least },
        ],
      },
      event: { type: name },
    })
  }
  const evaluate = async () => (await engine.run(values)).events.map((event) => event.type)
  return { name: 'json-rules-engine', evaluate, batch: 1, samples: 60 }
}

function zen(rules: readonly MeasuredRule[]): Contender {
  const fields = ['channel', 'baseAmount', 'country', ...calls.map((_, index) => `call${index}`)]
  const rows = rules.map(({ name, channel, amount, country, call, least }) => ({
    _id: name,
    channel: JSON.stringify(channel),
    baseAmount: amount === undefined ? '' : `<= ${amount}`,
    country: country === undefined ? '' : `$ != ${JSON.stringify(country)}`,
    ...Object.fromEntries(calls.map((_, n) => [`call${n}`, n === call ? `>= ${least}` : ''])),
    rule: JSON.stringify(name),
  }))
  const table = {
    hitPolicy: 'collect',
    inputs: fields.map((field) => ({ id: field, name: field, type: 'expression', field })),
    outputs: [{ id: 'rule', name: 'rule', type: 'expression', field: 'rule' }],
    rules: rows,
  }
  const decision = new ZenEngine().createDecision({
    nodes: [
      { id: 'in', type: 'inputNode', name: 'in' },
      { id: 'table', type: 'decisionTableNode', name: 'table', content: table },
      { id: 'out', type: 'outputNode', name: 'out' },
    ],
    edges: [
      { id: 'e1', sourceId: 'in', targetId: 'table', type: 'edge' },
      { id: 'e2', sourceId: 'table', targetId: 'out', type: 'edge' },
    ],
  })
  const evaluate = async () => {
    const { result } = (await decision.evaluate(values)) as { result: { rule: string }[] }
    return result.map((hit) => hit.rule)
  }
  return { name: 'zen-engine', evaluate, batch: 1, samples: 300 }
}

/** Microseconds a call: the median of the samples. */
async function measure(rules: number, contender: Contender): Promise<number> {
  const { name, evaluate } = contender
  const batch = isBrief ? 1 : contender.batch
  const samples = isBrief ? 2 : contender.samples
  const micros = new Float64Array(samples)
  for (let warmUp = 0; warmUp < samples / 2; warmUp++) await run(evaluate, batch)
  for (let sample = 0; sample < samples; sample++) {
    const started = performance.now()
    await run(evaluate, batch)
    micros[sample] = ((performance.now() - started) * 1_000) / batch
  }
  micros.sort()
  const at = (share: number) => micros[Math.floor(share * (samples - 1))] as number
  const mean = micros.reduce((sum, value) => sum + value, 0) / samples
  const round = (value: number) => Math.round(value * 1_000) / 1_000
  const row = {
    name: `engines ${rules} ${name}`,
    opsPerSecond: Math.round(1e6 / mean),
    p50Micros: round(at(0.5)),
    p99Micros: round(at(0.99)),
    samples: samples * batch,
  }
  if (process.argv.includes('--json')) console.log(JSON.stringify(row))
  else console.log(`${row.name.padEnd(44)} p50 ${row.p50Micros} µs  p99 ${row.p99Micros} µs`)
  return at(0.5)
}

async function run(evaluate: Contender['evaluate'], batch: number): Promise<void> {
  for (let call = 0; call < batch; call++) {
    const hits = evaluate()
    if (hits instanceof Promise) await hits
  }
}

for (const length of [100, 1_000]) {
  const rules = measuredRules(length)
  const [started, cpuBefore] = [performance.now(), process.cpuUsage()]
  const compiled = ours(rules)
  const compileMs = Math.round(performance.now() - started)
  const { user, system } = process.cpuUsage(cpuBefore)
  const compileCpuMs = Math.round((user + system) / 1_000)
  const contenders = [compiled, zen(rules), jsonRulesEngine(rules)]
  const expected = JSON.stringify([...(await compiled.evaluate())].sort())
  for (const { name, evaluate } of contenders) {
    const hits = JSON.stringify([...(await evaluate())].sort())
    if (hits !== expected) throw new Error(`${name} found ${hits}, not ${expected}`)
  }
  const [own = 0, table = 0, tree = 0] = [
    await measure(length, contenders[0] as Contender),
    await measure(length, contenders[1] as Contender),
    await measure(length, contenders[2] as Contender),
  ]
  console.error(
    `${length} rules: read, checked and compiled in ${compileMs} ms (${compileCpuMs} ms of CPU); zen-engine takes ${Math.round(table / own)} times as long, json-rules-engine ${Math.round(tree / own)} times`,
  )
}
