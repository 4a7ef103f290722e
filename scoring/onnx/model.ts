// The door to a loaded model. Shapes: rows by features, float32, NaN is missing.

import type { Explainer } from './contributions.ts'
import type { Manifest } from './manifest.ts'

/** A probability band of the manifest, named for metrics and rules. */
export interface ScoreBand {
  readonly name: string
  /** The band holds scores at or above this. */
  readonly from: number
}

export interface Model {
  readonly name: string
  /** `<manifest version>+<first 8 hex digits of the file's SHA-256>`. */
  readonly version: string
  /** In the order of the input columns. */
  readonly featureNames: readonly string[]
  /** From the lowest, which starts at 0, to the highest. */
  readonly bands: readonly ScoreBand[]
  /**
   * Scores `rows` rows. `features` holds at least rows * featureNames.length values, row by row.
   * Resolves with one probability of fraud (0..1) a row; rejects when the runtime fails or a
   * probability is not finite.
   */
  score(features: Float32Array, rows: number): Promise<Float32Array>
  /** Why a row scored as it did, or why that can't be said; absent where nobody may ask. */
  readonly explainer?: Explainer
  /** Frees the session. The thread may be ended only after it. */
  release(): Promise<void>
}

/** Every reason why a model folder is refused. */
export const MODEL_PROBLEM_CODES = [
  'manifest_missing',
  'manifest_unreadable',
  'manifest_invalid',
  'model_missing',
  'model_too_large',
  'hash_mismatch',
  'model_unreadable',
  'operator_refused',
  'external_data',
  'feature_order',
  'input_refused',
  'output_refused',
  'runtime_refused',
  'not_finite',
  'parity',
] as const
export type ModelProblemCode = (typeof MODEL_PROBLEM_CODES)[number]

/** Why a model folder was refused. */
export interface ModelProblem {
  readonly code: ModelProblemCode
  /** Says which file, vector, feature or operator, and what to do. */
  readonly message: string
}

export type ModelResult =
  | { readonly ok: true; readonly model: Model; readonly manifest: Manifest }
  | { readonly ok: false; readonly problem: ModelProblem }

/** The band of a score: the highest that starts at or below it. `bands` as in `Model`. */
export function bandOf(bands: readonly ScoreBand[], score: number): ScoreBand | undefined {
  return bands.findLast((band) => score >= band.from)
}
