// The limits of the PostgreSQL store, with the arithmetic beside each.

export interface PostgresLimits {
  /** Writes of one batch. 4,096 of 1 kB are 4 MB, some 100 ms of work for the server. */
  readonly batchWritesMax: number
  /**
   * Writes that wait for a batch. As many as the embedded store: a message has at most two waiting,
   * so admission's limit is lower. More is a programmer's error.
   */
  readonly waitingWritesMax: number
  /** One record's bytes: a request body is at most 64 KiB, a decision of 1,000 hits 100 KiB. */
  readonly recordBytesMax: number
  /** A write that is not known to be durable by then ends writing: as for a flush to a disk. */
  readonly commitDeadlineMs: number
  /** A read that takes longer is given up, and its connection closed. */
  readonly readDeadlineMs: number
  readonly connectTimeoutMs: number
  /** Between two tries to connect. A server that restarts after a crash takes some hundred ms. */
  readonly reconnectMs: number
  /** Keys that this process remembers besides its open ones: 0.4 kB each, 20 MB. */
  readonly knownKeysMax: number
  /**
   * A lease must outlive an issuer's deadline (8 s) when a request leaves, and be renewed well
   * before: 30 s leave room for four renewals that fail. A killed process's work waits as long.
   */
  readonly leaseMs: number
  /** How often the owner of a lane looks for messages that another process queued. */
  readonly lanePollMs: number
  /** Partitions made ahead: a switch that can't make any for a month is looked at before. */
  readonly partitionsAheadDays: number
  /** Late answers of one transaction that `read` shows; further ones are in the table only. */
  readonly lateAnswersMax: number
  /** Labels of one transaction: its chargeback, what was found out, what was taken back. */
  readonly labelsMax: number
}

/** What a lease is where the configuration does not say. */
export const DEFAULT_LEASE_MS = 30_000

export const POSTGRES_LIMITS: PostgresLimits = {
  batchWritesMax: 4_096,
  waitingWritesMax: 65_536,
  recordBytesMax: 1024 * 1024,
  commitDeadlineMs: 2_000,
  readDeadlineMs: 2_000,
  connectTimeoutMs: 1_500,
  reconnectMs: 100,
  knownKeysMax: 50_000,
  leaseMs: DEFAULT_LEASE_MS,
  lanePollMs: 250,
  partitionsAheadDays: 31,
  lateAnswersMax: 16,
  labelsMax: 32,
}

/**
 * Processes on one database, each with numbers of its own toward every issuer: 999,999 / 8 are
 * 124,999 STANs. A number rests 10 s after an answer, so a process may ask one issuer 12,000 times
 * a second.
 */
export const TRACE_SLOTS = 8

/** A lease is renewed so many times in its length: each renewal but the last few may fail. */
export const RENEWALS_PER_LEASE = 6

/** Claims older than the retention are removed so many at a time, once an hour. */
export const PRUNED_CLAIMS_MAX = 10_000

export const UPKEEP_MS = 3_600_000

/** The first time soon after the start, when nobody waits for it any more. */
export const FIRST_UPKEEP_MS = 10_000

/**
 * Rows that an erasure, or a change of keys, reads at once: 1 MB at most, some 5 ms of the main
 * thread to decode. With the pause it is a sixth of it, 16,000 rows a second.
 */
export const CARD_ROWS = 500
export const SWEEP_PAUSE_MS = 25

/**
 * Connections for reading, made as they are needed. A read of a payment takes the server about a
 * millisecond: four give the answers of 4,000 retries a second. With one each for batches, lease
 * and upkeep, eight processes have 56 connections; a server takes 100 where nobody says.
 */
export const READ_SESSIONS = 4
