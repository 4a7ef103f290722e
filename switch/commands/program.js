// Starts a program of the project: from the copy of its source that was compiled when it was last
// started, and as written where none can be made, which it says. A copy is used only while each file
// that it was made of is the one that it was made of.
//
//   node switch/commands/program.js load-tests/issuer/main.ts --help
//
// SWITCHYARD_AS_WRITTEN=1 runs the source itself, for debuggers and profiles.

import { createHash } from 'node:crypto'
import { accessSync, constants, readFileSync, realpathSync, statSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))

/** Imports a program, named from the project root: `switch/commands/main.ts`. */
export async function importProgram(program) {
  if (process.env.SWITCHYARD_AS_WRITTEN !== '1') {
    const cache = cacheFolder(ROOT)
    const compiled = findCompiled(ROOT, cache, program) ?? (await compile(cache, program))
    if (compiled !== undefined) return import(pathToFileURL(compiled).href)
  }
  const { register } = await import('tsx/esm/api')
  register()
  return import(pathToFileURL(path.join(ROOT, program)).href)
}

/** In node_modules, as other tools do: several clones may share one. */
export function cacheFolder(root) {
  const clone = createHash('sha256').update(realpathSync(root)).digest('hex').slice(0, 16)
  return path.join(root, 'node_modules', '.cache', 'switchyard', clone)
}

/**
 * The compiled file of a program; undefined where there is none, a source file has changed, or this
 * user may not read it.
 */
export function findCompiled(root, cache, program) {
  try {
    const newest = JSON.parse(readFileSync(path.join(cache, 'newest.json'), 'utf8'))
    const output = newest.programs[program]
    if (output === undefined) return undefined
    if (!newest.inputs.every((input) => isUnchanged(root, input))) return undefined
    const file = path.join(cache, newest.folder, output)
    accessSync(file, constants.R_OK)
    return file
  } catch {
    // Not there, or a source file is gone.
    return undefined
  }
}

/** Content decides. It is read where the times differ: nothing that is written keeps its ctime. */
function isUnchanged(root, [file, size, mtimeMs, ctimeMs, hash]) {
  const at = path.join(root, file)
  const stat = statSync(at)
  if (stat.size !== size) return false
  if (stat.mtimeMs === mtimeMs && stat.ctimeMs === ctimeMs) return true
  return createHash('sha256').update(readFileSync(at)).digest('hex') === hash
}

/** What can't be compiled (no room, a read-only folder) is run as written, and that is said. */
async function compile(cache, program) {
  const { register } = await import('tsx/esm/api')
  const unregister = register()
  try {
    const { compilePrograms, PROGRAMS } = await import('./compile.ts')
    if (!PROGRAMS.includes(program)) return undefined
    await compilePrograms(ROOT, cache, PROGRAMS)
    const compiled = findCompiled(ROOT, cache, program)
    if (compiled === undefined) sayAsWritten('a source file has changed meanwhile')
    return compiled
  } catch (error) {
    sayAsWritten(error.message.replace(/\s*\n\s*/g, ' '))
    return undefined
  } finally {
    await unregister()
  }
}

function sayAsWritten(why) {
  const advice = 'run "npx switchyard --version" once as a user who may write there'
  process.stderr.write(
    `switchyard: starts slowly, for there is no compiled copy of the source: ${why}; ${advice}\n`,
  )
}

const isMain = process.argv[1] === fileURLToPath(import.meta.url)
if (isMain) {
  const [, , program = ''] = process.argv
  process.argv.splice(1, 2, path.join(ROOT, program))
  await importProgram(program)
}
