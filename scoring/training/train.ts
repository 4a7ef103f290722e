// Drives a training: matrix, Python environment, train.py, and the check that the switch would
// take the model. Python is a tool of this command alone; nothing else needs it.

import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { checkModel, type ModelCheck } from '../check-model.ts'
import { exportMatrix } from './export.ts'
import type { GenerateOptions } from './generate.ts'

const TRAINING_FOLDER = fileURLToPath(new URL('.', import.meta.url))
const REQUIREMENTS = path.join(TRAINING_FOLDER, 'requirements.txt')

export interface TrainOptions {
  readonly generate: GenerateOptions
  /** The model's folder, e.g. `scoring/models/switchyard-trees`. */
  readonly out: string
  readonly name: string
  readonly version: string
  readonly trees: number
  readonly depth: number
  /** For the matrix and the Python environment; kept, so that the next training starts faster. */
  readonly work: string
  /** A Python of 3.11 or newer. */
  readonly python: string
  /** Takes lines of progress. */
  readonly say: (line: string) => void
}

/** Resolves with the check of the written folder. Rejects when a tool fails, with what it said. */
export async function trainModel(options: TrainOptions): Promise<ModelCheck> {
  const { say, work } = options
  const matrix = path.join(work, 'matrix')
  say('generating transactions and computing their features')
  const info = await exportMatrix(matrix, options.generate, (rows) => {
    if (rows % (1 << 16) === 0) say(`  ${rows} rows`)
  })
  say(`  ${info.rows} rows, ${info.fraudRows} of them fraud`)
  const python = await preparePython(options)
  say(`training ${options.trees} trees of depth ${options.depth}`)
  await run(
    python,
    [
      path.join(TRAINING_FOLDER, 'train.py'),
      ...['--matrix', matrix, '--out', options.out],
      ...['--name', options.name, '--version', options.version],
      ...['--trees', String(options.trees), '--depth', String(options.depth)],
      ...['--seed', String(options.generate.seed)],
    ],
    say,
  )
  return checkModel(options.out)
}

/** A virtual environment with the pinned requirements; made again when they change. */
async function preparePython(options: TrainOptions): Promise<string> {
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
  await run(options.python, ['-m', 'venv', '--clear', environment], say)
  await run(python, ['-m', 'pip', 'install', '--quiet', '--requirement', REQUIREMENTS], say)
  await writeFile(marker, wanted)
  return python
}

/** Runs a tool, its standard error and output going to `say`. Rejects unless it exits with 0. */
function run(command: string, args: readonly string[], say: (line: string) => void): Promise<void> {
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
    child.on('error', (cause) => reject(new Error(`${command} does not start`, { cause })))
    child.on('close', (code) => {
      if (code === 0) resolve()
      else reject(new Error(`${command} ${args[0] ?? ''} ended with ${code}:${last}`))
    })
  })
}
