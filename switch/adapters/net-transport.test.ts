import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { createServer as createTlsServer, type TlsOptions } from 'node:tls'
import { makeCertificates, type TestCertificates } from '../../load-tests/processes/index.ts'
import type { TlsClient } from '../ports.ts'
import { createNetTransport } from './net-transport.ts'
import { type Peer, testTransport } from './transport-conformance.ts'

async function listen(tls?: TlsOptions) {
  const sockets = new Set<Socket>()
  const peers: Peer[] = []
  const counts = { reads: 0 }
  const take = (socket: Socket) => {
    const pieces: Buffer[] = []
    sockets.add(socket)
    socket.on('data', (bytes) => {
      counts.reads++
      pieces.push(bytes)
    })
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
    peers.push({
      received: () => Buffer.concat(pieces),
      isClosed: () => socket.destroyed,
      send: (bytes) => socket.write(bytes),
      end: () => socket.end(),
    })
  }
  const server = tls === undefined ? createServer(take) : createTlsServer(tls, take)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const close = async () => {
    for (const socket of sockets) socket.destroy()
    server.close()
    await once(server, 'close')
  }
  return { address: { host: '127.0.0.1', port }, sockets, peers, counts, close }
}

async function until(isTrue: () => boolean): Promise<void> {
  const deadline = performance.now() + 10_000
  while (!isTrue()) {
    assert.ok(performance.now() < deadline, 'it never came')
    await sleep(1)
  }
}

testTransport('the TCP transport', async () => {
  const bufferedBytesMax = 1_000_000
  const server = await listen()
  const gone = await listen()
  await gone.close()
  return {
    transport: createNetTransport({ bufferedBytesMax, readBytes: 1_024 }),
    bufferedBytesMax,
    address: server.address,
    deadAddress: gone.address,
    peers: server.peers,
    stopReading: () => {
      for (const socket of server.sockets) socket.pause()
    },
    until,
    end: server.close,
  }
})

test('messages of one turn of the event loop leave together', async () => {
  const server = await listen()
  let isOpen = false
  const connection = createNetTransport().connect(server.address, {
    onOpen: () => {
      isOpen = true
    },
    onBytes: () => {},
    onClose: () => {},
  })
  await until(() => isOpen && server.peers.length === 1)
  for (let i = 0; i < 50; i++) connection.write(new Uint8Array(100).fill(i))
  assert.equal(connection.bufferedBytes, 5_000)
  await until(() => server.peers[0]?.received().length === 5_000)
  assert.equal(server.counts.reads, 1)
  connection.destroy()
  await server.close()
})

test('a peer that resets is told as an error', async () => {
  const server = await listen()
  const errors: (Error | undefined)[] = []
  let isOpen = false
  createNetTransport().connect(server.address, {
    onOpen: () => {
      isOpen = true
    },
    onBytes: () => {},
    onClose: (error) => errors.push(error),
  })
  await until(() => isOpen && server.sockets.size === 1)
  for (const socket of server.sockets) socket.resetAndDestroy()
  await until(() => errors.length === 1)
  assert.equal((errors[0] as NodeJS.ErrnoException).code, 'ECONNRESET')
  await server.close()
})

const folder = mkdtempSync(path.join(tmpdir(), 'switchyard-tls-'))
process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
const certificates = makeCertificates(folder)
const skip = certificates === undefined && 'openssl is not installed'

/** A server that asks for a certificate of the CA's, and what a client of its needs. */
function tlsOf({ pem }: TestCertificates) {
  const ca = pem('ca.pem')
  const server = { ca, cert: pem('server.pem'), key: pem('server.key'), requestCert: true }
  const client: TlsClient = {
    ca,
    cert: pem('client.pem'),
    key: pem('client.key'),
    serverName: 'localhost',
  }
  return { server, client }
}

if (certificates !== undefined) {
  testTransport('the TLS transport', async () => {
    const bufferedBytesMax = 1_000_000
    const tls = tlsOf(certificates)
    const server = await listen(tls.server)
    const gone = await listen()
    await gone.close()
    return {
      transport: createNetTransport({ bufferedBytesMax, readBytes: 1_024 }),
      bufferedBytesMax,
      address: { ...server.address, tls: tls.client },
      deadAddress: { ...gone.address, tls: tls.client },
      peers: server.peers,
      stopReading: () => {
        for (const socket of server.sockets) socket.pause()
      },
      until,
      end: server.close,
    }
  })
}

test('TLS: a peer that does not prove to be the issuer never opens', {
  skip,
}, async () => {
  const tls = tlsOf(certificates as TestCertificates)
  const server = await listen(tls.server)
  const { pem } = certificates as TestCertificates
  const wrong: readonly (readonly [RegExp, TlsClient])[] = [
    [/SELF_SIGNED|UNABLE_TO/, { ...tls.client, ca: pem('stranger.pem') }],
    [/SELF_SIGNED|UNABLE_TO/, { ...tls.client, ca: undefined }],
    [/ALTNAME_INVALID/, { ...tls.client, serverName: 'issuer.example' }],
    [/ALTNAME_INVALID/, { ...tls.client, serverName: undefined }],
  ]
  for (const [code, client] of wrong) {
    const calls: string[] = []
    createNetTransport().connect(
      { ...server.address, tls: client },
      {
        onOpen: () => calls.push('open'),
        onBytes: () => {},
        onClose: (error) => calls.push((error as NodeJS.ErrnoException).code ?? 'close'),
      },
    )
    await until(() => calls.length > 0)
    assert.match(String(calls[0]), code)
  }
  await server.close()
})
