import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Timers } from '../ports.ts'
import {
  type CrashKind,
  createSeededRandom,
  type SeededRandom,
  SimulatedDisk,
} from '../simulation/index.ts'
import { auditLog } from './audit.ts'
import {
  sampleAttempt,
  sampleIntent,
  sampleOutcome,
  sampleReversal,
  TEST_KEY_RETENTION_MS,
  TEST_START_MS,
} from './conformance.ts'
import { openEmbeddedStore } from './embedded-store.ts'
import { PATIENT_MS } from './limits.ts'
import { MemoryRecordIndex, type RecordIndex } from './record-index.ts'
import type { CardKeys } from './retention.ts'
import type { SealedCard, TransactionStore } from './transaction-store.ts'
import type { UpkeepEvent, UpkeepOptions } from './upkeep.ts'

const DAY_MS = 86_400_000
/** What the sample card is sealed into. */
const CIPHERTEXT = Buffer.alloc(40, 9)

/**
 * Pauses end at once, and what is patient waits a turn; nothing else ever comes, so that a dead
 * world's timers keep nothing alive.
 */
const PAUSES_ONLY: Timers = {
  set: (delayMs, callback) => {
    if (delayMs === 0) queueMicrotask(callback)
    if (delayMs === PATIENT_MS) setImmediate(callback)
    return null
  },
  clear: () => {},
}

interface Place {
  disk: SimulatedDisk
  index: RecordIndex
  readonly random: SeededRandom
  nowMs: number
}

function newPlace(): Place {
  const random = createSeededRandom(11)
  const disk = new SimulatedDisk({ random })
  return { disk, index: new MemoryRecordIndex(), random, nowMs: TEST_START_MS }
}

const events: UpkeepEvent[] = []

async function openAt(place: Place, changes: Partial<UpkeepOptions> = {}) {
  const opened = await openEmbeddedStore({
    disk: place.disk,
    index: place.index,
    random: place.random,
    clock: { now: () => place.nowMs, monotonic: () => 0 },
    timers: PAUSES_ONLY,
    owner: 'test',
    keyRetentionMs: TEST_KEY_RETENTION_MS,
    limits: { segmentBytes: 4_096, residentTransactionsMax: 4, indexLagTransactions: 3 },
    upkeep: {
      retentionMs: 400 * DAY_MS,
      retentionMinMs: 32 * DAY_MS,
      panRetentionMs: 180 * DAY_MS,
      bytesKeptMax: Number.MAX_SAFE_INTEGER,
      freeBytesMin: 1_000,
      segmentMsMax: DAY_MS,
      everyMs: 1,
      pauseMs: 0,
      onEvent: (event) => events.push(event),
      ...changes,
    },
  })
  assert.ok(opened.ok, opened.ok ? '' : opened.problem.message)
  return opened
}

/** An approved authorization of now. */
async function approve(store: TransactionStore, place: Place, id: string): Promise<void> {
  await store.claim(sampleIntent(id, { createdAtMs: place.nowMs, rrn: id, cardToken: id }))
  await store.record(sampleOutcome(id, { recordedAtMs: place.nowMs }))
}

const OPEN = 'auth_open'
const WAITING = 'auth_waiting'
const DEAD = 'auth_dead'

/** A day's traffic, with one of each kind that outlives its day where `withLiving`. */
async function fillDay(store: TransactionStore, place: Place, name: string, withLiving: boolean) {
  for (let i = 0; i < 8; i++) await approve(store, place, `auth_${name}_${i}`)
  if (!withLiving) return
  const createdAtMs = place.nowMs
  await store.claim(sampleIntent(OPEN, { createdAtMs, cardToken: OPEN }))
  for (const id of [WAITING, DEAD]) {
    await store.claim(sampleIntent(id, { createdAtMs, cardToken: id }))
    const reversal = sampleReversal(id, { queuedAtMs: createdAtMs })
    await store.record(sampleOutcome(id, { outcome: 'declined', responseCode: '91', reversal }))
  }
  const given = { state: 'dead', sends: 3, lastResponseCode: '12' } as const
  await store.updateDelivery(DEAD, 'authorization', given)
  const root = `auth_${name}_0`
  await store.recordLabel({
    transactionId: root,
    kind: 'chargeback',
    knownAtMs: createdAtMs,
    recordedAtMs: createdAtMs,
  })
  await store.accept(
    sampleIntent(`cap_${name}`, {
      createdAtMs,
      kind: 'capture',
      payment: { paymentId: root, version: 1 },
      attempt: null,
    }),
    sampleOutcome(`cap_${name}`, { cause: 'accepted' }),
  )
}

async function newWorld(): Promise<Place> {
  const place = newPlace()
  const { store } = await openAt(place)
  await fillDay(store, place, 'old', true)
  place.nowMs += 200 * DAY_MS
  await fillDay(store, place, 'new', false)
  await store.close()
  return place
}

/** The same disk again; the index as it was, or lost. */
async function fork(place: Place, crash: CrashKind, keepsIndex: boolean): Promise<Place> {
  const index = new MemoryRecordIndex()
  if (keepsIndex) await index.write(place.index.list('', Number.MAX_SAFE_INTEGER, 'ascending'))
  return { ...place, disk: place.disk.restart(crash), index }
}

async function holdsCiphertext(disk: SimulatedDisk): Promise<number> {
  let count = 0
  for (const name of await disk.list()) {
    const bytes = Buffer.from(disk.contents(name))
    for (let at = bytes.indexOf(CIPHERTEXT); at >= 0; at = bytes.indexOf(CIPHERTEXT, at + 40)) {
      count++
    }
  }
  return count
}

async function checkWhole(place: Place): Promise<void> {
  const audited = await auditLog(place.disk)
  assert.ok(audited.ok, audited.ok ? '' : audited.problem.message)
  assert.deepEqual(audited.audit.contradictions, [])
}

/** What must be there after any upkeep, ended or not. */
async function checkLiving(store: TransactionStore, isOldKept: boolean): Promise<void> {
  assert.deepEqual(
    (await store.openTransactions()).map(({ intent }) => intent.id),
    [OPEN],
  )
  const [open] = await store.openTransactions()
  assert.notEqual(open?.attempts[0]?.card, null)
  assert.equal(store.findKey('demo', `key of ${OPEN}`)?.state, 'open')
  const [waiting, ...more] = await store.pendingDeliveries()
  assert.deepEqual([waiting?.message.transactionId, more.length], [WAITING, 0])
  assert.notEqual(waiting?.message.original.card, null)
  assert.deepEqual([...(await store.deadLetters())], [['demo-a', 1]])
  assert.equal((await store.read(DEAD))?.deliveries[0]?.state, 'dead')
  for (let i = 0; i < 8; i++) {
    const id = `auth_new_${i}`
    const read = await store.read(id)
    assert.equal(read?.outcome?.responseCode, '00')
    assert.notEqual(read.attempts[0]?.card, null)
    assert.equal((await store.findByRrn('demo', id, 5)).length, 1)
    assert.notEqual(await store.findCard('demo', id), undefined)
  }
  if (!isOldKept) return
  const labelled = await store.read('auth_old_0')
  assert.deepEqual(labelled?.labels.length, 1)
  assert.deepEqual(labelled.steps, ['cap_old'])
}

describe('upkeep of the embedded store', () => {
  it('erases cards after their retention, those still needed excepted', async () => {
    const place = await newWorld()
    const before = await holdsCiphertext(place.disk)
    const { store, tend } = await openAt(place)
    await tend()
    await checkLiving(store, true)
    assert.equal((await store.read('auth_old_3'))?.attempts[0]?.card, null)
    assert.equal((await store.read('auth_old_3'))?.outcome?.responseCode, '00')
    assert.equal(await store.findCard('demo', 'auth_old_3'), undefined)
    assert.equal((await store.read(DEAD))?.deliveries[0]?.message.original.card, null)
    await store.close()
    // Eight new ones, the open one, and the one that waits with its reversal.
    assert.ok(before > 8 + 3)
    assert.equal(await holdsCiphertext(place.disk), 8 + 3)
    await checkWhole(place)
  })

  it('drops what is past its retention, and frees the disk', async () => {
    const place = await newWorld()
    place.nowMs += 250 * DAY_MS
    const { store, tend } = await openAt(place)
    const bytes = store.status.bytes
    await tend()
    assert.ok(store.status.bytes < bytes, `${store.status.bytes} of ${bytes}`)
    for (let i = 0; i < 8; i++) {
      const id = `auth_old_${i}`
      assert.equal(await store.read(id), undefined)
      assert.deepEqual(await store.findByRrn('demo', id, 5), [])
      assert.equal(await store.findCard('demo', id), undefined)
      assert.equal(place.index.get(`t${id.length}:${id}`), undefined)
    }
    assert.equal(await store.read('cap_old'), undefined)
    assert.notEqual(await store.read(OPEN), undefined)
    assert.notEqual(await store.read(WAITING), undefined)
    assert.notEqual(await store.read(DEAD), undefined)
    const label = { kind: 'genuine', knownAtMs: 1, recordedAtMs: 1 } as const
    assert.equal(await store.recordLabel({ transactionId: 'auth_old_1', ...label }), 'unknown')
    const late = sampleIntent('ref_late', {
      kind: 'refund',
      createdAtMs: place.nowMs,
      payment: { paymentId: 'auth_old_1', version: 1 },
    })
    assert.deepEqual(await store.claim(late), { kind: 'stale' })
    await store.close()
    await checkWhole(place)
    const again = await openAt({ ...place, index: new MemoryRecordIndex() })
    assert.equal(await again.store.read('auth_old_1'), undefined)
    assert.equal((await again.store.read('auth_new_1'))?.outcome?.responseCode, '00')
    assert.equal((await again.store.openTransactions()).length, 1)
    await again.store.close()
  })

  it('what waited goes too, once it is over', async () => {
    const place = await newWorld()
    place.nowMs += 250 * DAY_MS
    const { store, tend } = await openAt(place)
    await tend()
    await store.record(sampleOutcome(OPEN))
    const told = { state: 'acknowledged', sends: 1, lastResponseCode: '00' } as const
    await store.updateDelivery(WAITING, 'authorization', told)
    place.nowMs += 2 * DAY_MS
    await tend()
    assert.equal(await store.read(OPEN), undefined)
    assert.equal(await store.read(WAITING), undefined)
    assert.notEqual(await store.read(DEAD), undefined)
    await store.close()
    await checkWhole(place)
  })

  it('drops the oldest early where there are too many bytes, but not before the least', async () => {
    const place = await newWorld()
    const { store, tend } = await openAt(place, { bytesKeptMax: 1 })
    await tend()
    assert.equal(await store.read('auth_old_1'), undefined)
    assert.notEqual(await store.read('auth_new_1'), undefined)
    await store.close()
    await checkWhole(place)
  })

  it('brings every card under the newest key, while new ones come', async () => {
    const place = await newWorld()
    const reseal = (card: SealedCard): SealedCard => ({ ...card, keyId: 2, sealed: card.sealed })
    const keys: CardKeys = { currentKeyId: 2, isRotating: true, reseal }
    place.nowMs -= 100 * DAY_MS
    const { store, tend } = await openAt(place, { keys })
    const card = { ...(sampleAttempt().card as SealedCard), keyId: 2 }
    const tending = tend()
    for (let i = 0; i < 20; i++) {
      const attempt = sampleAttempt({ card })
      await store.claim(sampleIntent(`auth_later_${i}`, { createdAtMs: place.nowMs, attempt }))
      await store.record(sampleOutcome(`auth_later_${i}`))
    }
    await tending
    for (const id of ['auth_old_1', 'auth_new_1', OPEN, WAITING, 'auth_later_19']) {
      assert.equal((await store.read(id))?.attempts[0]?.card?.keyId, 2, id)
    }
    const [waiting] = await store.pendingDeliveries()
    assert.equal(waiting?.message.original.card?.keyId, 2)
    await store.close()
    await checkWhole(place)
  })

  it('says when the room on the disk is low, and when it is enough again', async () => {
    const place = newPlace()
    let free = 10_000
    const { store, tend } = await openAt(place, { freeBytes: async () => free })
    assert.deepEqual([store.status.freeBytes, store.status.isRoomLow], [10_000, false])
    const seen: boolean[] = []
    for (const room of [999, 1_100, 1_300]) {
      free = room
      await tend()
      seen.push(store.status.isRoomLow === true)
    }
    assert.deepEqual(seen, [true, true, false])
    await store.close()
  })

  it('a disk that fails ends a compaction, not the store', async () => {
    const place = await newWorld()
    const { store, tend } = await openAt(place)
    events.length = 0
    place.disk.failWith('ENOSPC', 'append')
    await tend()
    place.disk.failWith(null)
    assert.deepEqual(
      events.map(({ kind }) => kind),
      ['failed'],
    )
    await approve(store, place, 'auth_after')
    await tend()
    assert.equal((await store.read('auth_old_3'))?.attempts[0]?.card, null)
    await store.close()
    await checkWhole(place)
  })
})

describe('upkeep under crashes', () => {
  for (const [name, days] of [
    ['erasing', 0],
    ['dropping', 250],
  ] as const) {
    it(`loses nothing wherever it is killed while ${name}`, async () => {
      const world = await newWorld()
      world.nowMs += days * DAY_MS
      let calls = 1
      for (let isCrashed = true; isCrashed; calls += 1) {
        const crash = calls % 2 === 0 ? 'kill' : 'power'
        const place = await fork(world, 'kill', true)
        const { store, tend } = await openAt(place)
        const crashed = place.disk.crashAt(calls).then(() => true)
        const ended = tend().then(() => store.close())
        isCrashed = await Promise.race([crashed, ended.then(() => false)])
        const next = await fork(place, crash, crash === 'kill' && calls % 4 !== 0)
        await checkWhole(next)
        const again = await openAt(next)
        if (days === 0) await checkLiving(again.store, true)
        else assert.equal((await again.store.openTransactions()).length, 1)
        await again.tend()
        assert.notEqual(await again.store.read('auth_new_1'), undefined)
        assert.equal((await again.store.pendingDeliveries()).length, 1)
        if (days > 0) assert.equal(await again.store.read('auth_old_1'), undefined)
        await again.store.close()
        if (days === 0) assert.equal(await holdsCiphertext(next.disk), 8 + 3)
        const drafts = (await next.disk.list()).filter((file) => !file.endsWith('.log'))
        assert.deepEqual(drafts, [])
        await checkWhole(next)
      }
      assert.ok(calls > 40, `${calls} crash points`)
    })
  }
})
