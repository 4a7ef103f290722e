// Annotated samples against what the rules say of them.

import { RISK_OUTCOMES, type RiskOutcome } from './outcome.ts'

/** How many samples of a kind got which outcome. */
export type OutcomeCounts = Readonly<Record<RiskOutcome, number>>

export interface Confusion {
  readonly fraud: OutcomeCounts
  readonly genuine: OutcomeCounts
  /** Fraud among what is stopped (challenge or decline); null when nothing is. */
  readonly precision: number | null
  /** What is stopped among the fraud; null when there is none. */
  readonly recall: number | null
}

/** The matrix of samples; undefined when there is none. */
export function confusionOf(
  samples: readonly { readonly fraud: boolean; readonly outcome: RiskOutcome }[],
): Confusion | undefined {
  if (samples.length === 0) return undefined
  const counts = (fraud: boolean): Record<RiskOutcome, number> => {
    const of = (outcome: RiskOutcome) =>
      samples.filter((sample) => sample.fraud === fraud && sample.outcome === outcome).length
    return Object.fromEntries(RISK_OUTCOMES.map((outcome) => [outcome, of(outcome)])) as Record<
      RiskOutcome,
      number
    >
  }
  const [fraud, genuine] = [counts(true), counts(false)]
  const stopped = (of: OutcomeCounts) => of.challenge + of.decline
  const ratio = (part: number, whole: number) => (whole === 0 ? null : part / whole)
  const all = fraud.approve + fraud.review + stopped(fraud)
  return {
    fraud,
    genuine,
    precision: ratio(stopped(fraud), stopped(fraud) + stopped(genuine)),
    recall: ratio(stopped(fraud), all),
  }
}
