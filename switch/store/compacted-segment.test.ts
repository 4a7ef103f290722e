import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { createSeededRandom, SimulatedDisk } from '../simulation/index.ts'
import {
  COMPACTED_HEADER_BYTES,
  decodeTrailer,
  encodeCompactedHeader,
  encodeTail,
  seekTable,
  TRAILER_BYTES,
} from './compacted-segment.ts'
import { decodeHeader, FRAME_BYTES, writeFrame } from './segment.ts'
import { SegmentLog } from './segment-log.ts'

const LOG_ID = new Uint8Array(16).fill(3)
const NAME = '0000000000000000.log'

const OPTIONS = { random: createSeededRandom(1), segmentBytes: 60_000, recordBytesMax: 100_000 }

/** A log of records of these sizes, sealed, and rewritten with those kept that `keeps` says. */
async function compacted(sizes: readonly number[], keeps: (index: number) => boolean) {
  const disk = new SimulatedDisk({ random: createSeededRandom(2) })
  const opened = await SegmentLog.open({ ...OPTIONS, disk })
  assert.ok(opened.ok)
  const { log } = opened
  const records: { position: number; text: string }[] = []
  for (const [index, size] of sizes.entries()) {
    const text = `${index} ${'x'.repeat(size)}`
    const frame = Buffer.alloc(FRAME_BYTES + text.length)
    writeFrame(frame, 0, Buffer.from(text), 0, log.seed)
    records.push({ position: await log.append(frame), text })
  }
  await log.seal()
  let index = 0
  await log.rewrite({
    run: log.sealed,
    writtenBeforeMs: 7,
    rewrite: (_, payload) => (keeps(index++) ? { payload, keyIds: [index % 2] } : null),
    pause: async () => true,
    beforeSwap: async () => {},
  })
  const kept = records.filter((_, i) => keeps(i))
  return { disk, log, kept, dropped: records.filter((_, i) => !keeps(i)) }
}

describe('compacted segment', () => {
  it('keeps the positions of its records, for scans and for reads, also after a start', async () => {
    const sizes = fc.array(fc.integer({ min: 0, max: 40_000 }), { minLength: 1, maxLength: 30 })
    await fc.assert(
      fc.asyncProperty(sizes, fc.integer({ min: 1, max: 5 }), async (lengths, every) => {
        const made = await compacted(lengths, (index) => index % every === 0)
        const again = await SegmentLog.open({ ...OPTIONS, disk: made.disk })
        assert.ok(again.ok)
        for (const log of [made.log, again.log]) {
          const seen: { position: number; text: string }[] = []
          const problem = await log.scan(0, (position, payload) => {
            seen.push({ position, text: Buffer.from(payload).toString() })
            return undefined
          })
          assert.equal(problem, undefined)
          assert.deepEqual(seen, made.kept)
          for (const { position, text } of made.kept) {
            assert.equal(Buffer.from(await log.read(position)).toString(), text)
          }
          for (const { position } of made.dropped) await assert.rejects(log.read(position))
        }
      }),
      { numRuns: 40 },
    )
  })

  it('is refused at a start where any byte of header or trailer is wrong', async () => {
    const { disk } = await compacted([10, 20, 30], () => true)
    const good = disk.contents(NAME)
    const trailerAt = good.length - TRAILER_BYTES
    for (let at = 12; at < good.length; at++) {
      if (at >= COMPACTED_HEADER_BYTES && at < trailerAt) continue
      const bad = good.slice()
      bad[at] = (bad[at] ?? 0) ^ 1
      disk.damage(NAME, 0, () => bad)
      const opened = await SegmentLog.open({ ...OPTIONS, disk })
      assert.ok(!opened.ok && opened.problem.code === 'log_damaged', `byte ${at}`)
    }
  })

  it('of a newer version is told from damage', () => {
    const header = encodeCompactedHeader(LOG_ID, 5, 99, 200)
    assert.deepEqual(decodeHeader(header), { kind: 'newer', format: 0x100 + 200 })
    const known = decodeHeader(encodeCompactedHeader(LOG_ID, 5, 99, 4))
    assert.ok(known.kind === 'compacted')
    assert.deepEqual([known.base, known.end, known.logId], [5, 99, LOG_ID])
  })

  it('finds the last entry of its table at or before a position', () => {
    const positions = fc.uniqueArray(fc.nat(10_000), { minLength: 1, maxLength: 50 })
    fc.assert(
      fc.property(positions, fc.nat(10_000), (list, position) => {
        const table = list.sort((a, b) => a - b).map((one, i) => [one, i] as const)
        const facts = { records: 1, cards: 2, keyId: 3, writtenBeforeMs: 1.5e12 }
        const tail = Buffer.from(encodeTail(table, facts, 9))
        const trailer = decodeTrailer(tail.subarray(-TRAILER_BYTES), 9)
        assert.equal(trailer?.tableEntries, list.length)
        assert.equal(trailer.writtenBeforeMs, 1.5e12)
        const found = seekTable(tail.subarray(0, -TRAILER_BYTES), position)
        assert.equal(found, table.findLast(([one]) => one <= position)?.[1])
      }),
    )
  })
})
