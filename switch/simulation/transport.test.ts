import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Peer, testTransport } from '../adapters/transport-conformance.ts'
import type { Connection } from '../ports.ts'
import { createSeededRandom } from './random.ts'
import { createVirtualTime } from './time.ts'
import { createSimulatedNetwork } from './transport.ts'

const settle = () => new Promise<void>((resolve) => setImmediate(resolve))
const address = { host: 'issuer.test', port: 9101 }

function createWorld() {
  const random = createSeededRandom(5)
  const time = createVirtualTime({ startMs: 0, settle })
  const network = createSimulatedNetwork({
    clock: time.clock,
    timers: time.timers,
    latencyMs: () => random.fraction() * 10,
    pieceBytes: (lengthBytes) => 1 + random.below(lengthBytes),
    bufferedBytesMax: 1_000_000,
  })
  const peers: Peer[] = []
  network.listen(address, (connection: Connection) => {
    const pieces: Uint8Array[] = []
    let isClosed = false
    peers.push({
      received: () => Buffer.concat(pieces),
      isClosed: () => isClosed,
      send: (bytes) => assert.ok(connection.write(bytes)),
      end: () => connection.destroy(),
    })
    return {
      onOpen: () => {},
      onBytes: (bytes) => pieces.push(bytes.slice()),
      onClose: () => {
        isClosed = true
      },
    }
  })
  return { time, network, peers }
}

testTransport('the simulated transport', async () => {
  const { time, network, peers } = createWorld()
  return {
    transport: network.transport,
    bufferedBytesMax: 1_000_000,
    address,
    deadAddress: { ...address, port: 9102 },
    peers,
    stopReading: () => network.stall(true),
    until: async (isTrue) => {
      while (!isTrue()) assert.ok(await time.step(), 'nothing more will happen')
    },
    end: async () => {},
  }
})

test('a cut loses what is on its way and tells both ends; a stall tells nobody', async () => {
  const { time, network, peers } = createWorld()
  const calls: string[] = []
  const dialled = network.transport.connect(address, {
    onOpen: () => calls.push('open'),
    onBytes: () => calls.push('bytes'),
    onClose: (error) => calls.push(`close ${(error as NodeJS.ErrnoException).code}`),
  })
  await time.advance(100)
  network.stall(true)
  assert.equal(dialled.write(Uint8Array.of(1)), true)
  assert.equal(dialled.bufferedBytes, 1)
  await time.advance(60_000)
  assert.deepEqual(calls, ['open'])
  network.stall(false)
  await time.advance(100)
  assert.equal(peers[0]?.received().length, 1)
  dialled.write(Uint8Array.of(2))
  network.cut()
  await time.advance(100)
  assert.deepEqual(calls, ['open', 'close ECONNRESET'])
  assert.equal(peers[0]?.received().length, 1)
  assert.equal(peers[0]?.isClosed(), true)
  assert.equal(network.openConnections, 0)
})

test('a dial into a stalled network waits for its end', async () => {
  const { time, network } = createWorld()
  network.stall(true)
  let isOpen = false
  network.transport.connect(address, {
    onOpen: () => {
      isOpen = true
    },
    onBytes: () => {},
    onClose: () => {},
  })
  await time.advance(60_000)
  assert.equal(isOpen, false)
  network.stall(false)
  await time.advance(10)
  assert.equal(isOpen, true)
})

test('one connection is reset, and one address stalls, alone', async () => {
  const { time, network, peers } = createWorld()
  const calls: string[] = []
  const dialled = network.transport.connect(address, {
    onOpen: () => calls.push('open'),
    onBytes: () => calls.push('bytes'),
    onClose: (error) => calls.push(`close ${(error as NodeJS.ErrnoException).code}`),
  })
  await time.advance(100)
  network.stall(true, { ...address, port: 9999 })
  dialled.write(Uint8Array.of(1))
  await time.advance(100)
  assert.equal(peers[0]?.received().length, 1)
  network.stall(true, address)
  dialled.write(Uint8Array.of(2))
  await time.advance(100)
  assert.equal(peers[0]?.received().length, 1)
  network.stall(false, address)
  await time.advance(100)
  assert.equal(peers[0]?.received().length, 2)
  network.reset(dialled)
  await time.advance(100)
  assert.deepEqual(calls, ['open', 'close ECONNRESET'])
  assert.equal(peers[0]?.isClosed(), true)
})
