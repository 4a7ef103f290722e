// Bounds of a model folder. A model is code from outside until it is checked.

/** 200 trees of depth 8 are about 200 * 511 nodes * 40 bytes = 4 MB; four times that is room. */
export const MODEL_BYTES_MAX = 16 * 1024 * 1024

/** 256 parity vectors of 512 features at 12 characters are 1.6 MB; the baseline adds 0.1. */
export const MANIFEST_BYTES_MAX = 4 * 1024 * 1024

/** Columns of the input; the feature table has about 50. */
export const MODEL_FEATURES_MAX = 512

/** Scored once at load, in one batch: 256 rows at 6 µs are 1.5 ms. */
export const PARITY_VECTORS_MAX = 256

/** A model without parity vectors proves nothing; exporters write 32 or more. */
export const PARITY_VECTORS_MIN = 1

/** Largest difference of a probability between the exporter's runtime and ours. */
export const PARITY_TOLERANCE = 1e-6

/** Rows of one call: a batch of the pool is at most 64, a backtest asks for more at once. */
export const SCORE_ROWS_MAX = 4_096

/**
 * Largest difference between the runtime's output and that of the summed contributions: the runtime
 * sums up to 1,000 trees in float32 (6e-8 each, and values of about 10), we in float64.
 */
export const EXPLAINED_TOLERANCE = 1e-4
