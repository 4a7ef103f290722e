import assert from 'node:assert/strict'
import test from 'node:test'
import { createSystemRandom } from '../adapters/system-clock.ts'
import { CardUnreadable, CardVault } from './card-vault.ts'
import { newKeyFile, parseKeyFile } from './keys.ts'
import { Pan } from './pan.ts'

function keys() {
  const parsed = parseKeyFile(newKeyFile(createSystemRandom()))
  assert.ok(parsed.ok)
  return parsed.keys
}

function pan(digits = '4761739001010119'): Pan {
  const parsed = Pan.parse(digits)
  assert.ok(parsed)
  return parsed
}

test('what is sealed opens again, and under no other key', () => {
  const ring = keys()
  const vault = new CardVault(ring, 'owner-1')
  const sealed = vault.seal({ pan: pan(), expiry: '2912' })
  const open = vault.unseal(sealed)
  assert.equal(open.pan.reveal(), '4761739001010119')
  assert.equal(open.expiry, '2912')
  assert.throws(() => new CardVault(keys(), 'owner-1').unseal(sealed), CardUnreadable)
  assert.throws(() => vault.unseal({ ...sealed, keyId: 7 }), CardUnreadable)
})

test('a changed byte is noticed, wherever it is', () => {
  const vault = new CardVault(keys(), 'owner-1')
  const card = vault.seal({ pan: pan(), expiry: '2912' })
  for (let index = 0; index < card.sealed.length; index++) {
    const sealed = Uint8Array.from(card.sealed)
    sealed[index] = (sealed[index] ?? 0) ^ 1
    assert.throws(() => vault.unseal({ ...card, sealed }), CardUnreadable, `byte ${index}`)
  }
})

test('no IV comes twice: not in one start, not between two owners', () => {
  const ring = keys()
  const ivs = new Set<string>()
  for (const owner of ['owner-1', 'owner-2']) {
    const vault = new CardVault(ring, owner)
    for (let i = 0; i < 1000; i++) {
      ivs.add(Buffer.from(vault.seal({ pan: pan(), expiry: '2912' }).iv).toString('hex'))
    }
  }
  assert.equal(ivs.size, 2000)
})

test('a token is the same for the same card, and does not hold its digits', () => {
  const ring = keys()
  const token = new CardVault(ring, 'a').tokenOf(pan())
  assert.match(token, /^tok_[A-Za-z0-9_-]{22}$/)
  assert.equal(new CardVault(ring, 'b').tokenOf(pan()), token)
  assert.notEqual(new CardVault(ring, 'a').tokenOf(pan('5413330089020011')), token)
  assert.notEqual(new CardVault(keys(), 'a').tokenOf(pan()), token)
  assert.ok(!token.includes('476173'))
})

test('a key file that is not one is refused without quoting it', () => {
  const secret = 'c2VjcmV0LXNlY3JldC1zZWNyZXQ='
  for (const text of [
    secret,
    '{}',
    JSON.stringify({ version: 1, tokenKey: secret, panKeys: [] }),
    JSON.stringify({ version: 2 }),
    'null',
  ]) {
    const parsed = parseKeyFile(text)
    assert.ok(!parsed.ok)
    assert.ok(!parsed.problem.includes(secret))
  }
})
