import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import test from 'node:test'
import { ERRORS, problemDocument, refuse } from './errors.ts'

test('docs/errors.md has a row for each code, with its status, and no other', () => {
  const page = readFileSync(new URL('./docs/errors.md', import.meta.url), 'utf8')
  // The second table, of DE39, is held by ingress/iso-answer.test.ts.
  const [statuses = ''] = page.split('## Over ISO 8583')
  const rows = [...statuses.matchAll(/^\| `([a-z_]+)` \| (\d+) \|/gm)].map((row) => [
    row[1],
    Number(row[2]),
  ])
  assert.deepEqual(
    rows,
    Object.entries(ERRORS).map(([code, { status }]) => [code, status]),
  )
})

test('a problem document says code, param and request, as RFC 9457 has it', () => {
  const document = problemDocument(refuse('invalid_pan', 'why', 'card.pan'), 'req_1')
  assert.equal(document.status, 422)
  assert.equal(document.code, 'invalid_pan')
  assert.equal(document.param, 'card.pan')
  assert.equal(document.request_id, 'req_1')
  assert.ok(!('param' in problemDocument(refuse('not_found', 'why'), 'req_2')))
})
