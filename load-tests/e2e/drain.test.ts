// SIGTERM: readiness off, nothing new, what is in flight is answered, exit 0. A drain that outlasts
// its time ends with 75, so 0 says that it did not.

import assert from 'node:assert/strict'
import test, { after, before } from 'node:test'
import { isLive } from '../issuer/index.ts'
import { pause } from '../processes/index.ts'
import { type Answer, purchase, type System, startSystem } from './system.ts'

let system: System
before(async () => {
  system = await startSystem()
})
after(() => system?.stop())

test('SIGTERM with requests in flight: all are answered, then exit 0, and nothing is left open', async () => {
  await system.demoA.setBehaviour({ delayMs: 800 })
  const amounts = Array.from({ length: 40 }, (_, i) => 5_000 + i)
  const posted = amounts.map((amount, i) => system.post(`drain-${i}`, purchase(i, amount)))
  while ((await system.demoA.status()).requests < amounts.length) await pause(10)
  system.running.signal('SIGTERM')
  await pause(100)
  assert.equal(await readiness(), false)
  const answers = await Promise.all(posted)
  for (const answer of answers)
    assert.deepEqual([answer.status, answer.body.outcome], [200, 'approved'])
  assert.equal(await system.running.exited, 0)
  await system.demoA.setBehaviour({ delayMs: 0 })

  await system.restart()
  for (const [i, answer] of answers.entries()) {
    const again: Answer = await system.post(`drain-${i}`, purchase(i, amounts[i] ?? 0))
    assert.ok(again.bytes.equals(answer.bytes))
  }
  const ledger = await system.demoA.ledger()
  assert.equal(ledger.filter(isLive).length, amounts.length)
  assert.ok(ledger.every(({ reversals }) => reversals.length === 0))
})

test('SIGTERM when idle: exit 0', async () => {
  assert.equal(await system.running.stop(), 0)
  await system.restart()
})

/** False also where nobody answers any more. */
async function readiness(): Promise<boolean> {
  try {
    return (await fetch(`${system.running.adminUrl}/readyz`)).ok
  } catch {
    return false
  }
}
