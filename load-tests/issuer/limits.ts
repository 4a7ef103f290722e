// Limits of the issuer simulator.

/**
 * Requests that the ledger holds in memory; the oldest are forgotten (and counted) beyond it. About
 * 600 bytes each, so 600 MB at most: four minutes at 4,000 requests a second, or a demo left alone
 * for weeks. The file keeps them all.
 */
export const ledgerEntriesMax = 1_000_000

/** Reversals remembered before their original came. Each is some 300 bytes. */
export const earlyReversalsMax = 100_000

/** Connections at a time: many switch processes, each with a few links. */
export const connectionsMax = 1_000

/** Answers held back by delays at a time: 20 s of lateness at 5,000 requests a second. */
export const heldAnswersMax = 100_000

/** Longest delay that a behaviour may ask for. */
export const delayMsMax = 600_000

/** Body of a control request; a behaviour is some 300 bytes. */
export const controlBodyBytesMax = 16_384

/** By HTTP: our largest message has chip data of 255 bytes in hex; 64 kB are thirty of them. */
export const httpBodyBytesMax = 65_536

/** Nonces of signed requests that are remembered; all are forgotten at once beyond it. */
export const noncesMax = 1_000_000
