// Two rule sets on the same payments: whose outcome differs, by how much money, and at which truth.

import type { RiskOutcome } from '#rules'
import type { Model } from '../onnx/index.ts'
import type { Decision } from '../request.ts'
import { type CompiledRules, createEngine } from './engine.ts'
import { examplesMax } from './limits.ts'
import type { PastPayment } from './past-payment.ts'
import type { Change, Sum } from './report.ts'
import { batchesOf, type Period } from './run.ts'
import { add, count, isStopped } from './tally.ts'
import { type LabelSource, labelOf, type Truth, truthOf } from './truth.ts'

/** Payments whose outcome went from one to another, with what is known of them. */
export interface ComparedChange extends Change {
  readonly fraud: Sum
  readonly genuine: Sum
}

export interface ComparedRule {
  readonly id: string
  /** Payments on which it fired, under either set; null where a set does not evaluate it. */
  readonly before: number | null
  readonly after: number | null
}

/** One payment that would go another way. Names nobody. */
export interface Example {
  readonly id: string
  readonly atMs: number
  readonly amount: number
  readonly currency: string
  readonly channel: string
  readonly from: RiskOutcome
  readonly to: RiskOutcome
  readonly truth: Truth | null
  /** Live rules that fired under one set only. */
  readonly before: readonly string[]
  readonly after: readonly string[]
}

export interface ComparedSet {
  readonly ruleSet: string
  readonly stopped: Sum
  readonly fraudStopped: Sum
  readonly genuineStopped: Sum
}

export interface Comparison {
  readonly before: ComparedSet
  readonly after: ComparedSet
  readonly payments: Sum
  readonly warmUp: number
  readonly same: number
  /** Whether any payment has a label: without one, nothing is said of fraud. */
  readonly hasTruth: boolean
  readonly changes: readonly ComparedChange[]
  /** Rules that fire differently often. */
  readonly rules: readonly ComparedRule[]
  /** The largest of each change, at most some dozen. */
  readonly examples: readonly Example[]
}

export interface CompareOptions {
  readonly before: CompiledRules
  readonly after: CompiledRules
  /** Both have the same exchange rates. */
  readonly sharesCounters: boolean
  readonly model: Model
  readonly period: Period
  readonly source: LabelSource
  readonly onProgress: (payments: number) => void
}

export async function compareRuleSets(
  chunks: AsyncIterable<readonly PastPayment[]>,
  options: CompareOptions,
): Promise<Comparison> {
  const { before, after, sharesCounters, model, period, source, onProgress } = options
  const of = (payment: PastPayment) => labelOf(payment, source)
  const engine = createEngine([before, after], model, of, sharesCounters)
  const tally = new ComparisonTally(before, after)
  let read = 0
  let warmUp = 0
  try {
    for await (const batch of batchesOf(chunks, period)) {
      const [old = [], now = []] = await engine.decide(batch)
      batch.forEach((payment, row) => {
        if (payment.request.arrivedAtMs < period.fromMs) {
          warmUp++
          return
        }
        const label = labelOf(payment, source)
        const truth = truthOf(payment, label, source)
        tally.take(payment, old[row] as Decision, now[row] as Decision, truth, label !== undefined)
      })
      read += batch.length
      onProgress(read)
    }
    return { ...tally.finish(), warmUp }
  } finally {
    await engine.close()
  }
}

interface ChangeCount {
  readonly from: RiskOutcome
  readonly to: RiskOutcome
  readonly all: ReturnType<typeof count>
  readonly fraud: ReturnType<typeof count>
  readonly genuine: ReturnType<typeof count>
  /** The largest, largest first. */
  readonly examples: Example[]
}

/** Examples of each change, so that a frequent one does not hide a rare one. */
const examplesEach = 5

class ComparisonTally {
  readonly #sets
  readonly #hits
  readonly #changes = new Map<string, ChangeCount>()
  readonly #payments = count()
  #same = 0
  #labelled = 0

  constructor(before: CompiledRules, after: CompiledRules) {
    this.#sets = [before, after].map(({ ruleSet }) => ({
      ruleSet: ruleSet.hash,
      stopped: count(),
      fraudStopped: count(),
      genuineStopped: count(),
    }))
    this.#hits = [before, after].map(({ ruleSet }) => {
      const evaluated = ruleSet.rules.filter(({ mode }) => mode !== 'disabled')
      return new Map(evaluated.map(({ id }) => [id, 0]))
    })
  }

  take(
    payment: PastPayment,
    old: Decision,
    now: Decision,
    truth: Truth,
    isLabelled: boolean,
  ): void {
    const amount = Number(now.lookedUp?.[0] ?? old.lookedUp?.[0] ?? 0)
    add(this.#payments, amount)
    if (isLabelled) this.#labelled++
    for (const [set, { outcome, hits }] of [old, now].entries()) {
      const counted = this.#hits[set]
      for (const { rule } of hits) counted?.set(rule, (counted.get(rule) ?? 0) + 1)
      const sums = this.#sets[set]
      if (sums === undefined || !isStopped(outcome)) continue
      add(sums.stopped, amount)
      if (truth === 'fraud') add(sums.fraudStopped, amount)
      else if (truth === 'genuine') add(sums.genuineStopped, amount)
    }
    if (old.outcome === now.outcome) this.#same++
    else this.#takeChange(payment, old, now, truth, amount)
  }

  #takeChange(
    { request }: PastPayment,
    old: Decision,
    now: Decision,
    truth: Truth,
    amount: number,
  ): void {
    const [from, to] = [old.outcome, now.outcome]
    const key = `${from} ${to}`
    let change = this.#changes.get(key)
    if (change === undefined) {
      change = { from, to, all: count(), fraud: count(), genuine: count(), examples: [] }
      this.#changes.set(key, change)
    }
    add(change.all, amount)
    if (truth === 'fraud' || truth === 'genuine') add(change[truth], amount)
    const { examples } = change
    const smallest = examples.at(-1)
    if (examples.length >= examplesEach && amount <= (smallest?.amount ?? 0)) return
    const live = ({ hits }: Decision) => hits.filter(({ mode }) => mode === 'live')
    const only = (one: Decision, other: Decision) => {
      const others = new Set(live(other).map(({ rule }) => rule))
      return live(one).flatMap(({ rule }) => (others.has(rule) ? [] : [rule]))
    }
    const { id, arrivedAtMs: atMs, channel } = request
    const named = { id, atMs, amount, currency: request.currency, channel, from, to, truth }
    examples.push({ ...named, before: only(old, now), after: only(now, old) })
    examples.sort((one, other) => other.amount - one.amount)
    examples.length = Math.min(examples.length, examplesEach)
  }

  finish(): Omit<Comparison, 'warmUp'> {
    const [before, after] = this.#sets as unknown as [ComparedSet, ComparedSet]
    const [old = new Map(), now = new Map()] = this.#hits
    const hasTruth = this.#labelled > 0
    const ids = [...new Set([...old.keys(), ...now.keys()])]
    const list = [...this.#changes.values()].sort((a, b) => b.all.payments - a.all.payments)
    return {
      ...{ before, after, hasTruth, payments: this.#payments, same: this.#same },
      changes: list.map(({ from, to, all, fraud, genuine }) => ({
        ...{ from, to, ...all },
        ...(hasTruth ? { fraud, genuine } : { fraud: count(), genuine: count() }),
      })),
      rules: ids
        .map((id) => ({ id, before: old.get(id) ?? null, after: now.get(id) ?? null }))
        .filter((rule) => rule.before !== rule.after),
      examples: list
        .flatMap(({ examples }) => examples)
        .slice(0, examplesMax)
        .map((example) => (hasTruth ? example : { ...example, truth: null })),
    }
  }
}
