// One key, one outcome: replays, other bodies, other encodings, clients that go away.

import assert from 'node:assert/strict'
import { connect } from 'node:net'
import test, { after, before } from 'node:test'
import { pack, unpack } from 'msgpackr'
import { pause } from '../processes/index.ts'
import { entriesOf, post, purchase, type System, startSystem } from './system.ts'

let system: System
before(async () => {
  system = await startSystem()
})
after(() => system?.stop())

const messagePack = { 'content-type': 'application/msgpack', accept: 'application/msgpack' }

test('the same request again: the first answer, byte for byte, and the issuer asked once', async () => {
  const first = await system.post('same', purchase(1, 3001))
  const again = await system.post('same', purchase(1, 3001))
  assert.equal(first.headers.get('idempotent-replayed'), null)
  assert.equal(again.headers.get('idempotent-replayed'), 'true')
  assert.equal(again.status, 200)
  assert.ok(again.bytes.equals(first.bytes))
  assert.equal((await entriesOf(system.demoA, 3001)).length, 1)
})

test('a JSON retry of a MessagePack request is the same request, and the other way round', async () => {
  const { url } = system.running
  const body = purchase(2, 3002)
  const first = await post(url, 'packed', pack(body), messagePack)
  assert.equal(first.status, 200)
  assert.match(first.headers.get('content-type') ?? '', /msgpack/)
  const json = await system.post('packed', body)
  assert.equal(json.headers.get('idempotent-replayed'), 'true')
  assert.deepEqual(json.body, unpack(first.bytes))
  const packedAgain = await post(url, 'packed', pack(body), messagePack)
  assert.ok(packedAgain.bytes.equals(first.bytes))
  assert.equal((await entriesOf(system.demoA, 3002)).length, 1)
})

test('fields in another order and defaults said aloud are the same request', async () => {
  const body = purchase(3, 3003)
  const first = await system.post('normalized', body)
  const { type: _, ...withoutType } = body
  const reversed = Object.fromEntries(Object.entries(withoutType).reverse())
  const again = await system.post('normalized', reversed)
  assert.equal(again.headers.get('idempotent-replayed'), 'true')
  assert.ok(again.bytes.equals(first.bytes))
})

test('the key with another request: 422, and nothing is forwarded', async () => {
  await system.post('reused', purchase(4, 3004))
  const other = await system.post('reused', purchase(4, 3104))
  assert.equal(other.status, 422)
  assert.equal(other.body.code, 'idempotency_key_reused')
  assert.deepEqual(await entriesOf(system.demoA, 3104), [])
})

test('many at once with one key: one is forwarded, all get its answer', async () => {
  await system.demoA.setBehaviour({ delayMs: 200 })
  const answers = await Promise.all(
    Array.from({ length: 6 }, () => system.post('together', purchase(5, 3005))),
  )
  await system.demoA.setBehaviour({ delayMs: 0 })
  for (const answer of answers) {
    assert.equal(answer.status, 200)
    assert.ok(answer.bytes.equals(answers[0]?.bytes ?? Buffer.alloc(0)))
  }
  assert.equal((await entriesOf(system.demoA, 3005)).length, 1)
})

test('a client that goes away: completed and recorded, and its retry gets the answer', async () => {
  await system.demoA.setBehaviour({ delayMs: 300 })
  const body = JSON.stringify(purchase(6, 3006))
  const { hostname, port } = new URL(system.running.url)
  const socket = connect({ host: hostname, port: Number(port) })
  socket.write(
    `POST /v1/authorizations HTTP/1.1\r\nHost: ${hostname}:${port}\r\n` +
      'Authorization: Bearer demo-key\r\nContent-Type: application/json\r\n' +
      `Idempotency-Key: gone\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  )
  while ((await entriesOf(system.demoA, 3006)).length === 0) await pause(10)
  socket.destroy()
  await pause(500)
  await system.demoA.setBehaviour({ delayMs: 0 })
  const answer = await system.post('gone', purchase(6, 3006))
  assert.deepEqual([answer.status, answer.body.outcome], [200, 'approved'])
  assert.equal(answer.headers.get('idempotent-replayed'), 'true')
  const entries = await entriesOf(system.demoA, 3006)
  assert.deepEqual(
    entries.map(({ approvalCode, reversals }) => [approvalCode, reversals.length]),
    [[answer.body.approvalCode, 0]],
  )
})

test('one acquirer key in two cases is two keys; the longest key is taken', async () => {
  const lower = await system.post('case', purchase(7, 3007))
  const upper = await system.post('CASE', purchase(8, 3008))
  assert.notEqual(lower.body.id, upper.body.id)
  assert.equal((await system.post('k'.repeat(255), purchase(9, 3009))).status, 200)
  assert.equal((await system.post('k'.repeat(256), purchase(10, 3010))).status, 400)
})
