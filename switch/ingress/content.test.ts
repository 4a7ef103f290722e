import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { pack } from 'msgpackr'
import { acceptedKind, contentKind, readContent, writeContent } from './content.ts'

test('types that are spoken here, and those that are not', () => {
  assert.equal(contentKind(undefined), 'json')
  assert.equal(contentKind('application/json; charset=utf-8'), 'json')
  assert.equal(contentKind('application/msgpack'), 'msgpack')
  assert.equal(contentKind('application/x-msgpack'), 'msgpack')
  assert.equal(contentKind('application/vnd.msgpack'), 'msgpack')
  assert.equal(contentKind('text/xml'), undefined)
})

test('Accept decides, else what came in', () => {
  assert.equal(acceptedKind('application/msgpack', 'json'), 'msgpack')
  assert.equal(acceptedKind('text/html, application/json;q=0.9', 'msgpack'), 'json')
  assert.equal(acceptedKind('*/*', 'msgpack'), 'msgpack')
  assert.equal(acceptedKind(undefined, 'json'), 'json')
})

test('both kinds carry the same values', () => {
  fc.assert(
    fc.property(
      fc.dictionary(
        fc.stringMatching(/^[a-z]{1,8}$/),
        fc.oneof(fc.string(), fc.integer(), fc.boolean(), fc.array(fc.integer())),
      ),
      (value) => {
        const fromJson = readContent('json', Buffer.from(writeContent('json', value) as string))
        const fromPack = readContent('msgpack', writeContent('msgpack', value) as Uint8Array)
        assert.deepEqual(fromJson, { kind: 'read', value: { ...value } })
        assert.deepEqual(fromPack, fromJson)
      },
    ),
  )
})

test('what is not readable is refused, never thrown', () => {
  for (const kind of ['json', 'msgpack'] as const) {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        readContent(kind, bytes)
      }),
      { numRuns: 2000 },
    )
  }
  const unreadable = [
    readContent('json', Buffer.from('{"amount": 1,}')),
    readContent('json', Buffer.from([0x22, 0xff, 0x22])),
    readContent('json', Buffer.alloc(0)),
    readContent('msgpack', Buffer.alloc(0)),
    readContent('msgpack', (pack({ a: [1, 2, 3] }) as Buffer).subarray(0, 4)),
    readContent('msgpack', Buffer.from('c1', 'hex')),
    readContent('msgpack', Buffer.from('81a16ec1', 'hex')),
    // Text that is not UTF-8, and a date.
    readContent('msgpack', Buffer.from('81a16ea1ff', 'hex')),
    readContent('msgpack', Buffer.from('81a16ed6ff00000000', 'hex')),
    readContent('msgpack', Buffer.from('c6ffffffff', 'hex')),
    readContent('msgpack', Buffer.from('ddffffffff', 'hex')),
    readContent('msgpack', Buffer.alloc(60_000, 0x91)),
  ]
  for (const result of unreadable) assert.equal(result.kind, 'refused')
})

test('a replacement character that was sent is text like any other', () => {
  const value = { name: 'a\ufffdb' }
  const packed = writeContent('msgpack', value) as Uint8Array
  assert.deepEqual(readContent('msgpack', packed), { kind: 'read', value })
})

test('a MessagePack body that announces four billion of anything is refused at its own end', () => {
  const startedMs = performance.now()
  for (const hex of ['ddffffffff', 'dfffffffff', 'c9ffffffff00', 'dbffffffff']) {
    const body = Buffer.concat([Buffer.from(hex, 'hex'), Buffer.alloc(60_000, 0xc0)])
    assert.equal(readContent('msgpack', body).kind, 'refused', hex)
  }
  // Milliseconds, or four billion turns.
  assert.ok(performance.now() - startedMs < 30_000)
})
