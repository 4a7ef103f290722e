import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { after, before, test } from 'node:test'
import {
  type RunningRedis,
  redisMissing,
  startRedis,
} from '../../load-tests/processes/redis-server.ts'
import { connectRedis } from '../adapters/redis-connection.ts'
import { testAttempt, testVelocity } from './conformance.ts'
import { createEmbeddedVelocity } from './embedded.ts'
import { ENTITY_TTL_SECONDS } from './limits.ts'
import { createRedisVelocity, type RedisVelocity, type RedisVelocityOptions } from './redis.ts'

const T0 = 1_800_000_000_000
const DEADLINE_MS = 5_000
const DAY = 86_400
const COUNTS = [
  { function: 'count', entity: 'card', windowSeconds: DAY },
  { function: 'count', entity: 'merchant', windowSeconds: DAY },
  { function: 'sum', entity: 'merchant', windowSeconds: DAY },
  { function: 'declines', entity: 'merchant', windowSeconds: DAY },
] as const

const clock = { now: () => Date.now(), monotonic: () => performance.now() }
const timers = {
  set: (delayMs: number, callback: () => void) => setTimeout(callback, delayMs),
  clear: (handle: unknown) => clearTimeout(handle as NodeJS.Timeout),
}

let stores = 0
const opened: RedisVelocity[] = []
/** A test that fails leaves its store open, which would keep this process alive. */
after(() => Promise.all(opened.map((store) => store.close())))

async function openStore(
  redis: RunningRedis,
  options: Partial<RedisVelocityOptions> = {},
): Promise<RedisVelocity> {
  const connection = await connectRedis({
    url: redis.url,
    commandTimeoutMs: 5_000,
    connectTimeoutMs: 5_000,
  })
  const keyPrefix = `t${stores++}.`
  const store = createRedisVelocity({ connection, clock, timers, keyPrefix, ...options })
  opened.push(store)
  return store
}

/** One command by hand. */
async function ask(redis: RunningRedis, source: string, keys: readonly string[] = []) {
  const connection = await connectRedis({
    url: redis.url,
    commandTimeoutMs: 5_000,
    connectTimeoutMs: 5_000,
  })
  try {
    return await connection.runScript({ source, sha1: '0'.repeat(40) }, keys, [])
  } finally {
    await connection.close()
  }
}

function testRedis(): void {
  let redis: RunningRedis
  before(async () => {
    redis = await startRedis()
  })
  after(() => redis.stop())

  testVelocity('redis', () => openStore(redis), 5)

  test('redis: four processes on the same entities lose and double no count', async () => {
    const stores = await Promise.all(
      [0, 1, 2, 3].map(() => openStore(redis, { keyPrefix: 'shared.' })),
    )
    const keys = { card: 'c', merchant: 'm' }
    await Promise.all(
      stores.map(async (store, s) => {
        for (let i = 0; i < 50; i++) {
          const numbers = Array.from({ length: 10 }, (_, k) => s * 10_000 + i * 10 + k)
          const batch = numbers.map((n) => testAttempt(n, T0 + i * 10, keys, 3))
          await store.observe(batch, COUNTS, DEADLINE_MS)
          await store.publish(
            [{ ...(batch[0] as (typeof batch)[0]), kind: 'declined' }],
            DEADLINE_MS,
          )
        }
      }),
    )
    const last = testAttempt(99_999, T0 + 1_000, keys, 3)
    for (const store of stores) {
      const [answer] = await store.observe([last], COUNTS, DEADLINE_MS)
      assert.deepEqual([...(answer?.values ?? [])].slice(1), [2_001, 6_003, 200])
      assert.equal(answer?.saturated[0], 1)
    }
    for (const store of stores) await store.close()
  })

  test('redis: scripts that Redis forgot are sent again', async () => {
    const store = await openStore(redis)
    await store.observe([testAttempt(1, T0, { card: 'c' })], COUNTS, DEADLINE_MS)
    await flushScripts(redis)
    const [answer] = await store.observe([testAttempt(2, T0, { card: 'c' })], COUNTS, DEADLINE_MS)
    assert.equal(answer?.values[0], 2)
    await store.close()
  })

  test('redis: every append refreshes the expiry', async () => {
    const store = await openStore(redis, { keyPrefix: 'ttl.' })
    const keys = { card: 'c', merchant: 'm' }
    await store.observe([testAttempt(1, T0, keys)], COUNTS, DEADLINE_MS)
    const all = ['ttl.1.{c.c}', 'ttl.1.{m.m}']
    for (const key of all) {
      await ask(redis, `return redis.call('EXPIRE', KEYS[1], 100)`, [key])
    }
    await store.observe([testAttempt(2, T0, keys)], COUNTS, DEADLINE_MS)
    for (const key of all) {
      const seconds = await ask(redis, `return redis.call('TTL', KEYS[1])`, [key])
      assert.ok(Number(seconds) > ENTITY_TTL_SECONDS - 10, `${key}: ${seconds}`)
    }
    await store.close()
  })

  test('redis: a ring of five events takes at most 600 bytes', async () => {
    const store = await openStore(redis, { keyPrefix: 'memory.' })
    const token = 'x'.repeat(22)
    for (let i = 0; i < 5; i++) {
      await store.observe([testAttempt(i, T0 + i, { card: token })], COUNTS, DEADLINE_MS)
    }
    const bytes = await ask(redis, "return redis.call('MEMORY', 'USAGE', KEYS[1])", [
      `memory.1.{c.${token}}`,
    ])
    assert.ok(Number(bytes) <= 600, `${bytes}`)
    await store.close()
  })

  test('redis: a base that was lost is missing until the next, and counting goes on', async () => {
    const store = await openStore(redis, { keyPrefix: 'lost.' })
    const keys = { card: 'c', merchant: 'm' }
    for (let i = 0; i < 100; i += 10) {
      const batch = Array.from({ length: 10 }, (_, k) => testAttempt(i + k, T0 + i, keys))
      await store.observe(batch, COUNTS, DEADLINE_MS)
      await store.settled()
    }
    assert.equal(await ask(redis, "return redis.call('DEL', KEYS[1])", ['lost.1.{m.m}b']), 1)
    const other = await openStore(redis, { keyPrefix: 'lost.' })
    let missing = 0
    for (let i = 100; i < 200; i += 10) {
      const batch = Array.from({ length: 10 }, (_, k) => testAttempt(i + k, T0 + i, keys))
      const answers = await other.observe(batch, COUNTS, DEADLINE_MS)
      const { values, isPartial } = answers[9] as (typeof answers)[number]
      const count = values[1] as number
      assert.equal(Number.isNaN(count), isPartial, 'never a count that is too low without a word')
      assert.equal(Number.isNaN(values[0]), false, 'the card is not concerned')
      if (isPartial) missing++
      else assert.ok(count >= i + 10 - 100 && count < i + 10)
      await other.settled()
    }
    assert.ok(missing > 0 && missing < 6, `${missing} batches without the merchant`)
    await store.close()
    await other.close()
  })

  test('redis: reading appends nothing and says what the embedded store says', async () => {
    const store = await openStore(redis, { keyPrefix: 'read.' })
    const embedded = createEmbeddedVelocity()
    const plan = [
      ...COUNTS,
      { function: 'sum', entity: 'card', windowSeconds: 3_600 },
      { function: 'declines', entity: 'card', windowSeconds: DAY },
      { function: 'distinct', entity: 'merchant', of: 'card', windowSeconds: DAY },
    ] as const
    // Ring and tile in every state: empty, short, compacted, saturated.
    for (let i = 0; i < 160; i++) {
      const keys = { card: `c${i % 3}`, merchant: 'm' }
      const attempt = testAttempt(i, T0 + i * 1_000, keys, i)
      for (const each of [store, embedded]) {
        await each.observe([attempt], plan, DEADLINE_MS)
        if (i % 5 === 0) {
          const outcome = { ...attempt, kind: 'declined' as const, responseCode: '51' }
          await each.publish([outcome], DEADLINE_MS)
        }
      }
      await store.settled()
      if (i % 20 > 0) continue
      const probe = testAttempt(900, T0 + i * 1_000 + 500, { card: 'c1', merchant: 'm' })
      const first = await store.read([probe], plan, DEADLINE_MS)
      assert.deepEqual(await store.read([probe], plan, DEADLINE_MS), first)
      assert.deepEqual(first, embedded.read([probe], plan))
      assert.equal(first[0]?.values[1], i + 1)
    }
    await store.close()
  })

  test('redis: an error reply makes velocity missing, by code', async () => {
    const store = await openStore(redis, { keyPrefix: 'wrong.' })
    await ask(redis, "return redis.call('LPUSH', KEYS[1], 'x')", ['wrong.1.{c.c}'])
    await assert.rejects(store.observe([testAttempt(1, T0, { card: 'c' })], COUNTS, DEADLINE_MS), {
      name: 'VelocityError',
      code: 'velocity_unreachable',
    })
    await store.close()
  })
}

/** SCRIPT FLUSH is not allowed inside a script. */
async function flushScripts(redis: RunningRedis): Promise<void> {
  await new Promise<void>((resolve) => {
    const socket = connect({ host: '127.0.0.1', port: redis.port })
    socket.once('data', () => {
      socket.destroy()
      resolve()
    })
    socket.write('SCRIPT FLUSH\r\n')
  })
}

function testFailures(): void {
  test('redis: stopped, it is missing within the deadline, then not asked, then back', async () => {
    const redis = await startRedis()
    const breakerOpenMs = 3_600_000
    let skippedMs = 0
    const skipping = { ...clock, monotonic: () => performance.now() + skippedMs }
    const store = await openStore(redis, { breakerOpenMs, clock: skipping })
    const ask = (n: number, deadlineMs = 20) =>
      store.observe([testAttempt(n, T0 + n, { card: 'c' })], COUNTS, deadlineMs)
    try {
      await ask(1, DEADLINE_MS)
      redis.pause()
      // It stands still until all have ended, so only the deadline can have ended them.
      for (let n = 2; n <= 4; n++) await assert.rejects(ask(n), { code: 'velocity_timeout' })
      assert.equal(store.breakerState, 'open')
      await assert.rejects(ask(5), { code: 'velocity_suspended' })
      redis.resume()
      skippedMs = breakerOpenMs
      const [answer] = await ask(6, DEADLINE_MS)
      // 1 and 6, and those that were sent while it stood still; never one twice.
      const count = answer?.values[0] as number
      assert.ok(count >= 2 && count <= 5, `${count}`)
      assert.equal(store.breakerState, 'closed')
    } finally {
      await store.close()
      await redis.stop()
    }
  })

  test('redis: ended and started again, it is found again', async () => {
    const redis = await startRedis()
    const store = await openStore(redis, { breakerOpenMs: 50 })
    await store.observe([testAttempt(1, T0, { card: 'c' })], COUNTS, DEADLINE_MS)
    await redis.stop()
    await assert.rejects(store.observe([testAttempt(2, T0, { card: 'c' })], COUNTS, DEADLINE_MS), {
      code: 'velocity_unreachable',
    })
    const again = await startRedis({ port: redis.port })
    try {
      let values: Float64Array | undefined
      for (let tries = 0; tries < 100 && values === undefined; tries++) {
        await new Promise((resolve) => setTimeout(resolve, 50))
        values = await store
          .observe([testAttempt(3, T0, { card: 'c' })], COUNTS, DEADLINE_MS)
          .then(([answer]) => answer?.values)
          .catch(() => undefined)
      }
      assert.equal(values?.[0], 1)
    } finally {
      await store.close()
      await again.stop()
    }
  })
}

test('redis: where nothing listens, start-up goes on and velocity is missing', async () => {
  const connection = await connectRedis({
    url: 'redis://127.0.0.1:1',
    commandTimeoutMs: 100,
    connectTimeoutMs: 50,
  })
  const store = createRedisVelocity({ connection, clock, timers })
  const attempt = testAttempt(1, T0, { card: 'c' })
  for (let i = 0; i < 3; i++) {
    await assert.rejects(store.observe([attempt], COUNTS, 50), { code: 'velocity_unreachable' })
  }
  await assert.rejects(store.publish([{ ...attempt, kind: 'declined' }], 50), {
    code: 'velocity_suspended',
  })
  await store.close()
})

const missing = redisMissing()
if (missing === false) {
  testRedis()
  testFailures()
} else {
  console.error(`scoring/velocity/redis.test.ts: skipped, ${missing}`)
  test('redis: conformance of the Redis velocity store', { skip: missing }, () => undefined)
}
