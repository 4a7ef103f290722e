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

test('embedded: a longer ring keeps more, and says saturated only when it is full', async () => {
  const plan = [{ function: 'count', entity: 'card', windowSeconds: 86_400 }] as const
  const T0 = 1_800_000_000_000
  const velocity = createEmbeddedVelocity({ ringAttemptsMax: 100 })
  for (let i = 1; i <= 120; i++) {
    const [answer] = await velocity.observe([testAttempt(i, T0 + i, { card: 'c' })], plan, 10)
    assert.equal(answer?.values[0], Math.min(i, 100))
    assert.equal(answer?.saturated[0], i > 100 ? 1 : 0)
  }
  assert.throws(() => createEmbeddedVelocity({ ringAttemptsMax: 681 }), /2 to 680 attempts: 681/)
})

test('embedded: reading counts what is there and adds nothing', async () => {
  const plan = [{ function: 'count', entity: 'card', windowSeconds: 86_400 }] as const
  const T0 = 1_800_000_000_000
  const velocity = createEmbeddedVelocity()
  const asked = (atMs: number, card: string) =>
    velocity.read([testAttempt(99, atMs, { card })], plan)[0]?.values[0]
  assert.equal(asked(T0, 'c'), 0)
  await velocity.observe([testAttempt(1, T0, { card: 'c' })], plan, 10)
  await velocity.observe([testAttempt(2, T0 + 1_000, { card: 'c' })], plan, 10)
  assert.equal(asked(T0, 'c'), 1)
  assert.equal(asked(T0 + 1_000, 'c'), 2)
  assert.equal(asked(T0 + 1_000, 'c'), 2)
  assert.equal(asked(T0 + 86_400_000, 'c'), 1)
  assert.equal(velocity.entities, 1)
})
