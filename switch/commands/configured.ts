// The configuration that a command works with. Loaded where it is asked for: its schema takes a
// second of CPU to load, and most of what an analyst does never reads it.

import type { Config } from '../config/index.ts'

/** The configuration, or undefined after saying on standard error what is wrong with it. */
export async function readConfigured(): Promise<Config | undefined> {
  const { readConfigFile } = await import('../adapters/config-files.ts')
  const read = readConfigFile(process.env)
  if (read.ok) return read.config
  for (const problem of read.problems) console.error(`${read.file}: ${problem}`)
  return undefined
}
