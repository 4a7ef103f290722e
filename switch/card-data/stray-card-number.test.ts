import assert from 'node:assert/strict'
import test from 'node:test'
import { Router } from '../route.ts'
import { refuseStrayCardNumber } from './stray-card-number.ts'

const router = new Router([{ bins: ['476173'], issuer: 'demo-a' }])
const refused = (stored: object, key = 'k-1') => refuseStrayCardNumber(stored, key, router)

test('a card number in a field is refused by the field’s name, however it is written', () => {
  for (const written of ['4761739001010119', '4761 7390 0101 0119', 'a 4761-7390-0101-0119 b']) {
    const refusal = refused({ amount: 1, merchant: { id: 'M-1', name: written } })
    assert.equal(refusal?.code, 'invalid_field')
    assert.equal(refusal?.param, 'merchant.name')
    assert.ok(!JSON.stringify(refusal).includes('0119'))
  }
  assert.equal(refused({ initialReference: '4761739001010119' })?.param, 'initialReference')
})

test('a card number as the key is refused', () => {
  assert.equal(refused({}, '4761739001010119')?.code, 'idempotency_key_invalid')
})

test('long ids and times are let through, also where they pass Luhn', () => {
  assert.equal(refused({ customer: { id: '4111111111111111' } }), undefined)
  for (let i = 0; i < 200; i++) {
    assert.equal(
      refused({ rrn: '632610000123' }, String(1_795_000_000_000_000_000n + BigInt(i))),
      undefined,
    )
  }
  assert.equal(refused({ card: { bin: '47617390', masked: '476173******0119' } }), undefined)
})
