// `switchyard rules diff A B`: what a change of the rules would have changed.

import type { Command } from 'commander'
import { ruleChanges } from '#rules'
import { type ComparedChange, type Comparison, type Example, loadBacktest } from '#scoring'
import { columns, money, number, sum } from './backtest-text.ts'
import { type DataOptions, openPastData } from './past-data.ts'
import { startProgress } from './progress.ts'
import { type OpenedRules, openRules } from './rule-sets.ts'
import {
  type LabelOptions,
  labelSourceOf,
  openModel,
  type PeriodOptions,
  periodOf,
  printBadLines,
  withLabels,
  withPastPayments,
} from './rules-backtest.ts'

interface DiffOptions extends DataOptions, PeriodOptions, LabelOptions {
  readonly model?: string
  readonly json?: boolean
}

export function registerRulesDiff(rules: Command): void {
  const diff = rules
    .command('diff')
    .description('compare two rule sets on past payments: whose outcome changes, by how much money')
    .argument('<before>', 'a rules folder, or the hash of a rule set')
    .argument('<after>', 'another')
    .option('--json', 'one line of JSON: {rules, comparison, badLines}')
  withLabels(withPastPayments(diff))
    .addHelpText(
      'after',
      '\nExample:\n  $ npx switchyard rules diff rules/ ../candidate --data demo.csv.gz',
    )
    .action(async (before: string, after: string, options: DiffOptions) => {
      process.exitCode = await run(before, after, options)
    })
}

type Changes = ReturnType<typeof ruleChanges>

async function run(before: string, after: string, options: DiffOptions): Promise<number> {
  const { compareRuleSets } = await loadBacktest()
  const old = await openRules(before)
  const now = old === undefined ? undefined : await openRules(after)
  if (old === undefined || now === undefined) return 2
  const changes = ruleChanges(old.files, now.files)
  const source = await labelSourceOf(options)
  const data = source === undefined ? undefined : await openPastData(options)
  const model = data === undefined ? undefined : await openModel(options.model)
  if (source === undefined || data === undefined || model === undefined) return 2
  const progress = startProgress('comparing')
  let comparison: Comparison
  try {
    comparison = await compareRuleSets(data.chunks, {
      ...{ before: old, after: now, model, source, period: periodOf(options) },
      sharesCounters: ratesOf(old) === ratesOf(now),
      onProgress: (payments) => progress.update(data.progress(), payments),
    })
  } finally {
    progress.stop()
    await model.release()
  }
  const problem = data.problem()
  if (problem !== undefined) {
    console.error(problem)
    return 1
  }
  const { count, first } = data.bad
  if (options.json === true) {
    console.log(JSON.stringify({ rules: changes, comparison, badLines: { count, first } }))
  } else console.log(comparisonText(comparison, changes))
  for (const note of data.notes()) console.error(note)
  printBadLines(data.name, data.bad)
  return data.bad.count === 0 && comparison.payments.payments > 0 ? 0 : 1
}

/** What base amounts, and so the counters' sums, are made with. */
function ratesOf({ files }: OpenedRules): string | undefined {
  return files.find(({ name }) => name === 'lists/fx.csv')?.text
}

function comparisonText(comparison: Comparison, changes: Changes): string {
  const { before, after, payments, same, hasTruth } = comparison
  const parts = [
    `rule set ${before.ruleSet} -> ${after.ruleSet}`,
    namesText(changes),
    `${sum(payments)}: ${number(same)} decided alike, ${number(payments.payments - same)} not`,
  ]
  const row = (name: string, set: Comparison['before']) => [
    name,
    sum(set.stopped),
    ...(hasTruth ? [sum(set.fraudStopped), sum(set.genuineStopped)] : []),
  ]
  const head = ['', 'stopped', ...(hasTruth ? ['fraud stopped', 'good refused'] : [])]
  parts.push(columns([head, row('before', before), row('after', after)]))
  if (comparison.changes.length > 0) parts.push(changesText(comparison.changes, hasTruth))
  if (comparison.rules.length > 0) {
    const times = (hits: number | null) => (hits === null ? '-' : number(hits))
    const rows = comparison.rules.map(({ id, before: b, after: a }) => [id, times(b), times(a)])
    parts.push(columns([['rules that fire differently', 'before', 'after'], ...rows]))
  }
  if (comparison.examples.length > 0) {
    parts.push(
      ['examples, the largest of each change:', ...comparison.examples.map(line)].join('\n'),
    )
  }
  return parts.join('\n\n')
}

function namesText({ added, removed, changed, files }: Changes): string {
  const lines = Object.entries({ added, removed, changed, files }).flatMap(([what, names]) =>
    names.length === 0 ? [] : [`${what.padEnd(8)} ${names.join(', ')}`],
  )
  return lines.length === 0 ? 'the two sets decide alike: only words differ' : lines.join('\n')
}

function changesText(changes: readonly ComparedChange[], hasTruth: boolean): string {
  const head = ['change', 'payments', 'amount', ...(hasTruth ? ['fraud', 'genuine'] : [])]
  const rows = changes.map(({ from, to, payments, amount, fraud, genuine }) => [
    `${from} -> ${to}`,
    number(payments),
    money(amount),
    ...(hasTruth ? [sum(fraud), sum(genuine)] : []),
  ])
  return columns([head, ...rows])
}

function line({ id, atMs, amount, channel, from, to, truth, before, after }: Example): string {
  const names = [...before.map((rule) => `-${rule}`), ...after.map((rule) => `+${rule}`)].join(' ')
  const known = truth === null ? '' : `, ${truth === 'apart' ? 'refused then' : truth}`
  const when = new Date(atMs).toISOString().slice(0, 19)
  return `  ${id}  ${when}  ${channel}  ${money(amount)}  ${from} -> ${to}${known}  ${names}`
}
