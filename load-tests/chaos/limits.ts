// Limits of a chaos run.

/**
 * Authorizations of one run: each keeps about 1 kB here, and an issuer's ledger holds a million in
 * memory. Half of that leaves room for steps, and for one issuer that takes them all.
 */
export const authorizationsMax = 500_000

/** Connections to one switch: each that is refused is dialled again ten times a second. */
export const connectionsMax = 400

/** Bytes that a proxy holds back in one direction of one connection; then it stops reading. */
export const heldBytesMax = 4_194_304

/** Longest time between bytes of a throttled connection. */
export const throttlePieceMs = 20

/** Requests that are asked again at once while there is trouble, and at the end. */
export const retriesAtOnceMax = 128

/** Between two questions for the same unanswered key. */
export const retryPauseMs = 1_000

/** Answered requests that are asked once more at the end, to get their first answer. */
export const repeatsAtEndMax = 5_000

/** How long the questions at the end may take, all together. */
export const askAgainMs = 120_000

/** Between two starts of a process that ended: a supervisor waits, too. */
export const restartPauseMs = 250

/** Discrepancies that are printed one by one; the rest is counted. */
export const discrepanciesNamedMax = 1_000

/**
 * What the switch waits for an issuer, and how long a process keeps its work on PostgreSQL: short
 * ones, so that a run of minutes sees many of both. A lease must be above 1.5 time-outs.
 */
export const issuerTimeoutMs = 1_500
export const leaseMs = 3_000

/** The switch's disk where it can be made full: 3 kB an authorization, and room for its index. */
export const smallDiskMegabytes = 4_096
