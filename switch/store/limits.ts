// The limits of the embedded store, with the arithmetic beside each. A record is about 750 bytes
// (intent) or 900 (outcome with its decision); the target is 12,000 messages a second, two records
// each: 24,000 records and 20 MB a second.

export interface StoreLimits {
  /** One record's payload. A request body is at most 64 KiB, a decision of 1,000 hits 100 KiB. */
  readonly recordBytesMax: number
  /**
   * Records waiting for a flush, which are also the largest group. 65,536 is 2.7 s of the target:
   * a message has at most one record waiting, so admission's limit on messages in flight must be
   * lower. More is a programmer's error.
   */
  readonly waitingRecordsMax: number
  /** Their bytes: 65,536 records of 1 KiB. */
  readonly waitingBytesMax: number
  /** A segment takes no further group from here: 64 MiB is 3 s of the target, 3,200 files a TB. */
  readonly segmentBytes: number
  /** An append with its flush that takes longer faults the store: 100 slow flushes of 20 ms. */
  readonly flushDeadlineMs: number
  /** One record's read that takes longer is refused: as long as a flush may take. */
  readonly readDeadlineMs: number
  /** The same for one batch of the index, which is not flushed. */
  readonly indexDeadlineMs: number
  /** Quiet transactions kept in memory besides the index: 1.7 kB each, 85 MB; 4 s of the target. */
  readonly residentTransactionsMax: number
  /**
   * Changed transactions that the index may lack: claim and outcome of one message then share an
   * index write, and a start replays at most these (8,192 of them: 16,384 records, about 0.2 s).
   */
  readonly indexLagTransactions: number
  /** Commits wait for the index from here: 65,536 changed transactions are 110 MB. */
  readonly indexLagTransactionsMax: number
  /** Transactions an index batch: 4 puts each, about 1 ms on the main thread. */
  readonly indexBatchTransactions: number
  /** Attempts of one transaction: routes of a BIN are two or three. */
  readonly attemptsMax: number
  /**
   * Counters of stand-in in memory, those of a window that is over included until room is needed:
   * about 150 bytes each, 15 MB. A card takes one: beyond it no further card is stood in for.
   */
  readonly standInCountersMax: number
  /** Late answers of one transaction that `read` shows; further ones are in the log only. */
  readonly lateAnswersMax: number
  /** Labels of one transaction: its chargeback, what was found out, what was taken back. */
  readonly labelsMax: number
}

/**
 * The flush deadline that makes a record durable, or refused, within `durabilityMs`: it waits for
 * the flush under way, then for its own.
 */
export function flushDeadlineFor(durabilityMs: number): number {
  return Math.floor(durabilityMs / 2)
}

export const STORE_LIMITS: StoreLimits = {
  recordBytesMax: 1024 * 1024,
  waitingRecordsMax: 65_536,
  waitingBytesMax: 64 * 1024 * 1024,
  segmentBytes: 64 * 1024 * 1024,
  flushDeadlineMs: 2_000,
  readDeadlineMs: 2_000,
  indexDeadlineMs: 10_000,
  residentTransactionsMax: 50_000,
  indexLagTransactions: 8_192,
  indexLagTransactionsMax: 65_536,
  indexBatchTransactions: 256,
  attemptsMax: 8,
  standInCountersMax: 100_000,
  lateAnswersMax: 16,
  labelsMax: 32,
}

/** Bytes that a scan reads at once; larger than a frame, so that two reads always hold one. */
export const SCAN_BYTES = 2 * 1024 * 1024

/** The same where one record of a compacted segment is looked for: its table's stride and a record. */
export const SEEK_BYTES = 72 * 1024

/** Bytes of the first read of one record: nearly every record is shorter. */
export const READ_BYTES = 4 * 1024

/** Segments kept open for reading, besides the one that is written. */
export const OPEN_SEGMENTS_MAX = 32

/** Bytes that the search behind a bad record may checksum before it gives up: about 2 s. */
export const SEARCH_BYTES_MAX = 4 * 1024 * 1024 * 1024

/**
 * How long a record that nobody hurries for waits for a group of the others. Of 32 deliveries in
 * flight each waits twice: 1,600 a second, far above what a lane sends.
 */
export const PATIENT_MS = 10

/** First size of a group's buffer; it grows with the load, and shrinks back when it was a peak. */
export const GROUP_BUFFER_BYTES = 1024 * 1024

/**
 * A rewriting of old segments pauses after so many records, which is 1 ms of the main thread, or
 * bytes, whose flush takes as long as one of the log's own groups.
 */
export const REWRITE_PIECE_RECORDS = 64
export const REWRITE_PIECE_BYTES = 256 * 1024

const DAY_MS = 24 * 60 * 60 * 1000

/**
 * What is kept where the configuration says nothing else. About 2 kB an authorization: 10 million a
 * day are 20 GB, 8 TB in 400 days, so whoever has less disk sets `store.bytesMax`.
 */
export const UPKEEP = {
  /** Records: a dispute may begin 120 days after the purchase and take most of a year. */
  retentionDays: 400,
  /** Sealed cards: what an issuer asks for after half a year is answered without the number. */
  panRetentionDays: 180,
  /** Bytes of the log: no bound of its own; the disk's is below. */
  bytesKeptMax: Number.MAX_SAFE_INTEGER,
  /**
   * Below it readiness is off: 51 s of the target's 20 MB/s, in which traffic is moved elsewhere,
   * or five segments that a rewriting may need beside the log's own.
   */
  freeBytesMin: 1024 * 1024 * 1024,
  /** A quiet switch fills no segment in days; each is closed after one, so that it can age. */
  segmentMsMax: DAY_MS,
  /** Between two looks: 20 MB/s take 200 MB in it, a fifth of `freeBytesMin`. */
  everyMs: 10_000,
  /** Between two pieces of a rewriting, each 1 ms of the main thread: a third of it at most. */
  pauseMs: 2,
} as const

/** By so much of it at least a key is looked for: class, STAN and time sent of ISO 8583. */
export const KEY_HEAD_CHARACTERS = 24

/** What may stand behind the known part of a key that is looked for: DE41 has 8, 2003's 16. */
export const KEY_TAIL_CHARACTERS_MAX = 16

/** A timer that comes so late says that the process stood still: others come within a few ms. */
export const STOOD_STILL_MS = 50
