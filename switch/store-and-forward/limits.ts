// The bounds of store-and-forward, one lane an issuer.

export interface StoreAndForwardLimits {
  /**
   * Deliveries kept in memory a lane, about 1 kB each: 50 MB. What is over it stays in the store
   * alone and is read from there when half of the lane is done.
   */
  readonly queuedMax: number
  /** Sent and not yet answered, a lane. A link keeps this much room beside the live requests. */
  readonly inFlightMax: number
  /**
   * A backlog may not crowd out live traffic: 10,000 reversals leave in 54 s, and 185/s is
   * a sixtieth of the 12,000/s that a link carries.
   */
  readonly sendsPerSecond: number
  /** Sends that may follow each other at once. */
  readonly burstMax: number
  /** How long a 0430 is awaited. */
  readonly answerTimeoutMs: number
  /**
   * What a request takes at most beside its issuer's timeout: its score, 1 s, and the flushes of its
   * claim and outcome, 10 s each. The longest that the configuration allows.
   */
  readonly besideIssuerMs: number
  /** After an answer that asks for another try, or none. */
  readonly retry: { readonly minMs: number; readonly maxMs: number }
  /**
   * Sends of one message before it is a dead letter. At the longest wait of 60 s, 3,000 are two
   * days of an issuer that is up and answers 91 or nothing.
   */
  readonly sendsMax: number
  /** Queued for longer, sent or not: seven days, the longest that a hold usually stands. */
  readonly ageMaxMs: number
  /** How often a lane with a backlog looks whether its link is up. */
  readonly linkPollMs: number
}

export const STORE_AND_FORWARD_LIMITS: StoreAndForwardLimits = {
  queuedMax: 50_000,
  inFlightMax: 32,
  sendsPerSecond: 185,
  burstMax: 4,
  answerTimeoutMs: 8_000,
  besideIssuerMs: 21_000,
  retry: { minMs: 1_000, maxMs: 60_000 },
  sendsMax: 3_000,
  ageMaxMs: 7 * 24 * 60 * 60 * 1_000,
  linkPollMs: 200,
}
