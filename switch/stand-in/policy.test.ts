import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import {
  approvalCodeFor,
  mayStandIn,
  movesOf,
  type Purchase,
  type StandInPolicy,
} from './policy.ts'

const POLICY: StandInPolicy = {
  currency: 'EUR',
  amountMax: 5_000,
  card: { countMax: 3, sumMax: 10_000 },
  bin: { countMax: 100, sumMax: 100_000 },
  mccs: ['5411', '5812'],
  scoreMax: 0.2,
}
const PURCHASE: Purchase = {
  type: 'sale',
  amount: 5_000,
  currency: 'EUR',
  mcc: '5411',
  hasPin: false,
}
const LOW = { outcome: 'approve', score: 0.2 } as const

test('a purchase inside every limit is stood in for', () => {
  for (const type of ['authorization', 'preauthorization', 'sale'] as const) {
    assert.equal(mayStandIn(POLICY, { ...PURCHASE, type }, LOW), undefined)
  }
})

test('each limit says no by its own name', () => {
  const judge = (changes: Partial<Purchase>) => mayStandIn(POLICY, { ...PURCHASE, ...changes }, LOW)
  for (const type of ['cash_withdrawal', 'balance_inquiry', 'account_verification'] as const) {
    assert.equal(judge({ type }), 'not_a_purchase')
  }
  assert.equal(judge({ hasPin: true }), 'not_a_purchase')
  assert.equal(judge({ amount: 5_001 }), 'amount')
  assert.equal(judge({ currency: 'USD' }), 'currency')
  assert.equal(judge({ mcc: '7995' }), 'mcc')
  assert.equal(mayStandIn(POLICY, PURCHASE, { ...LOW, score: 0.21 }), 'score')
  assert.equal(mayStandIn(POLICY, PURCHASE, { ...LOW, score: null }), 'score')
  assert.equal(mayStandIn(POLICY, PURCHASE, { ...LOW, score: Number.NaN }), 'score')
  assert.equal(mayStandIn(POLICY, PURCHASE, { ...LOW, outcome: 'review' }), 'risk')
  assert.equal(mayStandIn(POLICY, PURCHASE, { ...LOW, outcome: 'challenge' }), 'risk')
})

test('a window holds the moment, and all of its moments share it', () => {
  const minutes = fc.integer({ min: 1, max: 44_640 })
  const nowMs = fc.integer({ min: 0, max: 4e12 })
  fc.assert(
    fc.property(minutes, nowMs, fc.nat(), (windowMinutes, now, later) => {
      const card = { token: 'tok_1', bin: '47617390' }
      const policy = { ...POLICY, windowMinutes }
      const [first, second] = movesOf(policy, 'demo-a', card, 700, now)
      assert.ok(first && second)
      const windowMs = windowMinutes * 60_000
      assert.ok(first.windowEndMs > now && first.windowEndMs <= now + windowMs)
      assert.equal(first.windowEndMs % windowMs, 0)
      const inside = now + (later % (first.windowEndMs - now))
      assert.deepEqual(movesOf(policy, 'demo-a', card, 700, inside), [first, second])
      assert.deepEqual(
        [first.counter, second.counter],
        ['demo-a card tok_1', 'demo-a bin 47617390'],
      )
      assert.deepEqual([first.countMax, second.sumMax], [3, 100_000])
    }),
  )
})

test('an approval code fits DE38 and is the same for one id', () => {
  fc.assert(
    fc.property(fc.string(), (id) => {
      assert.match(approvalCodeFor(id), /^[0-9A-F]{6}$/)
      assert.equal(approvalCodeFor(id), approvalCodeFor(id))
    }),
  )
})
