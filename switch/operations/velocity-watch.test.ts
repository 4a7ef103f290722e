import assert from 'node:assert/strict'
import test from 'node:test'
import { createVirtualTime } from '../simulation/index.ts'
import { VelocityWatch } from './velocity-watch.ts'

const settle = () => new Promise<void>((resolve) => setImmediate(resolve))

test('one line when velocity goes missing, one when it is back, and none between', async () => {
  const time = createVirtualTime({ startMs: 0, settle })
  const said: string[] = []
  const log = {
    warn: (_: unknown, text?: string) => said.push(`warn ${text}`),
    info: (text: unknown) => said.push(`info ${text}`),
  }
  const counters = { batches: 0, velocityFaults: 0, lastVelocityFault: null as string | null }
  const watch = new VelocityWatch(() => counters, time.timers, log as never)
  counters.batches = 5
  await time.advance(1_500)
  assert.equal(watch.fault, null)
  for (let second = 0; second < 3; second++) {
    counters.batches += 10
    counters.velocityFaults += 10
    counters.lastVelocityFault = 'velocity_unreachable'
    await time.advance(1_000)
    assert.equal(watch.fault, 'velocity_unreachable')
  }
  // Nobody asks: nothing is known, so nothing is said.
  await time.advance(5_000)
  assert.equal(watch.fault, 'velocity_unreachable')
  counters.batches += 10
  await time.advance(1_000)
  assert.equal(watch.fault, null)
  assert.deepEqual(said, ['warn velocity is missing', 'info velocity is back'])
  watch.stop()
  assert.equal(time.pendingTimers, 0)
})
