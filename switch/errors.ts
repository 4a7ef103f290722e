// Every error that an acquirer can be answered, in one place: a stable code, its HTTP status and
// what to do. `docs/errors.md` has a row for each, and a test that the two agree.

export interface ErrorKind {
  readonly status: number
  readonly title: string
  /** DE39 of the same refusal over ISO 8583:1987, where a payment's own state is the reason. */
  readonly responseCode?: string
}

export const ERRORS = {
  unreadable_body: { status: 400, title: 'The body is not readable as its Content-Type' },
  unsupported_content_type: {
    status: 400,
    title: 'The Content-Type is not one that is spoken here',
  },
  idempotency_key_required: { status: 400, title: 'Every POST needs an Idempotency-Key' },
  idempotency_key_invalid: { status: 400, title: 'The Idempotency-Key is not usable' },
  ambiguous_request: { status: 400, title: 'The headers allow more than one reading' },
  unauthorized: { status: 401, title: 'The API key is missing or unknown' },
  signature_invalid: { status: 401, title: 'The signature does not hold' },
  signature_expired: { status: 401, title: 'The signature is too old, or from the future' },
  signature_replayed: { status: 401, title: 'The signature was used before' },
  content_digest_mismatch: { status: 401, title: 'The body is not the one that was signed' },
  not_found: { status: 404, title: 'There is nothing here', responseCode: '25' },
  idempotency_key_in_progress: { status: 409, title: 'The first request is still running' },
  authorization_in_progress: { status: 409, title: 'The authorization has no outcome yet' },
  payment_in_progress: {
    status: 409,
    title: 'Another step of the payment has no outcome yet',
    responseCode: '09',
  },
  payment_not_approved: {
    status: 409,
    title: 'The authorization was not approved',
    responseCode: '12',
  },
  payment_is_inquiry: { status: 409, title: 'An inquiry holds no money', responseCode: '12' },
  payment_captured: { status: 409, title: 'What was captured is refunded', responseCode: '12' },
  payment_refunded: { status: 409, title: 'The payment was refunded', responseCode: '12' },
  payment_reversed: { status: 409, title: 'The payment was reversed', responseCode: '12' },
  payment_expired: { status: 409, title: 'The authorization has lapsed', responseCode: '12' },
  already_reversed: { status: 409, title: 'The payment was reversed before', responseCode: '94' },
  capture_not_needed: { status: 409, title: 'The money was taken at once', responseCode: '12' },
  nothing_captured: { status: 409, title: 'There is nothing to refund yet', responseCode: '12' },
  refund_not_allowed: { status: 409, title: 'Cash is reversed, not refunded', responseCode: '12' },
  increment_not_allowed: {
    status: 409,
    title: 'Only a pre-authorization that is not captured can grow',
    responseCode: '12',
  },
  original_ambiguous: {
    status: 409,
    title: 'More than one authorization could be meant',
    responseCode: '25',
  },
  too_many_steps: { status: 409, title: 'The payment has too many steps', responseCode: '12' },
  body_too_large: { status: 413, title: 'The body is over the limit' },
  missing_field: { status: 422, title: 'A required field is missing' },
  unknown_field: { status: 422, title: 'A field is not known' },
  invalid_field: { status: 422, title: 'A field has a wrong value' },
  invalid_amount: { status: 422, title: 'The amount does not fit the type' },
  invalid_currency: { status: 422, title: 'The currency is not known' },
  invalid_pan: { status: 422, title: 'The card number is not valid' },
  invalid_expiry: { status: 422, title: 'The expiry is not a valid YYMM' },
  capture_above_authorized: {
    status: 422,
    title: 'More than is authorized and not captured',
    responseCode: '13',
  },
  reversal_above_authorized: {
    status: 422,
    title: 'More than can be reversed',
    responseCode: '13',
  },
  refund_above_captured: {
    status: 422,
    title: 'More than is captured and not refunded',
    responseCode: '13',
  },
  increment_above_maximum: {
    status: 422,
    title: 'More than an amount may be',
    responseCode: '13',
  },
  no_route: { status: 422, title: 'No issuer takes this card', responseCode: '92' },
  unknown_card_token: { status: 422, title: 'The card token is not known' },
  idempotency_key_reused: { status: 422, title: 'The key was used for another request' },
  overloaded: { status: 503, title: 'Too many requests are in flight' },
  draining: { status: 503, title: 'This process is shutting down' },
  store_unavailable: { status: 503, title: 'Nothing can be stored' },
  outcome_unknown: { status: 503, title: 'The outcome could not be made durable' },
} as const satisfies Readonly<Record<string, ErrorKind>>

export type ErrorCode = keyof typeof ERRORS

/** An operating error on its way to the acquirer. Holds no card data. */
export interface Refusal {
  readonly kind: 'refused'
  readonly code: ErrorCode
  /** What was wrong and what to do. */
  readonly detail: string
  /** The field that it is about, as a path: `card.expiry`. */
  readonly param?: string
  /** Seconds after which a retry makes sense (`Retry-After`). */
  readonly retryAfterSeconds?: number
  /** Nothing was asked of a payment: no response code says what became of it. */
  readonly isWrongPath?: true
}

export function refuse(code: ErrorCode, detail: string, param?: string): Refusal {
  return param === undefined
    ? { kind: 'refused', code, detail }
    : { kind: 'refused', code, detail, param }
}

/** Where nobody answers; `detail` names where somebody does. */
export function refusePath(detail: string): Refusal {
  return { kind: 'refused', code: 'not_found', detail, isWrongPath: true }
}

/** A refusal that asks for a retry. */
export function refuseForNow(code: ErrorCode, detail: string, retryAfterSeconds: number): Refusal {
  return { kind: 'refused', code, detail, retryAfterSeconds }
}

/** The body of RFC 9457, as `application/problem+json`. */
export function problemDocument(refusal: Refusal, requestId: string): Record<string, unknown> {
  const { status, title, responseCode: known }: ErrorKind = ERRORS[refusal.code]
  const responseCode = refusal.isWrongPath === true ? undefined : known
  return {
    type: `urn:switchyard:error:${refusal.code}`,
    title,
    status,
    detail: refusal.detail,
    code: refusal.code,
    ...(responseCode === undefined ? {} : { responseCode }),
    ...(refusal.param === undefined ? {} : { param: refusal.param }),
    request_id: requestId,
  }
}
