import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { addLabels, areLabelDays, DAY_MS, fraudsIn, NO_LABELS } from './label-days.ts'
import { LABEL_DELAY_DAYS, LABEL_MARKS_MAX, LABEL_RETENTION_DAYS } from './limits.ts'
import type { VelocityLabel } from './velocity.ts'

const DAY_0 = 20_000

function label(number: number, day: number, kind: VelocityLabel['kind'] = 'fraud'): VelocityLabel {
  const eventHash = number.toString(16).padStart(14, '0').padEnd(16, '0')
  return { eventHash, atMs: (DAY_0 + day) * DAY_MS + 3_600_000, keys: {}, kind }
}

/** Asked at noon of a day. */
function fraudsAt(bytes: Buffer, day: number, days: number): number {
  return fraudsIn(bytes, (DAY_0 + day) * DAY_MS + DAY_MS / 2, days)
}

test('a label is read once its day ended a week ago, as long as the window reaches it', () => {
  const bytes = addLabels(NO_LABELS, [label(1, 0), label(2, 0), label(3, 1)])
  const read = (days: number) =>
    [6, 7, 8, 9, 10, 37, 38, 39].map((day) => fraudsAt(bytes, day, days))
  assert.equal(LABEL_DELAY_DAYS, 7)
  assert.deepEqual(read(1), [0, 0, 2, 1, 0, 0, 0, 0])
  assert.deepEqual(read(30), [0, 0, 2, 3, 3, 3, 1, 0])
  // From the first millisecond on at which the day is over for so long.
  const endMs = (DAY_0 + 1 + LABEL_DELAY_DAYS) * DAY_MS
  assert.equal(fraudsIn(bytes, endMs - 1, 30), 0)
  assert.equal(fraudsIn(bytes, endMs, 30), 2)
})

test('what is sent again changes nothing, what is taken back is', () => {
  const first = addLabels(NO_LABELS, [label(1, 0), label(1, 0), label(2, 0)])
  assert.equal(fraudsAt(first, 10, 30), 2)
  assert.equal(addLabels(first, [label(2, 0), label(1, 0)]), first, 'the very bytes')
  const cleared = addLabels(first, [label(1, 0, 'cleared'), label(1, 0, 'cleared')])
  assert.equal(fraudsAt(cleared, 10, 30), 1)
  assert.equal(fraudsAt(addLabels(cleared, [label(1, 0)]), 10, 30), 2)
})

test('bytes are bounded: days that no window reaches and the oldest marks are left out', () => {
  let bytes: Buffer = NO_LABELS
  for (let day = 0; day < 200; day++) {
    for (let n = 0; n < 5; n++) bytes = addLabels(bytes, [label(day * 10 + n, day)])
  }
  assert.equal(bytes.length, 2 + 6 * LABEL_RETENTION_DAYS + 8 * LABEL_MARKS_MAX)
  assert.equal(fraudsAt(bytes, 199, 30), 150)
  // Some sent late does not bring days back, and takes none of the others away.
  assert.equal(fraudsAt(addLabels(bytes, [label(9_999, 20)]), 199, 30), 150)
})

test('any labels equal a map of what was said last', () => {
  const said = fc.record({ id: fc.nat(25), isFraud: fc.boolean() })
  fc.assert(
    fc.property(fc.array(said), fc.integer({ min: 0, max: 50 }), fc.nat(29), (all, day, less) => {
      const last = new Map<number, boolean>()
      let bytes: Buffer = NO_LABELS
      for (const { id, isFraud } of all) {
        // Nobody takes back what was never said.
        if (!isFraud && last.get(id) !== true) continue
        bytes = addLabels(bytes, [label(id, id % 13, isFraud ? 'fraud' : 'cleared')])
        last.set(id, isFraud)
      }
      const days = 1 + less
      const inWindow = [...last].filter(
        ([id, isFraud]) => isFraud && id % 13 < day - 7 && id % 13 >= day - 7 - days,
      )
      assert.equal(fraudsAt(bytes, day, days), inWindow.length)
    }),
  )
})

test('other bytes are no counts, and never throw', () => {
  assert.ok(areLabelDays(NO_LABELS))
  assert.ok(areLabelDays(addLabels(NO_LABELS, [label(1, 0)])))
  assert.ok(!areLabelDays(Buffer.from([2, 0])), 'a later layout')
  const drawn = fc.uint8Array({ maxLength: 60 })
  const almost = drawn.map((tail) => Uint8Array.of(1, tail.length % 9, ...tail))
  fc.assert(
    fc.property(fc.oneof(drawn, almost), (some) => {
      const bytes = Buffer.from(some)
      const isRead = areLabelDays(bytes)
      if (!isRead) assert.equal(fraudsAt(bytes, 10, 30), 0)
      const added = addLabels(bytes, [label(1, 0)])
      assert.ok(areLabelDays(added))
      // What is no layout of ours counts as nothing, so only the label is there.
      if (!isRead) assert.equal(fraudsAt(added, 10, 30), 1)
    }),
  )
})
