// Adapter: the configuration file, named by SWITCHYARD_CONFIG or the shipped default.

import { readFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Config, type ConfigResult, readConfig } from '../config/index.ts'

export const DEFAULT_CONFIG_FILE = fileURLToPath(new URL('../config/default.yaml', import.meta.url))

/** The folder that relative paths of the shipped default are read from. */
const PROJECT_ROOT = fileURLToPath(new URL('../../', import.meta.url))

/**
 * Reads the configuration. `file` is what was read or, with problems, what to blame: the file, or
 * the environment, whose problems name their variable. Relative folders in the shipped default are
 * the project's own; those of another file, and of the environment, are the working directory's.
 */
export function readConfigFile(
  environment: Readonly<Record<string, string | undefined>>,
): ConfigResult & { readonly file: string } {
  const named = environment.SWITCHYARD_CONFIG
  const file = named === undefined || named === '' ? DEFAULT_CONFIG_FILE : path.resolve(named)
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    const problem = `it can't be read (${code}): see SWITCHYARD_CONFIG`
    return { ok: false, source: 'file', problems: [problem], file }
  }
  const result = readConfig(text, environment)
  if (!result.ok) {
    return { ...result, file: result.source === 'environment' ? 'the environment' : file }
  }
  const base = file === DEFAULT_CONFIG_FILE ? PROJECT_ROOT : process.cwd()
  return { ok: true, config: absolutePaths(result.config, base, environment), file }
}

function absolutePaths(
  config: Config,
  base: string,
  environment: Readonly<Record<string, string | undefined>>,
): Config {
  const resolve = (value: string, variable: string) =>
    path.resolve(environment[variable] ? process.cwd() : base, value)
  return Object.freeze({
    ...config,
    dataDir: resolve(config.dataDir, 'DATA_DIR'),
    rulesDir: resolve(config.rulesDir, 'RULES_DIR'),
    modelDir: resolve(config.modelDir, 'MODEL_DIR'),
    keysFile: resolve(config.keysFile, 'KEYS_FILE'),
  })
}
