import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Attempt, QueuedMessage } from '../store/index.ts'
import type { CardData, DeliveredCard, Issuer } from './issuer.ts'
import { LeasedIssuer } from './leased-issuer.ts'
import { TraceBook } from './trace-numbers.ts'

/** Says what it was asked for, and for how long. */
function fakeLink(log: string[]): Issuer {
  return {
    name: 'demo-a',
    isUp: true,
    connections: ['up'],
    timeoutMs: 1_000,
    lateAnswerWindowMs: 600_000,
    drawTraceNumbers: () => ({ stan: '000001', transmittedAt: '1122100000', rrn: '632610000001' }),
    holdStan: () => {},
    releaseStan: () => {},
    expectLateAnswer: () => {},
    ask: async (_attempt, _card, timeoutMs) => {
      log.push(`ask ${timeoutMs}`)
      return { kind: 'unknown', why: 'timeout' }
    },
    deliver: async (_message, _card, _isRepeat, timeoutMs) => {
      log.push(`deliver ${timeoutMs}`)
      return { kind: 'unknown' }
    },
    close: async () => {},
  }
}

test('nothing leaves whose answer would be awaited for longer than the lease lasts', async () => {
  const log: string[] = []
  let leftMs = 1_500
  const issuer = new LeasedIssuer(fakeLink(log), (durationMs) => durationMs < leftMs)
  const attempt = {} as Attempt
  const card = {} as CardData & DeliveredCard
  const message = {} as QueuedMessage
  assert.equal(issuer.isUp, true)
  assert.equal((await issuer.ask(attempt, card, 1_000)).kind, 'unknown')
  assert.equal((await issuer.ask(attempt, card, 2_000)).kind, 'not_sent')
  // A delivery asks for no more than a request does.
  assert.equal((await issuer.deliver(message, card, false, 8_000)).kind, 'unknown')
  leftMs = 900
  assert.equal(issuer.isUp, false)
  assert.equal((await issuer.ask(attempt, card, 1_000)).kind, 'not_sent')
  assert.equal((await issuer.deliver(message, card, true, 8_000)).kind, 'not_sent')
  assert.deepEqual(log, ['ask 1000', 'deliver 1000'])
})

test('a book of a slot draws its own numbers in a circle, and lets no other rest', () => {
  let nowMs = 0
  const clock = { now: () => 1_795_341_600_000 + nowMs, monotonic: () => nowMs }
  const slot = { first: 125_000, last: 125_099 }
  const book = new TraceBook(clock, '125097', 1, slot)
  const drawn = Array.from({ length: 4 }, () => Number(book.draw('reversal').stan))
  assert.deepEqual(drawn, [125_099, 125_000, 125_001, 125_002])
  const { free } = book
  assert.equal(free, 96)
  book.keep(7)
  book.rest(999_999, 10_000)
  assert.equal(book.free, free)
  for (let i = 0; i < 86; i++) assert.notEqual(book.draw('request').stan, '000000')
  // A tenth of the slot is kept for reversals.
  assert.equal(book.draw('request').stan, '000000')
  assert.notEqual(book.draw('reversal').stan, '000000')
  nowMs += 60_000
  assert.notEqual(book.draw('request').stan, '000000')
  const other = new TraceBook(clock, '000000', 5, slot)
  assert.equal(other.draw('request').stan, '125005')
})
