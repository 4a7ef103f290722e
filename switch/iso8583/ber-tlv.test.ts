import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { measureTlv, readTlv, writeTlv } from './ber-tlv.ts'
import type { FieldParts } from './message.ts'

function read(bytes: Uint8Array): ReturnType<typeof readTlv> {
  const hex = Buffer.from(bytes).toString('hex').toUpperCase()
  return readTlv(bytes, hex, 0, bytes.length)
}

function write(parts: FieldParts): Buffer {
  const size = measureTlv(parts)
  assert.ok(typeof size === 'number', String(size))
  const out = Buffer.alloc(size)
  assert.equal(writeTlv(out, 0, parts), size)
  return out
}

test('lengths of one to four bytes are written as short as can be, and read back', () => {
  for (const [bytes, start] of [
    [0, '8200'],
    [127, '827F'],
    [128, '828180'],
    [255, '8281FF'],
    [256, '82820100'],
    [65_535, '8282FFFF'],
    [65_536, '8283010000'],
  ] as const) {
    const parts = new Map([['82', 'AB'.repeat(bytes)]])
    const written = write(parts)
    assert.equal(written.toString('hex', 0, start.length / 2).toUpperCase(), start)
    assert.deepEqual(read(written), parts)
  }
})

test('unknown, private and three-byte tags keep their order', () => {
  const bytes = Buffer.from('DF81010155' + '5F2A020978' + '820139' + '9F02020100' + 'C100', 'hex')
  const parts = read(bytes)
  assert.ok(parts instanceof Map)
  assert.deepEqual([...parts.keys()], ['DF8101', '5F2A', '82', '9F02', 'C1'])
  assert.deepEqual(write(parts), bytes)
})

test('any bytes: an answer, and what is read is written to the same bytes', () => {
  const small = fc.uint8Array({ maxLength: 40 })
  const likely = fc.array(fc.constantFrom(0x82, 0x9f, 0x02, 0x01, 0x00, 0x81, 0xdf, 0x80), {
    maxLength: 12,
  })
  fc.assert(
    fc.property(
      fc.oneof(
        small,
        likely.map((bytes) => Uint8Array.from(bytes)),
      ),
      (bytes) => {
        const parts = read(bytes)
        if (parts instanceof Map) assert.deepEqual(write(parts), Buffer.from(bytes))
        else assert.ok(parts.offset >= 0 && parts.offset <= bytes.length && parts.reason !== '')
      },
    ),
    { numRuns: 3_000 },
  )
})

test('what is no tag or no hex is said', () => {
  for (const [tag, value] of [
    ['', '00'],
    ['9f02', '00'],
    ['9F', '00'],
    ['8295', '00'],
    ['9F8181818101', '00'],
    ['82', '0g'],
    ['82', 'ab'],
    ['82', 'ABC'],
  ] as const) {
    assert.equal(typeof measureTlv(new Map([[tag, value]])), 'string', `${tag} ${value}`)
  }
  assert.equal(typeof measureTlv(new Map([[7, '00']]) as unknown as FieldParts), 'string')
})
