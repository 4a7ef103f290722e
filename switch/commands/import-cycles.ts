// Files that import each other in a ring. Which of them runs first then hangs on who asked first,
// and reading one loads them all. Types are gone before anything runs: they make no ring.

import path from 'node:path'

export interface ImportCycle {
  /** Each imports the next, the last one the first. */
  readonly files: readonly string[]
}

const DOORS: Readonly<Record<string, string>> = {
  '#switch': 'switch/index.ts',
  '#scoring': 'scoring/index.ts',
  '#rules': 'rules/index.ts',
}

// Over several lines too, as the formatter leaves them; what is imported while it runs is not here.
const VALUE_IMPORT = /^(?:import|export)\s+(?!type\b)(?:[^'";]*?\sfrom\s+)?'([^']+)'/gm

/** One for each import that closes a ring, in the order of the files. */
export function importCycles(
  files: readonly { readonly path: string; readonly text: string }[],
): ImportCycle[] {
  const imports = new Map(files.map((file) => [file.path, importsOf(file)]))
  const cycles: ImportCycle[] = []
  const done = new Set<string>()
  const under: string[] = []
  const visit = (file: string) => {
    const from = under.indexOf(file)
    if (from >= 0) {
      cycles.push({ files: under.slice(from) })
      return
    }
    if (done.has(file)) return
    under.push(file)
    for (const imported of imports.get(file) ?? []) visit(imported)
    under.pop()
    done.add(file)
  }
  for (const file of imports.keys()) visit(file)
  return cycles
}

function importsOf(file: { readonly path: string; readonly text: string }): string[] {
  return [...file.text.matchAll(VALUE_IMPORT)].flatMap(([, specifier = '']) => {
    if (!specifier.startsWith('.')) return DOORS[specifier] ?? []
    return path.posix.join(path.posix.dirname(file.path), specifier)
  })
}
