// `switchyard rules lists`: changes a list as an editor would, checks that the rules still load, and
// only then writes. Card numbers come by standard input and are stored as tokens.

import { userInfo } from 'node:os'
import { createInterface } from 'node:readline'
import type { Command } from 'commander'
import {
  addToList,
  compileRuleSet,
  isCardNumber,
  isReservedList,
  LIST_KEYS,
  type ListEdit,
  type ListEntry,
  type ListKind,
  listNamePattern,
  newList,
  removeFromList,
  writeRuleFile,
} from '#rules'
import { readConfigured } from './configured.ts'
import { filesOf, rulesFolder } from './rule-folder.ts'
import { registerShow } from './rule-lists-show.ts'

/** Cards that one call takes: as many as a list may have entries of 60 bytes. */
const CARDS_MAX = 1_000_000

interface EntryOptions {
  readonly dir?: string
  readonly until?: string
  readonly why?: string
  readonly by?: string
}

/** Adds `lists` to the command `rules`. */
export function registerRuleLists(rules: Command): void {
  const lists = rules
    .command('lists')
    .description('show and change the lists that rules ask by inList()')
    .addHelpText('after', example('add watched-merchants M-1001'))
  registerShow(lists)
  const entry = (command: Command): Command =>
    command
      .option('--until <date>', 'the last day (UTC) as 2026-12-31, or a time as 2026-12-31T18:00Z')
      .option('--why <text>', 'why it is listed')
      .option('--by <name>', 'who lists it (default: your account)')
  const folder = (command: Command): Command =>
    command.option('--dir <dir>', 'the rules folder (default: RULES_DIR, or the shipped one)')
  entry(folder(lists.command('add')))
    .description('list a value, a range (two values) or a CIDR; a new list is made')
    .argument('<list>', 'its name: lists/<list>.csv')
    .argument('<value...>', 'the entry')
    .option('--kind <kind>', `of a new list: ${Object.keys(LIST_KEYS).join(', ')}`, 'value')
    .addHelpText(
      'after',
      example('add watched-merchants M-1001 --until 2026-12-31 --why "chargebacks"'),
    )
    .action(async (list: string, key: string[], options: EntryOptions & { kind: string }) => {
      process.exitCode = await add(rulesFolder(options.dir), list, key, options)
    })
  entry(folder(lists.command('add-card')))
    .description('list cards: reads card numbers from standard input, one a line, stores tokens')
    .argument('<list>', 'its name: lists/<list>.csv')
    .addHelpText('after', example('add-card stolen-cards --why "reported" < cards.txt'))
    .action(async (list: string, options: EntryOptions) => {
      process.exitCode = await addCards(rulesFolder(options.dir), list, options)
    })
  folder(lists.command('remove'))
    .description('take an entry off a list')
    .argument('<list>', 'its name: lists/<list>.csv')
    .argument('[value...]', 'the entry')
    .option('--card', 'read card numbers from standard input instead')
    .addHelpText('after', example('remove watched-merchants M-1001'))
    .action(async (list: string, key: string[], options: { dir?: string; card?: boolean }) => {
      process.exitCode = await remove(rulesFolder(options.dir), list, key, options.card === true)
    })
}

function example(rest: string): string {
  return `\nExample:\n  $ npx switchyard rules lists ${rest}`
}

async function add(
  directory: string,
  list: string,
  key: readonly string[],
  options: EntryOptions & { readonly kind: string },
): Promise<number> {
  if (key.some(isCardNumber)) {
    console.error('a card number must not stand on a command line: use `rules lists add-card`')
    return 2
  }
  if (!Object.hasOwn(LIST_KEYS, options.kind)) {
    console.error(`--kind is one of ${Object.keys(LIST_KEYS).join(', ')}`)
    return 2
  }
  const entry = { ...details(options), key }
  const status = await change(directory, list, options.kind as ListKind, (text) =>
    addToList(text, [entry]),
  )
  if (status === 0) console.error(`${list}: added ${key.join(' ')}`)
  return status
}

async function addCards(directory: string, list: string, options: EntryOptions): Promise<number> {
  const tokens = await readTokens()
  if (tokens === undefined) return 2
  const entries = tokens.map((token): ListEntry => ({ ...details(options), key: [token] }))
  const status = await change(directory, list, 'value', (text) => addToList(text, entries))
  if (status === 0) {
    for (const token of tokens) console.log(token)
    console.error(`${list}: added ${tokens.length} cards`)
  }
  return status
}

async function remove(
  directory: string,
  list: string,
  key: readonly string[],
  card: boolean,
): Promise<number> {
  if (key.length > 0 === card || key.some(isCardNumber)) {
    console.error('name an entry, or give card numbers on standard input with --card')
    return 2
  }
  const tokens = card ? await readTokens() : undefined
  if (card && tokens === undefined) return 2
  const keys = tokens?.map((token) => [token]) ?? [key]
  const status = await change(directory, list, undefined, (text) => {
    let edit: ListEdit = { ok: true, text }
    for (const each of keys) if (edit.ok) edit = removeFromList(edit.text, each)
    return edit
  })
  if (status === 0)
    console.error(`${list}: removed ${keys.map((each) => each.join(' ')).join(', ')}`)
  return status
}

function details(options: EntryOptions): Omit<ListEntry, 'key'> {
  return {
    added: new Date().toISOString().slice(0, 10),
    by: options.by ?? userInfo().username,
    ...(options.until === undefined ? {} : { until: options.until }),
    ...(options.why === undefined ? {} : { why: options.why }),
  }
}

/**
 * Applies an edit to a list and writes it, unless the rules would then not load. `kind` is what a
 * missing list is made as; undefined: it must exist.
 */
async function change(
  directory: string,
  list: string,
  kind: ListKind | undefined,
  edit: (text: string) => ListEdit,
): Promise<number> {
  if (!listNamePattern.test(list) || isReservedList(list)) {
    console.error(
      `"${list}" is no list of values: small letters, digits and dashes, not fx or bins`,
    )
    return 2
  }
  const files = await filesOf(directory)
  if (files === undefined) return 2
  const name = `lists/${list}.csv`
  const text = files.find((file) => file.name === name)?.text ?? (kind && newList(kind))
  if (text === undefined) {
    console.error(`there is no ${name} in ${directory}`)
    return 1
  }
  const edited = edit(text)
  if (!edited.ok) {
    console.error(`${name}: ${edited.problem}`)
    return 1
  }
  const changed = { name, text: edited.text }
  const compiled = compileRuleSet([...files.filter((file) => file.name !== name), changed])
  if (!compiled.ok) {
    console.error('nothing was written, since the rules would not load:')
    for (const { file, line, severity, code, message } of compiled.problems) {
      if (severity === 'error') console.error(`  ${file}:${line} ${code}: ${message}`)
    }
    return 1
  }
  await writeRuleFile(directory, changed)
  return 0
}

/** Card numbers from standard input as tokens; undefined after saying what is wrong. */
async function readTokens(): Promise<readonly string[] | undefined> {
  const config = await readConfigured()
  if (config === undefined) return undefined
  const { parseKeyFileAt } = await import('../adapters/key-files.ts')
  const { CardVault, Pan } = await import('../card-data/index.ts')
  const keys = parseKeyFileAt(config.keysFile)
  if (!keys.ok) {
    // Tokens of other keys would never match a card.
    console.error(`${config.keysFile}: ${keys.problem}; the switch makes it at its first start`)
    return undefined
  }
  const vault = new CardVault(keys.keys, 'rules lists')
  const tokens = new Set<string>()
  let line = 0
  for await (const text of createInterface({ input: process.stdin, terminal: false })) {
    line++
    if (text.trim() === '') continue
    const pan = Pan.parse(text.replace(/[ -]/g, ''))
    if (pan === undefined) {
      // What was read is not repeated: it may be a card number with one digit wrong.
      console.error(`standard input, line ${line}: no card number (Luhn); nothing was changed`)
      return undefined
    }
    tokens.add(vault.tokenOf(pan))
    if (tokens.size > CARDS_MAX) {
      console.error(`more than ${CARDS_MAX} cards; split the file`)
      return undefined
    }
  }
  if (tokens.size > 0) return [...tokens]
  console.error('no card number came by standard input')
  return undefined
}
