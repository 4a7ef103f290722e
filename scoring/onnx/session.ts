// ONNX Runtime, as small as scoring needs it.

import type { InferenceSession } from 'onnxruntime-node'
import { SCORE_ROWS_MAX } from './limits.ts'

/**
 * One thread and no spinning: 100 trees of depth 6 take 24 µs for one row and 6 µs a row at 16;
 * two threads were slower, and spinning ones take the core from the message path.
 */
const SESSION_OPTIONS: InferenceSession.SessionOptions = {
  executionProviders: ['cpu'],
  intraOpNumThreads: 1,
  interOpNumThreads: 1,
  executionMode: 'sequential',
  logSeverityLevel: 3,
  extra: { session: { intra_op: { allow_spinning: '0' }, inter_op: { allow_spinning: '0' } } },
}

export interface Session {
  /** Scores `rows` rows of `features`. Rejects when the runtime fails. */
  run(features: Float32Array, rows: number): Promise<SessionRun>
  release(): Promise<void>
}

export interface SessionRun {
  /** rows * columns values, row by row. */
  readonly values: Float32Array
  /** 1, or one a class. */
  readonly columns: number
}

/** Opens a session on a checked graph. Rejects when the runtime refuses it. */
export async function openSession(
  bytes: Uint8Array,
  inputName: string,
  outputName: string,
  featureCount: number,
): Promise<Session> {
  // Loaded here, not with the module: the native library is only for threads that hold a model.
  const { InferenceSession, Tensor } = await import('onnxruntime-node')
  const session = await InferenceSession.create(bytes, SESSION_OPTIONS)
  const fetches = [outputName]
  return {
    async run(features, rows) {
      if (rows < 1 || rows > SCORE_ROWS_MAX || features.length < rows * featureCount) {
        throw new RangeError(`${rows} rows of ${featureCount} in ${features.length} values`)
      }
      const cells = features.subarray(0, rows * featureCount)
      const input = new Tensor('float32', cells, [rows, featureCount])
      const results = await session.run({ [inputName]: input }, fetches)
      const values = results[outputName]?.data
      if (!(values instanceof Float32Array) || values.length % rows !== 0) {
        throw new Error(`output ${outputName} is not one row of float32 an input row`)
      }
      return { values, columns: values.length / rows }
    },
    release: () => session.release(),
  }
}
