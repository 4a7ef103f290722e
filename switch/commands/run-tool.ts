// Runs a development tool of the project's own node_modules as a child process.

import { spawn } from 'node:child_process'
import { createRequire } from 'node:module'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

/** The folder that holds package.json. */
export const PROJECT_ROOT = fileURLToPath(new URL('../../', import.meta.url))

/** Absolute path of the JavaScript file behind a package's bin, e.g. `typescript`, `tsc`. */
export function toolPath(packageName: string, bin: string): string {
  const require = createRequire(import.meta.url)
  const manifestPath = findManifest(require, packageName)
  const manifest = require(manifestPath) as { bin: string | Record<string, string> }
  const relative = typeof manifest.bin === 'string' ? manifest.bin : manifest.bin[bin]
  if (relative === undefined) throw new Error(`${packageName} has no bin ${bin}`)
  return path.join(path.dirname(manifestPath), relative)
}

function findManifest(require: NodeJS.Require, packageName: string): string {
  for (const folder of require.resolve.paths(packageName) ?? []) {
    const candidate = path.join(folder, packageName, 'package.json')
    try {
      return require.resolve(candidate)
    } catch {
      // Not in this node_modules; the next one up.
    }
  }
  throw new Error(`${packageName} is not installed: run npm ci`)
}

/** Runs `node <args>` in the project root with inherited output. Resolves with its exit code. */
export function runNode(
  args: readonly string[],
  environment: NodeJS.ProcessEnv = process.env,
): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, {
      cwd: PROJECT_ROOT,
      env: environment,
      stdio: 'inherit',
    })
    child.on('error', reject)
    child.on('exit', (code, signal) => resolve(code ?? (signal === null ? 1 : 128)))
  })
}

/** Arguments of Node.js that run a program of the project, as `compile.ts` lists them. */
export function programArguments(program: string): string[] {
  return [path.join(PROJECT_ROOT, 'switch/commands/program.js'), program]
}

/**
 * Runs a program of the project that starts processes of its own, in a process group apart: Ctrl-C
 * is handed to it alone, so that it can end its children in order and still report. Resolves with
 * its exit code.
 */
export function runApart(file: string, args: readonly string[]): Promise<number> {
  const child = spawn(process.execPath, [...programArguments(file), ...args], {
    cwd: PROJECT_ROOT,
    stdio: 'inherit',
    detached: true,
  })
  const pass = (signal: NodeJS.Signals) => child.kill(signal)
  process.on('SIGINT', pass)
  process.on('SIGTERM', pass)
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (code) => {
      process.off('SIGINT', pass)
      process.off('SIGTERM', pass)
      resolve(code ?? 1)
    })
  })
}
