// The door to a loaded model. Shapes: rows by features, float32, NaN is missing.

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
  readonly bands: readonly ScoreBand[]
  /**
   * Scores `rows` rows. `features` holds rows * featureNames.length values, row by row.
   * Resolves with one probability of fraud (0..1) a row; rejects when the runtime fails or a
   * probability is not finite.
   */
  score(features: Float32Array, rows: number): Promise<Float32Array>
  /** Frees the session. The thread may be ended only after it. */
  release(): Promise<void>
}

/** Why a model folder was refused. */
export interface ModelProblem {
  /** Stable: `manifest_unreadable`, `hash_mismatch`, `operator_refused`, `external_data`, `feature_order`, `parity`, ... */
  readonly code: string
  /** Says which file, vector or operator, and what to do. */
  readonly message: string
}

export type ModelResult =
  | { readonly ok: true; readonly model: Model }
  | { readonly ok: false; readonly problem: ModelProblem }
