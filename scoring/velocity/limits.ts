// The limits of velocity, each with its arithmetic. Every store asserts `velocityLimitsFit`.

/** Attempts or outcomes of one call; the pool never sends more (`scoring/limits.ts`). */
export const BATCH_MAX = 64

/** Shortest and longest window, in seconds: 1 minute and 30 days. */
export const WINDOW_SECONDS_MIN = 60
export const WINDOW_SECONDS_MAX = 30 * 24 * 3600

/**
 * How long an entity outlives its last attempt: the longest window and an hour, so that nothing
 * inside a window can expire. Refreshed with every append.
 */
export const ENTITY_TTL_SECONDS = WINDOW_SECONDS_MAX + 3600

/** One attempt and one outcome in a ring (see `event.ts`); both are whole units. */
export const UNIT_BYTES = 16
export const ATTEMPT_BYTES = 48
export const OUTCOME_BYTES = 16

/**
 * A ring keeps at least its newest 48 attempts (fewer where outcomes lie between): 48 * 48 = 2,304
 * bytes, so a transaction of 5 full rings moves 12 kB. The 8 bytes on top are less than a unit: the
 * length of a ring is no multiple of a unit only when something was cut off its front, which is how
 * a reader knows. It is cut to this when 8 attempts more have come, once in 8 events.
 *
 * Memory in Redis, measured with keys of 30 characters (MEMORY USAGE): 136 bytes with 1 event, 328
 * with 5, 584 with 10. Ten million entities of 10 events are 5.8 GB; what a call costs does not
 * depend on their number, since a key is found by its hash.
 */
export const RING_ATTEMPTS = 48
export const RING_BYTES_MAX = RING_ATTEMPTS * ATTEMPT_BYTES + 8
export const RING_SLACK_BYTES = 8 * ATTEMPT_BYTES

/**
 * Rings from this length on are appended to in place, and may then keep as much room again free: up
 * to 5.2 kB when full. Shorter ones are written anew and take what they need.
 */
export const RING_LONG_BYTES = 24 * ATTEMPT_BYTES

/**
 * Most attempts of a ring that is longer than usual (embedded, offline only): what a tile's log
 * holds at most (`TILE_LOG_BYTES_MAX`), for which the working memory is made.
 */
export const RING_ATTEMPTS_MAX = 680

/**
 * Events of one entity may be appended out of order by this much: clocks of the switch's processes
 * and machines (NTP: milliseconds) and batches under way (tens of milliseconds), with room.
 */
export const DISORDER_MS = 10_000

/** In front of a tile's log: the version of the compacted part that it continues. */
export const TILE_HEADER_BYTES = 8

/**
 * A tile's log is compacted when it is longer than 40 attempts, and the newest 8 stay: 32 attempts
 * a compaction. Read by every attempt of the entity: 24 attempts, 1.2 kB, on average.
 */
export const TILE_COMPACT_BYTES = TILE_HEADER_BYTES + 40 * ATTEMPT_BYTES

/**
 * Where the base is large the log may be longer, since the base is written anew at each compaction:
 * of B bytes at every L attempts, while an attempt reads L / 2 events. 48 L / 2 + B / L is least at
 * L = sqrt(B / 24): 58 attempts at 80 kB, 130 at 400 kB, which then cost 3 + 3 kB an attempt rather
 * than 1 + 12. Not above 160, 3.7 kB.
 */
export const TILE_COMPACT_ATTEMPTS_MAX = 160
export const TILE_COMPACT_BYTES_MAX = TILE_HEADER_BYTES + TILE_COMPACT_ATTEMPTS_MAX * ATTEMPT_BYTES
export const TILE_KEEP_BYTES = 8 * ATTEMPT_BYTES

/**
 * A log that nobody compacts stops growing here: 680 attempts; from then on the entity's values
 * are lower bounds. Far above what is appended before a compaction comes back: a batch of 64
 * attempts of one merchant in each of 8 workers is 24 kB.
 */
export const TILE_LOG_BYTES_MAX = 32_768

/** Sub-buckets of a tile are at least this wide, and at most 1/12 of their age. */
export const TILE_QUANTUM_MS = 5_000
export const TILE_BUCKETS_PER_WINDOW = 12

/**
 * Distinct values of a tile's compacted part are kept one by one up to here, then by HyperLogLog.
 * 6 bytes each, 1.5 kB; counted through at every question, 1 us.
 */
export const DISTINCT_EXACT_MAX = 256

/**
 * 2^12 registers: a standard error of 1.04 / sqrt(4096) = 1.6%, below 2%; 2^11 would have 2.3%.
 * That is, two of three answers are within 1.6% and 19 of 20 within 3.3%; of few thousand values
 * the error is smaller, since most registers have seen one value at most. An entry (register and
 * rank 2, time 3) has 5 bytes; a register keeps about ln(values / 4,096) + 1 of them: 20 kB at
 * 4,000 cards in 30 days, 80 kB at 100,000, 130 kB at a million.
 */
export const DISTINCT_REGISTER_BITS = 12

/**
 * Compacted parts that one process keeps decoded; each 2 kB (quiet) to 100 kB (a large merchant).
 */
export const TILE_CACHE_BYTES_MAX = 32 * 1024 * 1024

/**
 * Labels are read of days that ended at least so long ago: by then most chargebacks and reports of
 * customers have come.
 */
export const LABEL_DELAY_DAYS = 7

/** Days that a window can reach: the longest one, the delay, and the day that is not over. */
export const LABEL_RETENTION_DAYS = WINDOW_SECONDS_MAX / 86_400 + LABEL_DELAY_DAYS + 1

/** Daily counts outlive their last label by as much. */
export const LABEL_TTL_SECONDS = LABEL_RETENTION_DAYS * 86_400

/**
 * Attempts of which a terminal or merchant knows what was said last, so that a label that is sent
 * again is not counted again: far more than come between a failure and the next try. With 38 days
 * at most 2 + 38 * 6 + 32 * 8 = 486 bytes, and none for the many without any fraud.
 */
export const LABEL_MARKS_MAX = 32

/** Tries to write daily counts that another process writes at the same moment. */
export const LABEL_TRIES_MAX = 8

/** The embedded store: 64 MB of rings and tiles, about 100,000 entities of 10 events. */
export const EMBEDDED_BYTES_MAX = 64 * 1024 * 1024

/**
 * Memory of logs is taken from the system by so much (offline only): a whole number of pieces of
 * every size up to 48 * 2^9 bytes, so that at most one such piece of a slab stays unused.
 */
export const SLAB_BYTES = 16 * ATTEMPT_BYTES * 2 ** 9

/** What one entity costs in the embedded store beside its bytes: key, map entry, typed array. */
export const EMBEDDED_ENTITY_BYTES = 250

/** Keys longer than this are hashed; longest readable key of `entity-keys.ts`: 40 * 3 + 2 = 122. */
export const KEY_TOKEN_MAX = 128

/**
 * Script calls under way at once. Each holds at most 64 attempts of 8 entities (15 kB out, 150 kB
 * back): 16 * 165 kB = 2.6 MB. A worker has two batches and one publication under way.
 */
export const CALLS_IN_FLIGHT_MAX = 16

/**
 * Servers of a cluster that are told apart by a breaker each; a cluster of Redis has at most about
 * 1,000 nodes, and of those only masters are asked. The oldest is forgotten beyond it.
 */
export const SERVERS_MAX = 1_000

/** Tiles that one worker compacts at the same time; others wait for their next attempt. */
export const COMPACTIONS_IN_FLIGHT_MAX = 64

/** Failures in a row that open the breaker, and for how long it stays open before one probe. */
export const BREAKER_FAILURES_MAX = 3
export const BREAKER_OPEN_MS = 1_000

/** True when the numbers above fit each other. */
export function velocityLimitsFit(): boolean {
  return (
    ATTEMPT_BYTES % UNIT_BYTES === 0 &&
    OUTCOME_BYTES % UNIT_BYTES === 0 &&
    RING_BYTES_MAX % UNIT_BYTES !== 0 &&
    RING_BYTES_MAX >= ATTEMPT_BYTES + UNIT_BYTES &&
    TILE_KEEP_BYTES + TILE_HEADER_BYTES < TILE_COMPACT_BYTES &&
    2 * TILE_COMPACT_BYTES_MAX + BATCH_MAX * ATTEMPT_BYTES < TILE_LOG_BYTES_MAX &&
    TILE_QUANTUM_MS * TILE_BUCKETS_PER_WINDOW <= WINDOW_SECONDS_MIN * 1000 &&
    DISORDER_MS < WINDOW_SECONDS_MIN * 1000 &&
    LABEL_RETENTION_DAYS < 256
  )
}
