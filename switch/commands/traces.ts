// Stack traces of the compiled copy (compile.ts) name the file in the repository, at its line.

import { readFileSync } from 'node:fs'
import { SourceMap } from 'node:module'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

/**
 * For the thread that calls it; every compiled program does so first, with its own URL. A source
 * map is read when the first error is printed that needs it.
 */
export function nameSourceInTraces(compiled: string): void {
  const home = path.join(path.dirname(fileURLToPath(compiled)), path.sep)
  const maps = new Map<string, SourceMap | undefined>()
  const mapOf = (file: string) => {
    if (!maps.has(file)) maps.set(file, readMap(file))
    return maps.get(file)
  }
  const describe = (frame: NodeJS.CallSite) => {
    const place = frame.getFileName() ?? ''
    if (!place.startsWith('file:')) return `${frame}`
    const file = fileURLToPath(place)
    if (!file.startsWith(home)) return `${frame}`
    const line = (frame.getLineNumber() ?? 1) - 1
    const entry = mapOf(file)?.findEntry(line, (frame.getColumnNumber() ?? 1) - 1)
    if (entry === undefined || !('originalSource' in entry)) return `${frame}`
    const source = path.resolve(path.dirname(file), entry.originalSource)
    const at = `${source}:${entry.originalLine + 1}:${entry.originalColumn + 1}`
    return `${frame}`.replace(/(file:[^ )]+:\d+:\d+)/, at)
  }
  Error.prepareStackTrace = (error, frames) =>
    [`${error}`, ...frames.map((frame) => `    at ${describe(frame)}`)].join('\n')
}

/** Without it the compiled place is all there is to say. */
function readMap(file: string): SourceMap | undefined {
  try {
    return new SourceMap(JSON.parse(readFileSync(`${file}.map`, 'utf8')))
  } catch {
    return undefined
  }
}
