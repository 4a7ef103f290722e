// A thousand reloads of a rule set: how long one takes, and whether the memory comes back.

import { compileRuleSet, type RuleFile } from '#rules'
import { isBrief } from '../measure.ts'
import { inputFor, measuredRules, ruleFileOf } from './three-comparisons.ts'

const reloads = isBrief ? 3 : 1_000
const size = 100
let number = 0

/** Other thresholds each time, as reloads have: what is the same might be remembered somewhere. */
function nextFile(): RuleFile {
  number++
  const rules = measuredRules(size).map((rule) =>
    rule.least === 1 ? rule : { ...rule, least: rule.least + number },
  )
  return ruleFileOf(rules)
}

/** Megabytes in use after a collection; `switchyard bench` exposes it. */
function heapMegabytes(): number {
  globalThis.gc?.()
  return process.memoryUsage().heapUsed / 1e6
}

/** Compiles, and evaluates often enough that V8 compiles too. */
function reload(): void {
  const result = compileRuleSet([nextFile()])
  if (!result.ok) throw new Error(result.problems[0]?.message)
  const input = inputFor(result.ruleSet)
  for (let call = 0; call < 50; call++) result.ruleSet.evaluate(input)
}

for (let warmUp = 0; warmUp < (isBrief ? 1 : 50); warmUp++) reload()
const before = heapMegabytes()
const millis = new Float64Array(reloads)
for (let count = 0; count < reloads; count++) {
  const started = performance.now()
  reload()
  millis[count] = performance.now() - started
}
const after = heapMegabytes()
millis.sort()
const at = (share: number) => Math.round((millis[Math.floor(share * (reloads - 1))] ?? 0) * 1_000)
const mean = millis.reduce((sum, value) => sum + value, 0) / reloads
const row = {
  name: `rules reload of ${size} rules`,
  opsPerSecond: Math.round(1_000 / mean),
  p50Micros: at(0.5),
  p99Micros: at(0.99),
  samples: reloads,
}
if (process.argv.includes('--json')) console.log(JSON.stringify(row))
else console.log(`${row.name.padEnd(44)} p50 ${row.p50Micros} µs  p99 ${row.p99Micros} µs`)
console.error(
  `memory in use: ${before.toFixed(1)} MB before, ${after.toFixed(1)} MB after ${reloads} reloads`,
)
