// Limits of a chaos run.

/**
 * Authorizations of one run: each keeps about 1 kB here, and an issuer's ledger holds a million in
 * memory. Half of that leaves room for steps, and for one issuer that takes them all.
 */
export const authorizationsMax = 500_000

/**
 * Connections over HTTP to one switch, a request at a time on each: 600 a second that wait 1.5 s
 * for an issuer that is stopped are 900, and with their retries not twice as many. More are opened
 * when all are busy, so many at once; of those that end so many are dialled again while the switch
 * is away: a thousand that are refused ten times a second each would leave this process no time.
 */
export const connectionsMax = 2_000
export const connectionsAtOnce = 32

/** Connections over ISO 8583 to one switch, 512 in flight on each. */
export const isoConnections = 8

/** Bytes that a proxy holds back in one direction of one connection; then it stops reading. */
export const heldBytesMax = 4_194_304

/** Longest time between bytes of a throttled connection. */
export const throttlePieceMs = 20

/** Requests that are asked again at once while there is trouble, and at the end. */
export const retriesAtOnceMax = 128

/** Between two questions for the same unanswered key. */
export const retryPauseMs = 1_000

/** How often what waits for its time is looked through: tens of thousands may. */
export const waitingLookMs = 20

/** Times that a 91 is asked about again at the end: at the door it takes no key. */
export const unsureRetriesMax = 5

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
