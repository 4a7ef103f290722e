import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { createNetTransport } from './net-transport.ts'
import { type Peer, testTransport } from './transport-conformance.ts'

async function listen() {
  const sockets = new Set<Socket>()
  const peers: Peer[] = []
  const counts = { reads: 0 }
  const server = createServer((socket) => {
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
  })
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
