import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  ANSWERED_HOLD_MS,
  DEFAULT_LATE_ANSWER_WINDOW_MS,
  DEFAULT_TIMEOUT_MS,
  DRAWN_HOLD_MS,
  HOLD_MAX_MS,
  IN_FLIGHT_MAX,
  REVERSALS_IN_FLIGHT_MAX,
  STAN_END,
  STANS_RESERVED_FOR_REVERSALS,
} from './limits.ts'

test('time-outs alone never use up the numbers, at 12,000/s beside them', () => {
  const givenUpPerSecond = (IN_FLIGHT_MAX / DEFAULT_TIMEOUT_MS) * 1_000
  const givenUp = (givenUpPerSecond * DEFAULT_LATE_ANSWER_WINDOW_MS) / 1_000
  const answered = (12_000 * ANSWERED_HOLD_MS) / 1_000
  assert.ok(2 * givenUp + answered <= STAN_END - 1 - STANS_RESERVED_FOR_REVERSALS)
})

test('the reserve holds a reversal for everything in flight, many times over', () => {
  assert.ok(STANS_RESERVED_FOR_REVERSALS >= 20 * (IN_FLIGHT_MAX + REVERSALS_IN_FLIGHT_MAX))
})

test('every hold can be counted', () => {
  assert.ok(DEFAULT_TIMEOUT_MS + DEFAULT_LATE_ANSWER_WINDOW_MS <= HOLD_MAX_MS)
  assert.ok(DRAWN_HOLD_MS <= HOLD_MAX_MS && ANSWERED_HOLD_MS <= HOLD_MAX_MS)
})
