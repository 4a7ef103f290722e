import assert from 'node:assert/strict'
import { test } from 'node:test'
import { testAttempt, testVelocity } from './conformance.ts'
import { createEmbeddedVelocity } from './embedded.ts'

testVelocity('embedded', () => createEmbeddedVelocity(), 12)

test('embedded: memory is bounded, and the least recently used entity goes first', async () => {
  const velocity = createEmbeddedVelocity({ bytesMax: 200_000 })
  const plan = [{ function: 'count', entity: 'card', windowSeconds: 86_400 }] as const
  const T0 = 1_800_000_000_000
  await velocity.observe([testAttempt(0, T0, { card: 'regular' })], plan, 10)
  for (let i = 1; i <= 3_000; i++) {
    await velocity.observe([testAttempt(2 * i, T0 + i, { card: `card${i}` })], plan, 10)
    if (i % 100 === 0) {
      const attempt = testAttempt(2 * i + 1, T0 + i, { card: 'regular' })
      const [answer] = await velocity.observe([attempt], plan, 10)
      assert.equal(answer?.values[0], 1 + i / 100)
    }
    assert.ok(velocity.bytes <= 200_000 + 1_000)
  }
  assert.ok(velocity.evicted > 2_000)
  assert.ok(velocity.entities > 100)
  const forgotten = testAttempt(9_999, T0 + 4_000, { card: 'card1' })
  const [answer] = await velocity.observe([forgotten], plan, 10)
  assert.equal(answer?.values[0], 1)
  await velocity.close()
})

test('embedded: an approval is recorded only where it is asked for', async () => {
  const T0 = 1_800_000_000_000
  const outcome = { ...testAttempt(1, T0, { card: 'c' }), kind: 'approved' as const }
  const plain = createEmbeddedVelocity()
  await plain.publish([outcome], 10)
  assert.equal(plain.entities, 0)
  const all = createEmbeddedVelocity({ recordedKinds: ['approved', 'declined', 'reversed'] })
  await all.publish([outcome], 10)
  assert.equal(all.entities, 1)
})
