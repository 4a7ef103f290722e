// What an acquirer may send to capture, reverse, refund or increment a payment: its schema, its
// checks, its one form for comparison and storage.

import Type, { type Static } from 'typebox'
import { Compile } from 'typebox/compile'
import { type Refusal, refuse } from './errors.ts'
import { AMOUNT_MAX } from './limits.ts'
import { explain, type SchemaProblem } from './message.ts'
import type { StepKind } from './store/index.ts'

const StepSchema = Type.Object(
  {
    amount: Type.Optional(Type.Integer({ minimum: 1, maximum: AMOUNT_MAX })),
    currency: Type.Optional(Type.String({ pattern: '^[A-Z]{3}$' })),
    stan: Type.Optional(Type.String({ pattern: '^[0-9]{6}$' })),
    transmittedAt: Type.Optional(
      Type.String({ pattern: '^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d(\\.\\d{1,9})?Z$' }),
    ),
  },
  { additionalProperties: false },
)

const validator = Compile(StepSchema)
const FIELDS = Object.keys(StepSchema.properties)

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
}

/** Checks a body. Returns the request, or the first thing wrong with its field. */
export function parseStep(kind: StepKind, paymentId: string, body: unknown): StepRequest | Refusal {
  if (!validator.Check(body)) {
    const problems = validator.Errors(body) as readonly SchemaProblem[]
    return explain(problems, (parent) => (parent === '' ? FIELDS : []))
  }
  if (kind === 'increment' && body.amount === undefined) {
    return refuse('missing_field', 'amount is required: how much more to hold', 'amount')
  }
  const { amount, currency, stan, transmittedAt }: Static<typeof StepSchema> = body
  return { kind, paymentId, amount, currency, stan, transmittedAt }
}
