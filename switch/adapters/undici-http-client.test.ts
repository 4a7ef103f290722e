import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { makeCertificates, type TestCertificates } from '../../load-tests/processes/index.ts'
import type { HttpClient, HttpClientRequest } from '../ports.ts'
import { createHttpClient } from './undici-http-client.ts'

const request: HttpClientRequest = {
  path: '/v1/authorizations',
  headers: { host: 'issuer.test', 'content-type': 'application/json' },
  body: Buffer.from('{"amount":2599}'),
  giveUpMs: 5_000,
}
const limits = { connectionsMax: 2, connectTimeoutMs: 2_000, answerBytesMax: 1_000 }

async function withServer(
  handle: (request: IncomingMessage, response: ServerResponse, body: string) => void,
  run: (client: HttpClient, requests: () => number, sockets: () => number) => Promise<void>,
): Promise<void> {
  let requests = 0
  let sockets = 0
  const server = createServer((incoming, response) => {
    requests++
    let body = ''
    incoming.setEncoding('utf8').on('data', (text) => {
      body += text
    })
    incoming.on('end', () => handle(incoming, response, body))
  })
  server.on('connection', () => sockets++)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const client = createHttpClient({ address: { host: '127.0.0.1', port }, ...limits })
  try {
    await run(
      client,
      () => requests,
      () => sockets,
    )
  } finally {
    client.close()
    server.closeAllConnections()
    server.close()
  }
}

test('the answer with its status, over a connection that is kept', async () => {
  await withServer(
    (incoming, response, body) => {
      assert.equal(incoming.method, 'POST')
      assert.equal(incoming.headers.host, 'issuer.test')
      response.writeHead(body.includes('2599') ? 200 : 422).end('{"responseCode":"00"}')
    },
    async (client, _, sockets) => {
      for (let i = 0; i < 5; i++) {
        const sent = await client.send(request)
        assert.ok(sent.kind === 'answered')
        assert.equal(sent.status, 200)
        assert.equal(Buffer.from(sent.body).toString(), '{"responseCode":"00"}')
      }
      assert.ok(sockets() <= 2)
    },
  )
})

test('nobody there: certainly not sent', async () => {
  const gone = createTcpServer().listen(0, '127.0.0.1')
  await once(gone, 'listening')
  const { port } = gone.address() as AddressInfo
  gone.close()
  await once(gone, 'close')
  const client = createHttpClient({ address: { host: '127.0.0.1', port }, ...limits })
  assert.deepEqual(await client.send(request), { kind: 'not_sent', code: 'ECONNREFUSED' })
  client.close()
})

test('a connection that ends without an answer is unknown, and nothing is sent again', async () => {
  await withServer(
    (incoming) => incoming.socket.destroy(),
    async (client, requests) => {
      const sent = await client.send(request)
      assert.equal(sent.kind, 'unknown')
      await sleep(100)
      assert.equal(requests(), 1)
    },
  )
})

test('half an answer, one too long, and none until it is given up are unknown', async () => {
  await withServer(
    (_incoming, response) => {
      response.writeHead(200, { 'content-length': '100' }).write('{"half":')
      setTimeout(() => response.destroy(), 20)
    },
    async (client) => assert.equal((await client.send(request)).kind, 'unknown'),
  )
  await withServer(
    (_incoming, response) => void response.end('x'.repeat(1_001)),
    async (client) => {
      assert.deepEqual(await client.send(request), { kind: 'unknown', code: 'ANSWER_TOO_LONG' })
    },
  )
  await withServer(
    () => {},
    async (client) => {
      const sent = await client.send({ ...request, giveUpMs: 50 })
      assert.deepEqual(sent, { kind: 'unknown', code: 'GIVEN_UP' })
    },
  )
})

test('what still waits for a connection when it is given up never leaves', async () => {
  await withServer(
    (_incoming, response) => void setTimeout(() => response.end('{}'), 300),
    async (client, requests) => {
      const busy = [client.send(request), client.send(request)]
      const waiting = await client.send({ ...request, giveUpMs: 50 })
      assert.deepEqual(waiting, { kind: 'not_sent', code: 'GIVEN_UP' })
      await Promise.all(busy)
      await sleep(100)
      assert.equal(requests(), 2)
    },
  )
})

test('a kept connection that its peer closes meanwhile costs a request at most its answer', async () => {
  await withServer(
    (_incoming, response) => {
      response.end('{}')
      setTimeout(() => response.socket?.destroy(), 1)
    },
    async (client, requests) => {
      let answered = 0
      let unknown = 0
      let refused = 0
      for (let i = 0; i < 100; i++) {
        const { kind } = await client.send(request)
        if (kind === 'answered') answered++
        else if (kind === 'unknown') unknown++
        else refused++
      }
      assert.equal(answered + unknown + refused, 100)
      assert.ok(requests() >= answered && requests() <= answered + unknown, `${requests()}`)
    },
  )
})

const folder = mkdtempSync(path.join(tmpdir(), 'switchyard-https-'))
process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
const certificates = makeCertificates(folder)

test('https: the peer must prove its name, and sees our certificate', {
  skip: certificates === undefined && 'openssl is not installed',
}, async () => {
  const { pem } = certificates as TestCertificates
  const ca = pem('ca.pem')
  const proof = { cert: pem('server.pem'), key: pem('server.key') }
  const mutual = { ca, requestCert: true, rejectUnauthorized: true }
  const server = createTlsServer({ ...proof, ...mutual }, (_, response) => response.end('{}'))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const own = { cert: pem('client.pem'), key: pem('client.key') }
  const send = async (tls: object) => {
    const address = { host: '127.0.0.1', port, tls: { ca, ...own, ...tls } }
    const client = createHttpClient({ address, ...limits })
    const { kind } = await client.send(request)
    client.close()
    return kind
  }
  assert.equal(await send({ serverName: 'localhost' }), 'answered')
  assert.equal(await send({ serverName: 'issuer.example' }), 'not_sent')
  assert.equal(await send({ serverName: 'localhost', ca: pem('stranger.pem') }), 'not_sent')
  assert.notEqual(
    await send({ serverName: 'localhost', cert: undefined, key: undefined }),
    'answered',
  )
  server.closeAllConnections()
  server.close()
})
