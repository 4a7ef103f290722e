// Generated transactions to a matrix on disk, by way of the online code.

import { createEmbeddedVelocity } from '../velocity/index.ts'
import { generatedFactSource } from './fact-source.ts'
import { featureRows } from './feature-rows.ts'
import { type GenerateOptions, generateTransactions } from './generate.ts'
import { DAY_MS } from './genuine.ts'
import { type MatrixInfo, writeMatrix } from './matrix.ts'

/** Nothing may be forgotten for want of memory; 10,000 customers in 90 days need about 0.5 GB. */
const VELOCITY_BYTES_MAX = 8e9

/** Velocity starts again from nothing at these shares of the period, the last one in the test. */
const RESTARTS_AT_SHARES = [0.3, 0.55, 0.85] as const

/** Share of rows for which velocity did not answer: rare, but never to be taken for fraud. */
const VELOCITY_MISSING_SHARE = 0.02

/**
 * Generates transactions, computes each row of features as a worker would, and writes the matrix
 * (`matrix.ts`) into `folder`. The same options give the same files.
 */
export function exportMatrix(
  folder: string,
  options: GenerateOptions,
  onProgress: (rows: number) => void,
): Promise<MatrixInfo> {
  const lengthMs = options.days * DAY_MS
  const rows = featureRows(generateTransactions(options), {
    openVelocity: () => createEmbeddedVelocity({ bytesMax: VELOCITY_BYTES_MAX }),
    factSource: generatedFactSource(),
    restartsAtMs: RESTARTS_AT_SHARES.map((share) => options.startMs + share * lengthMs),
    velocityMissingShare: VELOCITY_MISSING_SHARE,
    seed: options.seed,
  })
  const source = {
    ...options,
    velocityRestarts: RESTARTS_AT_SHARES.length,
    velocityMissingShare: VELOCITY_MISSING_SHARE,
  }
  return writeMatrix(folder, rows, source, onProgress)
}
