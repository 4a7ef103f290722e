// Velocity on a real Redis Cluster and under real Sentinels: while a slot moves, while a master
// dies, no event is counted twice, and what is not known is said to be missing.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import {
  type RunningRedisCluster,
  type RunningSentinels,
  redisMissing,
  startRedisCluster,
  startSentinels,
} from '../../load-tests/processes/index.ts'
import { clusterSlot } from '../adapters/cluster-slot.ts'
import { connectRedis } from '../adapters/redis-connection.ts'
import { entityKey } from './batch.ts'
import { testAttempt, testVelocity } from './conformance.ts'
import { createRedisVelocity, type RedisVelocity } from './redis.ts'

const T0 = 1_800_000_000_000
const DEADLINE_MS = 2_000
const DAY = 86_400
const COUNTS = [
  { function: 'count', entity: 'card', windowSeconds: DAY },
  { function: 'count', entity: 'merchant', windowSeconds: DAY },
] as const

const clock = { now: () => Date.now(), monotonic: () => performance.now() }
const timers = {
  set: (delayMs: number, callback: () => void) => setTimeout(callback, delayMs),
  clear: (handle: unknown) => clearTimeout(handle as NodeJS.Timeout),
}

const opened: RedisVelocity[] = []
let stores = 0

async function openStore(url: string, keyPrefix = `t${stores++}.`): Promise<RedisVelocity> {
  const connection = await connectRedis({
    url,
    commandTimeoutMs: DEADLINE_MS,
    connectTimeoutMs: 5_000,
  })
  const store = createRedisVelocity({ connection, clock, timers, keyPrefix, breakerOpenMs: 100 })
  opened.push(store)
  return store
}

/** What is known of each entity: attempts that were certainly counted, and those that may be. */
class Truth {
  readonly counted = new Map<string, number>()
  readonly unsure = new Map<string, number>()
  /** Counted, but so short before a master died that its replica may not have them. */
  readonly recent = new Map<string, number>()
  missing = 0

  check(entity: string, count: number): void {
    const sure = this.counted.get(entity) ?? 0
    const most = sure + 1 + (this.unsure.get(entity) ?? 0)
    if (Number.isNaN(count)) {
      this.missing++
      this.unsure.set(entity, (this.unsure.get(entity) ?? 0) + 1)
      return
    }
    const least = sure + 1 - (this.recent.get(entity) ?? 0)
    assert.ok(count >= least && count <= most, `${entity}: ${count}, not ${least} to ${most}`)
    this.counted.set(entity, sure + 1)
  }

  /** From now on the last counts may be lost, as far as they were not replicated. */
  masterDies(since: ReadonlyMap<string, number>): void {
    for (const [entity, count] of this.counted) {
      this.recent.set(entity, count - (since.get(entity) ?? 0))
    }
  }
}

let number = 0
/** Batches of 16 attempts over 400 cards and 8 merchants, one after the other, until told. */
async function offer(
  store: RedisVelocity,
  truth: Truth,
  go: () => boolean,
  onBatch: () => void = () => undefined,
): Promise<void> {
  while (go()) {
    const attempts = Array.from({ length: 16 }, () => {
      const keys = { card: `card${(number * 7919) % 400}`, merchant: `merchant${number % 8}` }
      return testAttempt(number++, T0 + number, keys)
    })
    const answers = await store.observe(attempts, COUNTS, DEADLINE_MS).catch(() => undefined)
    for (let i = 0; i < attempts.length; i++) {
      const { card = '', merchant = '' } = attempts[i]?.keys ?? {}
      const values = answers?.[i]?.values ?? [Number.NaN, Number.NaN]
      truth.check(card, values[0] as number)
      truth.check(merchant, values[1] as number)
      const isPartial = answers?.[i]?.isPartial ?? true
      assert.equal(isPartial, Number.isNaN(values[0]) || Number.isNaN(values[1]))
    }
    onBatch()
    // Failures come back at once; a real caller has other work between.
    await new Promise((resolve) => {
      setTimeout(resolve, 2)
    })
  }
}

function testCluster(): void {
  let cluster: RunningRedisCluster
  before(async () => {
    cluster = await startRedisCluster()
  })
  after(async () => {
    await Promise.all(opened.splice(0).map((store) => store.close()))
    await cluster?.stop()
  })

  testVelocity('cluster', () => openStore(cluster.url), 2)

  test('cluster: a resent event is counted once, wherever its entities stand', async () => {
    const store = await openStore(cluster.url)
    for (let i = 0; i < 20; i++) {
      const attempt = testAttempt(i, T0 + i, { card: `resent${i}`, merchant: 'resent' })
      for (let times = 0; times < 3; times++) {
        const [answer] = await store.observe([attempt], COUNTS, DEADLINE_MS)
        assert.deepEqual([...(answer?.values ?? [])], [1, i + 1])
      }
    }
  })

  test('cluster: while slots move, nothing is counted twice and nothing is lost', async () => {
    const prefix = 'moving.'
    const store = await openStore(cluster.url, prefix)
    const truth = new Truth()
    let moving = true
    const offered = offer(store, truth, () => moving)
    for (const token of ['merchant0', 'merchant1', 'merchant2']) {
      const slot = clusterSlot(entityKey(prefix, 6, token))
      const from = await cluster.masterOf(slot)
      const to = await cluster.masterOf((slot + 8_192) % 16_384)
      if (from !== to) await cluster.moveSlot(slot, from, to)
    }
    moving = false
    await offered
    // The move is over: everything is known again.
    const before = truth.missing
    let batches = 0
    await offer(store, truth, () => batches++ < 30)
    assert.ok(truth.missing - before <= 16, `${truth.missing - before} missing after the move`)
  })

  test('cluster: a master dies, its replica takes over; missing at worst, and said', async () => {
    const store = await openStore(cluster.url, 'dying.')
    const truth = new Truth()
    const victim = cluster.nodes[1] as RunningRedisCluster['nodes'][number]
    let batches = 0
    let counted = new Map<string, number>()
    await offer(
      store,
      truth,
      () => batches < 100,
      () => {
        // What is 20 batches old has long been replicated.
        if (++batches === 80) counted = new Map(truth.counted)
      },
    )
    process.kill(victim.pid, 'SIGKILL')
    truth.masterDies(counted)
    const deadline = performance.now() + 20_000
    let wholeInARow = 0
    let missingBefore = truth.missing
    await offer(
      store,
      truth,
      () => wholeInARow < 50 && performance.now() < deadline,
      () => {
        wholeInARow = truth.missing === missingBefore ? wholeInARow + 1 : 0
        missingBefore = truth.missing
      },
    )
    assert.ok(truth.missing > 0, 'its entities were missing for a while')
    assert.equal(wholeInARow, 50, 'and came back with the replica')
  })
}

function testSentinels(): void {
  let sentinels: RunningSentinels
  let store: RedisVelocity | undefined
  before(async () => {
    sentinels = await startSentinels()
  })
  after(async () => {
    await store?.close()
    await sentinels?.stop()
  })

  test('Sentinel: the replica that is made master goes on counting', async () => {
    store = await openStore(sentinels.url)
    const count = async (i: number) => {
      const attempt = testAttempt(i, T0 + i, { card: 'one' })
      const [answer] = (await store?.observe([attempt], COUNTS.slice(0, 1), DEADLINE_MS)) ?? []
      return answer?.values[0]
    }
    for (let i = 0; i < 10; i++) assert.equal(await count(i), i + 1)
    await new Promise((resolve) => {
      setTimeout(resolve, 1_000)
    })
    process.kill(sentinels.master.pid, 'SIGKILL')
    const deadline = performance.now() + 25_000
    for (let i = 10; ; i++) {
      assert.ok(performance.now() < deadline, 'no replica took over')
      const value = await count(i).catch(() => undefined)
      if (value !== undefined) {
        assert.ok(value >= 11 && value <= i + 1, `${value}`)
        return
      }
      await new Promise((resolve) => {
        setTimeout(resolve, 50)
      })
    }
  })
}

const missing = redisMissing()
if (missing === false) {
  testCluster()
  testSentinels()
} else {
  test('velocity on a Redis Cluster and under Sentinels', { skip: missing }, () => {})
}
