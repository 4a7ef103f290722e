import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import test from 'node:test'
import fc from 'fast-check'
import { ERRORS } from './errors.ts'
import { AMOUNT_MAX, AUTHORIZATION_VALID_MS, DAY_MS, PREAUTHORIZATION_VALID_MS } from './limits.ts'
import { AUTHORIZATION_TYPES, type AuthorizationType } from './message.ts'
import {
  advance,
  apply,
  approvedPayment,
  EVENT_KINDS,
  type EventKind,
  type Payment,
  type PaymentState,
  paymentOf,
  TRANSITIONS,
} from './payment.ts'
import type { StepKind, Transaction } from './store/index.ts'

function approved(type: AuthorizationType = 'authorization', authorized = 1000): Payment {
  return approvedPayment(type, authorized, authorized, false)
}

/** Takes the steps, all legal, and says where they led. */
function after(payment: Payment, ...steps: [StepKind, number?][]): Payment {
  let now = payment
  for (const [kind, amount] of steps) {
    const verdict = advance(now, { kind, amount })
    assert.equal(verdict.kind, 'legal', `${kind} ${amount} of ${JSON.stringify(now)}`)
    if (verdict.kind === 'legal') now = verdict.after
  }
  return now
}

function codeOf(payment: Payment, kind: StepKind, amount?: number): string {
  const verdict = advance(payment, { kind, amount })
  return verdict.kind === 'illegal' ? verdict.code : 'legal'
}

function sums({ state, authorized, captured, reversed, refunded }: Payment) {
  return [state, authorized, captured, reversed, refunded]
}

test('docs/payment.md draws the table of the code, cell by cell', () => {
  const page = readFileSync(new URL('./docs/payment.md', import.meta.url), 'utf8')
  const rows = page
    .split('\n')
    .filter((line) => /^\| `[a-z_]+` \|/.test(line) && line.split('|').length === 9)
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.replaceAll('`', '').trim()),
    )
  const expected = Object.entries(TRANSITIONS).map(([state, row]) => [
    state,
    ...EVENT_KINDS.map((kind) => {
      const cell = row[kind]
      return typeof cell === 'string' ? cell : `→ ${cell.join(', ')}`
    }),
  ])
  assert.deepEqual(rows, expected)
})

test('every refusal of the table has its status and its DE39', () => {
  const codes = Object.values(TRANSITIONS).flatMap((row) =>
    Object.values(row).filter((cell) => typeof cell === 'string'),
  )
  assert.ok(codes.length > 20)
  for (const code of codes) {
    const { status, responseCode } = ERRORS[code]
    assert.ok(status === 409 || status === 422, code)
    assert.match(responseCode, /^[0-9]{2}$/)
  }
})

test('captures, whole and in parts, up to what is authorized', () => {
  assert.deepEqual(sums(after(approved(), ['capture'])), ['captured', 1000, 1000, 0, 0])
  const parts = after(approved(), ['capture', 400], ['capture', 600])
  assert.deepEqual(sums(parts), ['captured', 1000, 1000, 0, 0])
  const part = after(approved(), ['capture', 400])
  assert.equal(part.state, 'partly_captured')
  assert.equal(codeOf(part, 'capture', 601), 'capture_above_authorized')
  assert.equal(codeOf(approved(), 'capture', 1001), 'capture_above_authorized')
  assert.equal(codeOf(parts, 'capture', 1), 'capture_above_authorized')
})

test('reversals, whole and in parts, of what was not captured', () => {
  assert.deepEqual(sums(after(approved(), ['reversal'])), ['reversed', 1000, 0, 1000, 0])
  const rest = after(approved(), ['reversal', 300], ['capture'])
  assert.deepEqual(sums(rest), ['captured', 1000, 700, 300, 0])
  const released = after(approved(), ['capture', 300], ['reversal'])
  assert.deepEqual(sums(released), ['captured', 1000, 300, 700, 0])
  assert.equal(codeOf(released, 'reversal'), 'payment_captured')
  assert.equal(codeOf(approved(), 'reversal', 1001), 'reversal_above_authorized')
  const reversed = after(approved(), ['reversal', 400], ['reversal', 600])
  assert.equal(codeOf(reversed, 'reversal'), 'already_reversed')
  assert.equal(codeOf(reversed, 'capture'), 'payment_reversed')
})

test('refunds, whole and in parts, of what was captured', () => {
  assert.equal(codeOf(approved(), 'refund', 1), 'nothing_captured')
  const captured = after(approved(), ['capture', 600])
  assert.equal(codeOf(captured, 'refund', 601), 'refund_above_captured')
  assert.deepEqual(sums(after(captured, ['refund', 200], ['refund'])), [
    'partly_captured',
    1000,
    600,
    0,
    600,
  ])
  const refunded = after(approved(), ['capture'], ['refund'])
  assert.equal(refunded.state, 'refunded')
  assert.equal(codeOf(refunded, 'refund', 1), 'refund_above_captured')
})

test('only a pre-authorization grows, until it is captured', () => {
  const grown = after(approved('preauthorization'), ['increment', 500])
  assert.deepEqual(sums(grown), ['preauthorized', 1500, 0, 0, 0])
  assert.equal(after(grown, ['capture', 1500]).state, 'captured')
  assert.equal(codeOf(after(grown, ['capture', 1]), 'increment', 1), 'increment_not_allowed')
  assert.equal(codeOf(approved(), 'increment', 1), 'increment_not_allowed')
  const high = after(grown, ['increment', AMOUNT_MAX - 1500])
  assert.equal(codeOf(high, 'increment', 1), 'increment_above_maximum')
})

test('a sale and a cash withdrawal take the money at once', () => {
  for (const type of ['sale', 'cash_withdrawal'] as const) {
    assert.equal(codeOf(approved(type), 'capture'), 'capture_not_needed')
    assert.deepEqual(sums(after(approved(type), ['reversal', 300])).slice(2), [700, 300, 0])
    assert.equal(after(approved(type), ['reversal']).state, 'reversed')
  }
  assert.equal(codeOf(approved('cash_withdrawal'), 'refund'), 'refund_not_allowed')
  const sold = after(approved('sale'), ['refund', 300])
  assert.equal(codeOf(sold, 'reversal', 701), 'reversal_above_authorized')
  assert.equal(after(sold, ['reversal']).state, 'refunded')
})

/** As the store would read it back. */
function authorization(changes: {
  readonly type?: AuthorizationType
  readonly outcome?: 'approved' | 'declined' | 'challenged' | null
  readonly isReversed?: boolean
}): Transaction {
  const { type = 'authorization', outcome = 'approved', isReversed = false } = changes
  const record = { outcome, answer: { amount: 1000 }, reversal: isReversed ? {} : null }
  return {
    intent: { createdAtMs: 0, request: { type, amount: 1000 } },
    outcome: outcome === null ? null : record,
    steps: [],
  } as unknown as Transaction
}

function stateAt(nowMs: number, changes: Parameters<typeof authorization>[0]): PaymentState {
  return paymentOf(authorization(changes), [], nowMs).state
}

test('the records of an authorization say where its payment stands', () => {
  assert.equal(stateAt(1, {}), 'authorized')
  assert.equal(stateAt(1, { type: 'preauthorization' }), 'preauthorized')
  assert.equal(stateAt(1, { type: 'sale' }), 'sold')
  assert.equal(stateAt(1, { type: 'cash_withdrawal' }), 'dispensed')
  assert.equal(stateAt(1, { type: 'balance_inquiry' }), 'inquired')
  assert.equal(stateAt(1, { type: 'account_verification' }), 'inquired')
  assert.equal(stateAt(1, { outcome: 'declined' }), 'declined')
  assert.equal(stateAt(1, { outcome: 'challenged' }), 'challenged')
  assert.equal(stateAt(1, { outcome: 'declined', isReversed: true }), 'undone')
  assert.equal(stateAt(1, { outcome: null }), 'in_flight')
})

test('what is not captured in time lapses; what was sold does not', () => {
  assert.equal(stateAt(AUTHORIZATION_VALID_MS, {}), 'authorized')
  assert.equal(stateAt(AUTHORIZATION_VALID_MS + 1, {}), 'expired')
  const late = PREAUTHORIZATION_VALID_MS + 1
  assert.equal(stateAt(late - 1, { type: 'preauthorization' }), 'preauthorized')
  assert.equal(stateAt(late, { type: 'preauthorization' }), 'expired')
  assert.equal(stateAt(late, { type: 'sale' }), 'sold')
  const validity = { authorizationDays: 1, preauthorizationDays: 40 }
  const configured = (at: number, type: AuthorizationType) =>
    paymentOf(authorization({ type }), [], at, validity).state
  assert.equal(configured(DAY_MS, 'authorization'), 'authorized')
  assert.equal(configured(DAY_MS + 1, 'authorization'), 'expired')
  assert.equal(configured(40 * DAY_MS, 'preauthorization'), 'preauthorized')
  const lapsed = paymentOf(authorization({}), [], late)
  assert.equal(codeOf(lapsed, 'capture'), 'payment_expired')
  assert.equal(after(lapsed, ['reversal', 1]).state, 'expired')
  assert.equal(after(lapsed, ['reversal']).state, 'reversed')
  const step = {
    intent: { kind: 'capture', request: {} },
    outcome: { outcome: 'approved', answer: { amount: 400 } },
  } as unknown as Transaction
  const partly = paymentOf(authorization({}), [step], late)
  assert.equal(partly.state, 'captured')
  assert.equal(codeOf(partly, 'refund', 400), 'legal')
})

test('a reversal of what nobody knows yet takes all of it', () => {
  const inFlight = paymentOf(authorization({ outcome: null }), [], 1)
  assert.deepEqual(after(inFlight, ['reversal']).state, 'undone')
  assert.equal(codeOf(inFlight, 'reversal', 400), 'payment_in_progress')
  const undone = paymentOf(authorization({ outcome: 'declined', isReversed: true }), [], 1)
  assert.equal(codeOf(undone, 'reversal'), 'legal')
  assert.equal(codeOf(undone, 'reversal', 1001), 'reversal_above_authorized')
})

test('all that is left of nothing is refused', () => {
  const partly = after(approved('authorization'), ['capture', 100])
  const given = after(partly, ['refund'])
  assert.equal(given.state, 'partly_captured')
  assert.equal(codeOf(given, 'refund'), 'refund_above_captured')
})

test('no sequence of steps makes money, and none leaves the table', () => {
  const types = fc.constantFrom(...AUTHORIZATION_TYPES)
  const step = fc.record({
    kind: fc.constantFrom(...EVENT_KINDS),
    // Which of the refunds, or increments, is taken back.
    which: fc.nat(3),
    amount: fc.option(fc.integer({ min: 1, max: 1500 }), { nil: undefined }),
    // An issuer may approve a part of an increment.
    part: fc.integer({ min: 1, max: 1500 }),
  })
  const steps = fc.array(step, { maxLength: 40 })
  const property = fc.property(types, fc.integer({ min: 1, max: 2000 }), fc.boolean(), steps, run)
  fc.assert(property, { numRuns: 2000 })

  function run(
    type: AuthorizationType,
    authorized: number,
    isExpired: boolean,
    taken: readonly {
      kind: EventKind
      which: number
      amount: number | undefined
      part: number
    }[],
  ): void {
    let payment = approvedPayment(type, authorized, authorized, isExpired)
    const standing = { refund: [] as number[], increment: [] as number[] }
    for (const { kind, which, amount, part } of taken) {
      const of = kind === 'refund_reversal' ? standing.refund : standing.increment
      const isTakenBack = kind.endsWith('_reversal')
      if (isTakenBack && of[which] === undefined) continue
      const event = isTakenBack ? { standing: of[which] as number } : {}
      const verdict = advance(payment, { kind, amount, ...event })
      const allowed = TRANSITIONS[payment.state][kind]
      if (verdict.kind === 'illegal') {
        const isGone = isTakenBack && of[which] === 0
        assert.ok(typeof allowed !== 'string' || allowed === verdict.code || isGone)
        continue
      }
      assert.ok(verdict.amount > 0)
      const isPartial = kind === 'increment' && part < verdict.amount
      const next = isPartial ? apply(payment, kind, part) : verdict.after
      assert.ok(Array.isArray(allowed) && allowed.includes(next.state), `${kind} → ${next.state}`)
      const moved = isPartial ? part : verdict.amount
      if (isTakenBack) of[which] = (of[which] as number) - moved
      if (kind === 'refund' || kind === 'increment') standing[kind].push(moved)
      payment = next
      assert.ok((of[which] ?? 0) >= 0, 'more was taken back than stood')
      const total = standing.refund.reduce((sum, one) => sum + one, 0)
      assert.equal(payment.refunded, total, 'the refunds that stand are what is refunded')
      const { authorized: all, captured, reversed, refunded } = payment
      assert.ok(captured >= 0 && reversed >= 0 && refunded >= 0)
      assert.ok(captured + reversed <= all, 'more left than was authorized')
      assert.ok(refunded <= captured, 'more came back than was taken')
    }
  }
})
