// What the acquirer asked and what it was told: the auditor's first book.

export type AskedKind = 'authorization' | 'capture' | 'reversal'

/** One request, whatever became of it. Amounts in minor units. */
export interface Asked {
  readonly idempotencyKey: string
  readonly kind: AskedKind
  readonly amount: number
  /** What an answer to an authorization must repeat. Of a step: its authorization's. */
  readonly maskedPan: string
  readonly terminalId: string
  readonly rrn: string
  /** Of a step: the authorization that it belongs to. */
  readonly of: Asked | null
  /** The first answer. Undefined: none came. */
  answer: Told | undefined
  /** Answers after the first that were not the same bytes; the first few. */
  readonly others: Told[]
  /** Times that the first answer came again, byte for byte. */
  repeats: number
  /** Why it was refused for good: status and code. */
  refusal: string | undefined
}

/** An answer (status 200). */
export interface Told {
  /** Of the body's bytes; over ISO 8583 of what `wireDigestOf` takes. */
  readonly digest: string
  /** Empty over ISO 8583, as are the issuer and a step's authorization: it has no place for them. */
  readonly id: string
  readonly type: string
  readonly outcome: string
  readonly responseCode: string
  readonly issuer: string
  /** Empty where there is none. */
  readonly approvalCode: string
  readonly amount: number
  readonly rrn: string
  /** Of a step's answer: empty. */
  readonly maskedPan: string
  /** Of a step: the authorization's id. */
  readonly authorization: string
  readonly standIn: boolean
  /** What the decision was made without; undefined where the answer does not say. */
  readonly degraded: readonly string[] | undefined
}
