import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { createVirtualTime } from '../simulation/index.ts'
import { type DeadlineEntry, Deadlines } from './deadlines.ts'

interface Waiting extends DeadlineEntry<Waiting> {
  readonly name: number
}

function waiting(name: number, deadlineMs: number): Waiting {
  return { name, deadlineMs, earlier: null, later: null }
}

test('each entry is due once, at its deadline, unless it was taken out', async () => {
  const plan = fc.record({
    addAtMs: fc.nat(40),
    timeoutMs: fc.nat(40),
    removeAfterMs: fc.option(fc.nat(60), { nil: undefined }),
  })
  await fc.assert(
    fc.asyncProperty(fc.array(plan, { maxLength: 25 }), async (plans) => {
      const time = createVirtualTime({ startMs: 0, settle: () => Promise.resolve() })
      const due = new Map<number, number>()
      const deadlines = new Deadlines<Waiting>(time.clock, time.timers, (entry) => {
        assert.ok(!due.has(entry.name))
        due.set(entry.name, time.clock.monotonic())
      })
      const removed = new Set<number>()
      plans.forEach((planned, name) => {
        time.timers.set(planned.addAtMs, () => {
          const entry = waiting(name, planned.addAtMs + planned.timeoutMs)
          deadlines.add(entry)
          if (planned.removeAfterMs === undefined) return
          time.timers.set(planned.removeAfterMs, () => {
            if (due.has(name)) return
            deadlines.remove(entry)
            removed.add(name)
          })
        })
      })
      await time.advance(200)
      plans.forEach((planned, name) => {
        if (removed.has(name)) assert.ok(!due.has(name))
        else assert.equal(due.get(name), planned.addAtMs + planned.timeoutMs)
      })
      assert.equal(deadlines.size, 0)
      assert.equal(deadlines.earliest, null)
      assert.equal(time.pendingTimers, 0)
    }),
    { numRuns: 200 },
  )
})

test('one timer stands for all entries', () => {
  const time = createVirtualTime({ startMs: 0, settle: () => Promise.resolve() })
  const deadlines = new Deadlines<Waiting>(time.clock, time.timers, () => {})
  for (let i = 0; i < 100; i++) deadlines.add(waiting(i, 8_000 + (i % 7)))
  assert.equal(time.pendingTimers, 1)
  assert.equal(deadlines.size, 100)
})
