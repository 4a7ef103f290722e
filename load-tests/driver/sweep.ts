// `load-test --sweep rules=10,1000`: the same load at several sizes of one thing, and what a message
// costs at each, over the first.

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { nearest } from '#rules'
import { medianOf } from './against.ts'
import { measure } from './measure.ts'
import type { LoadOptions } from './options.ts'
import type { ProgressLine } from './progress-line.ts'
import { type LoadReport, makeReport, round } from './report.ts'

export const SWEPT = ['rules', 'cards', 'issuers', 'connections'] as const

export interface Sweep {
  readonly of: (typeof SWEPT)[number]
  readonly values: readonly number[]
}

/** What a size may be. */
const limits: Readonly<Record<Sweep['of'], readonly [number, number]>> = {
  rules: [1, 10_000],
  cards: [1, 10_000_000],
  issuers: [1, 50],
  connections: [1, 20_000],
}

/** Reads `rules=10,1000`; a string says what is wrong with it. */
export function readSweep(text: string): Sweep | string {
  const [name = '', list = ''] = text.split('=')
  const of = SWEPT.find((known) => known === name)
  if (of === undefined) {
    const near = nearest(name, SWEPT)
    const hint = near === undefined ? '' : `: did you mean ${near}?`
    return `--sweep knows ${SWEPT.join(', ')}, not ${name}${hint}`
  }
  const values = list.split(',').map(Number)
  const [least, most] = limits[of]
  const fits = (value: number) => Number.isInteger(value) && value >= least && value <= most
  if (values.length < 2 || !values.every(fits)) {
    return `--sweep ${of} takes two or more whole numbers from ${least} to ${most}: ${of}=10,1000`
  }
  return { of, values }
}

export interface SweepRow {
  readonly value: number
  /** Microseconds a message of all processes but the generator, the median of the turns. */
  readonly cpuMicros: number
  readonly switchMicros: number
  readonly p99Ms: number
  /** Over the first value. */
  readonly ratio: number
  readonly void: readonly string[]
}

/** Each value in turn, `turns` times, so that a noisy minute hits all of them. */
export async function runSweep(
  sweep: Sweep,
  turns: number,
  options: LoadOptions,
  signal: AbortSignal,
  progress: ProgressLine,
): Promise<readonly SweepRow[]> {
  const folder = await mkdtemp(path.join(tmpdir(), 'switchyard-sweep-'))
  const reports = new Map<number, LoadReport[]>(sweep.values.map((value) => [value, []]))
  try {
    for (let turn = 0; turn < turns; turn++) {
      for (const value of sweep.values) {
        if (signal.aborted) break
        progress.say(`turn ${turn + 1} of ${turns}: ${sweep.of} ${value}`)
        const at = await optionsAt(sweep.of, value, options, folder)
        reports.get(value)?.push(await makeReport(await measure(at, signal, progress)))
      }
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
  return rowsOf(reports)
}

async function optionsAt(
  of: Sweep['of'],
  value: number,
  options: LoadOptions,
  folder: string,
): Promise<LoadOptions> {
  const { scenario } = options
  switch (of) {
    case 'cards':
      return { ...options, cards: value }
    case 'connections':
      return { ...options, connections: value }
    case 'issuers':
      return { ...options, scenario: { ...scenario, issuers: value } }
    case 'rules': {
      const rules = path.join(folder, `rules-${value}.yaml`)
      await writeFile(rules, packOf(value))
      return { ...options, scenario: { ...scenario, rules } }
    }
  }
}

/** Three comparisons a rule, every fourth reads velocity; none fires on the load. */
export function packOf(count: number): string {
  const windows = ['10m', '1h', '24h', '7d']
  const rules = Array.from({ length: count }, (_, i) => {
    const velocity = ` && count(card, "${windows[(i >> 2) % windows.length]}") >= ${20 + (i % 28)}`
    const other = ` && merchant.country != "${['DE', 'FR', 'NL', 'BR'][i % 4]}"`
    const when =
      `channel == "${i % 2 === 0 ? 'ecommerce' : 'pos'}" && baseAmount >= ${100_000 + i}` +
      (i % 4 === 0 ? velocity : other)
    return `  - id: swept.rule-${i}
    title: Rule ${i}
    mode: live
    when: ${when}
    outcome: review
    reason: swept
`
  })
  return `typology: swept\nrules:\n${rules.join('')}`
}

function rowsOf(reports: ReadonlyMap<number, readonly LoadReport[]>): SweepRow[] {
  const rows: SweepRow[] = []
  for (const [value, runs] of reports) {
    if (runs.length === 0) continue
    const median = (read: (report: LoadReport) => number) => round(medianOf(runs.map(read)), 3)
    const cpuMicros = median(({ cpuMicrosPerMessage: cpu }) =>
      [cpu.switch, cpu.redis, cpu.issuer].reduce((sum: number, it) => sum + (it ?? 0), 0),
    )
    rows.push({
      ...{ value, cpuMicros },
      switchMicros: median(({ cpuMicrosPerMessage: cpu }) => cpu.switch ?? Number.NaN),
      p99Ms: median(({ latencyMs }) => latencyMs.p99),
      ratio: round(cpuMicros / (rows[0]?.cpuMicros ?? cpuMicros), 3),
      void: runs.flatMap((report) => report.void),
    })
  }
  return rows
}

export function sweepText(of: Sweep['of'], rows: readonly SweepRow[]): string {
  const cell = (value: number | string) => String(value).padStart(14)
  const heads = [of, 'CPU us/msg', 'of the switch', 'p99 ms', 'ratio'].map(cell)
  const lines = rows.map((row) => {
    const cells = [row.value, row.cpuMicros, row.switchMicros, row.p99Ms, row.ratio].map(cell)
    return `${cells.join('')}${row.void.length > 0 ? `   VOID: ${row.void.join('; ')}` : ''}`
  })
  return `${heads.join('')}\n${lines.join('\n')}\n`
}
