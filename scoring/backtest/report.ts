// What a backtest says. Amounts are integers in minor units of the base currency; ratios are null
// where there is nothing to divide by.

import type { RiskOutcome, RuleMode } from '#rules'
import type { BadLine } from './past-payment.ts'

/** Payments of one truth, with their money. */
export interface Sum {
  readonly payments: number
  readonly amount: number
}

/** What was found, against the truth, over payments that went through at the time. */
export interface Judged {
  readonly fraud: Sum
  readonly genuine: Sum
  /** Nobody knows yet. */
  readonly unknown: Sum
  /** Fraud among what was found and is known: fraud / (fraud + genuine). */
  readonly precision: number | null
  /** What was found of all known fraud. */
  readonly recall: number | null
  /** Good payments hit for each fraud: genuine / fraud. */
  readonly falsePositiveRatio: number | null
}

export interface RuleReport {
  readonly id: string
  readonly title: string
  readonly mode: RuleMode
  readonly outcome: RiskOutcome
  /** Payments on which its condition was true. */
  readonly hits: Sum
  /** Among these, payments that were refused at the time: no truth is known of them. */
  readonly refusedThen: Sum
  readonly judged: Judged
  /** Live: outcomes that would be others without it. Shadow: that would be others with it live. */
  readonly changes: Sum
  /** Of an approve rule: payments that other rules would have reviewed, challenged or declined. */
  readonly overrides: number
  readonly overridesOfFraud: Sum
  readonly unknown: number
}

export interface DayReport {
  /** UTC, 2026-11-22. */
  readonly day: string
  readonly outcomes: Readonly<Record<RiskOutcome, number>>
  readonly fraud: Sum
  readonly fraudStopped: Sum
  readonly genuineStopped: Sum
}

/** Two rules that fired on the same payments. */
export interface Overlap {
  readonly rules: readonly [string, string]
  readonly payments: number
  /** Of the hits of the rule that fired less often. */
  readonly share: number
}

/** What would have happened by what had happened. */
export interface Change extends Sum {
  readonly from: RiskOutcome
  readonly to: RiskOutcome
}

export interface ScoreBin {
  readonly from: number
  readonly fraud: number
  readonly genuine: number
  /** Unknown, or refused at the time. */
  readonly others: number
}

export interface BacktestReport {
  readonly ruleSet: string
  readonly model: string
  /** Milliseconds since 1970 of the first and last payment; null where there is none. */
  readonly firstAtMs: number | null
  readonly lastAtMs: number | null
  readonly payments: Sum
  /** Payments before the period: counted by velocity, and by nothing else. */
  readonly warmUp: number
  /** Payments whose base amount is unknown; they count as no money. */
  readonly withoutAmount: number
  readonly outcomes: Readonly<Record<RiskOutcome, Sum>>
  /** Null without any label. */
  readonly truth: {
    readonly fraud: Sum
    readonly genuine: Sum
    readonly unknown: Sum
    /** Stopped: challenge or decline. Its amounts are money stopped and good money refused. */
    readonly stopped: Judged
    /** Stopped or sent to review. */
    readonly flagged: Judged
    readonly overridesOfFraud: Sum
  } | null
  /** Refused at the time, by whomever: without a truth. */
  readonly refusedThen: {
    readonly all: Sum
    readonly outcomes: Readonly<Record<RiskOutcome, number>>
    readonly labelledFraud: number
  }
  /** Only where the data says what had been decided. */
  readonly changes: {
    readonly known: number
    readonly same: number
    readonly list: readonly Change[]
  }
  readonly rules: readonly RuleReport[]
  /** The pairs that meet most often. */
  readonly overlaps: readonly Overlap[]
  readonly days: readonly DayReport[]
  readonly scores: readonly ScoreBin[]
  readonly velocity: {
    readonly entities: number
    /** Forgotten for want of memory: above zero the counts are too low. */
    readonly evicted: number
    /** Payments with at least one aggregate that was only a lower bound. */
    readonly saturated: number
  }
  readonly badLines: { readonly count: number; readonly first: readonly BadLine[] }
  /** Stored decisions of the same rule set and model, decided again, and how many alike. */
  readonly replayed: { readonly decisions: number; readonly same: number }
}
