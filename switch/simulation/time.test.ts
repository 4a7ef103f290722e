import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { createVirtualTime } from './time.ts'

const settle = () => new Promise<void>((resolve) => setImmediate(resolve))
const startMs = Date.UTC(2026, 10, 22)

test('timers fire in order of time, then of setting, with the clock at their moment', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(50), { maxLength: 30 }), async (delays) => {
      const time = createVirtualTime({ startMs, settle: () => Promise.resolve() })
      const fired: { index: number; atMs: number }[] = []
      delays.forEach((delayMs, index) => {
        time.timers.set(delayMs, () => fired.push({ index, atMs: time.clock.monotonic() }))
      })
      await time.advance(50)
      const expected = delays
        .map((atMs, index) => ({ index, atMs }))
        .sort((a, b) => a.atMs - b.atMs || a.index - b.index)
      assert.deepEqual(fired, expected)
      assert.equal(time.pendingTimers, 0)
    }),
    { numRuns: 100 },
  )
})

test('a cleared timer does not fire, whichever it is', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ delayMs: fc.nat(20), isCleared: fc.boolean() }), { maxLength: 30 }),
      async (plans) => {
        const time = createVirtualTime({ startMs, settle: () => Promise.resolve() })
        const fired = new Set<number>()
        const handles = plans.map(({ delayMs }, i) => time.timers.set(delayMs, () => fired.add(i)))
        plans.forEach(({ isCleared }, i) => {
          if (isCleared) time.timers.clear(handles[i])
        })
        await time.advance(20)
        plans.forEach(({ isCleared }, i) => {
          assert.equal(fired.has(i), !isCleared)
        })
      },
    ),
    { numRuns: 100 },
  )
})

test('promises run to their end between two timers', async () => {
  const time = createVirtualTime({ startMs, settle })
  const told: string[] = []
  time.timers.set(10, async () => {
    for (let i = 0; i < 20; i++) await Promise.resolve()
    told.push('promises of the first')
  })
  time.timers.set(10, () => told.push('second'))
  assert.equal(await time.step(), true)
  await time.advance(10)
  assert.deepEqual(told, ['promises of the first', 'second'])
  assert.equal(await time.step(), false)
})

test('the wall clock steps, the monotonic one does not', async () => {
  const time = createVirtualTime({ startMs, settle })
  await time.advance(1_500)
  time.stepWallClock(-60_000)
  assert.equal(time.clock.now(), startMs + 1_500 - 60_000)
  assert.equal(time.clock.monotonic(), 1_500)
})
