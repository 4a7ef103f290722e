import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { adviceVerdictOf, verdictOf } from './verdict.ts'

test('each answer to a reversal ends it, retries it or makes it a dead letter', () => {
  assert.equal(verdictOf('00', false), 'done')
  assert.equal(verdictOf('21', false), 'done')
  assert.equal(verdictOf('25', false), 'not_yet')
  assert.equal(verdictOf('25', true), 'done')
  assert.equal(verdictOf('91', true), 'again')
  assert.equal(verdictOf('96', true), 'again')
  assert.equal(verdictOf('12', false), 'dead')
  assert.equal(verdictOf('30', false), 'dead')
})

test('nothing else ends a reversal', () => {
  const known = ['00', '21', '25', '12', '30']
  fc.assert(
    fc.property(fc.string({ maxLength: 3 }), fc.boolean(), (code, isSettled) => {
      fc.pre(!known.includes(code))
      assert.equal(verdictOf(code, isSettled), 'again')
    }),
  )
})

test('an advice is told until it is taken; a no is for people, never repeated', () => {
  const judged = ['00', '08', '94', '91', '96', '05', '25', '30'].map((code) => [
    code,
    adviceVerdictOf(code),
  ])
  assert.deepEqual(judged, [
    ['00', 'done'],
    ['08', 'done'],
    ['94', 'done'],
    ['91', 'again'],
    ['96', 'again'],
    ['05', 'dead'],
    ['25', 'dead'],
    ['30', 'dead'],
  ])
})
