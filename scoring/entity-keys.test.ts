import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { createEntityKeys, type EntitySource } from './entity-keys.ts'
import { TOKEN_CACHE_ENTRIES_MAX } from './limits.ts'

const key = new Uint8Array(32).fill(7)

const source: EntitySource = {
  acquirer: 'demo',
  card: { token: 'tok_abc', bin: '47617390' },
  merchant: { id: 'M-1001' },
  terminal: { id: 'T-0001' },
  device: { id: 'D-77', ip: '2001:DB8::1' },
  customer: { id: 'C-42', email: ' Customer@Example.com ' },
}

test('card, bin, merchant and terminal stay readable; the others are keyed tokens', () => {
  const keys = createEntityKeys(key)(source)
  assert.equal(keys.card, 'tok_abc')
  assert.equal(keys.bin, '47617390')
  assert.equal(keys.merchant, 'demo/M-1001')
  assert.equal(keys.terminal, 'demo/M-1001/T-0001')
  const token = (text: string) =>
    createHmac('sha256', key).update(text).digest().subarray(0, 16).toString('base64url')
  assert.equal(keys.customer, token('customer\0demo\0C-42'))
  assert.equal(keys.device, token('device\0D-77'))
  assert.equal(keys.ip, token('ip\x002001:db8::1'))
  assert.equal(keys.email, token('email\0customer@example.com'))
  assert.ok(!JSON.stringify(keys).toLowerCase().includes('customer@'))
})

test('an absent entity has no key', () => {
  const { acquirer, card, merchant } = source
  const keys = createEntityKeys(key)({ acquirer, card, merchant, device: {} })
  assert.equal(keys.terminal, undefined)
  assert.equal(keys.device, undefined)
  assert.equal(keys.ip, undefined)
  assert.equal(keys.customer, undefined)
  assert.equal(keys.email, undefined)
})

test('another key gives other tokens; the same customer id at two acquirers is two customers', () => {
  const other = createEntityKeys(new Uint8Array(32).fill(8))(source)
  const keys = createEntityKeys(key)
  assert.notEqual(other.email, keys(source).email)
  assert.notEqual(keys({ ...source, acquirer: 'other' }).customer, keys(source).customer)
  assert.equal(keys({ ...source, acquirer: 'other' }).device, keys(source).device)
})

test('different terminals never share a key, whatever separators their names hold', () => {
  const name = fc.string({ unit: fc.constantFrom('a', 'b', '/', '~', '{', ' '), maxLength: 4 })
  const place = fc.tuple(name, name, name)
  const keys = createEntityKeys(key)
  const terminalKey = ([acquirer, merchant, terminal]: [string, string, string]) =>
    keys({ acquirer, card: source.card, merchant: { id: merchant }, terminal: { id: terminal } })
  fc.assert(
    fc.property(place, place, (one, other) => {
      const same = JSON.stringify(one) === JSON.stringify(other)
      assert.equal(terminalKey(one).terminal === terminalKey(other).terminal, same)
      const sameMerchant = one[0] === other[0] && one[1] === other[1]
      assert.equal(terminalKey(one).merchant === terminalKey(other).merchant, sameMerchant)
      assert.match(terminalKey(one).terminal ?? '', /^[A-Za-z0-9._/~-]{1,122}$/)
    }),
    { numRuns: 2000 },
  )
})

test('tokens stay the same when the cache has turned over', () => {
  const keys = createEntityKeys(key)
  const first = keys(source)
  for (let i = 0; i < TOKEN_CACHE_ENTRIES_MAX * 3; i++) {
    keys({ ...source, device: { id: `device-${i}` } })
  }
  assert.deepEqual(keys(source), first)
})

test('a key that is too short is a bug', () => {
  assert.throws(() => createEntityKeys(new Uint8Array(8)), RangeError)
})
