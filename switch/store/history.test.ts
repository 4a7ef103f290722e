import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemTimers } from '../adapters/system-clock.ts'
import { createSeededRandom, SimulatedDisk } from '../simulation/index.ts'
import { sampleIntent, sampleOutcome, TEST_KEY_RETENTION_MS, TEST_START_MS } from './conformance.ts'
import { openEmbeddedStore } from './embedded-store.ts'
import { findInHistory, openHistory, type PastTransaction, readStoredLabels } from './history.ts'
import { MemoryRecordIndex } from './record-index.ts'

async function openOn(disk: SimulatedDisk) {
  const opened = await openEmbeddedStore({
    disk,
    index: new MemoryRecordIndex(),
    clock: { now: () => TEST_START_MS, monotonic: () => 0 },
    timers: systemTimers,
    random: createSeededRandom(4),
    owner: 'test',
    keyRetentionMs: TEST_KEY_RETENTION_MS,
  })
  assert.ok(opened.ok)
  return opened.store
}

async function filledDisk(count: number): Promise<SimulatedDisk> {
  const disk = new SimulatedDisk({ random: createSeededRandom(4) })
  const store = await openOn(disk)
  const id = (n: number) => `auth_${n}`
  for (let n = 0; n < count; n++) {
    await store.claim(sampleIntent(id(n), { rrn: `rrn-${n % 10}`, createdAtMs: TEST_START_MS + n }))
    // Outcomes come in another order than claims, and the last claim has none.
    if (n % 2 === 1) {
      await store.record(sampleOutcome(id(n)))
      await store.record(sampleOutcome(id(n - 1), { outcome: 'declined' }))
    }
  }
  const label = { transactionId: id(1), kind: 'chargeback' as const, knownAtMs: 1, recordedAtMs: 2 }
  await store.recordLabel(label)
  await store.close()
  return disk
}

test('past transactions come in order of their claims, each with its outcome', async () => {
  const opened = await openHistory(await filledDisk(2_501))
  assert.ok(opened.ok)
  const { history } = opened
  const all: PastTransaction[] = []
  for await (const some of history.transactions()) all.push(...some)
  assert.equal(history.problem, undefined)
  assert.deepEqual(
    all.map(({ intent, outcome }) => [intent.id, outcome?.outcome]),
    Array.from({ length: 2_501 }, (_, n) => [
      `auth_${n}`,
      n === 2_500 ? undefined : n % 2 === 0 ? 'declined' : 'approved',
    ]),
  )
  assert.ok(history.bytesRead > 0 && history.bytesRead <= history.bytes)
})

test('an advice begins a payment, too; a step that is accepted does not', async () => {
  const disk = new SimulatedDisk({ random: createSeededRandom(4) })
  const store = await openOn(disk)
  await store.claim(sampleIntent('auth_1'))
  const told = { cause: 'accepted', decision: null } as const
  await store.accept(sampleIntent('adv_1', { kind: 'advice' }), sampleOutcome('adv_1', told))
  await store.accept(
    sampleIntent('rev_1', { kind: 'reversal', attempt: null }),
    sampleOutcome('rev_1', told),
  )
  await store.record(sampleOutcome('auth_1'))
  await store.close()
  const opened = await openHistory(disk)
  assert.ok(opened.ok)
  const all: PastTransaction[] = []
  for await (const some of opened.history.transactions()) all.push(...some)
  assert.deepEqual(
    all.map(({ intent, outcome }) => [intent.id, outcome?.cause]),
    [
      ['auth_1', sampleOutcome('auth_1').cause],
      ['adv_1', 'accepted'],
    ],
  )
  const found = await findInHistory(disk, 'adv_1')
  assert.ok(found.ok)
  assert.deepEqual(
    found.found.map(({ intent }) => intent.id),
    ['adv_1'],
  )
})

test('whoever stops reading leaves nothing open', async () => {
  const opened = await openHistory(await filledDisk(2_501))
  assert.ok(opened.ok)
  for await (const some of opened.history.transactions()) {
    assert.ok(some.length > 0)
    break
  }
})

test('one is found by its id, and those that share an RRN by it', async () => {
  const disk = await filledDisk(25)
  const byId = await findInHistory(disk, 'auth_3')
  assert.ok(byId.ok)
  assert.deepEqual(
    byId.found.map(({ intent, outcome }) => [intent.id, outcome?.outcome]),
    [['auth_3', 'approved']],
  )
  const byRrn = await findInHistory(disk, 'rrn-3')
  assert.ok(byRrn.ok)
  assert.deepEqual(
    byRrn.found.map(({ intent, outcome }) => [intent.id, outcome?.outcome]),
    [
      ['auth_3', 'approved'],
      ['auth_13', 'approved'],
      ['auth_23', 'approved'],
    ],
  )
  const nobody = await findInHistory(disk, 'auth_99')
  assert.ok(nobody.ok && nobody.found.length === 0)
})

test('labels are read without the rest', async () => {
  const read = await readStoredLabels(await filledDisk(5))
  assert.ok(read.ok)
  assert.deepEqual(
    read.labels.map(({ transactionId, kind }) => [transactionId, kind]),
    [['auth_1', 'chargeback']],
  )
})
