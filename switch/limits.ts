// The limits of the message path, with the arithmetic beside each. This file imports nothing: any
// room may read it. `limit-relations.ts` says how they fit each other and those of the rooms.

/** 64 KiB (docs/connect.md). A request with every field at its longest is below 4 KiB. */
export const BODY_BYTES_MAX = 64 * 1024

/** In characters; longer than any UUID, short enough to index. */
export const IDEMPOTENCY_KEY_CHARACTERS_MAX = 255

/** An idempotency key is kept 24 h: within them a retry gets the first answer. */
export const KEY_RETENTION_MS = 24 * 60 * 60 * 1000

/**
 * DE4 holds twelve digits in ISO 8583:1987, so this is the most that any issuer can be asked for;
 * far below 2^53, so that it is exact as a number.
 */
export const AMOUNT_MAX = 999_999_999_999

/**
 * Authorizations admitted and not answered. At 1,000/s and an issuer that takes its full 8 s, 8,000
 * are in flight; each holds about 6 kB (request, promises, decision): 48 MB. Over it: 503 at once.
 * One issuer link takes half of it (LINK_IN_FLIGHT_MAX), so a silent issuer can't fill the house.
 */
export const IN_FLIGHT_MAX = 8192

/**
 * Captures and reversals that are let in over IN_FLIGHT_MAX: accepted durably, they stay for one
 * flush and hold 2 kB, and a house full of authorizations must not keep them out.
 */
export const ACCEPTED_RESERVED = 1024

/**
 * Steps of one payment. A hotel's stay has some dozens; each is read again for the next one, 128
 * reads of 1 kB.
 */
export const PAYMENT_STEPS_MAX = 128

/** How often a step reads its payment again because another step came first. */
export const STEP_TRIES_MAX = 16

export const DAY_MS = 24 * 60 * 60 * 1000

/** How long an authorization may be captured where `validity` is not configured: the usual 7 days. */
export const AUTHORIZATION_VALID_MS = 7 * DAY_MS

/** The same of a pre-authorization: 30 days. */
export const PREAUTHORIZATION_VALID_MS = 30 * DAY_MS

/** Where `tombstoneMinutes` is not configured. */
export const TOMBSTONE_MINUTES = 10

/** `GET ?rrn=` shows at most this many steps, the newest. */
export const RRN_STEPS_MAX = 100

/** Retries of one key that may wait for the first one's answer; more are answered 409 at once. */
export const WAITERS_PER_KEY_MAX = 8

/**
 * How often a retry looks whether another process has answered the first one: a read of 1 ms each,
 * and an answer that is late by 25 ms in the middle.
 */
export const FIRST_ANSWER_POLL_MS = 50

/**
 * Authorizations waiting for a scoring worker before new ones are refused. A worker scores some
 * 16,000/s in full batches: 256 wait 16 ms, inside the 30 ms that a score may take; 512 would not.
 */
export const SCORING_QUEUE_MAX = 256

/** TCP connections of acquirers: 10,000 at about 2 kB each in uWebSockets.js is 20 MB. */
export const HTTP_CONNECTIONS_MAX = 10_000

/** TCP connections to the operations port: probes, scrapes and a few operators' commands. */
export const OPERATIONS_CONNECTIONS_MAX = 100

/**
 * PAN-to-token entries: a string of 16 and one of 26 characters and a map slot, about 150 bytes: 10
 * MB.
 */
export const TOKEN_CACHE_MAX = 65_536

/** `GET ?rrn=` answers at most this many. */
export const RRN_MATCHES_MAX = 10

/**
 * Retry-After of a refusal at the door: long enough to let a burst pass, short enough to be useful.
 */
export const RETRY_AFTER_SECONDS = 1

/**
 * What the scoring queue itself holds. The door looks in the same turn in which a message is
 * queued, so what it lets stand always fits; the rest is room, so that nothing claimed goes
 * unscored.
 */
export const SCORING_QUEUE_CAPACITY = 2 * SCORING_QUEUE_MAX

/**
 * Less time than this is not worth a further issuer: an answer within the same data centre takes
 * 50 ms, across a continent 150 ms, and a time-out costs one more reversal.
 */
export const FAIL_OVER_MS_MIN = 250

/** A check of rules that takes longer is given up: a list of a million entries takes about 5 s. */
export const RULE_CHECK_TIMEOUT_MS = 60_000

/**
 * The thread that checks rules ends when nobody has asked for so long: it holds about 40 MB. Until
 * then a change costs what changed; the first one starts a thread and reads all, half a second.
 */
export const RULE_CHECK_IDLE_MS = 600_000

/** The files must rest for this long: an editor writes one in several steps, git many. */
export const RULES_SETTLE_MS = 300

/** How often the rules folder is looked at where the system reports no change (network mounts). */
export const RULES_LOOK_EVERY_MS = 5_000

/** The history of the rules, about 300 bytes a line: beyond 13,000 lines the older half goes. */
export const RULE_HISTORY_BYTES_MAX = 4 * 1024 * 1024

/** Names that one line of the history or the log lists. */
export const RULE_CHANGES_LISTED_MAX = 20

/** Models that a rollback can go back to, one after the other; each is a name of 63 characters. */
export const MODELS_REMEMBERED_MAX = 8

/** Older than half a year a model has seen no frauds of the present kind. */
export const MODEL_MAX_AGE_DAYS = 180
