import assert from 'node:assert/strict'
import { test } from 'node:test'
import { crc32 } from 'node:zlib'
import fc from 'fast-check'
import { decodeSnapshot, encodeSnapshot, type SnapshotEntity } from './snapshot.ts'

const entity = fc.record({
  key: fc.string({ unit: 'binary-ascii', maxLength: 150 }),
  log: fc.uint8Array({ maxLength: 200 }),
  base: fc.uint8Array({ maxLength: 100 }),
  labels: fc.uint8Array({ maxLength: 50 }),
})

function plain(entities: readonly SnapshotEntity[]) {
  return entities.map(({ key, log, base, labels }) => [key, [...log], [...base], [...labels]])
}

test('what is written is read again', () => {
  fc.assert(
    fc.property(fc.array(entity, { maxLength: 20 }), (entities) => {
      const read = decodeSnapshot(encodeSnapshot(entities))
      assert.ok(read.ok)
      assert.deepEqual(plain(read.entities), plain(entities))
    }),
  )
})

test('a snapshot that was cut or changed anywhere is refused whole', () => {
  const whole = encodeSnapshot([
    { key: '1.{c.x}', log: Buffer.alloc(48, 1), base: Buffer.alloc(0), labels: Buffer.alloc(3, 1) },
    { key: '1.{m.y}', log: Buffer.alloc(8, 2), base: Buffer.alloc(20, 3), labels: Buffer.alloc(0) },
  ])
  for (let length = 0; length < whole.length; length++) {
    assert.equal(decodeSnapshot(whole.subarray(0, length)).ok, false, `cut at ${length}`)
  }
  for (let at = 0; at < whole.length; at++) {
    const changed = Buffer.from(whole)
    changed[at] = (changed[at] as number) ^ 1
    // The three bytes that are kept free are under the checksum, too.
    assert.equal(decodeSnapshot(changed).ok, false, `changed at ${at}`)
  }
})

test('lengths that lie are refused, checksum or not, and nothing is allocated for them', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 4, maxLength: 60 }), fc.nat(4e9), (body, count) => {
      const bytes = Buffer.alloc(12 + body.length + 4)
      bytes.write('SWYV', 0, 'latin1')
      bytes[4] = 2
      bytes.writeUInt32LE(count, 8)
      bytes.set(body, 12)
      bytes.writeUInt32LE(crc32(bytes.subarray(0, 12 + body.length)), 12 + body.length)
      const read = decodeSnapshot(bytes)
      if (read.ok) assert.equal(read.entities.length, count)
      else assert.match(read.message, /inside an entity|left over/)
    }),
  )
})
