// Drives a training: matrix, Python environment, train.py, and the check that the switch would
// take the model. Python is a tool of this command alone; nothing else needs it.

import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { checkModel, type ModelCheck } from '../check-model.ts'
import { exportMatrix } from './export.ts'
import type { GenerateOptions } from './generate.ts'
import { preparePython, runTool } from './python.ts'

const TRAINING_FOLDER = fileURLToPath(new URL('.', import.meta.url))

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
  await runTool(
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
