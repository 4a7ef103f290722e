// Whether the switch may answer for an issuer that could not be asked: what the issuer allows, by
// its configuration. Pure; what was stood in for before is counted in the store.

import { hash } from 'node:crypto'
import type { Decision } from '#scoring'
import type { IssuerConfig } from '../config/index.ts'
import type { StandInMove } from '../store/index.ts'
import type { RunningAuthorization } from '../transaction.ts'

export type StandInPolicy = NonNullable<IssuerConfig['standIn']>

/** Why not. `limit`: a count or a sum of the window would be passed. */
export type StandInRefusal =
  | 'not_a_purchase'
  | 'risk'
  | 'score'
  | 'currency'
  | 'amount'
  | 'mcc'
  | 'limit'
  | 'trace_numbers'

/** What is asked for, as far as the policy looks at it. */
export interface Purchase {
  readonly type: RunningAuthorization['request']['type']
  /** Integer minor units. */
  readonly amount: number
  readonly currency: string
  readonly mcc: string
  /** The cardholder entered a PIN, which only the issuer can check. */
  readonly hasPin: boolean
}

const PURCHASES: readonly string[] = ['authorization', 'preauthorization', 'sale']

/**
 * The first reason against it, or undefined. A review is for people to look at, and a missing score
 * is not a low one: neither is stood in for.
 */
export function mayStandIn(
  policy: StandInPolicy,
  purchase: Purchase,
  { outcome, score }: Pick<Decision, 'outcome' | 'score'>,
): StandInRefusal | undefined {
  if (!PURCHASES.includes(purchase.type) || purchase.hasPin) return 'not_a_purchase'
  if (outcome !== 'approve') return 'risk'
  if (score === null || Number.isNaN(score) || score > policy.scoreMax) return 'score'
  if (purchase.currency !== policy.currency) return 'currency'
  if (purchase.amount > policy.amountMax) return 'amount'
  return policy.mccs.includes(purchase.mcc) ? undefined : 'mcc'
}

const MINUTE_MS = 60_000
const WINDOW_MINUTES = 24 * 60

/** What the purchase adds to the counters of its card and its BIN, in the window of `nowMs`. */
export function movesOf(
  policy: StandInPolicy,
  issuer: string,
  card: { readonly token: string; readonly bin: string },
  amount: number,
  nowMs: number,
): readonly StandInMove[] {
  const windowMs = (policy.windowMinutes ?? WINDOW_MINUTES) * MINUTE_MS
  const windowEndMs = (Math.floor(nowMs / windowMs) + 1) * windowMs
  const move = (counter: string, limit: StandInPolicy['card']): StandInMove => ({
    counter: `${issuer} ${counter}`,
    windowEndMs,
    amount,
    countMax: limit.countMax,
    sumMax: limit.sumMax,
  })
  return [move(`card ${card.token}`, policy.card), move(`bin ${card.bin}`, policy.bin)]
}

/** DE38 of our own: six characters, always the same for one id. */
export function approvalCodeFor(id: string): string {
  return hash('sha256', id, 'hex').slice(0, 6).toUpperCase()
}
