import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { Pan } from './card-data/index.ts'
import type { ErrorCode } from './errors.ts'
import { parseAuthorization, storedRequest } from './message.ts'

const VALID = {
  type: 'authorization',
  amount: 2599,
  currency: 'EUR',
  channel: 'pos',
  card: { pan: '4761739001010119', expiry: '2912' },
  merchant: { id: 'M-1001', name: 'Corner Shop', mcc: '5411', country: 'DE' },
  terminal: { id: 'T-0001', entryMode: 'contactless' },
  device: { id: 'D-77', ip: '203.0.113.7' },
  customer: { id: 'C-42' },
  stan: '000123',
  rrn: '632610000123',
  transmittedAt: '2026-11-22T10:00:00Z',
}

/** `VALID` with the value at a dotted path replaced; undefined takes the field out. */
function withValue(path: string, value: unknown): unknown {
  const copy = structuredClone(VALID) as Record<string, unknown>
  const names = path.split('.')
  let target = copy
  for (const name of names.slice(0, -1)) target = target[name] as Record<string, unknown>
  const last = names.at(-1) ?? ''
  if (value === undefined) delete target[last]
  else target[last] = value
  return copy
}

test('the example of the contract is accepted', () => {
  const request = parseAuthorization(VALID)
  assert.ok(!('kind' in request))
  assert.equal(request.currencyNumeric, '978')
  assert.equal(request.type, 'authorization')
})

const refusals: readonly [path: string, value: unknown, code: ErrorCode, param: string][] = [
  ['amount', '2599', 'invalid_amount', 'amount'],
  ['amount', -1, 'invalid_amount', 'amount'],
  ['amount', 25.99, 'invalid_amount', 'amount'],
  ['amount', 1e12, 'invalid_amount', 'amount'],
  ['amount', Number.NaN, 'invalid_amount', 'amount'],
  ['amount', 0, 'invalid_amount', 'amount'],
  ['amount', undefined, 'missing_field', 'amount'],
  ['currency', 'EURO', 'invalid_currency', 'currency'],
  ['currency', 'ZZZ', 'invalid_currency', 'currency'],
  ['currency', 978, 'invalid_currency', 'currency'],
  ['channel', 'fax', 'invalid_field', 'channel'],
  ['type', 'purchase', 'invalid_field', 'type'],
  ['card.pan', '4761739001010110', 'invalid_pan', 'card.pan'],
  ['card.pan', '47617390010', 'invalid_pan', 'card.pan'],
  ['card.pan', '47617390010101190000', 'invalid_pan', 'card.pan'],
  ['card.pan', 4761739001010119, 'invalid_pan', 'card.pan'],
  ['card.pan', undefined, 'missing_field', 'card.pan'],
  ['card.expiry', undefined, 'missing_field', 'card.expiry'],
  ['card.expiry', '2913', 'invalid_expiry', 'card.expiry'],
  ['card.expiry', '12/29', 'invalid_expiry', 'card.expiry'],
  ['card.expiry', '', 'invalid_expiry', 'card.expiry'],
  ['card.cvv', '12', 'invalid_field', 'card.cvv'],
  ['card.token', 'tok_AAAAAAAAAAAAAAAAAAAAAA', 'invalid_field', 'card.token'],
  ['card', undefined, 'missing_field', 'card'],
  ['card', null, 'invalid_field', 'card'],
  ['merchant.id', undefined, 'missing_field', 'merchant.id'],
  ['merchant.id', 'M-10010000000000', 'invalid_field', 'merchant.id'],
  ['merchant.mcc', '541', 'invalid_field', 'merchant.mcc'],
  ['terminal.id', 'T-0001000', 'invalid_field', 'terminal.id'],
  ['terminal.entryMode', 'swipe', 'invalid_field', 'terminal.entryMode'],
  ['merchant.nmae', 'x', 'unknown_field', 'merchant.nmae'],
  ['surprise', 1, 'unknown_field', 'surprise'],
  ['rrn', '12', 'invalid_field', 'rrn'],
  ['merchant.name', 'line\nbreak', 'invalid_field', 'merchant.name'],
]

for (const [path, value, code, param] of refusals) {
  test(`${path} = ${String(JSON.stringify(value))} is ${code}`, () => {
    const refusal = parseAuthorization(withValue(path, value))
    assert.ok('kind' in refusal, 'it was accepted')
    assert.equal(refusal.code, code)
    assert.equal(refusal.param, param)
  })
}

test('an unknown field is told the nearest known one', () => {
  const refusal = parseAuthorization(withValue('merchant.nmae', 'x'))
  assert.ok('kind' in refusal)
  assert.match(refusal.detail, /did you mean name/)
})

test('an amount of 0 is for inquiries, and nothing else is', () => {
  for (const type of ['balance_inquiry', 'account_verification']) {
    assert.ok(!('kind' in parseAuthorization({ ...VALID, type, amount: 0 })))
    assert.ok('kind' in parseAuthorization({ ...VALID, type, amount: 1 }))
  }
})

test('a refusal never repeats a card number, whatever field it stands in', () => {
  const pan = '4761739001010119'
  for (const body of [
    withValue('card.pan', `${pan}0`),
    withValue('card.expiry', pan),
    withValue(`card.${pan}`, 1),
    withValue('channel', pan),
    { ...VALID, [pan]: pan },
  ]) {
    const refusal = parseAuthorization(body)
    assert.ok('kind' in refusal)
    assert.ok(!JSON.stringify(refusal).includes(pan), JSON.stringify(refusal))
  }
})

test('nothing that can be parsed as JSON makes it throw', () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 4 }), (body) => {
      parseAuthorization(body)
    }),
    { numRuns: 500 },
  )
  fc.assert(
    fc.property(
      fc.constantFrom(...Object.keys(VALID), 'card.pan', 'merchant.id', 'device.ip'),
      fc.jsonValue({ maxDepth: 2 }),
      (path, value) => {
        parseAuthorization(withValue(path, value))
      },
    ),
    { numRuns: 500 },
  )
})

test('what is stored has one order and holds no PAN, expiry or CVV', () => {
  const pan = Pan.parse(VALID.card.pan)
  assert.ok(pan)
  const store = (body: unknown) => {
    const request = parseAuthorization(body)
    assert.ok(!('kind' in request))
    return JSON.stringify(storedRequest(request, 'tok_x', pan))
  }
  const reversed = Object.fromEntries(Object.entries(VALID).reverse())
  const { id, name, mcc, country } = VALID.merchant
  const stored = store({ ...VALID, card: { ...VALID.card, cvv: '737' } })
  assert.equal(stored, store({ ...reversed, merchant: { country, mcc, name, id } }))
  for (const secret of [VALID.card.pan, '2912', '737']) assert.ok(!stored.includes(secret), secret)
})
