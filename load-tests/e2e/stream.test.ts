// `/v1/stream` against real processes: the same answers as HTTP, many in flight, and what a client
// can do wrong.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import test, { after, before } from 'node:test'
import { Packr, Unpackr } from 'msgpackr'
import { openWebSocket, pause, UpgradeRefused, type WebSocketClient } from '../processes/index.ts'
import { entriesOf, eventually, purchase, type System, startSystem } from './system.ts'

let system: System
before(async () => {
  system = await startSystem()
})
after(() => system?.stop())

const packr = new Packr({ useRecords: false })
const unpackr = new Unpackr({ useRecords: false, mapsAsObjects: true, int64AsType: 'number' })

interface Answer {
  readonly id: string | number | null
  readonly status: number
  readonly body: Readonly<Record<string, unknown>>
  readonly replayed: boolean
}

interface Stream {
  readonly client: WebSocketClient
  readonly answers: Answer[]
  readonly closed: Promise<number>
  send(frame: unknown): void
  ask(frame: { id: string | number; [name: string]: unknown }): Promise<Answer>
}

async function openStream(headers = { Authorization: 'Bearer demo-key' }): Promise<Stream> {
  const answers: Answer[] = []
  let onClosed: (code: number) => void = () => {}
  const closed = new Promise<number>((resolve) => {
    onClosed = resolve
  })
  const url = `${system.running.url.replace('http', 'ws')}/v1/stream`
  const client = await openWebSocket(url, headers, {
    onMessage: (bytes) => answers.push(unpackr.unpack(bytes) as Answer),
    onClose: onClosed,
  })
  const send = (frame: unknown) => void client.send(packr.pack(frame))
  const ask = async (frame: { id: string | number }) => {
    send(frame)
    await eventually(async () =>
      assert.ok(
        answers.some(({ id }) => id === frame.id),
        'not yet',
      ),
    )
    return answers.find(({ id }) => id === frame.id) as Answer
  }
  return { client, answers, closed, send, ask }
}

test('the same answer as over HTTP, one key for both ways, an id of the client’s own', async () => {
  const { ask, client } = await openStream()
  const first = await ask({ id: 'a', key: 'stream-1', body: purchase(1, 2701) })
  assert.equal(first.status, 200)
  assert.equal(first.body.outcome, 'approved')
  assert.equal(first.replayed, false)
  const again = await ask({ id: 2, key: 'stream-1', body: purchase(1, 2701) })
  assert.deepEqual([again.body, again.replayed], [first.body, true])
  const http = await system.post('stream-1', purchase(1, 2701))
  assert.deepEqual(http.body, first.body)
  assert.equal(http.headers.get('idempotent-replayed'), 'true')
  const reused = await ask({ id: 3, key: 'stream-1', body: purchase(1, 2702) })
  assert.deepEqual([reused.status, reused.body.code], [422, 'idempotency_key_reused'])
  assert.equal((await entriesOf(system.demoA, 2701)).length, 1)
  client.close()
})

test('200 in flight on one connection, each answer to its own request', async () => {
  const { send, answers, client } = await openStream()
  const ids = Array.from({ length: 200 }, (_, i) => 10_000 + i)
  for (const id of ids) send({ id, key: `many-${id}`, body: purchase(id, id) })
  await eventually(async () => assert.equal(answers.length, ids.length))
  for (const answer of answers) {
    assert.equal(answer.status, 200)
    assert.equal(answer.body.amount, answer.id)
  }
  client.close()
})

test('an unknown key, none, and another path are refused before anything is upgraded', async () => {
  await assert.rejects(
    openStream({ Authorization: 'Bearer wrong' }),
    (error) => error instanceof UpgradeRefused && error.status === 401,
  )
  const plain = await fetch(`${system.running.url}/v1/stream`, {
    headers: { authorization: 'Bearer demo-key' },
  })
  assert.equal(plain.status, 404)
})

test('the example of docs/connect.md prints an approval', async () => {
  const page = readFileSync(new URL('../../switch/docs/connect.md', import.meta.url), 'utf8')
  const example = /```js\n([\s\S]*?)```/.exec(page)?.[1] ?? ''
  const script = example.replace('127.0.0.1:8080', new URL(system.running.url).host)
  const child = spawn(process.execPath, ['--input-type=module', '-e', script])
  let printed = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (bytes: Buffer) => {
      printed += bytes.toString()
    })
  }
  // It keeps its connection, as a client does.
  await eventually(async () => assert.match(printed, /outcome: 'approved'/))
  child.kill()
})

test('a frame over the limit and a text frame end their connection only', async () => {
  const large = await openStream()
  large.client.send(Buffer.alloc(70_000))
  await large.closed
  const text = await openStream()
  text.client.sendFrame(1, Buffer.from('{}'))
  assert.equal(await text.closed, 1003)
  const other = await openStream()
  const answer = await other.ask({ id: 1, key: 'after-bad', body: purchase(3, 2703) })
  assert.equal(answer.status, 200)
  other.client.close()
})

test('a client that goes away harms nobody: its authorization is found again by its key', async () => {
  const { client, send } = await openStream()
  send({ id: 1, key: 'gone', body: purchase(4, 2704) })
  await eventually(async () => assert.equal((await entriesOf(system.demoA, 2704)).length, 1))
  client.destroy()
  const answer = await system.post('gone', purchase(4, 2704))
  assert.equal(answer.body.outcome, 'approved')
  assert.equal((await entriesOf(system.demoA, 2704)).length, 1)
})

test('a client that does not read gets all of it when it does', async () => {
  const { client, send, answers } = await openStream()
  client.pause()
  const ids = Array.from({ length: 400 }, (_, i) => 20_000 + i)
  for (const id of ids) send({ id, key: `slow-${id}`, body: purchase(id, id) })
  await pause(1_500)
  client.resume()
  await eventually(async () => assert.equal(answers.length, ids.length))
  client.close()
})

test('SIGTERM: what is in flight is answered, then the stream ends with 1001', async () => {
  await system.demoA.setBehaviour({ delayMs: 800 })
  const { send, answers, closed } = await openStream()
  send({ id: 'last', key: 'last', body: purchase(5, 2705) })
  await eventually(async () => assert.equal((await entriesOf(system.demoA, 2705)).length, 1))
  system.running.signal('SIGTERM')
  assert.equal(await closed, 1001)
  assert.equal(answers[0]?.body.outcome, 'approved')
  assert.equal(await system.running.exited, 0)
})
