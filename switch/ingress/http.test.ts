import assert from 'node:assert/strict'
import test from 'node:test'
import { findAmbiguity } from './http.ts'

function judge(headers: readonly (readonly [string, string])[]): string | undefined {
  return findAmbiguity(
    headers.map(([name]) => name),
    new Map(headers),
  )
}

const host = ['host', 'switch.example'] as const

test('a plain request is unambiguous', () => {
  assert.equal(judge([host, ['content-length', '12'], ['authorization', 'Bearer x']]), undefined)
  assert.equal(judge([host]), undefined)
})

test('whatever two readers could read differently is refused', () => {
  const length = ['content-length', '12'] as const
  assert.match(judge([host, length, length]) ?? '', /Content-Length/)
  assert.match(judge([host, ['content-length', '+12']]) ?? '', /Content-Length/)
  assert.match(judge([host, ['content-length', '12, 12']]) ?? '', /Content-Length/)
  assert.match(judge([length]) ?? '', /Host/)
  assert.match(judge([host, host]) ?? '', /Host/)
  assert.match(judge([host, ['transfer-encoding', 'chunked']]) ?? '', /Transfer-Encoding/)
  for (const name of ['authorization', 'idempotency-key', 'content-type', 'signature']) {
    assert.match(judge([host, [name, 'a'], [name, 'b']]) ?? '', new RegExp(name))
  }
})
