// `switchyard rules lists show`: which lists there are, and what is on one of them.

import type { Command } from 'commander'
import { isReservedList, type RuleFile, writtenList } from '#rules'
import { filesOf, rulesFolder } from './rule-folder.ts'

interface ShowOptions {
  readonly dir?: string
  readonly json?: boolean
}

export function registerShow(lists: Command): void {
  lists
    .command('show')
    .description('the lists with their sizes, or the entries of one: until when, by whom, why')
    .argument('[list]', 'its name: lists/<list>.csv')
    .option('--dir <dir>', 'the rules folder (default: RULES_DIR, or the shipped one)')
    .option('--json', 'a line of JSON each')
    .addHelpText('after', '\nExample:\n  $ npx switchyard rules lists show high-risk-mccs')
    .action(async (list: string | undefined, options: ShowOptions) => {
      process.exitCode = await show(rulesFolder(options.dir), list, options.json === true)
    })
}

async function show(directory: string, list: string | undefined, asJson: boolean): Promise<number> {
  const files = await filesOf(directory)
  if (files === undefined) return 2
  const lists = files.filter(({ name }) => name.startsWith('lists/'))
  if (list === undefined) {
    print(lists.map(summaryOf), asJson)
    return 0
  }
  const file = lists.find(({ name }) => name === `lists/${list}.csv`)
  if (file === undefined) {
    const known = lists.map(({ name }) => nameOf(name)).join(', ')
    console.error(`there is no lists/${list}.csv in ${directory}; there are: ${known}`)
    return 1
  }
  const { columns, entries } = writtenList(file.text, Date.now())
  print(
    entries.map(({ fields, ended }) => ({
      ...Object.fromEntries(columns.map((column, index) => [column, fields[index] ?? ''])),
      ...(ended ? { ended: 'ended' } : {}),
    })),
    asJson,
  )
  const ended = entries.filter((entry) => entry.ended).length
  console.error(`${entries.length} entries${ended === 0 ? '' : `, ${ended} of them ended`}`)
  return 0
}

type Row = Readonly<Record<string, string | number>>

function summaryOf({ name, text }: RuleFile): Row {
  const { columns, entries } = writtenList(text, Date.now())
  const list = nameOf(name)
  return {
    list,
    entries: entries.length,
    ended: entries.filter((entry) => entry.ended).length,
    columns: columns.join(','),
    'asked by': isReservedList(list) ? 'the switch itself' : 'inList()',
  }
}

function nameOf(file: string): string {
  return file.replace(/^lists\//, '').replace(/\.csv$/, '')
}

/** Lines of JSON, or columns under the names of the fields. */
function print(rows: readonly Row[], asJson: boolean): void {
  if (asJson) {
    for (const row of rows) console.log(JSON.stringify(row))
    return
  }
  const names = [...new Set(rows.flatMap((row) => Object.keys(row)))]
  const cells = [names, ...rows.map((row) => names.map((name) => String(row[name] ?? '')))]
  const widths = names.map((_, at) => Math.max(...cells.map((row) => row[at]?.length ?? 0)))
  for (const row of cells) {
    console.log(
      row
        .map((cell, at) => cell.padEnd(widths[at] ?? 0))
        .join('  ')
        .trimEnd(),
    )
  }
}
