// An authorization from end to end, and what bad input gets.

import assert from 'node:assert/strict'
import test, { after, before } from 'node:test'
import { isLive } from '../issuer/index.ts'
import { entriesOf, post, purchase, type System, startSystem } from './system.ts'

let system: System
before(async () => {
  system = await startSystem()
})
after(() => system?.stop())

test('approved: the issuer was asked over ISO 8583, and all that the contract names is there', async () => {
  const answer = await system.post('approved', purchase(1, 2599))
  assert.equal(answer.status, 200)
  const { body } = answer
  assert.equal(body.outcome, 'approved')
  assert.equal(body.responseCode, '00')
  assert.equal(body.amount, 2599)
  assert.equal(body.currency, 'EUR')
  assert.equal(body.issuer, 'demo-a')
  assert.equal(body.standIn, false)
  assert.equal(body.rrn, '000000000001')
  assert.match(String(body.id), /^auth_[0-9A-Z]{26}$/)
  const risk = body.risk as Record<string, unknown>
  assert.equal(risk.outcome, 'approve')
  assert.ok(typeof risk.score === 'number' && risk.score >= 0 && risk.score <= 1)
  assert.deepEqual(risk.degraded, [])
  const [entry, ...others] = await entriesOf(system.demoA, 2599)
  assert.deepEqual(others, [])
  assert.ok(entry !== undefined && isLive(entry))
  assert.equal(entry.approvalCode, body.approvalCode)
  assert.equal(entry.mti, '0100')
  assert.equal(entry.terminalId, 'T-1')
  assert.equal(entry.currency, '978')
})

test('declined by the issuer: its code, nothing live', async () => {
  const answer = await system.post('declined', purchase(2, 1051, '541333'))
  assert.equal(answer.status, 200)
  assert.equal(answer.body.outcome, 'declined')
  assert.equal(answer.body.responseCode, '51')
  assert.equal(answer.body.issuer, 'demo-b')
  assert.equal(answer.body.approvalCode, undefined)
  const [entry] = await entriesOf(system.demoB, 1051)
  assert.equal(entry?.responseCode, '51')
})

test('declined by a rule, with its reason, and never forwarded', async () => {
  const amounts = Array.from({ length: 14 }, (_, i) => 101 + i)
  const answers = []
  for (const amount of amounts) {
    const body = {
      ...purchase(3, amount),
      channel: 'ecommerce',
      terminal: { entryMode: 'ecommerce' },
    }
    answers.push((await system.post(`rule-${amount}`, body)).body)
  }
  const declined = answers.filter(({ outcome }) => outcome === 'declined')
  assert.ok(declined.length > 0, 'many small amounts on one device are card testing')
  const ledger = await system.demoA.ledger()
  for (const body of declined) {
    assert.equal(body.responseCode, '59')
    const { outcome, reasons } = body.risk as { outcome: string; reasons: string[] }
    assert.equal(outcome, 'decline')
    assert.ok(reasons.length > 0)
    assert.ok(!ledger.some(({ amount }) => amount === body.amount))
  }
})

test('no route for the BIN: declined 92, nobody asked', async () => {
  const body = { ...purchase(4, 2604), card: { pan: '4111111111111111', expiry: '2912' } }
  const answer = await system.post('no-route', body)
  assert.equal(answer.status, 200)
  assert.deepEqual([answer.body.outcome, answer.body.responseCode], ['declined', '92'])
  assert.deepEqual(await entriesOf(system.demoA, 2604), [])
})

test('an inquiry with amount 0 is answered', async () => {
  const answer = await system.post('balance', { ...purchase(5, 0), type: 'balance_inquiry' })
  assert.deepEqual([answer.status, answer.body.outcome], [200, 'approved'])
})

test('found by id and by RRN, by its acquirer only', async () => {
  const posted = await system.post('found', purchase(6, 2606))
  const byId = await system.get(`/v1/authorizations/${posted.body.id}`)
  assert.equal(byId.status, 200)
  assert.ok(byId.bytes.equals(posted.bytes))
  const byRrn = await system.get('/v1/authorizations?rrn=000000000006')
  assert.deepEqual(byRrn.body.authorizations, [posted.body])
  assert.equal((await system.get('/v1/authorizations/auth_00000000000000000000000000')).status, 404)
})

interface BadInput {
  readonly name: string
  readonly status: number
  readonly code?: string
  readonly param?: string
  readonly body?: object | Uint8Array
  readonly headers?: Readonly<Record<string, string>>
}

const good = purchase(7, 2607)
const badInputs: readonly BadInput[] = [
  { name: 'unreadable JSON', status: 400, body: Buffer.from('{"amount":') },
  {
    name: 'unreadable MessagePack',
    status: 400,
    body: Buffer.from([0x82, 0xa6, 0x61]),
    headers: { 'content-type': 'application/msgpack' },
  },
  {
    name: 'no Idempotency-Key',
    status: 400,
    code: 'idempotency_key_required',
    headers: { 'idempotency-key': '' },
  },
  { name: 'a wrong key', status: 401, headers: { authorization: 'Bearer wrong' } },
  { name: 'no key', status: 401, headers: { authorization: '' } },
  { name: 'a body over 64 KiB', status: 413, body: Buffer.alloc(65 * 1024, 0x20) },
  { name: 'a negative amount', status: 422, param: 'amount', body: { ...good, amount: -1 } },
  { name: 'a fractional amount', status: 422, param: 'amount', body: { ...good, amount: 1.5 } },
  { name: 'an amount as text', status: 422, param: 'amount', body: { ...good, amount: '100' } },
  { name: 'amount 0', status: 422, param: 'amount', body: { ...good, amount: 0 } },
  { name: 'amount above', status: 422, param: 'amount', body: { ...good, amount: 1e12 } },
  { name: 'unknown currency', status: 422, param: 'currency', body: { ...good, currency: 'XXQ' } },
  {
    name: 'a PAN that fails Luhn',
    status: 422,
    param: 'card.pan',
    body: { ...good, card: { pan: '4761739001010118', expiry: '2912' } },
  },
  {
    name: 'a PAN that is too short',
    status: 422,
    param: 'card.pan',
    body: { ...good, card: { pan: '47617390', expiry: '2912' } },
  },
  {
    name: 'a malformed expiry',
    status: 422,
    param: 'card.expiry',
    body: { ...good, card: { ...good.card, expiry: '2913' } },
  },
  { name: 'an unknown field', status: 422, body: { ...good, amout: 1 } },
  { name: 'a missing field', status: 422, body: { ...good, merchant: undefined } },
  {
    name: 'a terminal id over 8 characters',
    status: 422,
    param: 'terminal.id',
    body: { ...good, terminal: { id: 'T-1234567' } },
  },
]

for (const { name, status, code, param, body, headers } of badInputs) {
  test(`${name}: ${status}, and nothing is stored or forwarded`, async () => {
    const before = await system.demoA.status()
    const { url } = system.running
    const answer = await post(url, 'bad-input', body ?? good, headers)
    assert.equal(answer.status, status, answer.bytes.toString('utf8'))
    assert.match(answer.headers.get('content-type') ?? '', /^application\/problem\+json/)
    assert.equal(typeof answer.body.code, 'string')
    assert.equal(typeof answer.body.request_id, 'string')
    if (code !== undefined) assert.equal(answer.body.code, code)
    if (param !== undefined) assert.equal(answer.body.param, param)
    assert.equal((await system.demoA.status()).requests, before.requests)
  })
}

test('a key that only bad input used is still free', async () => {
  const answer = await system.post('bad-input', good)
  assert.equal(answer.status, 200)
  assert.equal(answer.headers.get('idempotent-replayed'), null)
})

test('health, readiness and metrics with the names of the contract', async () => {
  const { adminUrl } = system.running
  assert.equal((await fetch(`${adminUrl}/livez`)).status, 200)
  assert.equal((await fetch(`${adminUrl}/readyz?verbose`)).status, 200)
  const metrics = await (await fetch(`${adminUrl}/metrics`)).text()
  for (const name of ['authorizations_total', 'issuer_requests_total', 'store_flush_seconds']) {
    assert.match(metrics, new RegExp(`^switchyard_${name}`, 'm'))
  }
})
