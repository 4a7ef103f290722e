export {
  type AuditResult,
  auditLog,
  type Contradiction,
  exportLog,
  type LogAudit,
} from './audit.ts'
export { type CardUse, countCards } from './card-use.ts'
export { copyLog, type LogCopied } from './copy-log.ts'
export {
  type EmbeddedStoreOptions,
  type OpenedStore,
  type OpenReport,
  openEmbeddedStore,
  type StoreProblem,
} from './embedded-store.ts'
export { Fifo } from './fifo.ts'
export { type Flush, GroupCommit } from './group-commit.ts'
export {
  findInHistory,
  type History,
  type HistoryOpened,
  openHistory,
  type PastTransaction,
  readStoredLabels,
  type TransactionFound,
} from './history.ts'
export { flushDeadlineFor, STORE_LIMITS, type StoreLimits, UPKEEP } from './limits.ts'
export * from './postgres/index.ts'
export { listQueue, type QueueListing } from './queue-listing.ts'
export {
  type IndexEntry,
  type IndexPut,
  MemoryRecordIndex,
  type RecordIndex,
} from './record-index.ts'
export type { CardKeys } from './retention.ts'
export { type CutTail, type LogProblem, SegmentLog } from './segment-log.ts'
export * from './transaction-store.ts'
export type { UpkeepEvent, UpkeepOptions } from './upkeep.ts'
