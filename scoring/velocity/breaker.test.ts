import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createBreaker } from './breaker.ts'

function setUp() {
  const time = { ms: 0 }
  const clock = { now: () => time.ms, monotonic: () => time.ms }
  return { time, breaker: createBreaker({ clock, failuresMax: 3, openMs: 1_000 }) }
}

test('a breaker opens after failures in a row only', () => {
  const { breaker } = setUp()
  for (let i = 0; i < 10; i++) {
    breaker.failed()
    breaker.failed()
    breaker.succeeded()
  }
  assert.equal(breaker.state, 'closed')
  breaker.failed()
  breaker.failed()
  assert.equal(breaker.allows(), true)
  breaker.failed()
  assert.equal(breaker.state, 'open')
  assert.equal(breaker.allows(), false)
})

test('after a while one probe goes through, and its success closes the breaker', () => {
  const { breaker, time } = setUp()
  for (let i = 0; i < 3; i++) breaker.failed()
  time.ms = 999
  assert.equal(breaker.allows(), false)
  time.ms = 1_000
  assert.equal(breaker.allows(), true)
  assert.equal(breaker.state, 'half-open')
  assert.equal(breaker.allows(), false)
  breaker.succeeded()
  assert.equal(breaker.allows(), true)
  assert.equal(breaker.state, 'closed')
})

test('a failed probe opens the breaker for as long again', () => {
  const { breaker, time } = setUp()
  for (let i = 0; i < 3; i++) breaker.failed()
  time.ms = 1_500
  assert.equal(breaker.allows(), true)
  breaker.failed()
  time.ms = 2_400
  assert.equal(breaker.allows(), false)
  time.ms = 2_500
  assert.equal(breaker.allows(), true)
})

test('answers to calls from before it opened neither close nor prolong it', () => {
  const { breaker, time } = setUp()
  for (let i = 0; i < 3; i++) breaker.failed()
  time.ms = 900
  breaker.succeeded()
  breaker.failed()
  assert.equal(breaker.state, 'open')
  time.ms = 1_000
  assert.equal(breaker.allows(), true)
})
