// Counts decisions into a report, one payment at a time; memory grows with rules and days only.

import {
  outcomeOf,
  RISK_OUTCOMES,
  type RiskOutcome,
  type RuleDescription,
  type RuleHit,
  type RuleSet,
} from '#rules'
import type { Decision } from '../request.ts'
import { daysMax, pairedRulesMax, pairsMax, pairsNamedMax } from './limits.ts'
import type { PastPayment } from './past-payment.ts'
import type {
  BacktestReport,
  Change,
  DayReport,
  Judged,
  Overlap,
  RuleReport,
  ScoreBin,
} from './report.ts'
import type { Truth } from './truth.ts'

/** A `Sum` that grows. */
interface Count {
  payments: number
  amount: number
}

type Truths = Record<Truth, Count>

interface RuleCount {
  readonly description: RuleDescription
  readonly index: number
  readonly hits: Count
  readonly truths: Truths
  readonly changes: Count
  overrides: number
  readonly overridesOfFraud: Count
  unknown: number
}

interface DayCount {
  readonly outcomes: Record<RiskOutcome, number>
  readonly fraud: Count
  readonly fraudStopped: Count
  readonly genuineStopped: Count
}

/** What a payment came to, as it is counted. */
export interface Judgement {
  readonly payment: PastPayment
  readonly decision: Decision
  readonly truth: Truth
  /** A label was given, whatever it says. */
  readonly isLabelled: boolean
  /** The label says fraud; for payments that are `apart`, too. */
  readonly isLabelledFraud: boolean
}

const dayMs = 86_400_000
const scoreBins = 20

export class Tally {
  readonly #rules = new Map<string, RuleCount>()
  readonly #outcomes = byOutcome(count)
  readonly #truths = truths()
  readonly #stopped = truths()
  readonly #flagged = truths()
  readonly #apart = byOutcome(() => 0)
  readonly #changes = new Map<string, Count>()
  readonly #days = new Map<number, DayCount>()
  readonly #pairs = new Map<number, number>()
  readonly #scores = Array.from({ length: scoreBins }, () => ({ fraud: 0, genuine: 0, others: 0 }))
  readonly #overridesOfFraud = count()
  #apartFraud = 0
  #payments = count()
  #labelled = 0
  #withoutAmount = 0
  #saturated = 0
  #known = 0
  #same = 0
  #firstAtMs: number | null = null
  #lastAtMs: number | null = null

  constructor(ruleSet: RuleSet) {
    ruleSet.rules.forEach((description, index) => {
      this.#rules.set(description.id, {
        description,
        index,
        hits: count(),
        truths: truths(),
        changes: count(),
        overrides: 0,
        overridesOfFraud: count(),
        unknown: 0,
      })
    })
  }

  take(judged: Judgement): void {
    const { payment, decision, truth } = judged
    const baseAmount = decision.lookedUp?.[0]
    const amount = typeof baseAmount === 'number' ? baseAmount : 0
    if (typeof baseAmount !== 'number') this.#withoutAmount++
    if (judged.isLabelled) this.#labelled++
    if (truth === 'apart' && judged.isLabelledFraud) this.#apartFraud++
    if (decision.saturated.length > 0) this.#saturated++
    const atMs = payment.request.arrivedAtMs
    this.#firstAtMs = Math.min(this.#firstAtMs ?? atMs, atMs)
    this.#lastAtMs = Math.max(this.#lastAtMs ?? atMs, atMs)
    add(this.#payments, amount)
    const { outcome } = decision
    add(this.#outcomes[outcome], amount)
    add(this.#truths[truth], amount)
    if (isStopped(outcome)) add(this.#stopped[truth], amount)
    if (outcome !== 'approve') add(this.#flagged[truth], amount)
    if (truth === 'apart') this.#apart[outcome]++
    this.#takeChange(payment, outcome, amount)
    this.#takeDay(atMs, outcome, truth, amount)
    this.#takeScore(decision.score, truth)
    this.#takeRules(decision, truth, amount)
  }

  #takeChange({ decided }: PastPayment, outcome: RiskOutcome, amount: number): void {
    if (decided === undefined) return
    this.#known++
    if (decided === outcome) {
      this.#same++
      return
    }
    const key = `${decided} ${outcome}`
    let change = this.#changes.get(key)
    if (change === undefined) {
      change = count()
      this.#changes.set(key, change)
    }
    add(change, amount)
  }

  #takeDay(atMs: number, outcome: RiskOutcome, truth: Truth, amount: number): void {
    const number = Math.floor(atMs / dayMs)
    let day = this.#days.get(number)
    if (day === undefined) {
      if (this.#days.size >= daysMax) return
      const zero = byOutcome(() => 0)
      day = { outcomes: zero, fraud: count(), fraudStopped: count(), genuineStopped: count() }
      this.#days.set(number, day)
    }
    day.outcomes[outcome]++
    if (truth === 'fraud') add(day.fraud, amount)
    if (!isStopped(outcome)) return
    if (truth === 'fraud') add(day.fraudStopped, amount)
    else if (truth === 'genuine') add(day.genuineStopped, amount)
  }

  #takeScore(score: number | null, truth: Truth): void {
    if (score === null) return
    const bin = this.#scores[Math.min(scoreBins - 1, Math.floor(score * scoreBins))]
    if (bin === undefined) return
    if (truth === 'fraud' || truth === 'genuine') bin[truth]++
    else bin.others++
  }

  #takeRules(decision: Decision, truth: Truth, amount: number): void {
    for (const id of decision.unknownRules) {
      const rule = this.#rules.get(id)
      if (rule !== undefined) rule.unknown++
    }
    const { hits } = decision
    if (hits.length === 0) return
    const fired = hits.flatMap(({ rule }) => this.#rules.get(rule) ?? [])
    const live = fired.filter(({ description }) => description.mode === 'live')
    const descriptions = live.map(({ description }) => description)
    const withAll = outcomeOf(descriptions)
    for (const rule of fired) {
      add(rule.hits, amount)
      add(rule.truths[truth], amount)
      const { description } = rule
      const others =
        description.mode === 'live'
          ? descriptions.filter((other) => other !== description)
          : [...descriptions, description]
      if (outcomeOf(others) !== withAll) add(rule.changes, amount)
    }
    this.#takeOverrides(live, withAll, truth, amount)
    this.#takePairs(hits)
  }

  /** An approve rule beat something worse. */
  #takeOverrides(
    live: readonly RuleCount[],
    withAll: RiskOutcome,
    truth: Truth,
    amount: number,
  ): void {
    if (withAll !== 'approve') return
    const strict = live.filter(({ description }) => description.outcome !== 'approve')
    if (strict.length === 0) return
    if (truth === 'fraud') add(this.#overridesOfFraud, amount)
    for (const rule of live) {
      if (rule.description.outcome !== 'approve') continue
      rule.overrides++
      if (truth === 'fraud') add(rule.overridesOfFraud, amount)
    }
  }

  #takePairs(hits: readonly RuleHit[]): void {
    const indexes = hits.slice(0, pairedRulesMax).map(({ rule }) => this.#rules.get(rule)?.index)
    for (let one = 0; one < indexes.length; one++) {
      for (let other = one + 1; other < indexes.length; other++) {
        const key = (indexes[one] as number) * 65_536 + (indexes[other] as number)
        const known = this.#pairs.get(key)
        if (known === undefined && this.#pairs.size >= pairsMax) continue
        this.#pairs.set(key, (known ?? 0) + 1)
      }
    }
  }

  /** The report, but for what only the run knows. */
  finish(): Omit<
    BacktestReport,
    'ruleSet' | 'model' | 'warmUp' | 'velocity' | 'badLines' | 'replayed'
  > & { readonly saturated: number } {
    const hasTruth = this.#labelled > 0
    return {
      firstAtMs: this.#firstAtMs,
      lastAtMs: this.#lastAtMs,
      payments: this.#payments,
      withoutAmount: this.#withoutAmount,
      outcomes: this.#outcomes,
      truth: hasTruth
        ? {
            fraud: this.#truths.fraud,
            genuine: this.#truths.genuine,
            unknown: this.#truths.unknown,
            stopped: this.#judged(this.#stopped, hasTruth),
            flagged: this.#judged(this.#flagged, hasTruth),
            overridesOfFraud: this.#overridesOfFraud,
          }
        : null,
      refusedThen: {
        all: this.#truths.apart,
        outcomes: this.#apart,
        labelledFraud: this.#apartFraud,
      },
      changes: { known: this.#known, same: this.#same, list: this.#changeList() },
      rules: [...this.#rules.values()].map((rule) => this.#ruleReport(rule, hasTruth)),
      overlaps: this.#overlaps(),
      days: this.#dayReports(),
      scores: this.#scores.map((bin, at): ScoreBin => ({ from: at / scoreBins, ...bin })),
      saturated: this.#saturated,
    }
  }

  /** Without any label nothing is known, also of what would count as genuine for want of one. */
  #judged({ fraud, genuine, unknown }: Truths, hasTruth: boolean): Judged {
    if (!hasTruth) {
      const all = {
        payments: fraud.payments + genuine.payments + unknown.payments,
        amount: fraud.amount + genuine.amount + unknown.amount,
      }
      const none = { precision: null, recall: null, falsePositiveRatio: null }
      return { fraud: count(), genuine: count(), unknown: all, ...none }
    }
    return {
      fraud,
      genuine,
      unknown,
      precision: ratio(fraud.payments, fraud.payments + genuine.payments),
      recall: ratio(fraud.payments, this.#truths.fraud.payments),
      falsePositiveRatio: ratio(genuine.payments, fraud.payments),
    }
  }

  #ruleReport(rule: RuleCount, hasTruth: boolean): RuleReport {
    const { id, title, mode, outcome } = rule.description
    return {
      ...{ id, title, mode, outcome, hits: rule.hits },
      refusedThen: rule.truths.apart,
      judged: this.#judged(rule.truths, hasTruth),
      changes: rule.changes,
      overrides: rule.overrides,
      overridesOfFraud: rule.overridesOfFraud,
      unknown: rule.unknown,
    }
  }

  #changeList(): readonly Change[] {
    const list = [...this.#changes].map(([key, { payments, amount }]): Change => {
      const [from, to] = key.split(' ') as [RiskOutcome, RiskOutcome]
      return { from, to, payments, amount }
    })
    return list.sort((one, other) => other.payments - one.payments)
  }

  #overlaps(): readonly Overlap[] {
    const rules = [...this.#rules.values()]
    const overlaps = [...this.#pairs].map(([key, payments]): Overlap => {
      const one = rules[Math.floor(key / 65_536)] as RuleCount
      const other = rules[key % 65_536] as RuleCount
      const share = payments / Math.min(one.hits.payments, other.hits.payments)
      return { rules: [one.description.id, other.description.id], payments, share }
    })
    return overlaps
      .sort((one, other) => other.payments - one.payments || other.share - one.share)
      .slice(0, pairsNamedMax)
  }

  #dayReports(): readonly DayReport[] {
    return [...this.#days]
      .sort(([one], [other]) => one - other)
      .map(([number, day]) => ({
        day: new Date(number * dayMs).toISOString().slice(0, 10),
        ...day,
      }))
  }
}

export function isStopped(outcome: RiskOutcome): boolean {
  return outcome === 'challenge' || outcome === 'decline'
}

export function count(): Count {
  return { payments: 0, amount: 0 }
}

export function add(to: Count, amount: number): void {
  to.payments++
  to.amount += amount
}

function truths(): Truths {
  return { fraud: count(), genuine: count(), unknown: count(), apart: count() }
}

function byOutcome<T>(make: () => T): Record<RiskOutcome, T> {
  return Object.fromEntries(RISK_OUTCOMES.map((outcome) => [outcome, make()])) as Record<
    RiskOutcome,
    T
  >
}

function ratio(part: number, whole: number): number | null {
  return whole === 0 ? null : part / whole
}
