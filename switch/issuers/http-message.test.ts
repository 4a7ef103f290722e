import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseHttpAnswer } from './http-message.ts'

test('an approval code that no acquirer could be answered is no answer', () => {
  const parse = (approvalCode: unknown) =>
    parseHttpAnswer(Buffer.from(JSON.stringify({ messageType: '0110', approvalCode })))
  for (const right of ['', 'A1B2C3', '12']) assert.equal(parse(right)?.approvalCode, right)
  for (const wrong of ['A1B2C3D', 'é', '<b>', 'A\nB', 'x'.repeat(100_000)]) {
    assert.equal(parse(wrong), undefined)
  }
})
