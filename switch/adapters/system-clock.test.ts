import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { createSystemRandom, systemClock, systemTimers } from './system-clock.ts'

test('the clocks go forward', async () => {
  const wallMs = systemClock.now()
  const monotonicMs = systemClock.monotonic()
  await sleep(5)
  assert.ok(systemClock.now() > wallMs && Number.isInteger(wallMs))
  assert.ok(systemClock.monotonic() - monotonicMs >= 4)
})

test('a timer fires once, a cleared one never, one beyond 31 bits not at once', async () => {
  const fired: string[] = []
  systemTimers.set(1, () => fired.push('short'))
  const cleared = systemTimers.set(1, () => fired.push('cleared'))
  systemTimers.clear(cleared)
  const long = systemTimers.set(2 ** 40, () => fired.push('long'))
  await sleep(20)
  systemTimers.clear(long)
  assert.deepEqual(fired, ['short'])
})

test('random bytes fill what they are asked to, across the pool and beyond it', () => {
  const random = createSystemRandom()
  const seen = new Set<string>()
  for (let i = 0; i < 1_000; i++) {
    const bytes = random.fill(new Uint8Array(16))
    seen.add(Buffer.from(bytes).toString('hex'))
  }
  assert.equal(seen.size, 1_000)
  const large = random.fill(new Uint8Array(10_000))
  assert.ok(new Set(large).size === 256)
})
