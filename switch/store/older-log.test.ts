// `fixtures/format-1.segment` was written by the version before steps of a payment were stored.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import test from 'node:test'
import { systemClock, systemTimers } from '../adapters/system-clock.ts'
import { createSeededRandom, SimulatedDisk } from '../simulation/index.ts'
import { auditLog } from './audit.ts'
import { sampleAttempt, sampleIntent, sampleOutcome, sampleReversal } from './conformance.ts'
import { openEmbeddedStore } from './embedded-store.ts'
import { MemoryRecordIndex } from './record-index.ts'
import { decodeHeader, HEADER_BYTES, segmentName } from './segment.ts'

const FORMAT_1 = readFileSync(new URL('./fixtures/format-1.segment', import.meta.url))

async function olderDisk(): Promise<SimulatedDisk> {
  const disk = new SimulatedDisk({ random: createSeededRandom(1) })
  const file = await disk.open(segmentName(0))
  await file.append(FORMAT_1)
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
  assert.deepEqual(formats, [1, 2])
  const second = await open(disk)
  assert.deepEqual((await second.read('auth_1'))?.steps, ['cap_1'])
  assert.deepEqual((await second.read('cap_1'))?.intent, intent)
  await second.close()
  const audit = await auditLog(disk)
  assert.ok(audit.ok)
  assert.deepEqual(audit.audit.contradictions, [])
})
