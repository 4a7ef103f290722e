import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { verdictOf } from './verdict.ts'

test('each answer to a reversal means what SEMANTICS says', () => {
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
