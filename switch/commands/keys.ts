// `switchyard keys`: the key file. It never prints a key.

import type { Command } from 'commander'
import { readConfigFile } from '../adapters/config-files.ts'
import { parseKeyFileAt, writeKeyFile } from '../adapters/key-files.ts'
import { createSystemRandom } from '../adapters/system-clock.ts'
import { registerKeysLife } from './keys-life.ts'

export function registerKeys(program: Command): void {
  const keys = program.command('keys').description('make, check and rotate the keys')
  keys
    .command('create')
    .description('write a new key file (KEYS_FILE), mode 0600; refuses to overwrite one')
    .argument('[file]', 'instead of the configured one')
    .addHelpText(
      'after',
      '\nExample:\n  $ KEYS_FILE=/etc/switchyard/keys.json npx switchyard keys create',
    )
    .action((file: string | undefined) => {
      process.exitCode = create(file ?? configuredFile())
    })
  registerKeysLife(keys)
  keys
    .command('check')
    .description('say whether the key file is usable, and which key ids it holds')
    .argument('[file]', 'instead of the configured one')
    .addHelpText('after', '\nExample:\n  $ npx switchyard keys check')
    .action((file: string | undefined) => {
      process.exitCode = check(file ?? configuredFile())
    })
}

function configuredFile(): string | undefined {
  const read = readConfigFile(process.env)
  if (read.ok) return read.config.keysFile
  for (const problem of read.problems) console.error(`${read.file}: ${problem}`)
  return undefined
}

function create(file: string | undefined): number {
  if (file === undefined) return 2
  try {
    writeKeyFile(file, createSystemRandom())
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    console.error(
      code === 'EEXIST'
        ? `${file} exists: a store may depend on it, so it is not overwritten`
        : `${file} can't be written (${code})`,
    )
    return 1
  }
  console.log(`${file} was written. Keep a copy where the store's backups are not.`)
  return 0
}

function check(file: string | undefined): number {
  if (file === undefined) return 2
  const parsed = parseKeyFileAt(file)
  if (!parsed.ok) {
    console.error(`${file}: ${parsed.problem}`)
    return 1
  }
  const ids = [...parsed.keys.panKeys.keys()].sort((a, b) => a - b).join(', ')
  console.log(`${file}: PAN keys ${ids}; new cards are sealed under ${parsed.keys.currentPanKeyId}`)
  return 0
}
