/** Ordered from mild to worst: the worst hit wins. */
export const RISK_OUTCOMES = ['approve', 'review', 'challenge', 'decline'] as const
export type RiskOutcome = (typeof RISK_OUTCOMES)[number]

export type RuleMode = 'live' | 'shadow' | 'disabled'

/** A rule that fired, with the values that made it true. */
export interface RuleHit {
  readonly rule: string
  readonly mode: RuleMode
  readonly outcome: RiskOutcome
  readonly reason: string
  /** False: never shown to an acquirer. */
  readonly disclose: boolean
  /** Each name or call of the condition with the value it had. */
  readonly values: Readonly<Record<string, number | string | boolean | null>>
}
