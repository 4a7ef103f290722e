// The published tables: the Fraud Detection Handbook's protocol on its simulated data, for models
// of its own 15 features and for ours. Features and measures are computed here; the fitting is
// Python's (`fit.py`), in training's environment.

import { mkdir, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { preparePython, runTool } from '../python.ts'
import { type Column, HANDBOOK_COLUMNS, OWN_COLUMNS } from './columns.ts'
import { dayOf, FOLD_STARTS, type Fold, foldOf, isInFolds } from './folds.ts'
import { withHistory } from './history.ts'
import { averagePrecision, cardPrecision, type Measures, rocAuc } from './measures.ts'
import { type HandbookTransaction, readTransactions } from './transactions.ts'

export interface EvaluateOptions {
  /** .csv or .csv.gz in the Handbook's layout. */
  readonly data: string
  /** For matrices and the Python environment. */
  readonly work: string
  /** A Python of 3.11 or newer. */
  readonly python: string
  /** Takes lines of progress. */
  readonly say: (line: string) => void
}

export interface FoldMeasures extends Measures {
  /** First day of training. */
  readonly trainStart: string
  readonly trainRows: number
  readonly testRows: number
  readonly testFrauds: number
}

/** One model of the Handbook's features, and what the Handbook printed. */
export interface HandbookRow extends FoldMeasures {
  readonly model: string
  readonly published: Measures
}

/** The means over the folds of our own model, each fold, and the models of the 15 features. */
export interface Evaluation extends Measures {
  readonly folds: readonly FoldMeasures[]
  readonly handbook: readonly HandbookRow[]
}

const FIT = fileURLToPath(new URL('fit.py', import.meta.url))

/** The Handbook's table for training on 2018-07-25 to 31 (chapter 3, baseline). */
const PUBLISHED = [
  {
    algorithm: 'xgboost',
    model: 'XGBoost',
    published: { rocAuc: 0.862, averagePrecision: 0.639, cardPrecisionAt100: 0.273 },
  },
  {
    algorithm: 'forest',
    model: 'random forest',
    published: { rocAuc: 0.867, averagePrecision: 0.658, cardPrecisionAt100: 0.287 },
  },
] as const

const PUBLISHED_START = '2018-07-25'

/**
 * Rejects where the data or a tool fails, saying why. Takes some minutes: 1.3 million transactions
 * through velocity, and six models.
 */
export async function evaluateHandbook(options: EvaluateOptions): Promise<Evaluation> {
  const { say } = options
  say(`reading ${options.data}`)
  const transactions = await readTransactions(options.data)
  const folds = FOLD_STARTS.map((start) => foldOf(transactions, start))
  const python = await preparePython(options)
  const folder = path.join(options.work, 'handbook')
  await mkdir(folder, { recursive: true })
  say(`  ${transactions.length} transactions; counting them with velocity`)
  await writeMatrices(folder, transactions, say)
  const jobs = await writeJobs(folder, folds)
  await runTool(python, [FIT, folder], say)
  const own: FoldMeasures[] = []
  const handbook: HandbookRow[] = []
  for (const job of jobs) {
    const scores = await readScores(path.join(folder, job.scores), job.fold.test.length)
    const measured = measure(transactions, job.fold, scores)
    const row = PUBLISHED.find((each) => each.algorithm === job.algorithm)
    if (row === undefined) own.push(measured)
    else handbook.push({ model: row.model, ...measured, published: row.published })
  }
  return { ...meanOf(own), folds: own, handbook }
}

async function writeMatrices(
  folder: string,
  transactions: readonly HandbookTransaction[],
  say: (line: string) => void,
): Promise<void> {
  const sets = [HANDBOOK_COLUMNS, OWN_COLUMNS] as const
  const matrices = sets.map((columns) => new Float32Array(transactions.length * columns.length))
  const rowOf = new Map(transactions.map((transaction, row) => [transaction.id, row]))
  let rows = 0
  for await (const known of withHistory(transactions, ({ atMs }) => isInFolds(atMs))) {
    const row = rowOf.get(known.transaction.id) as number
    sets.forEach((columns: readonly Column[], set) => {
      const matrix = matrices[set] as Float32Array
      columns.forEach(({ value }, at) => {
        matrix[row * columns.length + at] = value(known)
      })
    })
    if (++rows % 100_000 === 0) say(`  ${rows} rows of features`)
  }
  const labels = Uint8Array.from(transactions, ({ fraud }) => (fraud ? 1 : 0))
  await writeFile(path.join(folder, 'labels.u8'), labels)
  await writeFile(path.join(folder, 'handbook.f32'), bytesOf(matrices[0] as Float32Array))
  await writeFile(path.join(folder, 'own.f32'), bytesOf(matrices[1] as Float32Array))
}

interface Job {
  readonly algorithm: 'own' | (typeof PUBLISHED)[number]['algorithm']
  readonly fold: Fold
  readonly scores: string
}

/** What `fit.py` is to do: ours on every fold, the Handbook's on the fold of its table. */
async function writeJobs(folder: string, folds: readonly Fold[]): Promise<readonly Job[]> {
  const jobs: Job[] = []
  for (const fold of folds) {
    await writeFile(path.join(folder, `train-${fold.start}.u32`), bytesOf(fold.train))
    await writeFile(path.join(folder, `test-${fold.start}.u32`), bytesOf(fold.test))
    const published = fold.start === PUBLISHED_START ? PUBLISHED : []
    for (const algorithm of ['own' as const, ...published.map((each) => each.algorithm)]) {
      jobs.push({ algorithm, fold, scores: `${algorithm}-${fold.start}.f32` })
    }
  }
  const told = jobs.map(({ algorithm, fold, scores }) => ({
    name: `${algorithm === 'own' ? 'our model' : algorithm}, training from ${fold.start}`,
    algorithm,
    columns: (algorithm === 'own' ? OWN_COLUMNS : HANDBOOK_COLUMNS).length,
    matrix: algorithm === 'own' ? 'own.f32' : 'handbook.f32',
    train: `train-${fold.start}.u32`,
    test: `test-${fold.start}.u32`,
    scores,
  }))
  await writeFile(path.join(folder, 'jobs.json'), JSON.stringify(told))
  return jobs
}

async function readScores(file: string, rows: number): Promise<Float32Array> {
  const bytes = await readFile(file)
  if (bytes.length !== 4 * rows) throw new Error(`${file} does not hold ${rows} scores`)
  return new Float32Array(Uint8Array.from(bytes).buffer)
}

function measure(
  transactions: readonly HandbookTransaction[],
  fold: Fold,
  scores: Float32Array,
): FoldMeasures {
  const tested = Array.from(fold.test, (index) => transactions[index] as HandbookTransaction)
  const frauds = tested.map(({ fraud }) => fraud)
  const customers = tested.map(({ customer }) => customer)
  const days = tested.map(({ atMs }) => dayOf(atMs))
  return {
    trainStart: fold.start,
    trainRows: fold.train.length,
    testRows: tested.length,
    testFrauds: frauds.filter(Boolean).length,
    rocAuc: rocAuc(scores, frauds),
    averagePrecision: averagePrecision(scores, frauds),
    cardPrecisionAt100: cardPrecision({ scores, frauds, customers, days }, 100),
  }
}

function meanOf(folds: readonly Measures[]): Measures {
  const mean = (of: keyof Measures): number =>
    folds.reduce((sum, fold) => sum + fold[of], 0) / folds.length
  return {
    rocAuc: mean('rocAuc'),
    averagePrecision: mean('averagePrecision'),
    cardPrecisionAt100: mean('cardPrecisionAt100'),
  }
}

function bytesOf(values: Float32Array | Uint32Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength)
}
