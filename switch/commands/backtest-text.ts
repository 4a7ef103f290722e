// A backtest as a person reads it in a terminal.

import { BASE_CURRENCY, currencyByCode, RISK_OUTCOMES } from '#rules'
import type { BacktestReport, Judged, RuleReport, Sum } from '#scoring'

const exponent = currencyByCode(BASE_CURRENCY)?.exponent ?? 2

/** Minor units of the base currency as `1,234.50 EUR`. */
export function money(amount: number): string {
  const digits = { minimumFractionDigits: exponent, maximumFractionDigits: exponent }
  return `${(amount / 10 ** exponent).toLocaleString('en-US', digits)} ${BASE_CURRENCY}`
}

export function number(value: number): string {
  return value.toLocaleString('en-US')
}

export function percent(ratio: number | null): string {
  return ratio === null ? '-' : `${(100 * ratio).toFixed(1)}%`
}

export function sum({ payments, amount }: Sum): string {
  return `${number(payments)} (${money(amount)})`
}

/** Rows as columns: the first to the left, the others to the right. */
export function columns(rows: readonly (readonly string[])[]): string {
  const widths: number[] = []
  for (const row of rows) {
    row.forEach((cell, at) => {
      widths[at] = Math.max(widths[at] ?? 0, cell.length)
    })
  }
  const line = (row: readonly string[]) =>
    row
      .map((cell, at) => (at === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[at] ?? 0)))
      .join('  ')
      .trimEnd()
  return rows.map(line).join('\n')
}

/** Days that the text shows; JSON and the page have all. */
const daysShown = 14

export function backtestText(report: BacktestReport, source: string): string {
  return [
    headText(report, source),
    outcomesText(report),
    truthText(report),
    apartText(report),
    changesText(report),
    rulesText(report),
    overlapsText(report),
    daysText(report),
  ]
    .filter((part) => part !== '')
    .join('\n\n')
}

function headText(report: BacktestReport, source: string): string {
  const { ruleSet, model, payments, warmUp, firstAtMs, lastAtMs, rules, replayed } = report
  const day = (atMs: number | null) => (atMs === null ? '-' : new Date(atMs).toISOString())
  const lines = [
    `${source}: rule set ${ruleSet} (${rules.length} rules), model ${model}`,
    `${sum(payments)} from ${day(firstAtMs)} to ${day(lastAtMs)}`,
  ]
  if (warmUp > 0) lines.push(`${number(warmUp)} earlier payments were only counted by velocity`)
  if (report.withoutAmount > 0) {
    lines.push(`${number(report.withoutAmount)} payments have no known base amount: no money here`)
  }
  if (replayed.decisions > 0) {
    const { decisions, same } = replayed
    lines.push(`${number(same)} of ${number(decisions)} stored decisions of this set are the same`)
  }
  const { saturated, evicted } = report.velocity
  if (saturated > 0) lines.push(`${number(saturated)} payments with counters that are lower bounds`)
  if (evicted > 0) lines.push(`memory was full: ${number(evicted)} entities were forgotten`)
  return lines.join('\n')
}

function outcomesText({ outcomes, payments }: BacktestReport): string {
  const rows = RISK_OUTCOMES.map((outcome) => {
    const { payments: count, amount } = outcomes[outcome]
    const share = percent(payments.payments === 0 ? null : count / payments.payments)
    return [outcome, number(count), share, money(amount)]
  })
  return columns([['outcome', 'payments', 'share', 'amount'], ...rows])
}

function truthText({ truth }: BacktestReport): string {
  if (truth === null) {
    return 'No labels: precision, recall and money stopped are not known. Give --labels FILE.'
  }
  const row = (name: string, judged: Judged): readonly string[] => [
    name,
    number(judged.fraud.payments),
    number(judged.genuine.payments),
    percent(judged.precision),
    percent(judged.recall),
    ratio(judged.falsePositiveRatio),
    money(judged.fraud.amount),
    money(judged.genuine.amount),
  ]
  const lines = [
    `Known of payments that went through: ${sum(truth.fraud)} fraud, ${sum(truth.genuine)} genuine`,
  ]
  if (truth.unknown.payments > 0) lines.push(`  not known yet: ${sum(truth.unknown)}`)
  lines.push(
    columns([
      [
        '',
        'fraud',
        'genuine',
        'precision',
        'recall',
        'false/true',
        'money stopped',
        'good refused',
      ],
      row('stopped', truth.stopped),
      row('stopped or reviewed', truth.flagged),
    ]),
  )
  if (truth.overridesOfFraud.payments > 0) {
    lines.push(`allow rules let known fraud through: ${sum(truth.overridesOfFraud)}`)
  }
  return lines.join('\n')
}

function ratio(value: number | null): string {
  return value === null ? '-' : `${value.toFixed(1)}:1`
}

function apartText({ refusedThen: { all, outcomes, labelledFraud } }: BacktestReport): string {
  if (all.payments === 0) return ''
  const stopped = outcomes.challenge + outcomes.decline
  const labelled = labelledFraud === 0 ? '' : `, ${number(labelledFraud)} labelled fraud`
  return (
    `Refused at the time, so without a truth: ${sum(all)}${labelled};\n` +
    `  of these now ${number(stopped)} stopped, ${number(outcomes.review)} reviewed, ` +
    `${number(outcomes.approve)} let through`
  )
}

function changesText({ changes: { known, same, list } }: BacktestReport): string {
  if (known === 0) return ''
  const head = `Against what was decided then: ${number(same)} of ${number(known)} the same`
  const rows = list.map(({ from, to, payments, amount }) => [
    `  ${from} -> ${to}`,
    number(payments),
    money(amount),
  ])
  return rows.length === 0 ? head : `${head}\n${columns(rows)}`
}

function rulesText({ rules, truth }: BacktestReport): string {
  const fired = rules.filter(({ hits }) => hits.payments > 0)
  fired.sort((one, other) => other.hits.payments - one.hits.payments)
  const head = ['rule', 'mode', 'outcome', 'hits', 'refused', 'changes']
  const judgedHead = [
    'fraud',
    'genuine',
    'precision',
    'recall',
    'false/true',
    'of fraud',
    'of good',
  ]
  const row = (rule: RuleReport): readonly string[] => {
    const { id, mode, outcome, hits, refusedThen, changes, judged } = rule
    const cells = [
      id,
      mode,
      outcome,
      ...[hits, refusedThen, changes].map((n) => number(n.payments)),
    ]
    if (truth === null) return cells
    return [
      ...cells,
      number(judged.fraud.payments),
      number(judged.genuine.payments),
      percent(judged.precision),
      percent(judged.recall),
      ratio(judged.falsePositiveRatio),
      money(judged.fraud.amount),
      money(judged.genuine.amount),
    ]
  }
  const rows = [truth === null ? head : [...head, ...judgedHead], ...fired.map(row)]
  const silent = rules.filter(({ hits, mode }) => hits.payments === 0 && mode !== 'disabled')
  const never = silent.length === 0 ? '' : `\nnever fired: ${silent.map(({ id }) => id).join(', ')}`
  const allow = fired
    .filter(({ overrides }) => overrides > 0)
    .map(({ id, overrides, overridesOfFraud }) => {
      const fraud = truth === null ? '' : `, known fraud among them: ${sum(overridesOfFraud)}`
      return `\n${id} let ${number(overrides)} payments through that others would not${fraud}`
    })
  return `${columns(rows)}${allow.join('')}${never}`
}

function overlapsText({ overlaps }: BacktestReport): string {
  if (overlaps.length === 0) return ''
  const rows = overlaps
    .slice(0, 10)
    .map(({ rules, payments, share }) => [rules.join(' + '), number(payments), percent(share)])
  return columns([['rules that fire together', 'payments', 'of the rarer one'], ...rows])
}

function daysText({ days, truth }: BacktestReport): string {
  const rows = days.slice(-daysShown).map(({ day, outcomes, fraud, ...stopped }) => {
    const { fraudStopped, genuineStopped } = stopped
    const counts = RISK_OUTCOMES.map((outcome) => number(outcomes[outcome]))
    if (truth === null) return [day, ...counts]
    return [
      day,
      ...counts,
      number(fraud.payments),
      money(fraudStopped.amount),
      money(genuineStopped.amount),
    ]
  })
  const head = ['day', ...RISK_OUTCOMES, 'fraud', 'money stopped', 'good refused']
  const shown = truth === null ? head.slice(0, 5) : head
  const more = days.length - rows.length
  const note = more > 0 ? `\n${number(more)} earlier days: --json or --html` : ''
  return `${columns([shown, ...rows])}${note}`
}
