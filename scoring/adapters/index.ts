// The adapters that the main thread needs. Workers pick the others (Redis, the model's runtime)
// themselves.

export { openModelFolder } from './model-files.ts'
export {
  type EditionPrepared,
  ScoringThreads,
  type ScoringThreadsOptions,
} from './scoring-threads.ts'
