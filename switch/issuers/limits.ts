// The bounds of an issuer link, and why they are what they are.
//
//   numbers      STANs 000001..999999 a link
//   give-ups     at most inFlightMax requests are given up in each timeoutMs:
//                4,096 / 8 s = 512/s, over a window of 600 s 307,200 numbers held, and as many
//                again for their reversals: 614,400 of 999,999. So time-outs alone never use up
//                the numbers, and 285,599 are left for the rest.
//   answered     rate * 10 s: 120,000 numbers at 12,000/s; a link that answers everything could
//                carry 89,999/s.
//   together     734,400: the reserve for reversals (100,000) is not touched.

/** One more than the highest STAN: six digits, 000000 is not used. */
export const STAN_END = 1_000_000

/** Free numbers that only reversals may draw: 24 times what can be in flight (4,096). */
export const STANS_RESERVED_FOR_REVERSALS = 100_000

/**
 * How long a drawn number may wait for its `ask`: the acquirer's deadline (12 s) covers score,
 * durability and issuer, and a claim that never asks (declined by risk) gives its number back so.
 */
export const DRAWN_HOLD_MS = 30_000

/**
 * How long the number of an answered request rests. DE7 counts seconds, so after one second the
 * same STAN already makes another key; ten leave room for clocks that step back a little.
 */
export const ANSWERED_HOLD_MS = 10_000

/** The longest hold that can be asked for; the book of numbers has a counter for each second. */
export const HOLD_MAX_MS = 3_600_000

/** Little's law: 12,000/s at 340 ms; at 8 s and no answer at all, 512/s are let through. */
export const IN_FLIGHT_MAX = 4_096

/**
 * In flight beside them, for reversals alone: a lane of store-and-forward keeps at most 32 in
 * flight, and nothing else sends any.
 */
export const REVERSALS_IN_FLIGHT_MAX = 64

/**
 * Given-up requests whose late answer can still be matched, about 0.7 kB each: 46 MB. Beyond it
 * the oldest is forgotten: its late answer then reaches nobody, which the reversal covers.
 */
export const GIVEN_UP_MAX = 65_536

/** Answered requests remembered to tell a duplicate answer from a stray one; 9 bytes each. */
export const ANSWERED_REMEMBERED = 16_384

/** Bytes accepted and not yet sent: 4,096 requests of 512 bytes are 2 MiB. */
export const BUFFERED_BYTES_MAX = 2 * 1_048_576

/** Undecodable messages in a row after which the stream is taken to have slipped. */
export const UNDECODABLE_IN_A_ROW_MAX = 3

/** Connections of one link: each costs its issuer a session, and two already outlive a lost one. */
export const CONNECTIONS_MAX = 16

/**
 * Time-outs in a row that open a breaker. An issuer that leaves one request in five unanswered
 * comes to ten in a row once in 10,000,000 requests, one that leaves nine in ten once in three.
 */
export const DEFAULT_BREAKER_TIMEOUTS = 10

/** What an open breaker waits for its echo: twice as long after each opening in a row. */
export const DEFAULT_BREAKER_OPEN_MIN_MS = 1_000
export const DEFAULT_BREAKER_OPEN_MAX_MS = 30_000

/** Requests in flight that a half-open breaker lets through: so many wait in vain at the worst. */
export const BREAKER_TRIALS_MAX = 3

export const DEFAULT_TIMEOUT_MS = 8_000
export const DEFAULT_ECHO_INTERVAL_MS = 15_000
export const DEFAULT_SIGN_ON_TIMEOUT_MS = 5_000
export const DEFAULT_RECONNECT_MIN_MS = 200
export const DEFAULT_RECONNECT_MAX_MS = 30_000
export const DEFAULT_LATE_ANSWER_WINDOW_MS = 600_000

/**
 * By HTTP a connection carries one request at a time: 64 at 20 ms are 3,200/s, and the pool waits
 * its turn beyond. The most that can be asked for costs a peer as many sockets.
 */
export const DEFAULT_HTTP_CONNECTIONS = 64
export const HTTP_CONNECTIONS_MAX = 512

/** An answer has ten short fields and chip data of 255 bytes in hex: 2 kB; 64 kB bound it. */
export const HTTP_ANSWER_BYTES_MAX = 65_536

/** How long a request that was given up keeps its connection for a late answer. */
export const DEFAULT_HTTP_LATE_ANSWER_MS = 5_000
