// The limits of scoring, each with its arithmetic. Relations are asserted at the end of the file.

/**
 * Messages that one batch may carry. At 64 the fixed cost of a task (27-60 us on both threads) is
 * below 1 us a message, and 64 messages at 40 us each hold a worker for 2.6 ms of a 30 ms deadline.
 */
export const BATCH_MAX = 64

/**
 * Batches under way at one worker. Two: one waits for Redis while the other computes. A third
 * would only move messages from the queue, where they still can be shed, to the worker's port.
 */
export const CONCURRENT_BATCHES_PER_WORKER = 2

/**
 * Messages waiting for a worker. A score has 30 ms by default: at 12,000/s that is 360 messages; a
 * queue of 1,024 (85 ms at that rate) is already later than any deadline. About 2 kB each: 2 MB.
 */
export const QUEUE_DEPTH_MAX = 1024

/** Outcome events waiting to ride along: 0.7 s at 12,000/s, about 1 kB each: 8 MB. */
export const OUTCOME_QUEUE_MAX = 8192

/** Outcome events in one batch: as many as messages, so that they keep up with the messages. */
export const OUTCOMES_PER_BATCH_MAX = BATCH_MAX

/**
 * How long an outcome event waits for messages to ride along with before it goes alone. Far below
 * the shortest velocity window (60 s), and at most 40 tasks a second when nothing else happens.
 */
export const OUTCOME_WAIT_MS = 25

/** The velocity fetch of one batch: half of the default score deadline (30 ms). */
export const VELOCITY_DEADLINE_MAX_MS = 15

/** Kept of a message's deadline for what comes after velocity: rules, model, the way back. */
export const AFTER_VELOCITY_RESERVE_MS = 10

/**
 * The fetch gets at least this, however late the oldest message of a batch is: messages behind it
 * have more time, and a healthy Redis answers a batch in 1-2 ms.
 */
export const VELOCITY_DEADLINE_MIN_MS = 5

/**
 * A batch is never expected to take longer than this, whatever the last ones took: a new message
 * (30 ms) is always worth sending, and one stall does not condemn what comes after it.
 */
export const EXPECTED_BATCH_MAX_MS = 20

/** Outcome events are nobody's deadline, but a stalled Redis may not pile them up. */
export const OUTCOME_DEADLINE_MS = 50

/** A Redis command ends by then, whatever happens; above every deadline of its callers. */
export const REDIS_COMMAND_TIMEOUT_MS = 250

/** How long a worker waits for its first connection to Redis before it starts without. */
export const REDIS_CONNECT_TIMEOUT_MS = 1_000

/**
 * Tokens kept for each entity and generation (two generations): 6 entities * 2 * 8,192 * about
 * 150 bytes = 15 MB a worker. A miss costs one HMAC, 2-5 us.
 */
export const TOKEN_CACHE_ENTRIES_MAX = 8192

/**
 * Longest text that the token cache keeps as a key; longer ones (e-mail: 254) are hashed each time.
 */
export const TOKEN_CACHE_TEXT_MAX = 320

/** Largest file of a model folder that is read at all; `onnx/limits.ts` is stricter. */
export const MODEL_FILE_BYTES_MAX = 64 * 1024 * 1024

/** A worker has this long to load rules and model and to warm up; measured: about 1 s here. */
export const WORKER_START_TIMEOUT_MS = 30_000

/**
 * A worker that takes traffic prepares other rules in slices of this length and lets waiting
 * batches in between: a tenth of the score's deadline, and small beside a batch of 64 (2.6 ms).
 */
export const SLICE_MS = 2

/**
 * All workers have prepared other rules or another model by then, or the change is refused:
 * measured 0.2 s for the shipped rules, 5 s for a list of a million entries on a busy machine.
 */
export const PREPARE_TIMEOUT_MS = 60_000

/** Batches under way have this long to end at close: far above any batch, below a drain time. */
export const CLOSE_TIMEOUT_MS = 5_000

/**
 * Drift is told every hour of the last 24, and not of fewer decisions than this: 11 bins of 1,000
 * rows move by 0.01 by chance alone, a 25th of the mark.
 */
export const DRIFT_HOUR_MS = 3_600_000
export const DRIFT_HOURS = 24
export const DRIFT_WEEK_HOURS = 7 * DRIFT_HOURS
export const DRIFT_SAMPLES_MIN = 1_000

/** The customary mark above which a population is another one. */
export const DRIFT_ALERT_PSI = 0.25

/**
 * Contributions that a decision names; the rest is one sum. Five are what an analyst reads, and
 * about 500 bytes of a decision that is no plain approval.
 */
export const CONTRIBUTIONS_MAX = 5

/** True when the numbers above fit each other; `main.ts` asserts it together with its own. */
export function limitsFit(): boolean {
  return (
    QUEUE_DEPTH_MAX >= BATCH_MAX * CONCURRENT_BATCHES_PER_WORKER &&
    OUTCOMES_PER_BATCH_MAX >= BATCH_MAX &&
    OUTCOME_QUEUE_MAX >= QUEUE_DEPTH_MAX &&
    REDIS_COMMAND_TIMEOUT_MS > Math.max(OUTCOME_DEADLINE_MS, VELOCITY_DEADLINE_MAX_MS) &&
    WORKER_START_TIMEOUT_MS > REDIS_CONNECT_TIMEOUT_MS &&
    VELOCITY_DEADLINE_MIN_MS <= VELOCITY_DEADLINE_MAX_MS &&
    VELOCITY_DEADLINE_MAX_MS + AFTER_VELOCITY_RESERVE_MS <= 30
  )
}

/** Faults of workers that are told, each once: one that every batch meets must not fill the log. */
export const FAULTS_TOLD_MAX = 100
