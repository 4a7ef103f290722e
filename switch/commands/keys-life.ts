// `switchyard keys rotate | status | retire`: the life of the key that PANs are sealed under.

import path from 'node:path'
import type { Command } from 'commander'
import { readConfigFile } from '../adapters/config-files.ts'
import { addPanKey, parseKeyFileAt, removePanKeyProblem } from '../adapters/key-files.ts'
import {
  readKeyUse,
  readSharedKeyUse,
  retireKey,
  retireSharedKey,
  type SharedKeyUse,
} from '../adapters/key-use.ts'
import { createSystemRandom } from '../adapters/system-clock.ts'
import type { Config } from '../config/index.ts'
import { startProgress } from './progress.ts'

export function registerKeysLife(keys: Command): void {
  keys
    .command('rotate')
    .description('add a PAN key; from the next start on new cards are sealed under it')
    .addHelpText(
      'after',
      '\nThe key file is replaced as one, mode 0600; the token key stays. Restart the switch: it ' +
        'seals under the\nnew key, and brings older cards under it in the background (keys status).' +
        '\n\nExample:\n  $ npx switchyard keys rotate',
    )
    .action(() => {
      process.exitCode = rotate(configured())
    })
  keys
    .command('status')
    .description('count the sealed cards under each key, also beside a running switch')
    .option('--json', 'one line of JSON')
    .addHelpText('after', '\nExample:\n  $ npx switchyard keys status')
    .action(async (options: { readonly json?: boolean }) => {
      process.exitCode = await status(configured(), options.json === true)
    })
  keys
    .command('retire')
    .description('take a PAN key out of the key file; refuses while anything is under it')
    .argument('<id>', 'as `keys status` shows it')
    .addHelpText(
      'after',
      '\nStop the switch first (with PostgreSQL every process). Backups from before still need the key: keep a copy of it with ' +
        'them.\n\nExample:\n  $ npx switchyard keys retire 1',
    )
    .action(async (id: string) => {
      process.exitCode = await retire(configured(), id)
    })
}

function configured(): Config | undefined {
  const read = readConfigFile(process.env)
  if (read.ok) return read.config
  for (const problem of read.problems) console.error(`${read.file}: ${problem}`)
  return undefined
}

function rotate(config: Config | undefined): number {
  if (config === undefined) return 2
  const { keysFile } = config
  const added = addPanKey(keysFile, createSystemRandom())
  if (!added.ok) {
    console.error(`${keysFile}: ${added.problem}`)
    return 1
  }
  console.log(`${keysFile}: PAN key ${added.id} was added. Keep a copy where the backups are not.`)
  console.log('Restart the switch; `switchyard keys status` shows what is still under older keys.')
  return 0
}

async function status(config: Config | undefined, asJson: boolean): Promise<number> {
  if (config === undefined) return 2
  const { keysFile, dataDir, databaseUrl } = config
  const parsed = parseKeyFileAt(keysFile)
  if (!parsed.ok) {
    console.error(`${keysFile}: ${parsed.problem}`)
    return 1
  }
  const counting = startCounting(databaseUrl)
  const use: SharedKeyUse =
    databaseUrl === undefined
      ? await readKeyUse(dataDir, counting.update)
      : await readSharedKeyUse(databaseUrl, dataDir, counting.update)
  counting.stop()
  if (!use.ok) {
    console.error(use.problem)
    return 1
  }
  const { panKeys, currentPanKeyId } = parsed.keys
  const ids = [...new Set([...panKeys.keys(), ...use.cards.keys()])].sort((a, b) => a - b)
  const rows = ids.map((id) => ({
    id,
    cards: use.cards.get(id) ?? 0,
    exchangedKeys: use.exchangedKeys.get(id) ?? 0,
    isNewest: id === currentPanKeyId,
    isInFile: panKeys.has(id),
  }))
  if (asJson) console.log(JSON.stringify({ file: path.resolve(keysFile), keys: rows }))
  else for (const row of rows) console.log(lineOf(row))
  return rows.every(({ isInFile }) => isInFile) ? 0 : 1
}

interface Row {
  readonly id: number
  readonly cards: number
  readonly exchangedKeys: number
  readonly isNewest: boolean
  readonly isInFile: boolean
}

function lineOf({ id, cards, exchangedKeys, isNewest, isInFile }: Row): string {
  const further = exchangedKeys === 0 ? '' : `, ${exchangedKeys} exchanged keys`
  const uses = cards + exchangedKeys
  const what = isNewest
    ? 'the newest'
    : uses === 0
      ? `unused: keys retire ${id}`
      : 'replaced in the background, once the switch was restarted'
  return `key ${id}: ${cards} cards${further}; ${isInFile ? what : 'not in the key file'}`
}

async function retire(config: Config | undefined, text: string): Promise<number> {
  if (config === undefined) return 2
  const { keysFile, dataDir, databaseUrl } = config
  const id = /^[1-9][0-9]{0,8}$/.test(text) ? Number(text) : undefined
  if (id === undefined) {
    console.error(`${text} is no key id: see \`switchyard keys status\``)
    return 2
  }
  const wrong = removePanKeyProblem(keysFile, id)
  if (wrong !== undefined) {
    console.error(`${keysFile}: ${wrong}`)
    return 1
  }
  const counting = startCounting(databaseUrl)
  const retired = await (databaseUrl === undefined
    ? retireKey(dataDir, keysFile, id, counting.update)
    : retireSharedKey(databaseUrl, dataDir, keysFile, id, counting.update))
  counting.stop()
  if (!retired.ok) {
    console.error(retired.problem)
    return 1
  }
  console.log(`${keysFile}: PAN key ${id} was removed; nothing of the store is under it`)
  return 0
}

/** A folder is read by its bytes, a database day by day. */
function startCounting(databaseUrl: string | undefined) {
  const progress = startProgress('cards', databaseUrl === undefined ? 'MB' : 'days')
  return {
    update: (read: number, all: number) =>
      progress.update(read / all, databaseUrl === undefined ? Math.floor(read / 1e6) : read),
    stop: () => progress.stop(),
  }
}
