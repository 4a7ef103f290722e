export { countSharedCards, replaceKeyCheck, type SharedCardUse } from './card-use.ts'
export {
  type Database,
  DatabaseError,
  type DatabaseSession,
  type Row,
  type Statement,
} from './database.ts'
export { exportDatabase } from './export.ts'
export {
  type DatabaseProblem,
  findServerUnfitness,
  findUnfitness,
  schemaVersion,
} from './fitness.ts'
export {
  findInSharedHistory,
  listSharedQueue,
  openSharedHistory,
  readSharedLabels,
} from './history.ts'
export { DEFAULT_LEASE_MS, POSTGRES_LIMITS, type PostgresLimits, TRACE_SLOTS } from './limits.ts'
export { type MigrationReport, migrate, pendingMigrations } from './migrate.ts'
export { SCHEMA_VERSION } from './migrations.ts'
export {
  type OpenedPostgresStore,
  openPostgresStore,
  type PostgresReport,
} from './open-store.ts'
export type { PostgresStoreOptions } from './postgres-store.ts'
export type { SharedRetention, UpkeepDone } from './upkeep.ts'
