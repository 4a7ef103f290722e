// A request on its way in and its answer on its way out: bytes to an object, the object to a
// checked request, the answer to bytes. Beside them: MessagePack, and ajv and typebox on one
// schema.

import { Ajv } from 'ajv'
import { Packr } from 'msgpackr'
import { Compile } from 'typebox/compile'
import { AuthorizationSchema, parseAuthorization } from '#switch'
import { readContent, writeContent } from '../../switch/ingress/index.ts'
import { measure } from '../measure.ts'

const body = {
  ...{ type: 'authorization', amount: 2_599, currency: 'EUR', channel: 'pos' },
  card: { pan: '4761739001010119', expiry: '2912' },
  merchant: { id: 'M-1001', name: 'Corner Shop', mcc: '5411', country: 'DE' },
  terminal: { id: 'T-0001', entryMode: 'contactless' },
  device: { id: 'D-77', ip: '203.0.113.7' },
  customer: { id: 'C-42' },
  ...{ stan: '000123', rrn: '632610000123', transmittedAt: '2026-11-22T10:00:00Z' },
}
const answer = {
  ...{ id: 'auth_01KA0000000000000000000000', type: 'authorization', outcome: 'approved' },
  ...{ responseCode: '00', approvalCode: 'A1B2C3', amount: 2_599, currency: 'EUR' },
  ...{ stan: '000123', rrn: '632610000123', issuer: 'demo-a', standIn: false },
  risk: { outcome: 'approve', score: 0.0123, reasons: [], degraded: [] },
  createdAt: '2026-11-22T10:00:00.000Z',
}

const json = Buffer.from(JSON.stringify(body))
const packed = Buffer.from(new Packr({ useRecords: false }).pack(body))
const shared = new Packr({ structures: [] })
const sharedBytes = Buffer.from(shared.pack(body))
const ajv = new Ajv({ strict: false }).compile(AuthorizationSchema)
const typebox = Compile(AuthorizationSchema)
if (!ajv(body) || !typebox.Check(body)) throw new Error('the sample is not a request')

await measure([
  { name: 'content, read JSON', run: () => readContent('json', json) },
  { name: 'content, read MessagePack', run: () => readContent('msgpack', packed) },
  { name: 'content, read with shared structures', run: () => shared.unpack(sharedBytes) },
  { name: 'content, write JSON', run: () => writeContent('json', answer) },
  { name: 'content, write MessagePack', run: () => writeContent('msgpack', answer) },
  { name: 'content, write with shared structures', run: () => shared.pack(answer) },
  { name: 'message, check by typebox', run: () => typebox.Check(body) },
  { name: 'message, check by ajv', run: () => ajv(body) },
  { name: 'message, parse', run: () => parseAuthorization(body) },
])
