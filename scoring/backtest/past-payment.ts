// A payment of the past: what was asked, what became of it, and what is known of it since.

import type { RiskOutcome } from '#rules'
import { isFraudKind } from '../label-kinds.ts'
import type { Decision, ScoringRequest } from '../request.ts'

export interface PastPayment {
  readonly request: ScoringRequest
  /** The acquirer's RRN; labels may name it. */
  readonly rrn: string | undefined
  /** How it ended; undefined where the data does not say. */
  readonly outcome: 'approved' | 'declined' | 'challenged' | undefined
  /** DE39 of the answer. */
  readonly responseCode: string | undefined
  /** When the outcome was known, milliseconds since 1970; NaN where it is not. */
  readonly endedAtMs: number
  /** What rules and model had said then; undefined where the data does not say. */
  readonly decided: RiskOutcome | undefined
  /** The whole decision, where a store kept it. */
  readonly decision: Decision | undefined
  readonly label: Label | undefined
}

/** The truth about a payment, which comes later. */
export interface Label {
  readonly kind: string
  /** When it was known, milliseconds since 1970; NaN where that is not said. */
  readonly knownAtMs: number
}

export function isFraud(label: Label): boolean {
  return isFraudKind(label.kind)
}

/** A line of a data file that says nothing that can be used, and why. Never repeats its values. */
export interface BadLine {
  readonly line: number
  /** The column; undefined where it is the line as a whole. */
  readonly column: string | undefined
  readonly message: string
}
