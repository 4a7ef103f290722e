// Port: velocity counters. Two adapters pass one conformance suite: Redis, and embedded.

import type { AggregatePlan, Entity } from '#rules'

/**
 * The identity of each entity in one attempt: the bytes that become part of a key. Keyed tokens for
 * card, customer, device, ip and email; absent means that the attempt has no such entity.
 */
export type EntityKeys = { readonly [E in Entity]?: string }

/** One attempt, as velocity sees it. */
export interface VelocityAttempt {
  /**
   * 64 bits as 16 hex digits: hash of (acquirer, idempotency key). A resent event is dropped on
   * read.
   */
  readonly eventHash: string
  /** Milliseconds since 1970, the switch's clock at arrival. */
  readonly atMs: number
  /** Integer minor units of the base currency; NaN when the rate is missing. */
  readonly baseAmount: number
  readonly keys: EntityKeys
  /** Where it happened, degrees; NaN when unknown. For speedKmh. */
  readonly latitude: number
  readonly longitude: number
}

/** What can become of an attempt. */
export type OutcomeKind = 'approved' | 'declined' | 'reversed' | 'refunded'

/**
 * What became of an attempt: a later event. `declines` counts attempts by the time of this event,
 * each once, whether or not the attempt itself was recorded.
 */
export interface VelocityOutcomeEvent {
  readonly eventHash: string
  readonly atMs: number
  readonly keys: EntityKeys
  readonly kind: OutcomeKind
  /** DE39 where declined. */
  readonly responseCode?: string | undefined
}

/** Whether an attempt was a fraud: `cleared` takes back what was said before. */
export type LabelEventKind = 'fraud' | 'cleared'

/** The truth about an attempt, which arrives days or weeks later. */
export interface VelocityLabel {
  readonly eventHash: string
  /** When the attempt arrived, not when its truth was known. */
  readonly atMs: number
  /** Counted for its terminal and merchant, whatever else is here. */
  readonly keys: EntityKeys
  readonly kind: LabelEventKind
}

export function isLabel<E extends { readonly kind: string }>(
  event: E,
): event is E & { readonly kind: LabelEventKind } {
  return event.kind === 'fraud' || event.kind === 'cleared'
}

/**
 * The values of one attempt, in the plan's order. `values[i]` is NaN when unknown (entity absent
 * from the attempt, or nothing to compute from: secondsSinceLast without an earlier event). Count,
 * sum, distinct, declines and frauds of a present entity are never NaN. `saturated[i]` is 1 when
 * the value is a lower bound only: events may be gone from the ring, or an amount in the window is
 * unknown. An average is NaN then, since it bounds nothing. Events out of order by more than
 * `DISORDER_MS`, or late ones in a ring or tile that has let older ones go, may be missed by
 * secondsSinceLast and speedKmh.
 */
export interface VelocityValues {
  readonly values: Float64Array
  readonly saturated: Uint8Array
  /** Some entity's counters did not come: its values are NaN, and velocity counts as missing. */
  readonly isPartial: boolean
}

export interface Velocity {
  /**
   * Appends the attempts of a batch (at most `BATCH_MAX`) and answers each with its aggregates, the
   * attempt itself included; attempts of one batch see those before them in the batch.
   * Rejects when the store is unreachable or slower than `deadlineMs`: then velocity is missing,
   * and whether the attempts were appended is unknown.
   */
  observe(
    attempts: readonly VelocityAttempt[],
    plan: AggregatePlan,
    deadlineMs: number,
  ): Promise<readonly VelocityValues[]>
  /** Takes outcome events, and labels, at most `BATCH_MAX`. Best effort: rejects like `observe`. */
  publish(
    events: readonly (VelocityOutcomeEvent | VelocityLabel)[],
    deadlineMs: number,
  ): Promise<void>
  close(): Promise<void>
}
