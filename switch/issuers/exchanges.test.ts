import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createVirtualTime } from '../simulation/index.ts'
import type { Attempt } from '../store/index.ts'
import { Exchange } from './exchange.ts'
import { Exchanges } from './exchanges.ts'
import type { AskResult } from './issuer.ts'
import type { ParsedAnswer } from './issuer-message.ts'
import { GIVEN_UP_MAX } from './limits.ts'
import type { Line } from './line.ts'
import { NO_STAN, TraceBook } from './trace-numbers.ts'

const original = { amount: 100, terminalId: 'T-1', currencyNumeric: '978' } as Attempt
const line = { link: { dial: 1 } } as Line
const otherLine = { link: { dial: 1 } } as Line

function createWorld() {
  const time = createVirtualTime({ startMs: 0, settle: () => Promise.resolve() })
  const book = new TraceBook(time.clock, NO_STAN, 0)
  const inFlight = new Exchanges(time.clock, time.timers, book, 600_000, () => {})
  const start = (stan: number, results: AskResult[] = [], on: Line = line) => {
    const text = String(stan).padStart(6, '0')
    const rrn = `632610${text}`
    const numbers = { stan: text, transmittedAt: '1122100000', rrn }
    const expected = { answerClass: '011', ...numbers, amount: 100, standing: 100, original }
    const deadlineMs = time.clock.monotonic() + 8_000
    const exchange = new Exchange(expected, original, on, deadlineMs, (result) =>
      results.push(result),
    )
    inFlight.start(exchange)
  }
  return { time, book, inFlight, start }
}

function answerTo(stan: number): ParsedAnswer {
  const text = String(stan).padStart(6, '0')
  return {
    mti: '0110',
    amount: 100,
    transmittedAt: '1122100000',
    stan: text,
    rrn: `632610${text}`,
    approvalCode: '',
    responseCode: '00',
    terminalId: 'T-1',
    currencyNumeric: '978',
    networkCode: '',
    passThrough: undefined,
  }
}

test('given-up requests are bounded: the oldest is forgotten and its answer reaches nobody', () => {
  const { inFlight, start } = createWorld()
  const results: AskResult[] = []
  for (let stan = 1; stan <= GIVEN_UP_MAX + 10; stan++) start(stan, results)
  inFlight.lose(line)
  assert.equal(results.length, GIVEN_UP_MAX + 10)
  assert.equal(inFlight.size, 0)
  assert.equal(inFlight.givenUpSize, GIVEN_UP_MAX)
  assert.deepEqual(inFlight.match(answerTo(10), line), { field: '11', candidate: null })
  const kept = inFlight.match(answerTo(11), line)
  assert.ok(kept instanceof Exchange)
  assert.equal(kept.state, 'given_up')
})

test('the number of a given-up request rests for the whole window, an answered one for less', async () => {
  const { time, book, inFlight, start } = createWorld()
  start(1)
  start(2)
  assert.ok(inFlight.match(answerTo(2), line) instanceof Exchange)
  await time.advance(8_000)
  assert.equal(inFlight.givenUpSize, 1)
  await time.advance(590_000)
  assert.equal(book.free, 999_998)
  await time.advance(20_000)
  assert.equal(book.free, 999_999)
  assert.equal(inFlight.givenUpSize, 0)
  assert.equal(time.pendingTimers, 0)
})

test('a duplicate is told from a stray answer by all its numbers', () => {
  const { inFlight, start } = createWorld()
  start(7)
  assert.ok(inFlight.match(answerTo(7), line) instanceof Exchange)
  assert.equal(inFlight.match(answerTo(7), line), 'duplicate')
  const later = { ...answerTo(7), transmittedAt: '1122100001' }
  assert.deepEqual(inFlight.match(later, line), { field: '11', candidate: null })
  const reversal = { ...answerTo(7), mti: '0430' }
  assert.deepEqual(inFlight.match(reversal, line), { field: '11', candidate: null })
  assert.deepEqual(inFlight.match({ ...answerTo(7), stan: '' }, line), {
    field: '11',
    candidate: null,
  })
})

test('a lost connection costs its own; an answer is taken on its own, a late one on any', () => {
  const { inFlight, start } = createWorld()
  const results: AskResult[] = []
  start(1, results)
  start(2, [], otherLine)
  const crossed = inFlight.match(answerTo(2), line)
  assert.ok(crossed !== 'duplicate' && 'field' in crossed && crossed.field === 'connection')
  assert.equal(inFlight.lose(line), 1)
  assert.deepEqual(results, [{ kind: 'unknown', why: 'connection_lost' }])
  assert.equal(inFlight.size, 1)
  const late = inFlight.match(answerTo(1), otherLine)
  assert.ok(late instanceof Exchange && late.state === 'given_up')
  assert.ok(inFlight.match(answerTo(2), otherLine) instanceof Exchange)
})
