import assert from 'node:assert/strict'
import { test } from 'node:test'
import { testAttempt, testVelocity } from './conformance.ts'
import { createEmbeddedVelocity } from './embedded.ts'

testVelocity('embedded', () => createEmbeddedVelocity(), 8)

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
    // 8 more come before it is cut to 100.
    assert.equal(answer?.values[0], i <= 108 ? i : 100 + ((i - 109) % 9))
    assert.equal(answer?.saturated[0], i > 108 ? 1 : 0)
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

test('embedded: a restored snapshot answers as what it was made of', async () => {
  const T0 = 1_800_000_000_000
  const plan = [
    { function: 'count', entity: 'card', windowSeconds: 86_400 },
    { function: 'sum', entity: 'merchant', windowSeconds: 86_400 },
    { function: 'distinct', entity: 'merchant', of: 'card', windowSeconds: 86_400 },
  ] as const
  const first = createEmbeddedVelocity()
  const attempt = (i: number) =>
    testAttempt(i, T0 + i, { card: `card${i % 70}`, merchant: `merchant${i % 3}` })
  for (let i = 0; i < 6_000; i++) await first.observe([attempt(i)], plan, 10)
  const second = createEmbeddedVelocity()
  await second.observe([testAttempt(9_000, T0, { card: 'forgotten' })], plan, 10)
  assert.equal(second.restore(first.snapshot()), undefined)
  assert.equal(second.entities, first.entities)
  assert.equal(second.snapshot().compare(first.snapshot()), 0)
  for (let i = 6_000; i < 6_500; i++) {
    assert.deepEqual(
      await second.observe([attempt(i)], plan, 10),
      await first.observe([attempt(i)], plan, 10),
    )
  }
  const kept = second.entities
  assert.match(second.restore(first.snapshot().subarray(1)) ?? '', /no snapshot/)
  assert.equal(second.entities, kept)
})

test('embedded: a snapshot larger than the memory keeps the newest', async () => {
  const T0 = 1_800_000_000_000
  const plan = [{ function: 'count', entity: 'card', windowSeconds: 86_400 }] as const
  const large = createEmbeddedVelocity()
  for (let i = 0; i < 2_000; i++) {
    await large.observe([testAttempt(i, T0 + i, { card: `card${i}` })], plan, 10)
  }
  const small = createEmbeddedVelocity({ bytesMax: 100_000 })
  assert.equal(small.restore(large.snapshot()), undefined)
  assert.ok(small.bytes <= 100_000)
  const again = testAttempt(5_000, T0 + 5_000, { card: 'card1999' })
  assert.equal((await small.observe([again], plan, 10))[0]?.values[0], 2)
})

test('embedded: offline answers the same, as do registers that are computed anew', async () => {
  const plan = [
    { function: 'count', entity: 'card', windowSeconds: 86_400 },
    { function: 'distinct', entity: 'card', of: 'merchant', windowSeconds: 3_600 },
    { function: 'distinct', entity: 'merchant', of: 'card', windowSeconds: 3_600 },
    { function: 'distinct', entity: 'merchant', of: 'card', windowSeconds: 30 * 86_400 },
    { function: 'sum', entity: 'merchant', windowSeconds: 86_400 },
  ] as const
  const T0 = 1_800_000_000_000
  const plain = createEmbeddedVelocity({ bytesMax: 8e6 })
  const offline = createEmbeddedVelocity({ bytesMax: 8e6, offline: true })
  let anew = createEmbeddedVelocity({ bytesMax: 8e6 })
  for (let i = 0; i < 4_500; i += 50) {
    const attempts = Array.from({ length: 50 }, (_, n) => {
      const card = `card${((i + n) * 7_919) % 2_003}`
      const merchant = `merchant${n % 2}`
      return testAttempt(i + n, T0 + (i + n) * 400_000, { card, merchant, device: `d${i + n}` })
    })
    const answers = await plain.observe(attempts, plan, 10)
    assert.deepEqual(await offline.observe(attempts, plan, 10), answers)
    assert.deepEqual(await anew.observe(attempts, plan, 10), answers)
    if (i % 1_000 !== 0) continue
    const fresh = createEmbeddedVelocity({ bytesMax: 8e6 })
    assert.equal(fresh.restore(anew.snapshot()), undefined)
    anew = fresh
  }
  const last = testAttempt(9_999, T0 + 3.6e9, { merchant: 'merchant0' })
  const [answer] = await plain.observe([last], plan, 10)
  assert.ok((answer?.values[3] ?? 0) > 500)
  await assert.rejects(offline.observe([testAttempt(1, T0, {})], plan.slice(1), 10), /another/)
})

test('embedded: offline uses the memory of forgotten entities again', async () => {
  const plan = [{ function: 'count', entity: 'card', windowSeconds: 86_400 }] as const
  const T0 = 1_800_000_000_000
  const offline = createEmbeddedVelocity({ bytesMax: 100_000, offline: true })
  const before = process.memoryUsage().arrayBuffers
  for (let i = 0; i < 30_000; i++) {
    const attempt = testAttempt(i, T0 + i, { card: `card${Math.floor(i / 5)}` })
    const [answer] = await offline.observe([attempt], plan, 10)
    assert.equal(answer?.values[0], 1 + (i % 5))
  }
  assert.ok(offline.evicted > 5_000)
  // 6,000 cards with 48 + 96 + 192 + 384 bytes each would be 4 MB more than is live.
  assert.ok(process.memoryUsage().arrayBuffers - before < 3e6)
})
