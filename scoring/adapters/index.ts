// The adapters that the main thread needs. Workers pick the others (Redis, the model's runtime)
// themselves.

export { openModelFolder } from './model-files.ts'
export {
  type EditionPrepared,
  ScoringThreads,
  type ScoringThreadsOptions,
  typeScriptInWorkers,
} from './scoring-threads.ts'

/** What `switchyard doctor` asks Redis with; loaded on demand, as is its client. */
export const loadRedisProbe = () => import('./redis-connection.ts')

/** Where embedded counters outlive a restart, for `switchyard velocity rebuild`. */
export const loadSnapshotFile = () => import('./velocity-file.ts')
