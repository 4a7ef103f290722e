// What an acquirer may tell: a payment that was decided without its issuer (below a floor limit, by
// a terminal off line), in the fields of an authorization and what was decided then.

import Type, { type Static } from 'typebox'
import { Compile } from 'typebox/compile'
import { type Refusal, refuse } from './errors.ts'
import {
  type AuthorizationRequest,
  explain,
  parseAuthorization,
  type SchemaProblem,
} from './message.ts'
import { RESPONSE_CODE } from './response-codes.ts'

const ToldSchema = Type.Object({
  responseCode: Type.Optional(Type.String({ pattern: '^[0-9A-Z]{2}$' })),
  approvalCode: Type.Optional(Type.String({ pattern: '^[0-9A-Za-z]{1,6}$' })),
  reasonCode: Type.Optional(Type.String({ pattern: '^[0-9]{4}$' })),
})
const validator = Compile(ToldSchema)
type Told = Static<typeof ToldSchema>

/** An advice that passed every check of its form. */
export interface AdviceRequest {
  /** The payment, as an authorization would have asked for it. */
  readonly authorization: AuthorizationRequest
  /** DE39 of what was decided, ISO 8583:1987. */
  readonly responseCode: string
  /** DE38 of the terminal or the acquirer. */
  readonly approvalCode: string | undefined
  /** A message reason code of ISO 8583:1993 (DE25 there), 1004 for "the terminal decided". */
  readonly reasonCode: string | undefined
}

/** Checks a body: an authorization's fields, and what was decided. No message repeats a value. */
export function parseAdvice(body: unknown): AdviceRequest | Refusal {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    return refuse('invalid_field', 'the body must be an object')
  }
  const { responseCode, approvalCode, reasonCode, ...fields } = body as Record<string, unknown>
  const told = withoutAbsent({ responseCode, approvalCode, reasonCode })
  if (!validator.Check(told)) {
    return explain(validator.Errors(told) as readonly SchemaProblem[], () => [])
  }
  const authorization = parseAuthorization(fields)
  return 'kind' in authorization ? authorization : adviceOf(authorization, told)
}

/** The advice of a request that is read already; an inquiry can't be told. */
export function adviceOf(authorization: AuthorizationRequest, told: Told): AdviceRequest | Refusal {
  const { type } = authorization
  if (type === 'balance_inquiry' || type === 'account_verification') {
    return refuse('invalid_field', `type must be one that holds money, not ${type}`, 'type')
  }
  const { responseCode = RESPONSE_CODE.approved, approvalCode, reasonCode } = told
  return { authorization, responseCode, approvalCode, reasonCode }
}

function withoutAbsent(fields: Readonly<Record<string, unknown>>): Told {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))
}
