// The sizes of one simulated episode, and why.

/** Virtual time in which acquirers pay and faults happen: 24 minutes. */
export const BUSY_MS = 24 * 60 * 1000

/**
 * What an episode may take to come to rest after the last fault: a reversal of what never came is
 * repeated until the late-answer window and a time-out are over (128 s), the last time after the
 * longest back-off (60 s); the same again for one that was only queued then.
 */
export const QUIET_MS_MAX = 7 * 60 * 1000

/**
 * What an acquirer's retries may take after the last fault, below the late-answer window, so that
 * nobody waits for it: a restart (4 s), a queued message's back-off (60 s) and an answer (12 s).
 */
export const ERRANDS_MS_MAX = 100 * 1000

/** New payments, one every so often on average: 240 an episode. */
export const PAYMENT_EVERY_MS = 6_000

/** Timed troubles, one every so often: 280 an episode. */
export const TROUBLE_EVERY_MS = 5_000

/** Cards of each issuer: few enough that messages of one card meet. */
export const CARDS = 30

/** How long an issuer still takes a late answer to be its own. */
export const LATE_ANSWER_WINDOW_MS = 120_000

/** How long an acquirer waits for an answer before it asks again. */
export const PATIENCE_MS = 14_000

/** What an answer may be later than its deadline: turns of the disk and the last reply's way. */
export const DEADLINE_TOLERANCE_MS = 100

/** Small segments, few residents: an episode rotates, evicts and reads back. */
export const EPISODE_STORE_LIMITS = {
  segmentBytes: 256 * 1024,
  residentTransactionsMax: 64,
  indexLagTransactions: 32,
  indexLagTransactionsMax: 256,
  indexBatchTransactions: 16,
} as const

/** From kill to the next start, by whoever supervises. */
export const RESTART_MIN_MS = 300
export const RESTART_MAX_MS = 4_000

/** A sweep goes for one of so many parts of the port calls: else lives end at the usual ones. */
export const SWEEP_PARTS = 4

/** One episode of so many is a sweep. */
export const SWEEP_EVERY = 8

/** Runs of a failing plan that the search for a shorter one may take. */
export const SHRINK_RUNS_MAX = 200
