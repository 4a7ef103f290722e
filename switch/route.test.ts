import assert from 'node:assert/strict'
import test from 'node:test'
import { Pan } from './card-data/index.ts'
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
    { bins: ['47617390'], issuer: 'narrow', failOver: ['second', 'third'] },
  ])
  assert.equal(router.routeOf(pan('4761739001010119'))?.[0], 'narrow')
  assert.equal(router.routeOf(pan('4761731000000043'))?.[0], 'middle')
  assert.equal(router.routeOf(pan('5413330089020011'))?.[0], 'middle')
  assert.equal(router.routeOf(pan('4111111111111111')), undefined)
  assert.deepEqual(router.routeOf(pan('4761739001010119')), ['narrow', 'second', 'third'])
})
