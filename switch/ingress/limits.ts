// The limits of the acquirers' side, with the arithmetic beside each.

/** CONTRACT: a signature is taken up to this long after, or before, its `created`. */
export const SIGNATURE_SKEW_SECONDS = 300

/**
 * Nonces remembered for one acquirer, at about 40 bytes: 21 MB. They are kept 300 s, so it lasts for
 * 1,747 signed requests a second; beyond it only younger signatures are taken.
 */
export const NONCES_PER_ACQUIRER_MAX = 524_288

/** A nonce's characters: 256 bits in hex. */
export const NONCE_CHARACTERS_MAX = 64

/** Signatures on one request that are looked at: the acquirer's, and those of proxies between. */
export const SIGNATURES_MAX = 4

/** Components that one signature may cover; the required ones are five. */
export const COMPONENTS_MAX = 32
