import assert from 'node:assert/strict'
import test from 'node:test'
import { nearestName } from './nearest-name.ts'

test('the name that was meant, and none where nothing is near', () => {
  assert.equal(nearestName('amuont', ['currency', 'amount']), 'amount')
  assert.equal(nearestName('zzzzzz', ['currency', 'amount']), undefined)
})

test('a name longer than any of ours is not compared at all', () => {
  const long = 'a'.repeat(60_000)
  const startedMs = performance.now()
  for (let i = 0; i < 200; i++) assert.equal(nearestName(long, ['a'.repeat(60)]), undefined)
  // One comparison of this length took 36 ms.
  assert.ok(performance.now() - startedMs < 1000)
})
