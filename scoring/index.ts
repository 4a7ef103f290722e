// The door to scoring: a request in, a decision out. What runs the model or talks to Redis is
// loaded by the worker threads only; importing this door loads neither.

export { typeScriptInWorkers } from './adapters/index.ts'
export type * from './backtest/index.ts'
export { checkModel, type ModelCheck } from './check-model.ts'
export type { Comparison as ModelComparison } from './compare-models.ts'
export { decideWithoutWorker } from './decide.ts'
export { type DriftReport, DriftWatch, drifted } from './drift.ts'
export { type FactSource, factSource } from './facts.ts'
export {
  FEATURE_AGGREGATES,
  FEATURE_NAMES,
  FEATURES,
  type Feature,
  featureSlots,
  fillFeatures,
} from './features.ts'
export { KeyedHash } from './keyed-hash.ts'
export { isFraudKind } from './label-kinds.ts'
export { limitsFit as scoringLimitsFit } from './limits.ts'
export {
  createScorerPool,
  readModelSnapshot,
  type ScorerPool,
  type ScorerPoolInfo,
  type ScorerPoolOptions,
  type ScorerPoolResult,
  type ScorerPoolStats,
  type ScoringChange,
  type ScoringChanged,
} from './pool.ts'
export * from './ports.ts'
export { LOOKED_UP, type Replay, replay, replayedInput } from './replay.ts'
export * from './request.ts'
export {
  createScoring,
  type ScoredBatch,
  type Scoring,
  type ScoringFaults,
  type ScoringOptions,
} from './score.ts'
export {
  type BatchRunner,
  SmartBatches,
  type SmartBatchesOptions,
  type SmartBatchesStats,
} from './smart-batches.ts'
export {
  MODEL_FILES,
  type ModelSnapshot,
  type RedisTls,
  type ScoringInfo,
  type ScoringProblem,
} from './start.ts'
export type { Evaluation } from './training/index.ts'

export { RING_ATTEMPTS, TILE_ENTITIES } from './velocity/index.ts'
export { whyOf } from './why.ts'
export { decodeBatch, encodeBatch } from './wire.ts'

/** What tells a better challenger; loaded on demand. */
export const loadModelComparison = () => import('./compare-models.ts')

/** What `switchyard model` trains with; loaded on demand, since a running switch never needs it. */
export const loadTraining = () => import('./training/index.ts')

/** What `switchyard rules backtest` runs: the model in this thread, loaded on demand. */
export const loadBacktest = () => import('./backtest/index.ts')
export { loadRedisProbe, loadSnapshotFile } from './adapters/index.ts'
export { createEntityKeys, type EntitySource } from './entity-keys.ts'
/** Velocity in memory for simulations, both for `switchyard velocity`. */
export {
  createEmbeddedVelocity,
  createRedisVelocity,
  parseRedisUrl,
  type RedisVelocity,
  RING_TTL_SECONDS,
  ringKey,
  supportsAggregate,
  type Velocity,
  type VelocityAttempt,
  VelocityError,
  type VelocityValues,
  writeRing,
} from './velocity/index.ts'
