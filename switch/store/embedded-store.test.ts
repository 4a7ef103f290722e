import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { systemTimers } from '../adapters/system-clock.ts'
import type { Timers } from '../ports.ts'
import { createSeededRandom, type SeededRandom, SimulatedDisk } from '../simulation/index.ts'
import {
  type StoreWorld,
  sampleAttempt,
  sampleIntent,
  sampleOutcome,
  sampleReversal,
  TEST_KEY_RETENTION_MS,
  TEST_START_MS,
  testTransactionStore,
} from './conformance.ts'
import { type EmbeddedStoreOptions, openEmbeddedStore } from './embedded-store.ts'
import { PATIENT_MS, type StoreLimits } from './limits.ts'
import { MemoryRecordIndex, type RecordIndex } from './record-index.ts'
import { StoreFault, type TransactionStore } from './transaction-store.ts'

/** So small that every boundary is crossed all the time. */
const TINY: Partial<StoreLimits> = {
  segmentBytes: 4_096,
  residentTransactionsMax: 2,
  indexLagTransactions: 3,
  indexLagTransactionsMax: 6,
  indexBatchTransactions: 2,
}

function optionsFor(
  disk: SimulatedDisk,
  index: RecordIndex,
  random: SeededRandom,
  changes: Partial<EmbeddedStoreOptions> = {},
): EmbeddedStoreOptions {
  return {
    disk,
    index,
    random,
    clock: { now: () => TEST_START_MS, monotonic: () => performance.now() },
    timers: systemTimers,
    owner: 'test',
    keyRetentionMs: TEST_KEY_RETENTION_MS,
    ...changes,
  }
}

/**
 * Of a world that ends before any deadline: timers of a dead process must not keep this one. What
 * is patient waits a turn.
 */
const NO_DEADLINES: Timers = {
  set: (delayMs, callback) => (delayMs > PATIENT_MS ? null : setImmediate(callback)),
  clear: () => {},
}

async function openStore(options: EmbeddedStoreOptions): Promise<TransactionStore> {
  const opened = await openEmbeddedStore(options)
  assert.ok(opened.ok, opened.ok ? '' : opened.problem.message)
  return opened.store
}

function world(limits: Partial<StoreLimits>, keepsIndex: boolean): () => Promise<StoreWorld> {
  return async () => {
    const random = createSeededRandom(1)
    let disk = new SimulatedDisk({ random })
    let index = new MemoryRecordIndex()
    let nowMs = TEST_START_MS
    const clock = { now: () => nowMs, monotonic: () => performance.now() }
    const open = () => openStore(optionsFor(disk, index, random, { clock, limits }))
    const store = await open()
    let current = store
    return {
      store,
      advance: (durationMs) => {
        nowMs += durationMs
      },
      reopen: async () => {
        await current.close()
        disk = disk.restart('power')
        if (!keepsIndex) index = new MemoryRecordIndex()
        current = await open()
        return current
      },
      end: () => current.close(),
    }
  }
}

testTransactionStore('embedded', world({}, true))
testTransactionStore('embedded, its index lost at each start', world({}, false))
testTransactionStore('embedded, with tiny limits', world(TINY, true))

/** What a client was promised: it must be there in every later world. */
interface Promised {
  readonly claims: Map<string, string>
  readonly outcomes: Map<string, string>
  readonly queued: Set<string>
  readonly acknowledged: Set<string>
  readonly attempts: Map<string, number>
  leaseEpoch: number
}

type Step = readonly [operation: number, transaction: number, variant: number]

const KEYS = 3

const TINY_WORLD = { limits: TINY, timers: NO_DEADLINES }

/** One random operation; what it promises is noted once its promise has resolved. */
async function act(
  store: TransactionStore,
  generation: number,
  [operation, transaction, variant]: Step,
  promised: Promised,
): Promise<void> {
  const id = `auth_${generation}_${transaction}`
  const claimed = [...promised.claims.values()]
  const target = claimed[transaction % Math.max(1, claimed.length)] ?? id
  switch (operation) {
    case 0: {
      const key = `key ${transaction % KEYS}-${generation % 2}`
      const stan = String(transaction + 1).padStart(6, '0')
      const intent = sampleIntent(id, { idempotencyKey: key, attempt: sampleAttempt({ stan }) })
      const result = await store.claim(intent)
      const holder = result.kind === 'existing' ? result.entry.transactionId : id
      const known = promised.claims.get(key)
      if (known !== undefined) assert.equal(holder, known, 'a key was claimed twice')
      if (result.kind === 'claimed') promised.claims.set(key, id)
      return
    }
    case 1: {
      const reversal = variant % 2 === 0 ? null : sampleReversal(target, { stan: '000500' })
      const responseCode = String(variant % 100).padStart(2, '0')
      const outcome = sampleOutcome(target, { responseCode, reversal })
      const recorded = await store.record(outcome)
      const known = promised.outcomes.get(target)
      if (known !== undefined) assert.equal(recorded.responseCode, known, 'an outcome changed')
      promised.outcomes.set(target, recorded.responseCode)
      if (recorded.reversal !== null) promised.queued.add(target)
      return
    }
    case 2: {
      await store.queue(sampleReversal(target))
      promised.queued.add(target)
      return
    }
    case 3: {
      const attempt = sampleAttempt({ issuer: 'demo-b', stan: '000900' })
      // False: the outcome was there first, and a decided transaction has no further attempt.
      const isAdded = await store.addAttempt(target, attempt)
      if (isAdded) promised.attempts.set(target, (promised.attempts.get(target) ?? 1) + 1)
      return
    }
    case 4: {
      const change = { state: 'acknowledged', sends: 1, lastResponseCode: '00' } as const
      await store.updateDelivery(target, 'authorization', change)
      promised.acknowledged.add(target)
      return
    }
  }
}

async function checkPromises(store: TransactionStore, promised: Promised): Promise<void> {
  assert.ok(store.ownership.leaseEpoch > promised.leaseEpoch, 'an epoch was used twice')
  promised.leaseEpoch = store.ownership.leaseEpoch
  for (const [key, id] of promised.claims) {
    assert.equal(store.findKey('demo', key)?.transactionId, id)
    const read = await store.read(id)
    assert.equal(read?.intent.idempotencyKey, key)
    assert.ok((read?.attempts.length ?? 0) >= (promised.attempts.get(id) ?? 1))
  }
  for (const [id, responseCode] of promised.outcomes) {
    assert.equal((await store.read(id))?.outcome?.responseCode, responseCode)
  }
  const pending = (await store.pendingDeliveries()).map(({ message }) => message.transactionId)
  assert.equal(new Set(pending).size, pending.length)
  for (const id of promised.queued) {
    const [delivery, ...more] = (await store.read(id))?.deliveries ?? []
    assert.ok(delivery !== undefined && more.length === 0)
    assert.equal(pending.includes(id), delivery.state === 'queued')
    if (promised.acknowledged.has(id)) assert.equal(delivery.state, 'acknowledged')
  }
  // What was not promised is whole or absent: everything that is listed reads back.
  for (const { intent, outcome } of await store.openTransactions()) {
    assert.equal(outcome, null)
    assert.equal(store.findKey('demo', intent.idempotencyKey)?.transactionId, intent.id)
  }
}

const STEPS = fc.array(fc.tuple(fc.nat(4), fc.nat(8), fc.nat(99)), { maxLength: 25 })

const LIVES = fc.array(
  fc.record({
    steps: STEPS,
    crashCall: fc.integer({ min: 1, max: 60 }),
    crash: fc.constantFrom('kill' as const, 'power' as const),
    /** A power cut takes the index along; so may anything else. */
    losesIndex: fc.boolean(),
    together: fc.integer({ min: 1, max: 8 }),
  }),
  { minLength: 1, maxLength: 5 },
)

describe('embedded store under crashes', () => {
  it('keeps every promise across crashes at any port call', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(), LIVES, async (seed, lives) => {
        const random = createSeededRandom(seed)
        let disk = new SimulatedDisk({ random })
        let index = new MemoryRecordIndex()
        const promised: Promised = {
          claims: new Map(),
          outcomes: new Map(),
          queued: new Set(),
          acknowledged: new Set(),
          attempts: new Map(),
          leaseEpoch: 0,
        }
        for (const [generation, life] of lives.entries()) {
          const crashed = disk.crashAt(life.crashCall)
          const living = live(optionsFor(disk, index, random, TINY_WORLD), life, {
            generation,
            promised,
          })
          await Promise.race([crashed, living])
          disk = disk.restart(life.crash)
          if (life.losesIndex || life.crash === 'power') index = new MemoryRecordIndex()
          const store = await openStore(optionsFor(disk, index, random, TINY_WORLD))
          await checkPromises(store, promised)
          disk = disk.restart('kill')
        }
      }),
      { numRuns: 150 },
    )
  })
})

async function live(
  options: EmbeddedStoreOptions,
  life: { readonly steps: readonly Step[]; readonly together: number },
  past: { readonly generation: number; readonly promised: Promised },
): Promise<void> {
  const store = await openStore(options)
  const isBug = (error: unknown) => error instanceof assert.AssertionError
  for (let i = 0; i < life.steps.length; i += life.together) {
    const group = life.steps.slice(i, i + life.together)
    const done = group.map((step) => act(store, past.generation, step, past.promised))
    for (const result of await Promise.allSettled(done)) {
      // The other rejections are the store's refusals of what makes no sense.
      if (result.status === 'rejected' && isBug(result.reason)) throw result.reason
    }
  }
  await store.close()
}

describe('embedded store with a failing disk', () => {
  for (const [code, call] of [
    ['ENOSPC', 'append'],
    ['EIO', 'append'],
    ['EIO', 'sync'],
  ] as const) {
    it(`${code} in ${call} ends writing for ever, reading goes on`, async () => {
      const random = createSeededRandom(7)
      const disk = new SimulatedDisk({ random })
      const faults: string[] = []
      const onFault = (reason: string) => faults.push(reason)
      const store = await openStore(optionsFor(disk, new MemoryRecordIndex(), random, { onFault }))
      await store.claim(sampleIntent('auth_1'))
      disk.failWith(code, call)
      const waiting = [store.record(sampleOutcome('auth_1')), store.claim(sampleIntent('auth_2'))]
      for (const write of waiting) await assert.rejects(write, StoreFault)
      disk.failWith(null)
      await assert.rejects(store.claim(sampleIntent('auth_3')), StoreFault)
      assert.equal(store.status.writable, false)
      assert.match(store.status.fault ?? '', new RegExp(code))
      assert.equal(faults.length, 1)
      assert.equal(store.findKey('demo', 'key of auth_1')?.state, 'open')
      assert.equal((await store.read('auth_1'))?.outcome, null)
      await store.close()
    })
  }

  it('a full disk refuses the group that does not fit, and keeps what did', async () => {
    const random = createSeededRandom(3)
    const disk = new SimulatedDisk({ random, capacityBytes: 20_000 })
    const store = await openStore(optionsFor(disk, new MemoryRecordIndex(), random))
    const claimed: string[] = []
    for (let i = 0; i < 100 && store.status.writable; i++) {
      const id = `auth_${i}`
      await store.claim(sampleIntent(id)).then(
        () => claimed.push(id),
        (error) => assert.ok(error instanceof StoreFault),
      )
    }
    assert.match(store.status.fault ?? '', /ENOSPC/)
    const next = disk.restart('power')
    next.setCapacity(1_000_000)
    const reopened = await openStore(optionsFor(next, new MemoryRecordIndex(), random))
    const open = (await reopened.openTransactions()).map(({ intent }) => intent.id)
    assert.ok(claimed.length > 10)
    assert.deepEqual(open.slice(0, claimed.length), claimed)
    await reopened.close()
  })

  it('a flush that hangs is a fault when its deadline has passed', async () => {
    const random = createSeededRandom(5)
    const disk = new SimulatedDisk({ random })
    const limits = { flushDeadlineMs: 20 }
    const store = await openStore(optionsFor(disk, new MemoryRecordIndex(), random, { limits }))
    disk.hang()
    await assert.rejects(store.claim(sampleIntent('auth_1')), /longer than 20 ms/)
    assert.equal(store.status.writable, false)
  })

  it('a read that hangs rejects when its deadline has passed; writing goes on', async () => {
    const random = createSeededRandom(5)
    const disk = new SimulatedDisk({ random })
    const limits = { readDeadlineMs: 20 }
    const store = await openStore(optionsFor(disk, new MemoryRecordIndex(), random, { limits }))
    await store.claim(sampleIntent('auth_1'))
    disk.hang()
    await assert.rejects(store.read('auth_1'), /longer than 20 ms/)
    assert.equal(store.status.writable, true)
  })

  it('the loser of an outcome gets a StoreFault where the first one does not read', async () => {
    const random = createSeededRandom(5)
    const disk = new SimulatedDisk({ random })
    const store = await openStore(optionsFor(disk, new MemoryRecordIndex(), random))
    await store.claim(sampleIntent('auth_1'))
    await store.record(sampleOutcome('auth_1'))
    disk.failWith('EIO', 'read')
    await assert.rejects(store.record(sampleOutcome('auth_1')), StoreFault)
  })

  it('an index that fails ends writing', async () => {
    const random = createSeededRandom(5)
    const index = new MemoryRecordIndex()
    index.write = () => Promise.reject(new Error('no room'))
    const limits = { ...TINY, indexLagTransactions: 1 }
    const store = await openStore(
      optionsFor(new SimulatedDisk({ random }), index, random, { limits }),
    )
    await assert.rejects(async () => {
      for (let i = 0; i < 20; i++) await store.claim(sampleIntent(`auth_${i}`))
    }, StoreFault)
    assert.match(store.status.fault ?? '', /index failed: no room/)
    await store.close()
  })
})

it('close waits for what is being read; afterwards nothing is read any more', async () => {
  const random = createSeededRandom(5)
  const store = await openStore(
    optionsFor(new SimulatedDisk({ random }), new MemoryRecordIndex(), random),
  )
  const intent = sampleIntent('1')
  await store.claim(intent)
  const reading = store.read(intent.id)
  const closing = store.close()
  assert.equal((await reading)?.intent.id, intent.id)
  await closing
  await assert.rejects(store.read(intent.id), StoreFault)
  await assert.rejects(store.findByRrn(intent.acquirer, intent.rrn, 1), StoreFault)
  await assert.rejects(store.findCard(intent.acquirer, intent.cardToken), StoreFault)
  assert.throws(() => store.findKey(intent.acquirer, intent.idempotencyKey), StoreFault)
})
