// Starts a program of the project: from the copy of its source that was compiled when it was last
// started, in a quarter of a second instead of two, and as written where there is none. A copy is
// used only while each file that it was made of is the one that it was made of.
//
//   node switch/commands/program.js load-tests/issuer/main.ts --help
//
// SWITCHYARD_AS_WRITTEN=1 runs the source itself, for debuggers and profiles.

import { createHash } from 'node:crypto'
import { readFileSync, realpathSync, statSync } from 'node:fs'
import { SourceMap } from 'node:module'
import path from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))

/** Imports a program, named from the project root: `switch/commands/main.ts`. */
export async function importProgram(program) {
  if (process.env.SWITCHYARD_AS_WRITTEN !== '1') {
    const cache = cacheFolder(ROOT)
    const compiled = findCompiled(ROOT, cache, program) ?? (await compile(cache, program))
    if (compiled !== undefined) {
      nameSourceInTraces(cache)
      return import(pathToFileURL(compiled).href)
    }
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

/** The compiled file of a program; undefined where there is none or a source file has changed. */
export function findCompiled(root, cache, program) {
  try {
    const newest = JSON.parse(readFileSync(path.join(cache, 'newest.json'), 'utf8'))
    const output = newest.programs[program]
    if (output === undefined) return undefined
    for (const [file, mtimeMs, size] of newest.inputs) {
      const stat = statSync(path.join(root, file))
      if (stat.mtimeMs !== mtimeMs || stat.size !== size) return undefined
    }
    const file = path.join(cache, newest.folder, output)
    return statSync(file).isFile() ? file : undefined
  } catch {
    // Not there, or a source file is gone.
    return undefined
  }
}

/** What can't be compiled (no room, a read-only folder) is run as written. */
async function compile(cache, program) {
  const { register } = await import('tsx/esm/api')
  const unregister = register()
  try {
    const { compilePrograms, PROGRAMS } = await import('./compile.ts')
    if (!PROGRAMS.includes(program)) return undefined
    await compilePrograms(ROOT, cache, PROGRAMS)
    return findCompiled(ROOT, cache, program)
  } catch {
    return undefined
  } finally {
    await unregister()
  }
}

/**
 * Stack traces name the file in the repository, at its line. A source map is read when the first
 * error is printed that needs it.
 */
function nameSourceInTraces(cache) {
  const maps = new Map()
  const home = realpathSync(cache)
  const mapOf = (file) => {
    if (!maps.has(file)) {
      let map
      try {
        map = new SourceMap(JSON.parse(readFileSync(`${file}.map`, 'utf8')))
      } catch {
        // Without it the compiled place is all there is to say.
      }
      maps.set(file, map)
    }
    return maps.get(file)
  }
  const describe = (frame) => {
    const place = frame.getFileName() ?? ''
    if (!place.startsWith('file:')) return `${frame}`
    const file = fileURLToPath(place)
    if (!file.startsWith(home)) return `${frame}`
    const line = frame.getLineNumber() - 1
    const entry = mapOf(file)?.findEntry(line, frame.getColumnNumber() - 1)
    if (entry?.originalSource === undefined) return `${frame}`
    const source = path.resolve(path.dirname(file), entry.originalSource)
    const at = `${source}:${entry.originalLine + 1}:${entry.originalColumn + 1}`
    return `${frame}`.replace(/(file:[^ )]+:\d+:\d+)/, at)
  }
  Error.prepareStackTrace = (error, frames) =>
    [`${error}`, ...frames.map((frame) => `    at ${describe(frame)}`)].join('\n')
}

const isMain = process.argv[1] === fileURLToPath(import.meta.url)
if (isMain) {
  const [, , program = ''] = process.argv
  process.argv.splice(1, 2, path.join(ROOT, program))
  await importProgram(program)
}
