// What an acquirer may send to capture, reverse, refund or increment a payment: its schema, its
// checks, its one form for comparison and storage.

import Type, { type Static } from 'typebox'
import { Compile } from 'typebox/compile'
import { type Refusal, refuse } from '../errors.ts'
import { AMOUNT_MAX, IDEMPOTENCY_KEY_CHARACTERS_MAX } from '../limits.ts'
import { explain, type SchemaProblem } from '../message.ts'
import type { StepKind } from '../store/index.ts'
import type { OriginalName } from './match-original.ts'

const FIELDS = {
  amount: Type.Optional(Type.Integer({ minimum: 1, maximum: AMOUNT_MAX })),
  currency: Type.Optional(Type.String({ pattern: '^[A-Z]{3}$' })),
  stan: Type.Optional(Type.String({ pattern: '^[0-9]{6}$' })),
  transmittedAt: Type.Optional(
    Type.String({ pattern: '^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d(\\.\\d{1,9})?Z$' }),
  ),
}
const closed = { additionalProperties: false } as const
const StepSchema = Type.Object(FIELDS, closed)
const validator = Compile(StepSchema)
const REFUND_FIELDS = { ...FIELDS, told: Type.Optional(Type.Boolean()) }
const refundValidator = Compile(Type.Object(REFUND_FIELDS, closed))

const ORIGINAL = {
  idempotencyKey: Type.Optional(
    Type.String({ maxLength: IDEMPOTENCY_KEY_CHARACTERS_MAX, pattern: '^[\\x21-\\x7e]+$' }),
  ),
  rrn: Type.Optional(Type.String({ pattern: '^[0-9A-Za-z]{12}$' })),
  transmittedAt: FIELDS.transmittedAt,
}
const OriginalSchema = Type.Object({ ...FIELDS, original: Type.Object(ORIGINAL, closed) }, closed)
const originalValidator = Compile(OriginalSchema)

/** A step that passed every check of its form; whether the payment allows it is another matter. */
export interface StepRequest {
  readonly kind: StepKind
  /** The authorization's id. */
  readonly paymentId: string
  /** Integer minor units; undefined: all that there is of it. */
  readonly amount: number | undefined
  /** Must be the payment's where it is given. */
  readonly currency: string | undefined
  readonly stan: string | undefined
  readonly transmittedAt: string | undefined
  /** Of a refund: it was made already, and its issuer is told, not asked. */
  readonly isTold?: boolean
  /** What only ISO 8583 says of a step. */
  readonly wire?: WireStep
}

/** Amounts are integer minor units. */
export interface WireStep {
  /** What makes a message with the same key the same, as texts. */
  readonly compared: readonly string[]
  /** The card, where the message names it: it must be the payment's. */
  readonly cardToken: string | undefined
  /** Of a reversal: what its sender takes for all of it. */
  readonly whole: number | undefined
  /** Of a partial reversal: what stands after it. */
  readonly standing: number | undefined
}

/** Checks a body. Returns the request, or the first thing wrong with its field. */
export function parseStep(kind: StepKind, paymentId: string, body: unknown): StepRequest | Refusal {
  const isRefund = kind === 'refund'
  const check = isRefund ? refundValidator : validator
  if (!check.Check(body)) {
    const problems = check.Errors(body) as readonly SchemaProblem[]
    return explain(problems, () => Object.keys(isRefund ? REFUND_FIELDS : FIELDS))
  }
  if (kind === 'increment' && body.amount === undefined) {
    return refuse('missing_field', 'amount is required: how much more to hold', 'amount')
  }
  const { amount, currency, stan, transmittedAt }: Static<typeof StepSchema> = body
  const isTold = isRefund && (body as { told?: boolean }).told === true
  const step = { kind, paymentId, amount, currency, stan, transmittedAt }
  return isTold ? { ...step, isTold } : step
}

/** A reversal that names its original by the acquirer's own numbers. */
export interface OriginalReversal {
  readonly name: OriginalName
  readonly request: Omit<StepRequest, 'paymentId'>
  readonly rrn: string | undefined
  /** When the original was sent, milliseconds since 1970. */
  readonly sentAtMs: number | undefined
}

/** Checks the body of a reversal without an id in its path. The key names better than the RRN. */
export function parseOriginalReversal(body: unknown): OriginalReversal | Refusal {
  if (!originalValidator.Check(body)) {
    const problems = originalValidator.Errors(body) as readonly SchemaProblem[]
    const fields = [...Object.keys(FIELDS), 'original']
    return explain(problems, (parent) => (parent === '' ? fields : Object.keys(ORIGINAL)))
  }
  const { amount, currency, stan, transmittedAt } = body
  const { idempotencyKey, rrn, transmittedAt: sentAt } = body.original
  const name: OriginalName | undefined =
    idempotencyKey !== undefined
      ? { kind: 'key', idempotencyKey }
      : rrn !== undefined
        ? { kind: 'rrn', rrn }
        : undefined
  if (name === undefined) {
    const detail = 'original.idempotencyKey or original.rrn is required'
    return refuse('missing_field', detail, 'original.idempotencyKey')
  }
  const sentAtMs = sentAt === undefined ? undefined : Date.parse(sentAt)
  return {
    name,
    request: { kind: 'reversal', amount, currency, stan, transmittedAt },
    rrn,
    sentAtMs,
  }
}
