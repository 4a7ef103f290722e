// Closed loops over a transaction store, and what they write: one message of the switch is a claim
// and an outcome, one after the other.

import type { Decision } from '#scoring'
import type { Attempt, Flush, Intent, Outcome } from '../../switch/store/index.ts'
import { isBrief } from '../measure.ts'

const RUN_MS = isBrief ? 30 : 3_000
const WARM_UP_MS = isBrief ? 10 : 1_000

const DECISION: Decision = {
  outcome: 'approve',
  score: 0.0123,
  band: 'low',
  reasons: [],
  disclosedReasons: [],
  hits: [],
  degraded: [],
  ruleSet: 'a1b2c3d4',
  model: '2026-11',
  features: new Float32Array(32),
  aggregates: new Float64Array(12),
  unknownRules: [],
  saturated: [],
  stepMicros: { velocity: 100, features: 2, model: 24, rules: 1 },
}

export interface Subject {
  /** One message: two durable records, one after the other. */
  write(index: number): Promise<unknown>
  close(): Promise<void>
  /** Printed at the end. */
  note(): string
}

export async function measureClosedLoop(
  what: string,
  writers: number,
  subject: Subject,
): Promise<void> {
  const micros: number[] = []
  let next = 0
  const startedAt = performance.now()
  const measuredFrom = startedAt + WARM_UP_MS
  const until = measuredFrom + RUN_MS
  let cpu = process.cpuUsage()
  const warmUp = setTimeout(() => {
    cpu = process.cpuUsage()
  }, WARM_UP_MS)
  const loop = async () => {
    for (let now = performance.now(); now < until; ) {
      await subject.write(next++)
      const done = performance.now()
      if (now >= measuredFrom) micros.push((done - now) * 1_000)
      now = done
    }
  }
  await Promise.all(Array.from({ length: writers }, loop))
  clearTimeout(warmUp)
  const { user, system } = process.cpuUsage(cpu)
  const seconds = (performance.now() - measuredFrom) / 1_000
  const note = subject.note()
  await subject.close()
  print(`${what}, ${writers} writers`, micros, seconds, (user + system) / micros.length / 2, note)
}

function print(
  name: string,
  micros: number[],
  seconds: number,
  cpuMicros: number,
  note: string,
): void {
  micros.sort((a, b) => a - b)
  const at = (share: number) => Math.round(micros[Math.floor(micros.length * share)] ?? 0)
  const row = {
    name: `durable records: ${name}`,
    opsPerSecond: Math.round((micros.length * 2) / seconds),
    p50Micros: at(0.5),
    p99Micros: at(0.99),
    samples: micros.length * 2,
  }
  if (process.argv.includes('--json')) {
    console.log(JSON.stringify(row))
    return
  }
  const rate = row.opsPerSecond.toLocaleString('en-US').padStart(9)
  const times = `two in p50 ${row.p50Micros} µs  p99 ${row.p99Micros} µs`
  console.log(`${row.name.padEnd(68)}${rate}/s  ${times}  CPU ${cpuMicros.toFixed(1)} µs${note}`)
}

/** Adds flushes up for the note. */
export class FlushCount {
  flushes = 0
  seconds = 0
  records = 0

  readonly add = (flush: Flush): void => {
    this.flushes++
    this.seconds += flush.seconds
    this.records += flush.records
  }

  readonly note = (): string => {
    const size = (this.records / this.flushes).toFixed(0)
    return `  groups of ${size}, ${((this.seconds / this.flushes) * 1_000).toFixed(2)} ms`
  }
}

export function intent(id: string, index: number): Intent {
  return {
    id,
    kind: 'financial',
    acquirer: 'demo',
    idempotencyKey: `7f3c-${index}`,
    fingerprint: new Uint8Array(32),
    createdAtMs: Date.now(),
    rrn: String(index).padStart(12, '0'),
    cardToken: `tok_${index % 10_000}`.padEnd(44, '0'),
    request: {
      type: 'authorization',
      amount: 2599,
      currency: 'EUR',
      channel: 'pos',
      merchant: { id: 'M-1001', name: 'Corner Shop', mcc: '5411', country: 'DE' },
      terminal: { id: 'T-0001', entryMode: 'contactless' },
      device: { id: 'D-77', ip: '203.0.113.7' },
    },
    attempt: attempt(index),
  }
}

function attempt(index: number): Attempt {
  return {
    issuer: 'demo-a',
    mti: '0100',
    processingCode: '000000',
    stan: String(index % 1_000_000).padStart(6, '0'),
    transmittedAt: '1122100000',
    rrn: String(index).padStart(12, '0'),
    acquiringInstitution: '00000000001',
    amount: 2599,
    currencyNumeric: '978',
    terminalId: 'T-0001',
    merchantId: 'M-1001',
    merchantNameLocation: 'Corner Shop            Berlin        DE',
    mcc: '5411',
    entryMode: '071',
    card: { keyId: 1, iv: new Uint8Array(12), sealed: new Uint8Array(40) },
  }
}

export function outcome(id: string): Outcome {
  return {
    id,
    recordedAtMs: Date.now(),
    outcome: 'approved',
    responseCode: '00',
    cause: 'issuer',
    issuerResponseCode: '00',
    answer: { id, outcome: 'approved', amount: 2599, currency: 'EUR', stan: '000123' },
    decision: DECISION,
    reversal: null,
  }
}
