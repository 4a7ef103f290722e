// A list of a million card tokens: how long it takes to load, and one look-up, asked in an order
// that misses the processor's caches. Every second token is on the list.

import { createHash } from 'node:crypto'
import { compileRuleSet } from '#rules'
import { isBrief, measure } from '../measure.ts'

const entries = isBrief ? 1_000 : 1_000_000
const tokenOf = (n: number) =>
  `tok_${createHash('sha256').update(String(n)).digest('base64url').slice(0, 22)}`

const lines = Array.from({ length: entries }, (_, n) => {
  const until = n % 3 === 0 ? '2027-12-31' : ''
  return `${tokenOf(n)},${until},2026-11-01,ann,reported`
})
const list = {
  name: 'lists/stolen.csv',
  text: `value,until,added,by,why\n${lines.join('\n')}\n`,
}
const pack = {
  name: 'packs/x.yaml',
  text: `typology: x
rules:
  - { id: x.a, title: a, mode: live, when: 'inList(card, "stolen")', outcome: decline, reason: a }
`,
}

const started = performance.now()
const result = compileRuleSet([pack, list])
if (!result.ok) throw new Error(result.problems[0]?.message)
const megabytes = Math.round(list.text.length / 1e6)
console.error(
  `${entries} entries, ${megabytes} MB, loaded in ${Math.round(performance.now() - started)} ms`,
)

const named = result.lists.named.get('stolen')
if (named?.size !== entries) throw new Error('the list is not whole')
const noon = Date.UTC(2026, 10, 22, 12)
// Strings of their own, as they come out of messages; 7,919 is prime to their number.
const asked = Array.from({ length: 200_000 }, (_, n) => tokenOf((n * 2 * 7_919) % (2 * entries)))
let next = 0
await measure([
  {
    name: 'list of 1,000,000 looked up',
    run: () => {
      next = next + 1 === asked.length ? 0 : next + 1
      return named.has(asked[next] as string, noon)
    },
  },
])
