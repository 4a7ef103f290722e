import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import {
  SAMPLE_HOLD,
  sampleAdvice,
  sampleAttempt,
  sampleDecision,
  sampleIntent,
  sampleOutcome,
  sampleReversal,
  sampleStandIn,
  sampleStep,
} from './conformance.ts'
import { decodeRecord, encodeRecord, type LogRecord } from './log-record.ts'

const OWNERSHIP = { owner: 'switch_1', leaseEpoch: 3 }

const RECORDS: readonly LogRecord[] = [
  { kind: 'lease', ownership: OWNERSHIP, openedAtMs: 1_795_000_000_000 },
  { kind: 'claim', intent: sampleIntent('auth_1'), ownership: OWNERSHIP },
  { kind: 'claim', intent: sampleIntent('auth_1', { attempt: null }), ownership: OWNERSHIP },
  {
    kind: 'attempt',
    transactionId: 'auth_1',
    attempt: sampleAttempt({ card: null, ...SAMPLE_HOLD }),
  },
  { kind: 'not_sent', transactionId: 'auth_1' },
  { kind: 'outcome', outcome: sampleOutcome('auth_1', { reversal: sampleReversal('auth_1') }) },
  { kind: 'outcome', outcome: sampleOutcome('auth_1', { decision: null }) },
  {
    kind: 'late_answer',
    answer: {
      transactionId: 'auth_1',
      at: 5,
      issuer: 'demo-a',
      responseCode: '00',
      approved: true,
    },
  },
  { kind: 'outcome', outcome: sampleStandIn('auth_1') },
  { kind: 'queued', message: sampleReversal('auth_1') },
  {
    kind: 'label',
    label: { transactionId: 'auth_1', kind: 'dispute', knownAtMs: 7, recordedAtMs: 1_795_000_000 },
  },
  {
    kind: 'delivery',
    transactionId: 'auth_1',
    step: 'authorization',
    state: 'dead',
    sends: 12,
    lastResponseCode: null,
  },
  {
    kind: 'accepted',
    intent: sampleStep('cap_1', 1),
    ownership: OWNERSHIP,
    outcome: sampleOutcome('cap_1', {
      decision: null,
      advice: { ...sampleAdvice('cap_1'), processingCode: '200000' },
    }),
  },
  {
    kind: 'claim',
    intent: sampleStep('inc_1', 2, {
      kind: 'increment',
      attempt: sampleAttempt({ originalDataElements: '0'.repeat(42), ...SAMPLE_HOLD }),
    }),
    ownership: OWNERSHIP,
  },
]

describe('log record', () => {
  it('reads back every kind as it was', () => {
    for (const record of RECORDS) assert.deepEqual(decodeRecord(encodeRecord(record)), record)
  })

  it('reads back whatever a request and an answer hold', () => {
    // As they come from a JSON body: without -0, and without names that the schema refuses.
    const values = fc
      .dictionary(fc.string(), fc.jsonValue())
      .map((value) => JSON.stringify(value))
      .filter((text) => !text.includes('__proto__'))
      .map((text) => JSON.parse(text) as Record<string, unknown>)
    const numbers = fc.float32Array()
    fc.assert(
      fc.property(
        values,
        values,
        numbers,
        fc.float64Array(),
        (request, answer, features, aggregates) => {
          const intent = sampleIntent('auth_1', { request })
          const decision = { ...sampleDecision(), features, aggregates }
          const outcome = sampleOutcome('auth_1', { answer, decision })
          for (const record of [
            { kind: 'claim', intent, ownership: OWNERSHIP },
            { kind: 'outcome', outcome },
          ] as const) {
            assert.deepEqual(decodeRecord(encodeRecord(record)), record)
          }
        },
      ),
    )
  })

  it('keeps decoded bytes apart from what they were decoded from', () => {
    const bytes = encodeRecord({
      kind: 'attempt',
      transactionId: 'auth_1',
      attempt: sampleAttempt(),
    })
    const record = decodeRecord(bytes)
    bytes.fill(0)
    assert.deepEqual(record, {
      kind: 'attempt',
      transactionId: 'auth_1',
      attempt: sampleAttempt(),
    })
  })

  it('throws at what is no record of this version', () => {
    // [99, []] and [2, nil] in MessagePack.
    assert.throws(() => decodeRecord(new Uint8Array([0x92, 99, 0x90])), /kind 99/)
    assert.throws(() => decodeRecord(new Uint8Array([0x92, 2, 0xc0])), /kind 2/)
  })
})
