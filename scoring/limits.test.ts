import assert from 'node:assert/strict'
import { test } from 'node:test'
import { limitsFit } from './limits.ts'

test('the limits of scoring fit each other', () => {
  assert.ok(limitsFit())
})
