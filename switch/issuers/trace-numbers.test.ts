import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { createVirtualTime, type VirtualTime } from '../simulation/index.ts'
import {
  ANSWERED_HOLD_MS,
  DRAWN_HOLD_MS,
  STAN_END,
  STANS_RESERVED_FOR_REVERSALS,
} from './limits.ts'
import { formatRrnPrefix, formatTransmittedAt, NO_STAN, TraceBook } from './trace-numbers.ts'

const startMs = Date.UTC(2026, 10, 22, 9, 59, 58)

function virtualTime(): VirtualTime {
  return createVirtualTime({ startMs, settle: () => Promise.resolve() })
}

test('numbers carry the moment of drawing, and go on after the high-water mark', async () => {
  const time = virtualTime()
  const book = new TraceBook(time.clock, '000122', 0)
  assert.deepEqual(book.draw('request'), {
    stan: '000123',
    transmittedAt: '1122095958',
    rrn: '632609000123',
  })
  await time.advance(2_000)
  assert.deepEqual(book.draw('request'), {
    stan: '000124',
    transmittedAt: '1122100000',
    rrn: '632610000124',
  })
})

test('the circle leaves out 000000', () => {
  const book = new TraceBook(virtualTime().clock, '999998', 0)
  assert.equal(book.draw('request').stan, '999999')
  assert.equal(book.draw('request').stan, '000001')
  const skipping = new TraceBook(virtualTime().clock, '999998', 4_096)
  assert.equal(skipping.draw('request').stan, '004095')
})

test('DE7 and DE37 are made of UTC', () => {
  const moment = fc.date({ min: new Date(0), max: new Date(4e12), noInvalidDate: true })
  fc.assert(
    fc.property(moment, (date) => {
      const two = (number: number) => String(number).padStart(2, '0')
      const expected = [
        date.getUTCMonth() + 1,
        date.getUTCDate(),
        date.getUTCHours(),
        date.getUTCMinutes(),
        date.getUTCSeconds(),
      ]
      assert.equal(formatTransmittedAt(date.getTime()), expected.map(two).join(''))
      const prefix = formatRrnPrefix(date.getTime())
      assert.match(prefix, /^[0-9]{6}$/)
      const startOfYear = Date.UTC(date.getUTCFullYear(), 0, 1)
      const midnight = startOfYear + (Number(prefix.slice(1, 4)) - 1) * 86_400_000
      assert.equal(new Date(midnight).getUTCDate(), date.getUTCDate())
      assert.equal(new Date(midnight).getUTCMonth(), date.getUTCMonth())
    }),
  )
  assert.equal(formatRrnPrefix(Date.UTC(2028, 11, 31, 23)), '836623')
})

test('no number comes again while it rests, and the free ones are counted right', async () => {
  // A model with a small circle: everything but 40 numbers is kept.
  const action = fc.oneof(
    { weight: 4, arbitrary: fc.constant({ kind: 'draw' as const, value: 0 }) },
    fc.record({ kind: fc.constant('rest' as const), value: fc.integer({ min: 0, max: 90_000 }) }),
    fc.constant({ kind: 'keep' as const, value: 0 }),
    fc.record({ kind: fc.constant('wait' as const), value: fc.integer({ min: 0, max: 60_000 }) }),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(action, { maxLength: 120 }), async (actions) => {
      const time = virtualTime()
      const book = new TraceBook(time.clock, NO_STAN, 0)
      for (let stan = 41; stan < STAN_END; stan++) book.keep(stan)
      const restsUntilMs = new Map<number, number>()
      let newest = 0
      for (const { kind, value } of actions) {
        const nowMs = time.clock.monotonic()
        const resting = [...restsUntilMs.values()].filter((untilMs) => untilMs > nowMs).length
        assert.ok(book.free <= 40 - resting)
        if (kind === 'draw') {
          const { stan } = book.draw('reversal')
          if (stan === NO_STAN) {
            assert.equal(book.free, 0)
            continue
          }
          newest = Number(stan)
          assert.ok((restsUntilMs.get(newest) ?? 0) <= nowMs)
          restsUntilMs.set(newest, nowMs + DRAWN_HOLD_MS)
        } else if (kind === 'wait') {
          await time.advance(value)
        } else if (newest !== 0 && kind === 'rest') {
          book.rest(newest, value)
          restsUntilMs.set(newest, nowMs + value)
        } else if (newest !== 0) {
          book.keep(newest)
          restsUntilMs.set(newest, Number.POSITIVE_INFINITY)
        }
      }
      const kept = [...restsUntilMs.values()].filter(
        (untilMs) => untilMs === Number.POSITIVE_INFINITY,
      )
      await time.advance(7_200_000)
      assert.equal(book.free, 40 - kept.length)
    }),
    { numRuns: 15 },
  )
})

test('at 12,000/s the circle closes and goes on, since answered numbers rest 10 s only', async () => {
  const time = virtualTime()
  const book = new TraceBook(time.clock, NO_STAN, 0)
  const newestAtMs = new Int32Array(STAN_END).fill(-1_000_000)
  for (let atMs = 0; atMs < 100_000; atMs += 100) {
    for (let i = 0; i < 1_200; i++) {
      const stan = Number(book.draw('request').stan)
      assert.ok(stan > 0 && atMs - (newestAtMs[stan] as number) >= ANSWERED_HOLD_MS)
      newestAtMs[stan] = atMs
      book.rest(stan, ANSWERED_HOLD_MS)
    }
    await time.advance(100)
  }
})

test('requests leave a reserve to reversals; when nothing is free there is no number', () => {
  const time = virtualTime()
  const book = new TraceBook(time.clock, NO_STAN, 0)
  for (let i = 0; i < STAN_END - 1 - STANS_RESERVED_FOR_REVERSALS; i++) {
    assert.notEqual(book.draw('request').stan, NO_STAN)
  }
  assert.equal(book.draw('request').stan, NO_STAN)
  for (let i = 0; i < STANS_RESERVED_FOR_REVERSALS; i++) {
    assert.notEqual(book.draw('reversal').stan, NO_STAN)
  }
  assert.equal(book.free, 0)
  assert.deepEqual(book.draw('reversal'), {
    stan: NO_STAN,
    transmittedAt: '1122095958',
    rrn: `632609${NO_STAN}`,
  })
})
