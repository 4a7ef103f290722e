// Writes the comparison with npm `iso_8583` into `switch/docs/iso8583.md`, between its two marks:
//
//   node --import tsx bench/switch/iso8583-table.ts
//
// Rounds of all cases in turn, so that a slow moment of the machine meets every one of them; a row
// says the median round and the spread. `--check` only says whether the marks of the design are met.

import { readFileSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import type { BenchCase } from '../measure.ts'
import { npmCases, ourCases } from './iso8583-codecs.ts'

const rounds = 9
const roundMs = 200
const page = new URL('../../switch/docs/iso8583.md', import.meta.url)
const marks = ['<!-- bench -->\n', '<!-- /bench -->'] as const

/** The least that we ask of ourselves: times npm's rate, and calls a second. */
const least = { pack: 10, unpack: 5, perSecond: 200_000 }

const kept: unknown[] = [undefined]

function rateOf({ run }: BenchCase): number {
  const started = process.hrtime.bigint()
  let calls = 0
  let tookNs = 0
  while (tookNs < roundMs * 1e6) {
    for (let i = 0; i < 200; i++) kept[0] = run()
    calls += 200
    tookNs = Number(process.hrtime.bigint() - started)
  }
  return (calls / tookNs) * 1e9
}

const cases = [...npmCases, ...ourCases]
const rates = cases.map((): number[] => [])
for (const one of cases) rateOf(one)
for (let round = 0; round < rounds; round++) {
  for (const [i, one] of cases.entries()) rates[i]?.push(rateOf(one))
}
const rows = cases.map(({ name }, i) => {
  const sorted = (rates[i] as number[]).sort((a, b) => a - b)
  const at = (share: number): number => sorted[Math.floor((sorted.length - 1) * share)] as number
  const kind: 'pack' | 'unpack' = name.includes('unpack') ? 'unpack' : 'pack'
  return { name, kind, least: at(0), median: at(0.5), most: at(1) }
})
const npmMedian = (kind: 'pack' | 'unpack'): number =>
  rows.find((row) => row.kind === kind)?.median as number

const number = (rate: number): string => Math.round(rate).toLocaleString('en-US')
const lines = rows.map((row) => {
  const times = (row.median / npmMedian(row.kind)).toFixed(1)
  const spread = `${number(row.least)} to ${number(row.most)}`
  return `| ${row.name} | ${number(row.median)} | ${spread} | ${times} |`
})
const date = new Date().toISOString().slice(0, 10)
const cpu = `${cpus().length} x ${cpus()[0]?.model.trim()}`
const table = `Measured ${date} on ${cpu}, Node.js ${process.versions.node}, one thread, other work on the machine;
${rounds} rounds of ${roundMs} ms a case, all cases in turn.

| 20 fields | a second, median | spread | times npm |
| --- | --- | --- | --- |
${lines.join('\n')}
`

const [from, to] = marks
if (!process.argv.includes('--check')) {
  const text = readFileSync(page, 'utf8')
  const start = text.indexOf(from) + from.length
  const end = text.indexOf(to)
  if (start < from.length || end < start) throw new Error('the page has lost its marks')
  writeFileSync(page, `${text.slice(0, start)}\n${table}\n${text.slice(end)}`)
}
process.stdout.write(table)
for (const row of rows.slice(npmCases.length)) {
  const times = row.median / npmMedian(row.kind)
  if (times >= least[row.kind] && row.median >= least.perSecond) continue
  console.error(`${row.name}: ${times.toFixed(1)} times npm, ${number(row.median)}/s: too slow`)
  process.exitCode = 1
}
