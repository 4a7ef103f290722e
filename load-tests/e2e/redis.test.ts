// Velocity on a real Redis: counters outlive the switch, a Redis that hangs is named and never read
// as zero, and the decision still comes in time.

import assert from 'node:assert/strict'
import test, { after, before } from 'node:test'
import { type RunningRedis, redisMissing, startRedis } from '../processes/index.ts'
import { type Answer, eventually, purchase, type System, startSystem } from './system.ts'

const skip = redisMissing()
let redis: RunningRedis
let system: System
before(async () => {
  if (skip !== false) return
  redis = await startRedis()
  system = await startSystem({ redisUrl: redis.url })
})
after(async () => {
  await system?.stop()
  await redis?.stop()
})

interface Risk {
  readonly outcome: string
  readonly reasons: readonly string[]
  readonly degraded: readonly string[]
}

function riskOf(answer: Answer): Risk {
  assert.equal(answer.status, 200, answer.bytes.toString('utf8'))
  return answer.body.risk as Risk
}

/** A small purchase in the web shop from one device: too many of them are card testing. */
const small = (amount: number) => ({
  ...purchase(1, amount),
  channel: 'ecommerce',
  terminal: { entryMode: 'ecommerce' },
})

test('counters on Redis decide, and outlive the switch', { skip }, async () => {
  let amount = 100
  let declined: Risk | undefined
  while (declined === undefined && amount < 130) {
    const risk = riskOf(await system.post(`small-${amount}`, small(amount)))
    assert.deepEqual(risk.degraded, [])
    if (risk.outcome === 'decline') declined = risk
    amount++
  }
  assert.ok(declined !== undefined, 'card testing is never declined')
  await system.running.stop()
  await system.restart()
  const after = riskOf(await system.post('small-after', small(150)))
  assert.equal(after.outcome, 'decline')
  assert.deepEqual(after.reasons, declined.reasons)
})

test('Redis hangs: decided in time without velocity, which is named; then it is back', {
  skip,
}, async () => {
  redis.pause()
  const degraded: Risk[] = []
  // It hangs until all are answered: only a deadline can have ended the wait.
  for (let i = 0; i < 5; i++) {
    const answer = await system.post(`hang-${i}`, purchase(10 + i, 6_000 + i))
    assert.equal(answer.body.outcome, 'approved')
    degraded.push(riskOf(answer))
  }
  redis.resume()
  for (const risk of degraded) assert.deepEqual(risk.degraded, ['velocity'])
  let next = 0
  await eventually(async () => {
    next++
    const risk = riskOf(await system.post(`back-${next}`, purchase(100 + next, 6_100 + next)))
    assert.deepEqual(risk.degraded, [])
  })
})
