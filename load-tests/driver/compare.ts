// Two saved reports side by side: what changed, as a ratio, and whether they may be compared.

import { type LoadReport, round } from './report.ts'
import { readSavedReport, type SavedReport } from './report-files.ts'

export interface ComparedRow {
  readonly name: string
  readonly before: number
  readonly after: number
  /** after / before. */
  readonly ratio: number | null
}

export interface Comparison {
  readonly rows: readonly ComparedRow[]
  /** What else differs: machine, scenario, configuration. */
  readonly differences: readonly string[]
}

/** The figures that say most, by their names. */
const figures: readonly (readonly [string, (report: LoadReport) => number | null])[] = [
  ['served/s', (it) => it.achievedPerSecond],
  ['p50 ms', (it) => it.latencyMs.p50],
  ['p90 ms', (it) => it.latencyMs.p90],
  ['p99 ms', (it) => it.latencyMs.p99],
  ['p99.9 ms', (it) => it.latencyMs.p999],
  ['worst ms', (it) => it.latencyMs.max],
  ['errors', (it) => Object.values(it.errors).reduce((sum, count) => sum + count, 0)],
  ['unsent', (it) => it.unsent],
  ['switch µs/msg', (it) => it.cpuMicrosPerMessage.switch],
  ['redis µs/msg', (it) => it.cpuMicrosPerMessage.redis],
  ['issuer µs/msg', (it) => it.cpuMicrosPerMessage.issuer],
  ['generator µs/msg', (it) => it.cpuMicrosPerMessage.generator],
]

export function compareReports(before: SavedReport, after: SavedReport): Comparison {
  const rows: ComparedRow[] = []
  for (const [name, read] of figures) {
    const one = read(before.report)
    const other = read(after.report)
    if (one === null || other === null) continue
    rows.push({ name, before: one, after: other, ratio: one === 0 ? null : round(other / one, 3) })
  }
  const differences: string[] = []
  const note = (name: string, one: unknown, other: unknown) => {
    if (one !== other) differences.push(`${name}: ${one} and ${other}`)
  }
  note('machine', before.made.machine, after.made.machine)
  note('Node.js', before.made.node, after.made.node)
  for (const name of Object.keys({ ...before.report.run, ...after.report.run })) {
    note(name, before.report.run[name], after.report.run[name])
  }
  for (const [side, { report }] of [
    ['the first', before],
    ['the second', after],
  ] as const) {
    if (report.void.length > 0) differences.push(`${side} is void: ${report.void.join('; ')}`)
  }
  return { rows, differences }
}

/** `load-test --compare A B`; the exit code. */
export async function compareCommand(one: string, other: string, asJson: boolean): Promise<number> {
  let comparison: Comparison
  try {
    comparison = compareReports(await readSavedReport(one), await readSavedReport(other))
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`)
    return 2
  }
  if (asJson) process.stdout.write(`${JSON.stringify(comparison)}\n`)
  else process.stdout.write(comparisonText(comparison))
  return 0
}

export function comparisonText({ rows, differences }: Comparison): string {
  const cell = (value: number | string) => String(value).padStart(12)
  const lines = [`${''.padEnd(18)}${cell('first')}${cell('second')}${cell('ratio')}`]
  for (const { name, before, after, ratio } of rows) {
    lines.push(`${name.padEnd(18)}${cell(before)}${cell(after)}${cell(ratio ?? '-')}`)
  }
  if (differences.length > 0) {
    lines.push('', 'They differ in more than what is compared:')
    for (const difference of differences) lines.push(`  ${difference}`)
  }
  return `${lines.join('\n')}\n`
}
