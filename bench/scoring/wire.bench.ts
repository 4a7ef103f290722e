// A batch on its way to a worker: 16 requests as one MessagePack buffer of rows, as msgpackr writes
// objects, and as JSON. Micros are of one batch.

import { Packr } from 'msgpackr'
import { decodeBatch, encodeBatch, type ScoringRequest } from '#scoring'
import { measure } from '../measure.ts'

const requests: readonly ScoringRequest[] = Array.from({ length: 16 }, (_, n) => ({
  id: `auth_${n}`,
  eventHash: n.toString(16).padStart(16, '0'),
  arrivedAtMs: Date.UTC(2026, 10, 22) + n,
  ...{ acquirer: 'demo', type: 'authorization', amount: 2_599, currency: 'EUR', channel: 'pos' },
  card: { token: `tok_${n}`, bin: '47617390', expiry: '2912' },
  merchant: { id: `M-${n}`, mcc: '5411', country: 'DE', timeZone: 'Europe/Berlin' },
  terminal: { id: `T-${n}`, entryMode: 'contactless' },
  device: { id: `D-${n}`, ip: '203.0.113.7' },
  customer: { id: `C-${n}`, email: `c${n}@example.com`, country: 'DE' },
}))
const batch = { requests, outcomes: [], velocityDeadlineMs: 20 }
const plain = new Packr({ useRecords: false })
const records = new Packr({ structures: [] })
const rows = encodeBatch(batch, 1)
const packed = plain.pack(batch)
const recorded = records.pack(batch)
const json = JSON.stringify(batch)

await measure([
  { name: 'wire, encode a batch of 16', run: () => encodeBatch(batch, 1) },
  { name: 'wire, decode a batch of 16', run: () => decodeBatch(rows) },
  { name: 'msgpackr objects, encode a batch of 16', run: () => plain.pack(batch) },
  { name: 'msgpackr objects, decode a batch of 16', run: () => plain.unpack(packed) },
  { name: 'msgpackr records, encode a batch of 16', run: () => records.pack(batch) },
  { name: 'msgpackr records, decode a batch of 16', run: () => records.unpack(recorded) },
  { name: 'JSON, encode a batch of 16', run: () => JSON.stringify(batch) },
  { name: 'JSON, decode a batch of 16', run: () => JSON.parse(json) },
])
