// The training matrix on disk, for any tool that reads raw little-endian arrays (numpy.fromfile):
//
//   features.f32   rows * features float32, row by row; NaN is missing
//   kinds.u8       rows bytes: index into `kinds` of matrix.json; 0 is genuine
//   times.f64      rows float64: arrival, milliseconds since 1970, ascending
//   amounts.f64    rows float64: minor units of the base currency, NaN where unknown
//   matrix.json    rows, feature names in order, kinds, SHA-256 of the four files in this order

import { createHash } from 'node:crypto'
import { type FileHandle, mkdir, open, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { FEATURE_NAMES } from '../features.ts'
import type { FeatureRow } from './feature-rows.ts'
import { FRAUD_KINDS, type TransactionKind } from './purchase.ts'

export const TRANSACTION_KINDS: readonly TransactionKind[] = ['genuine', ...FRAUD_KINDS]

export interface MatrixInfo {
  readonly rows: number
  readonly fraudRows: number
  readonly featureNames: readonly string[]
  readonly kinds: readonly TransactionKind[]
  /** SHA-256 over the hashes of the four files. */
  readonly sha256: string
  /** How the transactions were made: for the model card. */
  readonly source: Readonly<Record<string, unknown>>
}

/** Rows kept before they are written: 4,096 rows of 50 features are 0.8 MB. */
const CHUNK_ROWS = 4_096

/**
 * Writes the rows into `folder` (made where absent) and resolves with what matrix.json says.
 * Rejects with the system's error where the disk refuses.
 */
export async function writeMatrix(
  folder: string,
  rows: AsyncIterable<FeatureRow>,
  source: Readonly<Record<string, unknown>>,
  onProgress: (rows: number) => void,
): Promise<MatrixInfo> {
  await mkdir(folder, { recursive: true })
  const files = await openFiles(folder)
  let count = 0
  let fraudRows = 0
  try {
    const chunk = createChunk()
    for await (const row of rows) {
      const at = count % CHUNK_ROWS
      chunk.features.set(row.features, at * FEATURE_NAMES.length)
      chunk.kinds[at] = TRANSACTION_KINDS.indexOf(row.kind)
      chunk.times[at] = row.atMs
      chunk.amounts[at] = row.baseAmount
      if (row.kind !== 'genuine') fraudRows++
      count++
      if (count % CHUNK_ROWS === 0) {
        await writeChunk(files, chunk, CHUNK_ROWS)
        onProgress(count)
      }
    }
    await writeChunk(files, chunk, count % CHUNK_ROWS)
  } finally {
    for (const { handle } of files) await handle.close()
  }
  const sha256 = createHash('sha256')
  for (const { hash } of files) sha256.update(hash.digest())
  const info: MatrixInfo = {
    rows: count,
    fraudRows,
    featureNames: FEATURE_NAMES,
    kinds: TRANSACTION_KINDS,
    sha256: sha256.digest('hex'),
    source,
  }
  await writeFile(path.join(folder, 'matrix.json'), `${JSON.stringify(info, undefined, 2)}\n`)
  return info
}

interface Chunk {
  readonly features: Float32Array
  readonly kinds: Uint8Array
  readonly times: Float64Array
  readonly amounts: Float64Array
}

interface MatrixFile {
  readonly column: keyof Chunk
  readonly width: number
  readonly handle: FileHandle
  readonly hash: ReturnType<typeof createHash>
}

function createChunk(): Chunk {
  return {
    features: new Float32Array(CHUNK_ROWS * FEATURE_NAMES.length),
    kinds: new Uint8Array(CHUNK_ROWS),
    times: new Float64Array(CHUNK_ROWS),
    amounts: new Float64Array(CHUNK_ROWS),
  }
}

async function openFiles(folder: string): Promise<readonly MatrixFile[]> {
  const columns = [
    ['features', 'f32', FEATURE_NAMES.length],
    ['kinds', 'u8', 1],
    ['times', 'f64', 1],
    ['amounts', 'f64', 1],
  ] as const
  const files: MatrixFile[] = []
  for (const [column, type, width] of columns) {
    const handle = await open(path.join(folder, `${column}.${type}`), 'w')
    files.push({ column, width, handle, hash: createHash('sha256') })
  }
  return files
}

async function writeChunk(files: readonly MatrixFile[], chunk: Chunk, rows: number): Promise<void> {
  for (const { column, width, handle, hash } of files) {
    const values = chunk[column].subarray(0, rows * width)
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength)
    hash.update(bytes)
    await handle.writeFile(bytes)
  }
}
