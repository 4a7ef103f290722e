// The life of a payment, one state machine: pure, and drawn in docs/payment.md. A state says what
// may happen next; the amounts say how much of it. Amounts are integer minor units:
//
//   authorized ─┬─ reversed    given back before it was taken
//               ├─ captured ─┬─ refunded    given back after
//               │            └─ (kept)
//               └─ (open)    may be captured, reversed, or lapse
//
// A sale and a cash withdrawal take the money at once: what is not reversed is captured.

import type { Config } from './config/index.ts'
import type { ErrorCode } from './errors.ts'
import { AMOUNT_MAX, AUTHORIZATION_VALID_MS, DAY_MS, PREAUTHORIZATION_VALID_MS } from './limits.ts'
import { type AuthorizationType, storedAuthorization } from './message.ts'
import { STEP_KINDS, type StepKind, type Transaction } from './store/index.ts'

export type PaymentState =
  /** The authorization has no outcome yet. */
  | 'in_flight'
  | 'declined'
  | 'challenged'
  /** Declined and reversed by us or by its acquirer: nobody knew what the issuer had done. */
  | 'undone'
  /** An inquiry: it holds no money. */
  | 'inquired'
  | 'authorized'
  | 'preauthorized'
  | 'partly_captured'
  /** All that was not reversed, or did not lapse, is captured. */
  | 'captured'
  | 'sold'
  | 'dispensed'
  | 'refunded'
  | 'reversed'
  /** Not captured in time. */
  | 'expired'

export type PaymentErrorCode = Extract<
  ErrorCode,
  | 'payment_in_progress'
  | 'payment_not_approved'
  | 'payment_is_inquiry'
  | 'payment_captured'
  | 'payment_refunded'
  | 'payment_reversed'
  | 'payment_expired'
  | 'already_reversed'
  | 'capture_not_needed'
  | 'nothing_captured'
  | 'refund_not_allowed'
  | 'increment_not_allowed'
  | 'capture_above_authorized'
  | 'reversal_above_authorized'
  | 'refund_above_captured'
  | 'increment_above_maximum'
>

/** What may happen to a payment: a step, or that an earlier refund or increment is taken back. */
export const EVENT_KINDS = [...STEP_KINDS, 'refund_reversal', 'increment_reversal'] as const
export type EventKind = (typeof EVENT_KINDS)[number]

/** Where an event may lead, or why there is none. */
export type Transition = readonly PaymentState[] | PaymentErrorCode

type Row = Readonly<Record<EventKind, Transition>>

const never = (code: PaymentErrorCode): Row => ({
  capture: code,
  reversal: code,
  refund: code,
  increment: code,
  refund_reversal: code,
  increment_reversal: code,
})

export const TRANSITIONS: Readonly<Record<PaymentState, Row>> = {
  in_flight: { ...never('payment_in_progress'), reversal: ['undone'] },
  declined: never('payment_not_approved'),
  challenged: never('payment_not_approved'),
  undone: { ...never('payment_not_approved'), reversal: ['undone'] },
  inquired: never('payment_is_inquiry'),
  authorized: {
    capture: ['partly_captured', 'captured'],
    reversal: ['authorized', 'reversed'],
    refund: 'nothing_captured',
    increment: 'increment_not_allowed',
    refund_reversal: 'nothing_captured',
    increment_reversal: 'increment_not_allowed',
  },
  preauthorized: {
    capture: ['partly_captured', 'captured'],
    reversal: ['preauthorized', 'reversed'],
    refund: 'nothing_captured',
    increment: ['preauthorized'],
    refund_reversal: 'nothing_captured',
    increment_reversal: ['preauthorized', 'reversed'],
  },
  partly_captured: {
    capture: ['partly_captured', 'captured'],
    reversal: ['partly_captured', 'captured', 'refunded'],
    refund: ['partly_captured'],
    increment: 'increment_not_allowed',
    refund_reversal: ['partly_captured'],
    increment_reversal: ['partly_captured', 'captured', 'refunded'],
  },
  captured: {
    capture: 'capture_above_authorized',
    reversal: 'payment_captured',
    refund: ['captured', 'refunded'],
    increment: 'increment_not_allowed',
    refund_reversal: ['captured'],
    increment_reversal: ['captured'],
  },
  sold: {
    capture: 'capture_not_needed',
    reversal: ['sold', 'refunded', 'reversed'],
    refund: ['sold', 'refunded'],
    increment: 'increment_not_allowed',
    refund_reversal: ['sold'],
    increment_reversal: 'increment_not_allowed',
  },
  dispensed: {
    capture: 'capture_not_needed',
    reversal: ['dispensed', 'reversed'],
    refund: 'refund_not_allowed',
    increment: 'increment_not_allowed',
    refund_reversal: 'refund_not_allowed',
    increment_reversal: 'increment_not_allowed',
  },
  refunded: {
    ...never('payment_refunded'),
    refund: 'refund_above_captured',
    refund_reversal: ['captured', 'sold'],
  },
  reversed: { ...never('payment_reversed'), reversal: 'already_reversed' },
  expired: {
    ...never('payment_expired'),
    reversal: ['expired', 'reversed'],
    increment_reversal: ['expired', 'reversed'],
  },
}

/** What a payment stands at. */
export interface Payment {
  readonly type: AuthorizationType
  readonly state: PaymentState
  readonly isExpired: boolean
  /** What was asked for at first. */
  readonly requested: number
  /** What the issuer approved, increments included. */
  readonly authorized: number
  readonly captured: number
  readonly reversed: number
  readonly refunded: number
}

/** What an acquirer wants; without an amount: all that there is of it. */
export interface PaymentEvent {
  readonly kind: EventKind
  readonly amount: number | undefined
  /** What still stands of the refund or the increment that is taken back. */
  readonly standing?: number
}

export type Advance =
  | { readonly kind: 'legal'; readonly amount: number; readonly after: Payment }
  | { readonly kind: 'illegal'; readonly code: PaymentErrorCode }

/** What one step would do. Never throws; what it returns is in the table. */
export function advance(payment: Payment, event: PaymentEvent): Advance {
  const transition = TRANSITIONS[payment.state][event.kind]
  if (typeof transition === 'string') return { kind: 'illegal', code: transition }
  if (payment.state === 'in_flight' || payment.state === 'undone') return undo(payment, event)
  if (event.standing === 0) return { kind: 'illegal', code: 'already_reversed' }
  const room = availableFor(payment, event.kind)
  const available = Math.min(room, event.standing ?? room)
  const amount = event.amount ?? available
  // "All that is left" of nothing is no step: it would be recorded, and told the issuer as zero.
  if (available === 0 || amount > available) return { kind: 'illegal', code: ABOVE[event.kind] }
  return { kind: 'legal', amount, after: apply(payment, event.kind, amount) }
}

const ABOVE: Readonly<Record<EventKind, PaymentErrorCode>> = {
  capture: 'capture_above_authorized',
  reversal: 'reversal_above_authorized',
  refund: 'refund_above_captured',
  increment: 'increment_above_maximum',
  refund_reversal: 'reversal_above_authorized',
  increment_reversal: 'reversal_above_authorized',
}

/** A reversal of what nobody knows yet takes all of it, or waits until somebody does. */
function undo(payment: Payment, { amount }: PaymentEvent): Advance {
  const all = payment.requested
  if (amount !== undefined && amount > all) return { kind: 'illegal', code: ABOVE.reversal }
  if (payment.state === 'in_flight' && amount !== undefined && amount < all) {
    return { kind: 'illegal', code: 'payment_in_progress' }
  }
  return { kind: 'legal', amount: all, after: { ...payment, state: 'undone' } }
}

function availableFor(payment: Payment, kind: EventKind): number {
  const { authorized, captured, reversed, refunded } = payment
  switch (kind) {
    case 'capture':
      return authorized - captured - reversed
    case 'reversal':
      return takesAtOnce(payment.type) ? captured - refunded : authorized - captured - reversed
    case 'refund':
      return captured - refunded
    case 'increment':
      return AMOUNT_MAX - authorized
    case 'refund_reversal':
      return refunded
    case 'increment_reversal':
      return authorized - captured - reversed
  }
}

/** The payment after a step that took effect; the amount is below what is available. */
export function apply(payment: Payment, kind: EventKind, amount: number): Payment {
  const by = (adds: EventKind, takes?: EventKind) =>
    kind === adds ? amount : kind === takes ? -amount : 0
  const authorized = payment.authorized + by('increment', 'increment_reversal')
  const reversed = payment.reversed + by('reversal')
  const refunded = payment.refunded + by('refund', 'refund_reversal')
  const captured = takesAtOnce(payment.type)
    ? authorized - reversed
    : payment.captured + (kind === 'capture' ? amount : 0)
  const after = { ...payment, authorized, captured, reversed, refunded }
  return { ...after, state: stateOf(after) }
}

/** The state of an approved payment that holds money. */
function stateOf(payment: Payment): PaymentState {
  const { type, isExpired, authorized, captured, reversed, refunded } = payment
  if (reversed === authorized) return 'reversed'
  if (type === 'cash_withdrawal') return 'dispensed'
  if (type === 'sale') return refunded === captured ? 'refunded' : 'sold'
  if (captured === 0) {
    if (isExpired) return 'expired'
    return type === 'preauthorization' ? 'preauthorized' : 'authorized'
  }
  if (captured + reversed < authorized && !isExpired) return 'partly_captured'
  return refunded === captured ? 'refunded' : 'captured'
}

function takesAtOnce(type: AuthorizationType): boolean {
  return type === 'sale' || type === 'cash_withdrawal'
}

/** It holds no money, so there is nothing to undo. */
export function isInquiry(type: AuthorizationType): boolean {
  return type === 'balance_inquiry' || type === 'account_verification'
}

/** A payment whose authorization was just approved. */
export function approvedPayment(
  type: AuthorizationType,
  requested: number,
  authorized: number,
  isExpired: boolean,
): Payment {
  const captured = takesAtOnce(type) ? authorized : 0
  const sums = { requested, authorized, captured, reversed: 0, refunded: 0 }
  const payment: Payment = { type, state: 'inquired', isExpired, ...sums }
  return isInquiry(type) ? payment : { ...payment, state: stateOf(payment) }
}

function validMsOf(type: AuthorizationType, validity: Config['validity']): number {
  if (type === 'preauthorization') {
    return validity ? validity.preauthorizationDays * DAY_MS : PREAUTHORIZATION_VALID_MS
  }
  return validity ? validity.authorizationDays * DAY_MS : AUTHORIZATION_VALID_MS
}

/**
 * What the records of an authorization and its steps, in their order, come to. `nowMs`:
 * milliseconds since 1970; an authorization lapses when its validity is over, the configured one or
 * the limits' own.
 */
export function paymentOf(
  authorization: Transaction,
  steps: readonly Transaction[],
  nowMs: number,
  validity?: Config['validity'],
): Payment {
  const { type, amount: requested } = storedAuthorization(authorization.intent)
  const isExpired = nowMs - authorization.intent.createdAtMs > validMsOf(type, validity)
  const { outcome } = authorization
  const approved = outcome?.outcome === 'approved' ? Number(outcome.answer.amount) : 0
  const payment = approvedPayment(type, requested, approved, isExpired)
  if (payment.state === 'inquired') return payment
  if (outcome === null) return { ...payment, state: 'in_flight' }
  if (outcome.outcome !== 'approved') {
    const isUndone = outcome.reversal !== null || outcome.cause === 'acquirer_reversal'
    const state = isUndone ? 'undone' : outcome.outcome
    return { ...payment, state }
  }
  return steps.reduce((sum, step) => {
    const kind = step.outcome?.outcome === 'approved' ? eventKindOf(step) : undefined
    return kind === undefined ? sum : apply(sum, kind, Number(step.outcome?.answer.amount))
  }, payment)
}

/** Which step of the payment a reversal takes back; absent where it is about the authorization. */
export interface ReversedStep {
  readonly id: string
  readonly kind: 'refund' | 'increment'
  /** It had no effect at its issuer that anybody knows of: there is nothing to take back. */
  readonly isUndone: boolean
}

/** What a step that took effect did; undefined where that is nothing. */
function eventKindOf({ intent }: Transaction): EventKind | undefined {
  const { of } = intent.request as { readonly of?: ReversedStep }
  if (of === undefined) return intent.kind as StepKind
  return of.isUndone ? undefined : `${of.kind}_reversal`
}

/** What still stands of a refund or an increment, after the steps that took some of it back. */
export function standingOf(step: Transaction, steps: readonly Transaction[]): number {
  const takenBack = steps.filter(
    ({ intent, outcome }) =>
      (intent.request as { readonly of?: ReversedStep }).of?.id === step.intent.id &&
      outcome?.outcome === 'approved',
  )
  const approved = step.outcome?.outcome === 'approved' ? Number(step.outcome.answer.amount) : 0
  return takenBack.reduce((sum, { outcome }) => sum - Number(outcome?.answer.amount), approved)
}
