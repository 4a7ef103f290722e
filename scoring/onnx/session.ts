// ONNX Runtime, as small as scoring needs it.

import type { InferenceSession } from 'onnxruntime-node'
import type { Graph, InputType } from './graph.ts'
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

/**
 * Opens a session on a checked graph. `featureNames` in the order of the columns; inputs that are
 * one a column have these names. Rejects when the runtime refuses it.
 */
export async function openSession(graph: Graph, featureNames: readonly string[]): Promise<Session> {
  // Loaded here, not with the module: the native library is only for threads that hold a model.
  const { InferenceSession, Tensor } = await import('onnxruntime-node')
  const { inputs, outputName } = graph
  const session = await InferenceSession.create(graph.bytes, SESSION_OPTIONS)
  const fetches = [outputName]
  const width = featureNames.length
  return {
    async run(features, rows) {
      if (rows < 1 || rows > SCORE_ROWS_MAX || features.length < rows * width) {
        throw new RangeError(`${rows} rows of ${width} in ${features.length} values`)
      }
      const feeds: Record<string, InstanceType<typeof Tensor>> = {}
      for (const { name, type } of inputs) {
        const cells =
          inputs.length === 1
            ? features.subarray(0, rows * width)
            : columnOf(features, rows, width, featureNames.indexOf(name))
        const shape = [rows, cells.length / rows]
        feeds[name] = new Tensor(type, converted(cells, type, name), shape)
      }
      const results = await session.run(feeds, fetches)
      const values = results[outputName]?.data
      if (!(values instanceof Float32Array) || values.length % rows !== 0) {
        throw new Error(`output ${outputName} is not one row of float32 an input row`)
      }
      return { values, columns: values.length / rows }
    },
    release: () => session.release(),
  }
}

function columnOf(
  features: Float32Array,
  rows: number,
  width: number,
  column: number,
): Float32Array {
  const cells = new Float32Array(rows)
  for (let row = 0; row < rows; row++) cells[row] = features[row * width + column] as number
  return cells
}

/** Throws for a missing value where the input is of whole numbers, which have no NaN. */
function converted(
  cells: Float32Array,
  type: InputType,
  name: string,
): Float32Array | Float64Array | BigInt64Array {
  if (type === 'float32') return cells
  if (type === 'float64') return Float64Array.from(cells)
  return BigInt64Array.from(cells, (value) => {
    if (Number.isFinite(value)) return BigInt(Math.trunc(value))
    throw new RangeError(`input ${name} takes int64, which can't say that a value is missing`)
  })
}
