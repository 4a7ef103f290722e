import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { createVirtualTime } from '../simulation/index.ts'
import { Breaker } from './breaker.ts'
import { BREAKER_TRIALS_MAX } from './limits.ts'

function createWorld() {
  const time = createVirtualTime({ startMs: 0, settle: () => Promise.resolve() })
  const told: string[] = []
  const breaker = new Breaker(
    { timeoutsInARow: 3, openMinMs: 1_000, openMaxMs: 4_000 },
    time.timers,
    { probe: () => told.push('probe'), breakerChanged: (state) => told.push(state) },
  )
  const timeOut = (count: number) => {
    for (let i = 0; i < count; i++) breaker.requestTimedOut(breaker.requestLeft())
  }
  return { time, told, breaker, timeOut }
}

test('time-outs in a row open it, an answer in between starts the count again', () => {
  const { breaker, timeOut } = createWorld()
  timeOut(2)
  breaker.requestAnswered()
  timeOut(2)
  assert.equal(breaker.state, 'closed')
  timeOut(1)
  assert.equal(breaker.state, 'open')
  assert.equal(breaker.admitsRequest, false)
})

test('an echo lets a few through; the first that is answered closes it', async () => {
  const { time, told, breaker, timeOut } = createWorld()
  timeOut(3)
  await time.advance(999)
  assert.deepEqual(told, ['open'])
  await time.advance(1)
  assert.deepEqual(told, ['open', 'probe'])
  assert.equal(breaker.admitsRequest, false)
  breaker.probeAnswered()
  for (let i = 0; i < BREAKER_TRIALS_MAX; i++) {
    assert.equal(breaker.admitsRequest, true)
    assert.equal(breaker.requestLeft(), true)
  }
  assert.equal(breaker.admitsRequest, false)
  breaker.requestTimedOut(false)
  assert.equal(breaker.state, 'half_open', 'what was asked before says nothing new')
  breaker.requestAnswered()
  assert.equal(breaker.state, 'closed')
  assert.equal(time.pendingTimers, 0)
})

test('a host that answers echoes and no requests is asked less and less', async () => {
  const { time, told, breaker, timeOut } = createWorld()
  timeOut(3)
  for (const waitMs of [1_000, 2_000, 4_000, 4_000]) {
    await time.advance(waitMs - 1)
    assert.notEqual(told.at(-1), 'probe')
    await time.advance(1)
    assert.equal(told.at(-1), 'probe')
    breaker.probeAnswered()
    assert.equal(breaker.state, 'half_open')
    timeOut(1)
    assert.equal(breaker.state, 'open')
  }
})

test('an echo without an answer opens it longer, a lost connection ends it', async () => {
  const { time, told, breaker, timeOut } = createWorld()
  timeOut(3)
  await time.advance(1_000)
  breaker.probeFailed()
  await time.advance(1_999)
  assert.deepEqual(told, ['open', 'probe'])
  breaker.connectionLost()
  assert.equal(breaker.state, 'closed')
  assert.equal(time.pendingTimers, 0)
  breaker.probeAnswered()
  assert.equal(breaker.state, 'closed')
})

test('whatever happens, open means no request, and never for longer than the longest wait', async () => {
  const steps = fc.array(fc.integer({ min: 0, max: 6 }), { maxLength: 60 })
  await fc.assert(
    fc.asyncProperty(steps, async (choices) => {
      const { time, told, breaker, timeOut } = createWorld()
      for (const choice of choices) {
        if (choice === 0 && breaker.admitsRequest) breaker.requestLeft()
        if (choice === 1) breaker.requestAnswered()
        if (choice === 2) timeOut(1)
        if (choice === 3) breaker.probeAnswered()
        if (choice === 4) breaker.probeFailed()
        if (choice === 5) breaker.connectionLost()
        if (choice === 6) await time.advance(500)
        if (breaker.state === 'open') assert.equal(breaker.admitsRequest, false)
        if (breaker.state === 'closed') assert.equal(breaker.admitsRequest, true)
      }
      if (breaker.state === 'open') {
        await time.advance(4_000)
        assert.equal(told.at(-1), 'probe')
      } else {
        assert.equal(time.pendingTimers, 0)
      }
    }),
    { numRuns: 200 },
  )
})
