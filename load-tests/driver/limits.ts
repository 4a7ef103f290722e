// Limits of the load driver.

/**
 * More connections than this need more file descriptors than most shells grant (1,024 to 65,536).
 */
export const connectionsMax = 20_000

/** Requests of one run: every one keeps some 100 bytes for the books, so 2 GB at most. */
export const requestsMax = 20_000_000

/**
 * In flight on one WebSocket or ISO 8583 connection; the switch takes 1,024 on each and refuses the
 * next, which would be an error of the generator's making.
 */
export const inFlightPerConnectionMax = 512

/** Status line and headers of an answer; ours are some 300 bytes. */
export const headerBytesMax = 16_384

/** Body of an answer; ours are some 500 bytes. */
export const bodyBytesMax = 1_048_576

/**
 * An answer later than this counts as none. Above the switch's own deadline for an acquirer (12 s),
 * so that it is the switch that gives up first.
 */
export const answerTimeoutMs = 15_000

/**
 * A connection idle for longer is dialled anew: the switch closes idle ones after about 10 s. In
 * turns 10,000 connections at 2,000 requests a second are idle for 5 s each.
 */
export const idleMsMax = 8_000

/** Pause before a refused connection is dialled again. */
export const redialMs = 100

/**
 * Refused connections of one target that are dialled again in that time: a dial costs some 50 us,
 * so a switch that is down costs its generator 5% of a core.
 */
export const redialsAtOnce = 100

/** How often an unanswered request is asked again with its key, and how long between. */
export const retriesMax = 6
export const retryPauseMs = 1_000

/** Retries in flight at a time. */
export const retriesAtOnceMax = 64

/** Discrepancies that a report names one by one; the rest is counted. */
export const discrepanciesNamedMax = 20
