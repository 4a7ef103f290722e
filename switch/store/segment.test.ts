import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import {
  decodeHeader,
  encodeHeader,
  FORMAT_VERSION,
  FRAME_BYTES,
  frameSeed,
  HEADER_BYTES,
  holdsFrame,
  segmentBase,
  segmentName,
  writeFrame,
} from './segment.ts'

const LOG_ID = new Uint8Array(16).map((_, index) => index)
const SEED = frameSeed(LOG_ID)

describe('segment', () => {
  it('reads back the headers that it writes', () => {
    for (const base of [0, 40, 2 ** 40 + 3]) {
      assert.deepEqual(decodeHeader(encodeHeader(LOG_ID, base)), {
        kind: 'readable',
        format: FORMAT_VERSION,
        logId: LOG_ID,
        base,
      })
    }
  })

  it('tells a newer format from damage, and reads neither', () => {
    const newer = Buffer.from(encodeHeader(LOG_ID, 0))
    newer.writeUInt32LE(FORMAT_VERSION + 1, 8)
    assert.deepEqual(decodeHeader(newer), { kind: 'newer', format: FORMAT_VERSION + 1 })
    for (let at = 0; at < HEADER_BYTES; at++) {
      const damaged = Buffer.from(encodeHeader(LOG_ID, 7))
      damaged[at] = (damaged[at] ?? 0) ^ 0x40
      assert.notEqual(decodeHeader(damaged).kind, 'readable')
      assert.equal(decodeHeader(damaged.subarray(0, at)).kind, 'unreadable')
    }
  })

  it('holds a frame exactly where one was written, whole and unchanged', () => {
    const payloads = fc.uint8Array({ minLength: 1, maxLength: 200 })
    fc.assert(
      fc.property(payloads, fc.nat(50), fc.nat(), fc.nat(7), (payload, at, place, bit) => {
        const bytes = Buffer.alloc(at + FRAME_BYTES + payload.length + 5)
        const end = at + writeFrame(bytes, at, payload, at, SEED)
        assert.equal(end, at + FRAME_BYTES + payload.length)
        assert.ok(holdsFrame(bytes, at, end, SEED, 200))
        assert.ok(!holdsFrame(bytes, at, end - 1, SEED, 200))
        assert.ok(!holdsFrame(bytes, at, end, SEED, payload.length - 1))
        assert.ok(!holdsFrame(bytes, at, end, frameSeed(new Uint8Array(16)), 200))
        const damaged = at + (place % (end - at))
        bytes[damaged] = (bytes[damaged] ?? 0) ^ (1 << bit)
        assert.ok(!holdsFrame(bytes, at, end, SEED, 200))
      }),
    )
  })

  it('takes zeros for no frame', () => {
    assert.ok(!holdsFrame(Buffer.alloc(64), 0, 64, SEED, 64))
  })

  it('names segments so that they sort by position', () => {
    const names = [0, 9, 10, 2 ** 41].map(segmentName)
    assert.deepEqual([...names].sort(), names)
    assert.equal(segmentBase(segmentName(1234)), 1234)
    for (const name of ['1.log', 'x.log', '0000000000000000.log.new', 'index']) {
      assert.equal(segmentBase(name), undefined)
    }
  })
})
