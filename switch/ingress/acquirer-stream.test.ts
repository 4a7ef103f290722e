// One stream's session on a connection that can be full; the path behind it is a door that is shut,
// so that every well-formed request is answered 503 at once, and a real one in load-tests/e2e.

import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { Packr, Unpackr } from 'msgpackr'
import { closedWorld } from '../adapters/closed-world.ts'
import type { Acquirer } from '../world.ts'
import { AcquirerStream } from './acquirer-stream.ts'
import { STREAM_IN_FLIGHT_MAX, STREAM_WAITING_ANSWERS_MAX } from './limits.ts'

const packr = new Packr({ useRecords: false })
const unpackr = new Unpackr({ useRecords: false, mapsAsObjects: true })
const world = closedWorld()
const acquirer = world.config.acquirers[0] as Acquirer

interface Answer {
  readonly id: string | number | null
  readonly status: number
  readonly body: { readonly code: string }
  readonly replayed: boolean
}

function createRig() {
  const answers: Answer[] = []
  const connection = {
    bufferedBytes: 0,
    closed: undefined as number | undefined,
    send(bytes: Uint8Array) {
      answers.push(unpackr.unpack(bytes) as Answer)
    },
    close(code: number) {
      connection.closed = code
    },
  }
  const session = new AcquirerStream(world, acquirer, connection)
  const send = (frame: unknown) => session.onFrame(packr.pack(frame), true)
  return { session, connection, answers, send }
}

const body = {
  amount: 2599,
  currency: 'EUR',
  channel: 'pos',
  card: { pan: '4761739001010119', expiry: '2912' },
  merchant: { id: 'M-1', mcc: '5411' },
}
const settled = () => new Promise((resolve) => setImmediate(resolve))

test('every frame is answered by its id, what is wrong by HTTP’s code and status', async () => {
  const { send, answers } = createRig()
  send({ id: 1, key: 'a', body })
  send({ id: 'two', body })
  send({ id: 3, key: 'sp ace', body })
  send({ id: 4, key: 'b', body: { ...body, amount: -1 } })
  send({ id: 5, key: 'b', body, extra: 1 })
  send({ key: 'b', body })
  send([1, 2])
  await settled()
  const seen = answers.map(({ id, status, body: problem }) => [id, status, problem.code])
  assert.deepEqual(
    seen.sort((a, b) => String(a[0]).localeCompare(String(b[0]))),
    [
      [1, 503, 'draining'],
      [3, 400, 'idempotency_key_invalid'],
      [4, 422, 'invalid_amount'],
      [5, 422, 'unknown_field'],
      [null, 400, 'unreadable_body'],
      [null, 400, 'unreadable_body'],
      ['two', 400, 'idempotency_key_required'],
    ],
  )
})

test('over the limit in flight: refused at once; answered, the places are free again', async () => {
  const { send, answers } = createRig()
  for (let i = 0; i <= STREAM_IN_FLIGHT_MAX; i++) send({ id: i, key: `k${i}`, body })
  assert.deepEqual(
    answers.map(({ id, body: problem }) => [id, problem.code]),
    [[STREAM_IN_FLIGHT_MAX, 'overloaded']],
  )
  await settled()
  assert.equal(answers.length, STREAM_IN_FLIGHT_MAX + 1)
  send({ id: 'again', key: 'k', body })
  await settled()
  assert.equal(answers.at(-1)?.body.code, 'draining')
})

test('answers wait for a peer that does not read, and then go out in order', async () => {
  const { send, session, connection, answers } = createRig()
  connection.bufferedBytes = 1_000_000
  for (let i = 0; i < STREAM_IN_FLIGHT_MAX; i++) send({ id: i, key: `k${i}`, body })
  await settled()
  assert.equal(answers.length, 0)
  send({ id: 'more', key: 'k', body })
  connection.bufferedBytes = 0
  session.onDrain()
  assert.equal(answers.length, STREAM_IN_FLIGHT_MAX + 1)
  assert.equal(answers[0]?.id, 0)
  assert.equal(answers.at(-1)?.body.code, 'overloaded')
})

test('a peer that sends on and never reads is closed, with bounded memory', () => {
  const { send, connection, answers } = createRig()
  connection.bufferedBytes = 1_000_000
  for (let i = 0; i < STREAM_WAITING_ANSWERS_MAX + 1; i++) send({ id: i, body })
  assert.equal(connection.closed, 1013)
  send({ id: 'later', body })
  assert.equal(answers.length, 0)
})

test('on leaving, what runs is answered first, then the peer is told to go', async () => {
  const { send, session, connection, answers } = createRig()
  send({ id: 1, key: 'a', body })
  session.onLeave()
  assert.equal(connection.closed, undefined)
  await settled()
  assert.equal(answers.length, 1)
  assert.equal(connection.closed, 1001)
})

test('text frames and a row of unreadable ones end the connection; no bytes make it throw', () => {
  const text = createRig()
  text.session.onFrame(Buffer.from('{}'), false)
  assert.equal(text.connection.closed, 1003)
  const noise = createRig()
  for (let i = 0; i < 10; i++) noise.session.onFrame(Uint8Array.of(0xc1), true)
  assert.equal(noise.connection.closed, 1008)
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      const { session, answers } = createRig()
      session.onFrame(bytes, true)
      assert.equal(answers.length, 1)
    }),
  )
})
