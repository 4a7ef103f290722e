// The door to compiled rules: what scoring needs of them, and nothing of how they are written.

import type { AggregatePlan } from './aggregate.ts'
import type { Lists } from './lists/index.ts'
import type { RiskOutcome, RuleHit, RuleMode } from './outcome.ts'

/** The values that a rule set reads, for one authorization. */
export interface RuleInput {
  /**
   * The request's own paths (`amount`, `baseAmount`, `card.country`, `device.ipCountry` ...). An
   * absent path is unknown.
   */
  readonly facts: RuleFacts
  /** Values of `RuleSet.aggregates`, in that order; NaN is unknown. */
  readonly aggregates: Float64Array
  /** 1 where the aggregate is only a lower bound. */
  readonly saturated: Uint8Array
  /** The model's probability; NaN is unknown. */
  readonly score: number
  /**
   * When the request arrived, in milliseconds since 1970: what ends of list entries, snoozes and
   * active hours are compared with. Without it, whatever depends on them is unknown.
   */
  readonly atMs?: number
}

/** Every name that a condition may read, one level deep. One object shape for all messages. */
export interface RuleFacts {
  readonly type: string
  readonly amount: number
  readonly currency: string
  /** In minor units of the base currency; NaN when the exchange rate is stale or missing. */
  readonly baseAmount: number
  readonly channel: string
  readonly acquirer: string
  /** Hour 0..23 and ISO weekday 1..7 in the merchant's time zone; NaN when the zone is unknown. */
  readonly localHour: number
  readonly localWeekday: number
  readonly card: {
    readonly bin: string
    readonly country: string | undefined
    readonly token: string
    readonly expiry: string | undefined
  }
  readonly merchant: {
    readonly id: string
    readonly mcc: string
    readonly name: string | undefined
    readonly city: string | undefined
    readonly country: string | undefined
  }
  readonly terminal: { readonly id: string | undefined; readonly entryMode: string | undefined }
  readonly device: {
    readonly id: string | undefined
    readonly ip: string | undefined
    readonly ipCountry: string | undefined
    readonly userAgent: string | undefined
  }
  readonly customer: {
    readonly id: string | undefined
    readonly email: string | undefined
    readonly country: string | undefined
  }
  readonly threeDs: {
    readonly version: string | undefined
    readonly eci: string | undefined
    readonly status: string | undefined
  }
}

/** What a rule set says of one authorization. */
export interface RuleVerdict {
  readonly outcome: RiskOutcome
  /** Reasons of the live rules behind the outcome, without repeats. */
  readonly reasons: readonly string[]
  readonly disclosedReasons: readonly string[]
  /** Live and shadow hits, in file order. */
  readonly hits: readonly RuleHit[]
  readonly unknownRules: readonly string[]
}

export interface RuleDescription {
  readonly id: string
  readonly title: string
  readonly pack: string
  readonly mode: RuleMode
  readonly outcome: RiskOutcome
  readonly reason: string
  /** An approve rule that beats decline too. */
  readonly overridesDecline: boolean
}

/** Which parts are missing when the policy is asked. */
export interface MissingParts {
  readonly velocity: boolean
  readonly model: boolean
}

export interface RuleSet {
  /** SHA-256 (hex, first 16 digits) over the canonical content of packs, lists and policy. */
  readonly hash: string
  readonly rules: readonly RuleDescription[]
  /** The aggregates that the conditions read. */
  readonly aggregates: AggregatePlan
  /** The request's own paths that the conditions read, once each. */
  readonly paths: readonly string[]
  /** Evaluates all rules. Never throws. */
  evaluate(input: RuleInput): RuleVerdict
  /** The mildest outcome that the policy (`packs/degradation.yaml`) allows when parts are missing. */
  outcomeWhenMissing(
    missing: MissingParts,
    channel: string,
    baseAmount: number,
  ): { outcome: RiskOutcome; reason: string }
}

/** One thing wrong in a rule file. Lines and columns count from 1. */
export interface RuleProblem {
  readonly file: string
  /** From 1; 0 where nothing in the files is wrong, but with the folder, or with what was asked. */
  readonly line: number
  readonly column: number
  readonly severity: 'error' | 'warning' | 'note'
  /** Stable, e.g. `type_error`, `unknown_name`, `bad_window`, `duplicate_rule`. */
  readonly code: string
  /** What is wrong, what was expected, the nearest known name. */
  readonly message: string
}

export type RuleSetResult =
  | {
      readonly ok: true
      readonly ruleSet: RuleSet
      /** Look-ups in the lists that came with the rules, for the facts that scoring fills in. */
      readonly lists: Lists
      /** Warnings and notes. */
      readonly problems: readonly RuleProblem[]
    }
  | { readonly ok: false; readonly problems: readonly RuleProblem[] }
