import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { IdentifierSource } from '../../ulid.ts'
import { dayOf, dayOfTime } from './day.ts'
import { TRACE_SLOTS } from './limits.ts'
import { TraceMarks, traceSlotOf } from './trace-marks.ts'

test('an id says its day, whatever its prefix; any other text is day 0', () => {
  const random = { fill: (target: Uint8Array) => target.fill(31) }
  fc.assert(
    fc.property(
      fc.nat(4_102_444_800_000),
      fc.constantFrom('auth_', 'cap_', 'adv_'),
      (ms, prefix) => {
        const ids = new IdentifierSource({ now: () => ms, monotonic: () => 0 }, random)
        assert.equal(dayOf(ids.next(prefix)), dayOfTime(ms))
      },
    ),
  )
  for (const id of ['', 'auth_1', 'auth_01KA', 'auth_ILOU0000000000000000000000']) {
    assert.equal(dayOf(id), 0)
  }
})

test('slots of trace numbers are disjoint, of one length, and hold no 000000', () => {
  const slots = Array.from({ length: TRACE_SLOTS }, (_, i) => traceSlotOf(i))
  let before = 0
  for (const { first, last } of slots) {
    assert.equal(first, before + 1)
    assert.equal(last - first, (slots[0]?.last ?? 0) - 1)
    before = last
  }
  assert.ok(before <= 999_999)
})

test('a mark goes on in the circle of its slot', () => {
  const marks = new TraceMarks({ first: 100, last: 199 }, [['demo-a', '000198']])
  marks.note('demo-a', '000101')
  assert.equal(marks.last('demo-a'), '000101')
  marks.note('demo-a', '000199')
  assert.equal(marks.last('demo-a'), '000101')
  assert.equal(marks.last('demo-b'), '000000')
})
