import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import test from 'node:test'
import { Authenticator } from './authenticate.ts'
import type { Acquirer } from './world.ts'

function acquirer(id: string, ...keys: readonly string[]): Acquirer {
  return {
    id,
    institution: '100001',
    apiKeySha256: keys.map((key) => createHash('sha256').update(key).digest('hex')),
    discloseRisk: true,
    acceptsPartialApproval: true,
    stepUpCode: '65',
  }
}

const authenticator = new Authenticator([
  acquirer('one', 'key-1', 'key-2'),
  acquirer('two', 'key-3'),
])

test('each of an acquirer’s keys lets it in, and nobody else', () => {
  for (const [key, id] of [
    ['key-1', 'one'],
    ['key-2', 'one'],
    ['key-3', 'two'],
  ]) {
    const known = authenticator.authenticate(`Bearer ${key}`)
    assert.ok(!('kind' in known))
    assert.equal(known.id, id)
  }
  assert.ok(!('kind' in authenticator.authenticate('bearer key-1')), 'the scheme has no case')
})

test('everything else is unauthorized, and the answer repeats nothing of it', () => {
  for (const header of [
    '',
    'Bearer',
    'Bearer ',
    'Basic key-1',
    'Bearer key-1 junk',
    'Bearer key-1 ',
    'Bearer key-1, Bearer key-1',
    'Bearer key-4',
    `Bearer ${'x'.repeat(300)}`,
  ]) {
    const refusal = authenticator.authenticate(header)
    assert.ok('kind' in refusal)
    assert.equal(refusal.code, 'unauthorized')
    assert.ok(!refusal.detail.includes('key-4'))
  }
})
