// Dialects from files: the presets that ship with the switch, and a partner's own.

import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Config } from '../config/index.ts'
import { type Dialect, type LoadDialectResult, loadDialect } from '../iso8583/index.ts'

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

/** By the name that the configuration has for it. */
export type Dialects = ReadonlyMap<string, Dialect>

/** Every dialect that issuers, listeners and peers name, or each problem of each of them. */
export function readDialects(
  config: Config,
): { ok: true; byName: Dialects } | { ok: false; problems: readonly string[] } {
  const byName = new Map<string, Dialect>()
  const problems: string[] = []
  const isoDialects = (config.iso?.listeners ?? []).flatMap(({ dialect, peers }) => [
    dialect,
    ...peers.flatMap((peer) => peer.dialect ?? []),
  ])
  for (const name of new Set([
    ...config.issuers.flatMap((one) => one.dialect ?? []),
    ...isoDialects,
  ])) {
    const result = readDialect(name)
    if (result.ok) byName.set(name, result.dialect)
    else
      for (const { source, path, reason } of result.problems) {
        problems.push(`dialect ${source}: ${path} ${reason}`)
      }
  }
  return problems.length > 0 ? { ok: false, problems } : { ok: true, byName }
}
