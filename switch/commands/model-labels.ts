// `switchyard model labels import`: labels from a file into the store, through the operations port
// of a running switch, or into the folder of one that is stopped. The whole file is checked before
// the first label is sent; what is sent again is known, so an import may be repeated.

import { readFileSync, statSync } from 'node:fs'
import type { Command } from 'commander'
import { systemClock } from '../adapters/system-clock.ts'
import {
  LABELS_PER_REQUEST_MAX,
  type LabelAnswer,
  type LabelLine,
  readLabelFile,
  recordLabels,
} from '../operations/index.ts'
import type { TransactionStore } from '../store/index.ts'
import { readConfigured } from './configured.ts'
import { order, runningAdminUrl } from './operations-port.ts'
import { inStoppedStore } from './stopped-store.ts'

/** Read whole; a million labels of 100 bytes. */
const FILE_BYTES_MAX = 134_217_728
/** Bad lines and refused labels that are listed one by one. */
const LISTED_MAX = 50

interface ImportOptions {
  readonly json?: boolean
  readonly skipBad?: boolean
}

/** Answers for some lines; undefined: nobody can be asked any more, and why was said. */
type Send = (lines: readonly LabelLine[]) => Promise<readonly LabelAnswer[] | undefined>

export function registerModelLabels(model: Command): void {
  const labels = model
    .command('labels')
    .description('the truth that arrives later')
    .addHelpText('after', '\nExample:\n  $ npx switchyard model labels import labels.csv')
  labels
    .command('import')
    .description(
      'take labels from a CSV or NDJSON file into the store (a running switch: ADMIN_TOKEN)',
    )
    .argument('<file>', 'columns or fields: id, or acquirer and rrn; kind; knownAt (optional)')
    .option('--skip-bad', 'import the good lines of a file that has bad ones')
    .option('--json', 'one line of JSON: {ok, lines, recorded, known, bad, refused}')
    .addHelpText(
      'after',
      '\nKinds: chargeback and confirmed_fraud are fraud; dispute and genuine are not.' +
        '\n\nExample:\n  $ cat labels.csv\n  id,kind,knownAt\n  auth_01KA...,chargeback,2026-11-20' +
        '\n  $ ADMIN_TOKEN=... npx switchyard model labels import labels.csv',
    )
    .action(async (file: string, options: ImportOptions) => {
      process.exitCode = await importFile(file, options)
    })
}

async function importFile(file: string, options: ImportOptions): Promise<number> {
  let text: string
  try {
    if (statSync(file).size > FILE_BYTES_MAX) {
      console.error(`${file} has more than ${FILE_BYTES_MAX} bytes: split it`)
      return 2
    }
    text = readFileSync(file, 'utf8')
  } catch (error) {
    console.error(`can't read ${file}: ${(error as Error).message}`)
    return 2
  }
  const read = readLabelFile(text, systemClock.now())
  for (const { line, problem } of read.bad.slice(0, LISTED_MAX)) {
    console.error(`${file}:${line} ${problem}`)
  }
  if (read.bad.length > LISTED_MAX) console.error(`and ${read.bad.length - LISTED_MAX} more`)
  if (read.bad.length > 0 && options.skipBad !== true) {
    console.error(
      `${read.bad.length} bad lines: nothing was imported (--skip-bad takes the others)`,
    )
    if (options.json === true) print({ ok: false, bad: read.bad, lines: read.lines.length })
    return 1
  }
  const config = await readConfigured()
  if (config === undefined) return 2
  const adminUrl = await runningAdminUrl(config.dataDir)
  if (adminUrl !== undefined) {
    return sendAll(file, read, options, (lines) => throughPort(adminUrl, lines))
  }
  const into = (store: TransactionStore) => sendAll(file, read, options, recorded(store))
  return (await inStoppedStore(config, 'labels', into)) ?? 2
}

type Read = ReturnType<typeof readLabelFile>

async function sendAll(
  file: string,
  { lines, bad }: Read,
  options: ImportOptions,
  send: Send,
): Promise<number> {
  let [recorded, known, done] = [0, 0, 0]
  const refused: { line: number; result: string; problem?: string }[] = []
  for (let from = 0; from < lines.length; from += LABELS_PER_REQUEST_MAX) {
    const part = lines.slice(from, from + LABELS_PER_REQUEST_MAX)
    const answers = await send(part)
    if (answers === undefined) break
    for (const [index, { result, problem }] of answers.entries()) {
      done++
      if (result === 'recorded') recorded++
      else if (result === 'known') known++
      else {
        const { line } = part[index] as LabelLine
        refused.push(problem === undefined ? { line, result } : { line, result, problem })
      }
    }
    if (process.stderr.isTTY) process.stderr.write(`\r${done} of ${lines.length} labels`)
  }
  if (process.stderr.isTTY) process.stderr.write('\n')
  const isWhole = done === lines.length
  for (const { line, result, problem } of refused.slice(0, LISTED_MAX)) {
    console.error(`${file}:${line} ${problem ?? WORDS[result] ?? result}`)
  }
  if (refused.length > LISTED_MAX) console.error(`and ${refused.length - LISTED_MAX} more`)
  if (!isWhole) {
    const left = lines.length - done
    console.error(
      `stopped: ${left} labels were not sent; import the file again, what is there is known`,
    )
  }
  const ok = isWhole && refused.length === 0
  if (options.json === true) print({ ok, lines: lines.length, recorded, known, bad, refused })
  else {
    const skipped = bad.length === 0 ? '' : `, ${bad.length} bad lines left out`
    console.log(`${recorded} recorded, ${known} known before, ${refused.length} refused${skipped}`)
  }
  return ok ? 0 : 1
}

const WORDS: Readonly<Record<string, string>> = {
  unknown: 'there is no such transaction',
  too_many: 'the transaction has as many labels as one may have',
}

function print(report: object): void {
  console.log(JSON.stringify(report))
}

async function throughPort(
  adminUrl: string,
  lines: readonly LabelLine[],
): Promise<readonly LabelAnswer[] | undefined> {
  const answer = await order(adminUrl, '/v1/labels', { labels: lines.map(({ sent }) => sent) })
  if (answer === undefined) return undefined
  if (answer.status === 200) return (answer.body as { results: LabelAnswer[] }).results
  console.error(`the switch refused: ${(answer.body as { message?: string }).message}`)
  return undefined
}

function recorded(store: TransactionStore): Send {
  return async (lines) => {
    try {
      const items = lines.map(({ item }) => item)
      return await recordLabels(store, systemClock, items)
    } catch (error) {
      console.error((error as Error).message)
      return undefined
    }
  }
}
