// `fixtures/format-1.segment` was written by the version before steps of a payment were stored,
// `format-2.segment` by the version before an advice could stand beside a reversal, `format-3.segment`
// by the version before requests and answers were stored as texts.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import test from 'node:test'
import { systemClock, systemTimers } from '../adapters/system-clock.ts'
import { createSeededRandom, SimulatedDisk } from '../simulation/index.ts'
import { auditLog } from './audit.ts'
import {
  sampleAdvice,
  sampleAttempt,
  sampleIntent,
  sampleOutcome,
  sampleReversal,
  sampleStandIn,
  sampleStep,
} from './conformance.ts'
import { openEmbeddedStore } from './embedded-store.ts'
import { MemoryRecordIndex } from './record-index.ts'
import { decodeHeader, HEADER_BYTES, segmentName } from './segment.ts'

const FORMAT_1 = readFileSync(new URL('./fixtures/format-1.segment', import.meta.url))
const FORMAT_3 = readFileSync(new URL('./fixtures/format-3.segment', import.meta.url))
const FORMAT_2 = readFileSync(new URL('./fixtures/format-2.segment', import.meta.url))

async function olderDisk(segment = FORMAT_1): Promise<SimulatedDisk> {
  const disk = new SimulatedDisk({ random: createSeededRandom(1) })
  const file = await disk.open(segmentName(0))
  await file.append(segment)
  await file.sync()
  await file.close()
  return disk
}

async function open(disk: SimulatedDisk) {
  const opened = await openEmbeddedStore({
    disk,
    index: new MemoryRecordIndex(),
    random: createSeededRandom(2),
    clock: systemClock,
    timers: systemTimers,
    owner: 'test',
    keyRetentionMs: 60_000,
  })
  assert.ok(opened.ok, opened.ok ? '' : opened.problem.message)
  return opened.store
}

test('a log of format 1 reads as it was written', async () => {
  const store = await open(await olderDisk())
  const approved = await store.read('auth_1')
  assert.deepEqual(approved?.intent, sampleIntent('auth_1'))
  assert.deepEqual(approved?.outcome, sampleOutcome('auth_1'))
  assert.deepEqual(approved?.steps, [])
  const declined = await store.read('auth_2')
  assert.deepEqual(declined?.attempts[1], sampleAttempt({ issuer: 'demo-b', stan: '000777' }))
  assert.deepEqual(declined?.outcome?.reversal, sampleReversal('auth_2'))
  assert.deepEqual(declined?.deliveries[0]?.sends, 1)
  assert.deepEqual(
    (await store.openTransactions()).map(({ intent, notSent }) => [intent.id, notSent]),
    [
      ['auth_3', false],
      ['auth_4', true],
    ],
  )
  assert.equal((await store.pendingDeliveries()).length, 2)
  await store.close()
})

test('what is new goes to a segment of the new format, and both are read', async () => {
  const disk = await olderDisk()
  const first = await open(disk)
  const payment = { paymentId: 'auth_1', version: 1 }
  const intent = sampleIntent('cap_1', { kind: 'capture', attempt: null, payment })
  const outcome = sampleOutcome('cap_1', { cause: 'accepted', decision: null })
  assert.deepEqual(await first.accept(intent, outcome), { kind: 'claimed' })
  await first.close()

  const formats = []
  for (const name of await disk.list()) {
    const file = await disk.open(name)
    const header = decodeHeader(await file.read(0, HEADER_BYTES))
    formats.push(header.kind === 'readable' ? header.format : header.kind)
    await file.close()
  }
  assert.deepEqual(formats, [1, 4])
  const second = await open(disk)
  assert.deepEqual((await second.read('auth_1'))?.steps, ['cap_1'])
  assert.deepEqual((await second.read('cap_1'))?.intent, intent)
  await second.close()
  const audit = await auditLog(disk)
  assert.ok(audit.ok)
  assert.deepEqual(audit.audit.contradictions, [])
})

test('a log of format 2 reads as it was written, and takes what is new', async () => {
  const disk = await olderDisk(FORMAT_2)
  const store = await open(disk)
  const captured = await store.read('cap_1')
  assert.deepEqual(captured?.intent, sampleStep('cap_1', 1))
  assert.deepEqual(captured?.outcome?.advice, sampleAdvice('cap_1'))
  assert.deepEqual((await store.read('auth_1'))?.steps, ['cap_1', 'ref_1'])
  const refund = await store.read('ref_1')
  assert.deepEqual(refund?.deliveries[0]?.message, sampleReversal('ref_1', { step: 'refund' }))
  assert.deepEqual([...(await store.deadLetters())], [['demo-a', 1]])
  assert.equal((await store.pendingDeliveries()).length, 1)

  await store.claim(sampleIntent('auth_2'))
  assert.deepEqual(await store.recordStandIn(sampleStandIn('auth_2')), sampleStandIn('auth_2'))
  await store.close()
  const second = await open(disk)
  assert.deepEqual((await second.read('auth_2'))?.outcome, sampleStandIn('auth_2'))
  assert.equal((await second.pendingDeliveries()).length, 3)
  await second.close()
  const audit = await auditLog(disk)
  assert.ok(audit.ok)
  assert.deepEqual(audit.audit.contradictions, [])
})

test('a log of format 3 reads as it was written, and takes what is new', async () => {
  const disk = await olderDisk(FORMAT_3)
  const store = await open(disk)
  const approved = await store.read('auth_1')
  assert.deepEqual(approved?.intent, sampleIntent('auth_1'))
  assert.deepEqual(approved?.outcome, sampleOutcome('auth_1'))
  assert.deepEqual(approved?.labels.length, 1)
  assert.deepEqual((await store.read('auth_2'))?.outcome, sampleStandIn('auth_2'))
  assert.deepEqual((await store.read('cap_1'))?.intent, sampleStep('cap_1', 1))
  await store.claim(sampleIntent('auth_3'))
  await store.record(sampleOutcome('auth_3'))
  assert.deepEqual((await store.read('auth_3'))?.outcome, sampleOutcome('auth_3'))
  await store.close()
})
