import assert from 'node:assert/strict'
import test from 'node:test'
import { nearestName } from './nearest-name.ts'

test('the name that was meant, and none where nothing is near', () => {
  assert.equal(nearestName('amuont', ['currency', 'amount']), 'amount')
  assert.equal(nearestName('zzzzzz', ['currency', 'amount']), undefined)
})

test('a name longer than any of ours is not compared at all', () => {
  const long = 'a'.repeat(60_000)
  const known = { [Symbol.iterator]: () => assert.fail('it is compared') }
  assert.equal(nearestName(long, known), undefined)
})
