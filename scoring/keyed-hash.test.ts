import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { KeyedHash } from './keyed-hash.ts'

const hmac = (key: Uint8Array, text: string) => createHmac('sha256', key).update(text, 'utf8')

test('it is HMAC-SHA-256, for any key and one text after another', () => {
  const texts = fc.array(fc.string({ unit: 'binary', maxLength: 300 }), { maxLength: 5 })
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), texts, (key, several) => {
      const keyed = new KeyedHash(key)
      for (const text of several) {
        assert.equal(keyed.hex(text), hmac(key, text).digest('hex'))
        assert.deepEqual(Buffer.from(keyed.digest(text)), hmac(key, text).digest())
        const token = hmac(key, text).digest().subarray(0, 16).toString('base64url')
        assert.equal(keyed.token(text), token)
      }
    }),
  )
})

test('a text that is longer than the buffer, and a short one after it', () => {
  const key = Buffer.alloc(32, 7)
  const keyed = new KeyedHash(key)
  for (const text of ['é'.repeat(1_365), 'é'.repeat(1_366), '\u{10ffff}'.repeat(9_000), 'short']) {
    assert.equal(keyed.hex(text), hmac(key, text).digest('hex'))
  }
})

test('the sample of RFC 4231, test case 2', () => {
  assert.equal(
    new KeyedHash(Buffer.from('Jefe')).hex('what do ya want for nothing?'),
    '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843',
  )
})
