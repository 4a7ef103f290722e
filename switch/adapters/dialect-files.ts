// Dialects from files: the presets that ship with the switch, and a partner's own.

import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { type LoadDialectResult, loadDialect } from '../iso8583/index.ts'

const presetFolder = fileURLToPath(new URL('../iso8583/dialects/', import.meta.url))

/** The presets' names, sorted. */
export function listDialects(): readonly string[] {
  return readdirSync(presetFolder)
    .filter((file) => file.endsWith('.yaml'))
    .map((file) => file.slice(0, -'.yaml'.length))
    .sort()
}

/** A preset by name (`iso8583-1987-ascii`), or a dialect file by path (YAML or JSON). */
export function readDialect(nameOrPath: string): LoadDialectResult {
  const presets = listDialects()
  const file = presets.includes(nameOrPath) ? `${presetFolder}${nameOrPath}.yaml` : nameOrPath
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    const reason = `can not be read (${code}); a file, or one of: ${presets.join(', ')}`
    return { ok: false, problems: [{ source: nameOrPath, path: '', line: null, reason }] }
  }
  return loadDialect(text, nameOrPath)
}
