import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { systemTimers } from '../adapters/system-clock.ts'
import { createSeededRandom, SimulatedDisk } from '../simulation/index.ts'
import { auditLog, exportLog } from './audit.ts'
import {
  sampleAttempt,
  sampleIntent,
  sampleOutcome,
  sampleReversal,
  TEST_KEY_RETENTION_MS,
  TEST_START_MS,
} from './conformance.ts'
import { openEmbeddedStore } from './embedded-store.ts'
import { STORE_LIMITS } from './limits.ts'
import { encodeRecord, type LogRecord } from './log-record.ts'
import { MemoryRecordIndex } from './record-index.ts'
import { FRAME_BYTES, writeFrame } from './segment.ts'
import { SegmentLog } from './segment-log.ts'

const NAME = '0000000000000000.log'

function newDisk(): SimulatedDisk {
  return new SimulatedDisk({ random: createSeededRandom(4) })
}

/** A log as the store writes it: one of each kind of record. */
async function filledDisk(): Promise<SimulatedDisk> {
  const disk = newDisk()
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
  const { store } = opened
  for (const id of ['auth_1', 'auth_2', 'auth_3']) await store.claim(sampleIntent(id))
  await store.markNotSent('auth_1')
  await store.addAttempt('auth_1', sampleAttempt())
  await store.record(sampleOutcome('auth_1'))
  const reversal = sampleReversal('auth_2')
  await store.record(sampleOutcome('auth_2', { outcome: 'declined', reversal }))
  await store.queue(sampleReversal('auth_1'))
  const done = { state: 'acknowledged', sends: 1, lastResponseCode: '00' } as const
  await store.updateDelivery('auth_1', 'authorization', done)
  await store.recordLateAnswer({
    transactionId: 'auth_2',
    at: TEST_START_MS,
    issuer: 'demo-a',
    responseCode: '00',
    approved: true,
  })
  const label = {
    transactionId: 'auth_2',
    kind: 'chargeback' as const,
    knownAtMs: 1,
    recordedAtMs: 2,
  }
  await store.recordLabel(label)
  await store.close()
  return disk
}

/** A log of any records, however little sense they make. */
async function diskOf(records: readonly LogRecord[]): Promise<SimulatedDisk> {
  const disk = newDisk()
  const opened = await SegmentLog.open({
    ...STORE_LIMITS,
    disk,
    random: createSeededRandom(4),
  })
  assert.ok(opened.ok)
  for (const record of records) {
    const payload = encodeRecord(record)
    const frame = Buffer.alloc(FRAME_BYTES + payload.length)
    writeFrame(frame, 0, payload, 0, opened.log.seed)
    await opened.log.append(frame)
  }
  return disk
}

async function audit(disk: SimulatedDisk) {
  const result = await auditLog(disk)
  assert.ok(result.ok, result.ok ? '' : result.problem.message)
  return result.audit
}

describe('log audit', () => {
  it('counts what the store wrote and finds nothing wrong', async () => {
    const disk = await filledDisk()
    const before = disk.contents(NAME)
    const found = await audit(disk)
    assert.deepEqual(found.recordsByKind, {
      lease: 1,
      claim: 3,
      not_sent: 1,
      attempt: 1,
      outcome: 2,
      queued: 1,
      delivery: 1,
      late_answer: 1,
      label: 1,
    })
    assert.equal(found.records, 12)
    assert.deepEqual(found.labels, { chargeback: 1 })
    assert.deepEqual(found.outcomes, { approved: 1, declined: 1 })
    assert.deepEqual([found.openClaims, found.pendingDeliveries], [1, 1])
    assert.deepEqual(found.contradictions, [])
    assert.equal(found.firstClaimAtMs, TEST_START_MS)
    assert.deepEqual(disk.contents(NAME), before)
  })

  it('tells a torn tail from damage', async () => {
    const disk = await filledDisk()
    const whole = disk.contents(NAME)
    disk.damage(NAME, 0, () => whole.slice(0, -3))
    assert.equal((await audit(disk)).records, 11)
    assert.ok(((await audit(disk)).tornTail?.bytes ?? 0) > 0)
    disk.damage(NAME, 80, (bytes) => bytes.map((byte, i) => (i === 0 ? byte ^ 1 : byte)))
    const damaged = await auditLog(disk)
    assert.ok(!damaged.ok)
    assert.equal(damaged.problem.code, 'log_damaged')
    const absent = await auditLog(newDisk())
    assert.ok(!absent.ok)
    assert.equal(absent.problem.code, 'log_absent')
  })

  it('finds records that contradict one another', async () => {
    const ownership = { owner: 'x', leaseEpoch: 1 }
    const lease = { kind: 'lease', ownership, openedAtMs: 1 } as const
    const claim = { kind: 'claim', intent: sampleIntent('auth_1'), ownership } as const
    const outcome = { kind: 'outcome', outcome: sampleOutcome('auth_1') } as const
    const queued = { kind: 'queued', message: sampleReversal('auth_1') } as const
    const delivery = {
      kind: 'delivery',
      transactionId: 'auth_1',
      step: 'authorization',
      state: 'dead',
      sends: 1,
      lastResponseCode: null,
    } as const
    const notSent = { kind: 'not_sent', transactionId: 'auth_1' } as const
    const cases: readonly [readonly LogRecord[], RegExp][] = [
      [[lease, lease], /epoch 1 was used/],
      [[claim, claim], /claimed twice/],
      [[claim, outcome, outcome], /two outcomes/],
      [[claim, outcome, notSent], /after its outcome/],
      [[claim, queued, queued], /queued twice/],
      [[claim, delivery], /no delivery/],
      [[outcome], /never claimed/],
    ]
    for (const [records, expected] of cases) {
      const { contradictions, contradictionCount } = await audit(await diskOf(records))
      assert.equal(contradictionCount, 1)
      assert.match(contradictions[0]?.message ?? '', expected)
    }
  })
})

describe('log export', () => {
  it('gives every record as JSON, without card ciphertext', async () => {
    const lines: string[] = []
    const problem = await exportLog(await filledDisk(), (record) => {
      lines.push(JSON.stringify(record))
      return undefined
    })
    assert.equal(problem, undefined)
    assert.equal(lines.length, 12)
    const text = lines.join('\n')
    const { iv, sealed } = sampleAttempt().card as { iv: Uint8Array; sealed: Uint8Array }
    for (const bytes of [iv, sealed]) assert.ok(!text.includes(Buffer.from(bytes).toString('hex')))
    const claim = JSON.parse(lines[1] as string)
    assert.deepEqual(claim.intent.attempt.card, { keyId: 1 })
    assert.equal(claim.intent.fingerprint, '05'.repeat(32))
    const outcome = lines.map((line) => JSON.parse(line)).find(({ kind }) => kind === 'outcome')
    assert.deepEqual(outcome.outcome.decision.features, [1.5, null, -0.25])
  })
})
