// Training's Python: a virtual environment with pinned requirements, and tools run in it.

import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const REQUIREMENTS = fileURLToPath(new URL('requirements.txt', import.meta.url))

export interface PythonOptions {
  /** Holds the environment; kept, so that the next time starts faster. */
  readonly work: string
  /** A Python of 3.11 or newer. */
  readonly python: string
  /** Takes lines of progress. */
  readonly say: (line: string) => void
}

/** A virtual environment with the pinned requirements; made again when they change. */
export async function preparePython(options: PythonOptions): Promise<string> {
  const { say, work } = options
  const requirements = await readFile(REQUIREMENTS)
  const wanted = createHash('sha256').update(requirements).digest('hex')
  const environment = path.join(work, 'python')
  const python = path.join(environment, 'bin', 'python')
  const marker = path.join(environment, 'requirements.sha256')
  const installed = await readFile(marker, 'utf8').catch(() => '')
  if (installed === wanted) return python
  say(`making a Python environment in ${environment}`)
  await mkdir(work, { recursive: true })
  await runTool(options.python, ['-m', 'venv', '--clear', environment], say)
  await runTool(python, ['-m', 'pip', 'install', '--quiet', '--requirement', REQUIREMENTS], say)
  await writeFile(marker, wanted)
  return python
}

/** Runs a tool, its standard error and output going to `say`. Rejects unless it exits with 0. */
export function runTool(
  command: string,
  args: readonly string[],
  say: (line: string) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    let last = ''
    const hear = (chunk: Buffer) => {
      const text = chunk.toString('utf8').trimEnd()
      last = `${last}\n${text}`.slice(-2_000)
      if (text !== '') say(text)
    }
    child.stdout.on('data', hear)
    child.stderr.on('data', hear)
    child.on('error', (cause) => {
      const advice =
        'training needs Python 3.11 or newer with venv: install it, or name it by --python'
      reject(new Error(`${command} does not start (${cause.message}); ${advice}`, { cause }))
    })
    child.on('close', (code) => {
      if (code === 0) resolve()
      else reject(new Error(`${command} ${args[0] ?? ''} ended with ${code}:${last}`))
    })
  })
}
