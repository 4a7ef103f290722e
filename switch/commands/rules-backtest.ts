// `switchyard rules backtest` and `rules demo-data`: rules on past payments.

import { createWriteStream, writeFileSync } from 'node:fs'
import path from 'node:path'
import { finished } from 'node:stream/promises'
import { createGzip } from 'node:zlib'
import { type Command, InvalidArgumentError } from 'commander'
import { type BacktestReport, type LabelSource, loadBacktest, type PastPayment } from '#scoring'
import { backtestText } from './backtest-text.ts'
import { readConfigured } from './configured.ts'
import {
  BadLines,
  bytesOf,
  type DataOptions,
  FORMAT_UNKNOWN,
  formatOf,
  openPastData,
} from './past-data.ts'
import { startProgress } from './progress.ts'
import { openRules } from './rule-sets.ts'

export interface PeriodOptions {
  readonly from?: number
  readonly to?: number
}

export interface LabelOptions {
  readonly labels?: string
  readonly asOf?: number
  readonly maturity: number
}

interface BacktestArguments extends DataOptions, PeriodOptions, LabelOptions {
  readonly rules?: string
  readonly model?: string
  readonly json?: boolean
  readonly html?: string
  readonly columns?: boolean
}

/** The options that every command on past payments takes. */
export function withPastPayments(command: Command): Command {
  return command
    .option('--data <file>', 'payments: .csv or .ndjson, also .gz (default: the configured store)')
    .option('--store <folder>', 'a folder of segments, instead of the configured store')
    .option('--from <time>', 'payments from this moment on, as 2026-11-01', timeOf)
    .option('--to <time>', 'payments before this moment', timeOf)
    .option('--model <dir>', 'a model folder (default: the configured one)')
    .option('--map <theirs=ours>', "the file's name of a column; may be repeated", collect, [])
    .option('--set <column=value>', 'for what a row leaves out; may be repeated', collect, [])
    .option('--decimal-amounts', 'amounts in the file are as 25.99, not in minor units')
}

export function withLabels(command: Command): Command {
  return command
    .option('--labels <file>', 'the truth: .csv or .ndjson with id or rrn, kind, knownAt')
    .option('--as-of <time>', 'only labels that were known then', timeOf)
    .option(
      '--maturity <days>',
      'an unlabelled payment counts as genuine when it is this old',
      days,
      0,
    )
}

export function registerRulesBacktest(rules: Command): void {
  const backtest = rules
    .command('backtest')
    .description('decide past payments again, and say what the rules would have done')
    .option('--rules <dir or hash>', 'the rule set to try (default: RULES_DIR, or the shipped one)')
    .option('--json', 'the whole report as one line of JSON')
    .option('--html <file>', 'write one page with charts, too')
    .option('--columns', 'print the columns of a data file as Markdown, and stop')
  withLabels(withPastPayments(backtest))
    .addHelpText('after', example)
    .action(async (options: BacktestArguments) => {
      process.exitCode = options.columns === true ? await printColumns() : await run(options)
    })
  rules
    .command('demo-data')
    .description('write made-up payments with their frauds, to try a backtest on')
    .requiredOption('--out <file>', '.csv or .csv.gz')
    .option('--days <n>', 'length of the period', wholeNumber, 30)
    .option(
      '--customers <n>',
      'size of the population; 6,000 make 7,000 payments a day',
      wholeNumber,
      1_000,
    )
    .option('--seed <n>', 'the same seed gives the same file', wholeNumber, 1)
    .addHelpText('after', '\nExample:\n  $ npx switchyard rules demo-data --out demo.csv.gz')
    .action(async (options: DemoArguments) => {
      process.exitCode = await writeDemoData(options)
    })
}

const example = `
Examples:
  $ npx switchyard rules demo-data --out demo.csv.gz
  $ npx switchyard rules backtest --data demo.csv.gz --html report.html
  $ npx switchyard rules backtest --from 2026-11-01 --labels labels.csv --rules ../candidate
  $ npx switchyard rules backtest --data other.csv --map TX_AMOUNT=amount --set currency=EUR`

export function collect(word: string, before: readonly string[]): readonly string[] {
  return [...before, word]
}

function timeOf(text: string): number {
  const atMs = Date.parse(/^\d{4}-\d\d-\d\d$/.test(text) ? `${text}T00:00:00Z` : text)
  if (Number.isNaN(atMs)) throw new InvalidArgumentError('a time as 2026-11-22T10:00:00Z, or a day')
  return atMs
}

function days(text: string): number {
  const value = Number(text.replace(/d$/, ''))
  if (!(value >= 0)) throw new InvalidArgumentError('a number of days')
  return value
}

function wholeNumber(text: string): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1) throw new InvalidArgumentError('a whole number from 1')
  return value
}

/** Its `maturity` counts from `as-of`, which is now where it is not given. */
export async function labelSourceOf(options: LabelOptions): Promise<LabelSource | undefined> {
  const { labels: file, maturity } = options
  const asOfMs = options.asOf ?? (maturity > 0 ? Date.now() : Number.POSITIVE_INFINITY)
  const maturityMs = maturity * 86_400_000
  if (file === undefined) return { labels: undefined, asOfMs, maturityMs }
  const { badLinesNamedMax, readLabels } = await loadBacktest()
  const format = formatOf(file)
  if (format === undefined) {
    console.error(`${file} ${FORMAT_UNKNOWN}`)
    return undefined
  }
  const bad = new BadLines(badLinesNamedMax)
  try {
    const read = await readLabels(
      bytesOf(file, () => undefined),
      format,
      asOfMs,
      bad.add,
    )
    if (!('message' in read)) {
      // A label that can't be read would be a fraud that counts as genuine: not worth going on.
      if (bad.count === 0) return { labels: read.labels, asOfMs, maturityMs }
      printBadLines(file, bad)
    } else console.error(`${file}: ${read.message}`)
  } catch (error) {
    console.error(`can't read ${file}: ${(error as Error).message}`)
  }
  return undefined
}

export function printBadLines(file: string, bad: BacktestReport['badLines']): void {
  for (const { line, column, message } of bad.first) {
    console.error(`${file}:${line}: ${column === undefined ? '' : `${column} `}${message}`)
  }
  const more = bad.count - bad.first.length
  if (more > 0) console.error(`${file}: ${more} more lines can't be read`)
}

/** The model that is meant, loaded; undefined after saying why it can't be. */
export async function openModel(named: string | undefined) {
  const { loadRiskModel } = await loadBacktest()
  const folder = named ?? (await configuredModel())
  if (folder === undefined) return undefined
  const loaded = await loadRiskModel(folder)
  if (loaded.ok) return loaded.model
  console.error(`${folder}: ${loaded.problem.message}`)
  return undefined
}

async function configuredModel(): Promise<string | undefined> {
  const config = await readConfigured()
  return config && path.join(config.modelDir, config.scoring.model)
}

async function printColumns(): Promise<number> {
  const { COLUMNS } = await loadBacktest()
  console.log('| column | | meaning |\n| --- | --- | --- |')
  for (const { name, required, meaning } of COLUMNS) {
    console.log(
      `| \`${name}\` | ${required ? 'required' : ''} | ${meaning.replaceAll('|', '\\|')} |`,
    )
  }
  return 0
}

async function run(options: BacktestArguments): Promise<number> {
  const { runBacktest } = await loadBacktest()
  const rules = await openRules(options.rules)
  if (rules === undefined) return 2
  const source = await labelSourceOf(options)
  const data = source === undefined ? undefined : await openPastData(options)
  const model = data === undefined ? undefined : await openModel(options.model)
  if (source === undefined || data === undefined || model === undefined) return 2
  const progress = startProgress('backtest')
  const startedMs = performance.now()
  let report: BacktestReport
  try {
    const counted = await runBacktest(data.chunks, {
      rules,
      model,
      source,
      period: periodOf(options),
      onProgress: (payments) => progress.update(data.progress(), payments),
    })
    const { count, first } = data.bad
    report = { ...counted, badLines: { count, first } }
  } finally {
    progress.stop()
    await model.release()
  }
  const problem = data.problem()
  if (problem !== undefined) {
    console.error(problem)
    return 1
  }
  const seconds = (performance.now() - startedMs) / 1_000
  return await tell(report, data.name, options, seconds, data.notes())
}

export function periodOf({ from, to }: PeriodOptions) {
  return { fromMs: from ?? Number.NEGATIVE_INFINITY, toMs: to ?? Number.POSITIVE_INFINITY }
}

async function tell(
  report: BacktestReport,
  name: string,
  options: BacktestArguments,
  seconds: number,
  notes: readonly string[],
): Promise<number> {
  console.log(options.json === true ? JSON.stringify(report) : backtestText(report, name))
  if (options.html !== undefined) {
    const { backtestPage } = await loadBacktest()
    writeFileSync(options.html, backtestPage(report, name))
    console.error(`wrote ${options.html}`)
  }
  for (const note of notes) console.error(note)
  printBadLines(name, report.badLines)
  const all = report.payments.payments + report.warmUp
  console.error(`${all} payments in ${seconds.toFixed(1)} s, ${Math.round(all / seconds)} a second`)
  if (all === 0) console.error('no payment in the period: look at --from, --to and the data')
  return report.badLines.count === 0 && all > 0 ? 0 : 1
}

interface DemoArguments {
  readonly out: string
  readonly days: number
  readonly customers: number
  readonly seed: number
}

async function writeDemoData(options: DemoArguments): Promise<number> {
  const { csvHead, csvLine, DEFAULT_GENERATE_OPTIONS, demoPayments } = await loadBacktest()
  const { out, days, customers, seed } = options
  if (!/\.csv(\.gz)?$/.test(out)) {
    console.error('--out ends in .csv or .csv.gz')
    return 2
  }
  const file = createWriteStream(out)
  const packed = out.endsWith('.gz') ? createGzip({ level: 4 }) : undefined
  const target = packed ?? file
  packed?.pipe(file)
  const closed = finished(file)
  const progress = startProgress('writing')
  const { startMs } = DEFAULT_GENERATE_OPTIONS
  const payments = demoPayments({ startMs, days, customers, seed })
  let count = 0
  let frauds = 0
  let lines = csvHead
  const write = (): Promise<void> | undefined => {
    const isRoom = target.write(lines)
    lines = ''
    return isRoom ? undefined : new Promise((resolve) => target.once('drain', resolve))
  }
  try {
    for (const payment of payments) {
      lines += csvLine(payment)
      if (isKnownFraud(payment)) frauds++
      if (++count % 1_000 !== 0) continue
      await Promise.race([write(), closed])
      progress.update((payment.request.arrivedAtMs - startMs) / (days * 86_400_000), count)
    }
    target.end(lines)
    await closed
  } catch (error) {
    console.error(`can't write ${out}: ${(error as Error).message}`)
    return 1
  } finally {
    progress.stop()
  }
  console.error(`${out}: ${count} payments in ${days} days, ${frauds} of them known fraud`)
  return 0
}

function isKnownFraud({ label }: PastPayment): boolean {
  return label !== undefined
}
