// Adapter: the key file. Made at the first start with mode 0600, refused where it is unsafe.

import {
  chmodSync,
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import {
  type KeyRing,
  newKeyFile,
  parseKeyFile,
  withNewPanKey,
  withoutPanKey,
} from '../card-data/index.ts'
import type { Random } from '../ports.ts'

export interface KeyFileOptions {
  readonly file: string
  readonly dataDir: string
  readonly isProduction: boolean
  readonly random: Random
}

export type KeyFileResult =
  | { readonly ok: true; readonly keys: KeyRing; readonly isNew: boolean }
  | { readonly ok: false; readonly problem: string }

/** Reads the key file, or makes one where that is safe. The problem says what to do. */
export function readKeyFile(options: KeyFileOptions): KeyFileResult {
  const file = path.resolve(options.file)
  const fail = (problem: string): KeyFileResult => ({ ok: false, problem: `${file}: ${problem}` })
  if (isInside(file, path.resolve(options.dataDir))) {
    return fail('keys must not lie in DATA_DIR: a copy of the store would hold its own key')
  }
  const isNew = !existsSync(file)
  if (isNew) {
    if (options.isProduction) {
      return fail(
        'there is no key file, and none is made in production: `npx switchyard keys create`',
      )
    }
    if (holdsStore(options.dataDir)) {
      return fail('there is no key file, but a store that needs it: restore it, or set KEYS_FILE')
    }
    const problem = makeKeyFile(file, options.random)
    if (problem !== undefined) return fail(problem)
  }
  const parsed = parseKeyFileAt(file)
  return parsed.ok ? { ok: true, keys: parsed.keys, isNew } : fail(parsed.problem)
}

/** Says what keeps the file from being made; one that another start has just made is taken. */
function makeKeyFile(file: string, random: Random): string | undefined {
  try {
    writeKeyFile(file, random)
    return undefined
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    return code === 'EEXIST' ? undefined : `it can't be written (${code}): set KEYS_FILE`
  }
}

/** Reads an existing key file; refused where others than its owner may read it. */
export function parseKeyFileAt(
  file: string,
):
  | { readonly ok: true; readonly keys: KeyRing }
  | { readonly ok: false; readonly problem: string } {
  try {
    const exposed = statSync(file).mode & 0o077
    if (exposed !== 0) return { ok: false, problem: 'others may read it: chmod 600' }
    return parseKeyFile(readFileSync(file, 'utf8'))
  } catch (error) {
    return { ok: false, problem: `it can't be read (${(error as NodeJS.ErrnoException).code})` }
  }
}

/** Writes a new key file; throws where one exists. */
export function writeKeyFile(file: string, random: Random): void {
  mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 })
  writeFileSync(file, newKeyFile(random), { mode: 0o600, flag: 'wx' })
  // The mode of writeFile is masked by umask, never widened; a strict one could take the owner's.
  chmodSync(file, 0o600)
}

export type PanKeyAdded =
  | { readonly ok: true; readonly id: number }
  | { readonly ok: false; readonly problem: string }

/** Adds a PAN key, the newest from then on. The file is the old or the new one whole. */
export function addPanKey(file: string, random: Random): PanKeyAdded {
  let id = 0
  const problem = replaceKeyFile(file, (text) => {
    const added = withNewPanKey(text, random)
    id = added.id
    return added.text
  })
  return problem === undefined ? { ok: true, id } : { ok: false, problem }
}

/** Why a PAN key can't be taken out: only one that is there and not the newest can. */
export function removePanKeyProblem(file: string, id: number): string | undefined {
  const parsed = parseKeyFileAt(file)
  if (!parsed.ok) return parsed.problem
  const { panKeys, currentPanKeyId } = parsed.keys
  if (!panKeys.has(id)) return `it holds no PAN key ${id}`
  if (id === currentPanKeyId) return `${id} is the newest key: \`keys rotate\` first`
  return undefined
}

/** Takes a PAN key out. Says what keeps it from being done. */
export function removePanKey(file: string, id: number): string | undefined {
  const problem = removePanKeyProblem(file, id)
  if (problem !== undefined) return problem
  return replaceKeyFile(file, (text) => withoutPanKey(text, id))
}

/** By a draft beside it and one rename. Says what went wrong; then the file is as it was. */
function replaceKeyFile(file: string, change: (text: string) => string): string | undefined {
  const parsed = parseKeyFileAt(file)
  if (!parsed.ok) return parsed.problem
  const draft = `${file}.new`
  try {
    writeFileSync(draft, change(readFileSync(file, 'utf8')), { mode: 0o600, flag: 'wx' })
    chmodSync(draft, 0o600)
    syncFile(draft)
    renameSync(draft, file)
    syncFile(path.dirname(file))
    return undefined
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EEXIST') return `${draft} is there: another change runs, or one was cut off`
    rmSync(draft, { force: true })
    return `it can't be written (${code})`
  }
}

function syncFile(file: string): void {
  const descriptor = openSync(file, 'r')
  try {
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}

/** Whether a path lies below a folder; both absolute. */
export function isInside(file: string, folder: string): boolean {
  const relative = path.relative(folder, file)
  return relative !== '' && !relative.startsWith('..') && !path.isAbsolute(relative)
}

/** Whether there are transactions that only their own keys can read. */
export function holdsStore(dataDir: string): boolean {
  return existsSync(path.join(dataDir, 'store'))
}
