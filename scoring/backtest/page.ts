// A backtest as one page that needs nothing else: style and charts are in it, there is no script,
// and its policy lets a browser fetch nothing. Readable on paper, on a telephone, in light and in
// dark.

import { BASE_CURRENCY, currencyByCode, RISK_OUTCOMES, type RiskOutcome } from '#rules'
import {
  type Bar,
  columnChart,
  escapeHtml,
  lyingBarChart,
  matrixChart,
  type Series,
} from './charts.ts'
import type { BacktestReport, Judged, RuleReport, Sum } from './report.ts'

/** Rules in a chart; the tables have all. */
const rulesCharted = 20
const rulesInMatrix = 14

const exponent = currencyByCode(BASE_CURRENCY)?.exponent ?? 2

function money(amount: number): string {
  const digits = { minimumFractionDigits: exponent, maximumFractionDigits: exponent }
  return `${(amount / 10 ** exponent).toLocaleString('en-US', digits)} ${BASE_CURRENCY}`
}

/** On an axis, where cents are noise. */
function roundMoney(amount: number): string {
  const value = amount / 10 ** exponent
  return `${value.toLocaleString('en-US', { maximumFractionDigits: 0 })} ${BASE_CURRENCY}`
}

/** Where the head of the column names the currency. */
function plainMoney(amount: number): string {
  return money(amount).replace(` ${BASE_CURRENCY}`, '')
}

function number(value: number): string {
  return value.toLocaleString('en-US', { maximumFractionDigits: 1 })
}

function percent(ratio: number | null): string {
  return ratio === null ? '–' : `${(100 * ratio).toFixed(1)}%`
}

function ratio(value: number | null): string {
  return value === null ? '–' : `${value.toFixed(1)} : 1`
}

const outcomeSeries: readonly Series[] = [
  { name: 'review', tone: 'review' },
  { name: 'challenge', tone: 'challenge' },
  { name: 'decline', tone: 'decline' },
]

/** The whole document. `source` names the data. */
export function backtestPage(report: BacktestReport, source: string): string {
  const title = `Backtest of rule set ${report.ruleSet}`
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${escapeHtml(title)}</title>
<style>${style}</style>
</head>
<body>
<main>
<header><h1>${escapeHtml(title)}</h1>${headPart(report, source)}</header>
${[tiles(report), truthPart(report), daysPart(report), rulesPart(report)].join('\n')}
${[scoresPart(report), overlapPart(report), changesPart(report), daysTable(report)].join('\n')}
${footPart(report)}
</main>
</body>
</html>
`
}

function headPart(report: BacktestReport, source: string): string {
  const { payments, firstAtMs, lastAtMs, model, rules, warmUp } = report
  const day = (atMs: number | null) =>
    atMs === null ? '–' : new Date(atMs).toISOString().slice(0, 16).replace('T', ' ')
  const earlier = warmUp === 0 ? '' : ` ${number(warmUp)} earlier ones only filled the counters.`
  return `<p>${number(payments.payments)} payments of ${escapeHtml(source)}, ${day(firstAtMs)} to
${day(lastAtMs)} UTC, ${money(payments.amount)}.${earlier} ${rules.length} rules, model
${escapeHtml(model)}.</p>`
}

function tile(name: string, value: string, note: string): string {
  return `<div class="tile"><b>${value}</b><span>${name}</span><small>${note}</small></div>`
}

function tiles({ truth, outcomes, payments }: BacktestReport): string {
  const share = (count: number) =>
    percent(payments.payments === 0 ? null : count / payments.payments)
  const stopped = outcomes.challenge.payments + outcomes.decline.payments
  const counts = [
    tile('stopped', number(stopped), `${share(stopped)} of all payments`),
    tile(
      'to review',
      number(outcomes.review.payments),
      `${share(outcomes.review.payments)} of all`,
    ),
  ]
  if (truth === null) return `<section class="tiles">${counts.join('')}</section>`
  const { stopped: judged } = truth
  return `<section class="tiles">${[
    tile('fraud stopped', money(judged.fraud.amount), `of ${money(truth.fraud.amount)}`),
    tile(
      'good money refused',
      money(judged.genuine.amount),
      `${number(judged.genuine.payments)} payments`,
    ),
    tile('precision', percent(judged.precision), 'fraud among what is stopped'),
    tile('recall', percent(judged.recall), 'stopped of all known fraud'),
    tile('false to true', ratio(judged.falsePositiveRatio), 'good payments for each fraud'),
    ...counts,
  ].join('')}</section>`
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const cells = (row: readonly string[], tag: string) =>
    row.map((cell, at) => `<${tag}${at === 0 ? ' class="name"' : ''}>${cell}</${tag}>`).join('')
  const body = rows.map((row) => `<tr>${cells(row, 'td')}</tr>`).join('\n')
  return `<div class="wide"><table><thead><tr>${cells(head, 'th')}</tr></thead><tbody>${body}</tbody></table></div>`
}

function truthPart({ truth, refusedThen, outcomes }: BacktestReport): string {
  const { all, outcomes: now, labelledFraud } = refusedThen
  const apart =
    all.payments === 0
      ? ''
      : `<p>${number(all.payments)} payments (${money(all.amount)}) were refused at the time. Nobody
learned whether they were fraud, so they are in no ratio. Of them the rules would stop
${number(now.challenge + now.decline)}, review ${number(now.review)} and let
${number(now.approve)} through${labelledFraud === 0 ? '' : `; ${number(labelledFraud)} are labelled fraud`}.</p>`
  if (truth === null) {
    const rows = RISK_OUTCOMES.map((outcome) => {
      const { payments, amount } = outcomes[outcome]
      return [outcome, number(payments), money(amount)]
    })
    return `<section><h2>Outcomes</h2><p>Without labels nobody knows what was fraud.</p>${table(['outcome', 'payments', 'amount'], rows)}${apart}</section>`
  }
  const row = (name: string, { fraud, genuine, ...ratios }: Judged): readonly string[] => [
    name,
    ...[number(fraud.payments), number(genuine.payments), percent(ratios.precision)],
    ...[percent(ratios.recall), ratio(ratios.falsePositiveRatio)],
    ...[money(fraud.amount), money(genuine.amount)],
  ]
  const knownRow = ['known in all', number(truth.fraud.payments), number(truth.genuine.payments)]
  const sums = [money(truth.fraud.amount), money(truth.genuine.amount)]
  const unknown =
    truth.unknown.payments === 0
      ? ''
      : `<p>Of ${number(truth.unknown.payments)} payments the truth is not known yet.</p>`
  const overridden =
    truth.overridesOfFraud.payments === 0
      ? ''
      : `<p class="bad">Allow rules let ${number(truth.overridesOfFraud.payments)} known frauds
through (${money(truth.overridesOfFraud.amount)}).</p>`
  const head = [
    '',
    'fraud',
    'genuine',
    'precision',
    'recall',
    'false : true',
    'fraud',
    'good money',
  ]
  const rows = [
    row('stopped', truth.stopped),
    row('stopped or reviewed', truth.flagged),
    [...knownRow, '', '', '', ...sums],
  ]
  return `<section><h2>Against the truth</h2>${table(head, rows)}${unknown}${overridden}${apart}</section>`
}

function daysPart({ days, truth }: BacktestReport): string {
  const bars = (values: (day: (typeof days)[number]) => readonly number[]): readonly Bar[] =>
    days.map((day) => ({ label: day.day, values: values(day) }))
  const outcomes = columnChart({
    title: 'Payments that were not simply let through, by day',
    series: outcomeSeries,
    bars: bars(({ outcomes: by }) => [by.review, by.challenge, by.decline]),
    format: number,
  })
  if (truth === null) return `<section><h2>By day</h2>${outcomes}</section>`
  const fraud = columnChart({
    title: 'Money of known fraud, by day',
    series: [
      { name: 'stopped', tone: 'good' },
      { name: 'let through', tone: 'bad' },
    ],
    bars: bars((day) => [day.fraudStopped.amount, day.fraud.amount - day.fraudStopped.amount]),
    format: roundMoney,
  })
  const refused = columnChart({
    title: 'Good money refused, by day',
    series: [{ name: 'good money refused', tone: 'a' }],
    bars: bars((day) => [day.genuineStopped.amount]),
    format: roundMoney,
  })
  return `<section><h2>By day</h2>${fraud}${refused}${outcomes}</section>`
}

function rulesPart({ rules, truth }: BacktestReport): string {
  const fired = rules.filter(({ hits }) => hits.payments > 0)
  fired.sort((one, other) => other.hits.payments - one.hits.payments)
  const series: readonly Series[] =
    truth === null
      ? [{ name: 'hits', tone: 'a' }]
      : [
          { name: 'fraud', tone: 'bad' },
          { name: 'genuine', tone: 'a' },
          { name: 'not known, or refused then', tone: 'dim' },
        ]
  const values = ({ hits, judged, refusedThen }: RuleReport): readonly number[] =>
    truth === null
      ? [hits.payments]
      : [
          judged.fraud.payments,
          judged.genuine.payments,
          judged.unknown.payments + refusedThen.payments,
        ]
  const chart = lyingBarChart({
    title: `Hits by rule${fired.length > rulesCharted ? `, the ${rulesCharted} that fire most` : ''}`,
    series,
    bars: fired.slice(0, rulesCharted).map((rule) => ({ label: rule.id, values: values(rule) })),
    format: number,
  })
  const head = ['rule', 'mode', 'outcome', 'hits', 'changes', 'refused then']
  const judgedHead = [
    'fraud',
    'genuine',
    'precision',
    'recall',
    'false : true',
    `fraud, ${BASE_CURRENCY}`,
    `good, ${BASE_CURRENCY}`,
  ]
  const rows = fired.map((rule) => ruleRow(rule, truth !== null))
  const silent = rules.filter(({ hits, mode }) => hits.payments === 0 && mode !== 'disabled')
  const never =
    silent.length === 0
      ? ''
      : `<p>Never fired: ${silent.map(({ id }) => `<code>${escapeHtml(id)}</code>`).join(', ')}.</p>`
  const note = `<p>Changes: outcomes that would be others without a live rule, or with a shadow rule
set live. Precision and recall of a rule count all payments that it fires on.</p>`
  return `<section><h2>Rules</h2>${fired.length === 0 ? '' : chart}${table(truth === null ? head : [...head, ...judgedHead], rows)}${note}${never}</section>`
}

function ruleRow(rule: RuleReport, hasTruth: boolean): readonly string[] {
  const { id, title, mode, outcome, hits, changes, refusedThen, judged, overrides } = rule
  const allowed =
    overrides === 0
      ? ''
      : `<small class="bad">overrode other rules ${number(overrides)} times, on ${number(rule.overridesOfFraud.payments)} known frauds</small>`
  const name = `<code>${escapeHtml(id)}</code><small>${escapeHtml(title)}</small>${allowed}`
  const counts = [hits, changes, refusedThen].map(({ payments }: Sum) => number(payments))
  const cells = [name, mode, outcomeBadge(outcome), ...counts]
  if (!hasTruth) return cells
  return [
    ...cells,
    ...[number(judged.fraud.payments), number(judged.genuine.payments)],
    ...[percent(judged.precision), percent(judged.recall), ratio(judged.falsePositiveRatio)],
    ...[plainMoney(judged.fraud.amount), plainMoney(judged.genuine.amount)],
  ]
}

function outcomeBadge(outcome: RiskOutcome): string {
  return `<span class="badge"><i class="${outcome}"></i>${outcome}</span>`
}

function scoresPart({ scores, truth }: BacktestReport): string {
  if (truth === null || scores.every(({ fraud }) => fraud === 0)) return ''
  const all = { fraud: 0, genuine: 0 }
  for (const { fraud, genuine } of scores) {
    all.fraud += fraud
    all.genuine += genuine
  }
  const bars = (kind: 'fraud' | 'genuine'): readonly Bar[] =>
    scores.map((bin) => ({
      label: bin.from.toFixed(2),
      values: [all[kind] === 0 ? 0 : (100 * bin[kind]) / all[kind]],
    }))
  const chart = (kind: 'fraud' | 'genuine', tone: string) =>
    columnChart({
      title: `Share of ${kind === 'fraud' ? 'known fraud' : 'genuine payments'} by the model's score`,
      series: [{ name: kind, tone }],
      bars: bars(kind),
      format: (value) => `${number(value)}%`,
    })
  return `<section><h2>Scores</h2>${chart('fraud', 'bad')}${chart('genuine', 'a')}</section>`
}

function overlapPart({ overlaps, rules }: BacktestReport): string {
  if (overlaps.length === 0) return ''
  const meeting = [...new Set(overlaps.flatMap(({ rules: pair }) => pair))]
  const most = new Set(meeting.slice(0, rulesInMatrix))
  const shown = rules.map(({ id }) => id).filter((id) => most.has(id))
  const share = new Map(overlaps.map(({ rules: pair, ...rest }) => [pair.join(' '), rest.share]))
  const chart = matrixChart({
    title: 'Of the rarer rule, how many percent of its payments the other fired on too',
    names: shown,
    share: (row, column) =>
      share.get(`${shown[row]} ${shown[column]}`) ?? share.get(`${shown[column]} ${shown[row]}`),
  })
  const rows = overlaps
    .slice(0, 20)
    .map(({ rules: pair, payments, share: part }) => [
      pair.map((id) => `<code>${escapeHtml(id)}</code>`).join(' + '),
      number(payments),
      percent(part),
    ])
  return `<section><h2>Rules that fire together</h2>${chart}${table(['rules', 'payments', 'of the rarer one'], rows)}</section>`
}

function changesPart({ changes: { known, same, list } }: BacktestReport): string {
  if (known === 0) return ''
  const rows = list.map(({ from, to, payments, amount }) => [
    `${outcomeBadge(from)} → ${outcomeBadge(to)}`,
    number(payments),
    money(amount),
  ])
  const sentence = `<p>${number(same)} of ${number(known)} payments have the outcome that they had.</p>`
  return `<section><h2>Against what was decided then</h2>${sentence}${rows.length === 0 ? '' : table(['change', 'payments', 'amount'], rows)}</section>`
}

function daysTable({ days, truth }: BacktestReport): string {
  const head = ['day', ...RISK_OUTCOMES]
  const more = ['fraud', 'fraud money', 'stopped', 'good money refused']
  const rows = days.map(({ day, outcomes, fraud, fraudStopped, genuineStopped }) => {
    const counts = [day, ...RISK_OUTCOMES.map((outcome) => number(outcomes[outcome]))]
    if (truth === null) return counts
    const sums = [fraud.amount, fraudStopped.amount, genuineStopped.amount].map(money)
    return [...counts, number(fraud.payments), ...sums]
  })
  return `<section><details><summary>Every day as a table</summary>${table(truth === null ? head : [...head, ...more], rows)}</details></section>`
}

function footPart({ velocity, badLines, withoutAmount, replayed }: BacktestReport): string {
  const lines = [
    `${number(velocity.saturated)} payments had a counter that is only a lower bound, as it would have been in the switch.`,
  ]
  if (velocity.evicted > 0) {
    lines.push(`Memory was full: ${number(velocity.evicted)} entities were forgotten.`)
  }
  if (withoutAmount > 0) lines.push(`${number(withoutAmount)} payments have no known base amount.`)
  if (badLines.count > 0) lines.push(`${number(badLines.count)} lines could not be read.`)
  if (replayed.decisions > 0) {
    lines.push(
      `${number(replayed.same)} of ${number(replayed.decisions)} stored decisions of this set came out the same.`,
    )
  }
  return `<footer>${lines.map((line) => `<p>${line}</p>`).join('')}</footer>`
}

const style = `
:root { color-scheme: light dark; --ground: #fbfbfa; --card: #fff; --ink: #1d2129; --soft: #5c6470;
  --line: #e1e4e8; --a: #3b6fb6; --good: #2c8a5c; --bad: #c2483d; --dim: #a9b1bc;
  --review: #d9a21b; --challenge: #8a63b8; --decline: #c2483d; --approve: #2c8a5c; }
@media (prefers-color-scheme: dark) {
  :root { --ground: #15181d; --card: #1d2127; --ink: #e6e9ee; --soft: #9aa4b2; --line: #333a44;
    --a: #6fa1e6; --good: #4fb786; --bad: #e57368; --dim: #5d6673;
    --review: #e3b94f; --challenge: #b394dc; --decline: #e57368; --approve: #4fb786; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink);
  font: 15px/1.5 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; }
main { max-width: 1320px; margin: 0 auto; padding: 32px 24px 64px; }
h1 { font-size: 26px; margin: 0 0 6px; } h2 { font-size: 19px; margin: 0 0 14px; }
h3 { font-size: 14px; font-weight: 600; margin: 0 0 6px; color: var(--soft); }
header p, footer p { color: var(--soft); margin: 0; } footer { padding: 12px 4px; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 10px;
  padding: 22px 24px; margin: 20px 0; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(160px, 1fr)); gap: 18px; }
.tile b { display: block; font-size: 20px; white-space: nowrap;
  font-variant-numeric: tabular-nums; }
.tile span { display: block; } .tile small, td small { display: block; color: var(--soft); }
figure { margin: 0 0 26px; } figcaption { margin: 0 0 8px; font-size: 13px; }
svg { display: block; width: 100%; height: auto; }
svg text { fill: var(--soft); font-size: 12.5px; font-variant-numeric: tabular-nums; }
svg text.cell { fill: var(--ink); } svg text.on { fill: var(--card); }
.grid { stroke: var(--line); stroke-width: 1; } rect.empty { fill: var(--line); fill-opacity: .45; }
.key { margin-right: 18px; } i { display: inline-block; width: 11px; height: 11px;
  border-radius: 3px; margin-right: 6px; }
rect.a { fill: var(--a); } rect.good { fill: var(--good); } rect.bad { fill: var(--bad); }
rect.dim { fill: var(--dim); } rect.review { fill: var(--review); }
rect.challenge { fill: var(--challenge); } rect.decline { fill: var(--decline); }
i.a { background: var(--a); } i.good { background: var(--good); } i.bad { background: var(--bad); }
i.dim { background: var(--dim); } i.review { background: var(--review); }
i.challenge { background: var(--challenge); } i.decline { background: var(--decline); }
i.approve { background: var(--approve); }
.wide { overflow-x: auto; } table { border-collapse: collapse; width: 100%; font-size: 13.5px; }
th, td { text-align: right; padding: 6px; border-bottom: 1px solid var(--line);
  font-variant-numeric: tabular-nums; white-space: nowrap; vertical-align: top; }
th { color: var(--soft); font-weight: 600; } .name { text-align: left; }
td small { white-space: normal; max-width: 17em; } code { font-size: 13px; }
.bad { color: var(--bad); } td small.bad { color: var(--bad); } summary { cursor: pointer; }
@media (max-width: 1400px) { table { font-size: 12px; } th, td { padding: 5px 3px; } }
@media print { section { break-inside: avoid; } }
`
