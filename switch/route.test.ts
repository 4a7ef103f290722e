import assert from 'node:assert/strict'
import test from 'node:test'
import { Pan } from './card.ts'
import { Router } from './route.ts'

function pan(digits: string): Pan {
  const parsed = Pan.parse(digits)
  assert.ok(parsed)
  return parsed
}

test('the longest BIN wins, and no BIN is no issuer', () => {
  const router = new Router([
    { bins: ['47'], issuer: 'wide' },
    { bins: ['476173', '541333'], issuer: 'middle' },
    { bins: ['47617390'], issuer: 'narrow' },
  ])
  assert.equal(router.issuerOf(pan('4761739001010119')), 'narrow')
  assert.equal(router.issuerOf(pan('4761731000000043')), 'middle')
  assert.equal(router.issuerOf(pan('5413330089020011')), 'middle')
  assert.equal(router.issuerOf(pan('4111111111111111')), undefined)
})
