// What every transport must keep, whatever it is made of. An adapter's test calls `testTransport`
// with a way to make a world in which it can be dialled.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Address, Connection, Transport } from '../ports.ts'

/** One accepted connection, as a peer sees it. */
export interface Peer {
  readonly received: () => Uint8Array
  readonly isClosed: () => boolean
  send(bytes: Uint8Array): void
  /** Ends the connection in good order. */
  end(): void
}

export interface TransportWorld {
  /** Refuses writes that would hold back more than `bufferedBytesMax`. */
  readonly transport: Transport
  readonly bufferedBytesMax: number
  /** Where a peer listens. */
  readonly address: Address
  /** Where nobody does. */
  readonly deadAddress: Address
  readonly peers: readonly Peer[]
  /** From now on peers don't read. */
  stopReading(): void
  /** Lets the world go on until `isTrue`; fails the test if it never is. */
  until(isTrue: () => boolean): Promise<void>
  end(): Promise<void>
}

interface Heard {
  readonly connection: Connection
  readonly calls: string[]
  readonly errors: (Error | undefined)[]
  bytes: Buffer
}

function dial(world: TransportWorld, address = world.address): Heard {
  const calls: string[] = []
  const errors: (Error | undefined)[] = []
  const heard: { bytes: Buffer } = { bytes: Buffer.alloc(0) }
  const connection = world.transport.connect(address, {
    onOpen: () => calls.push('open'),
    onBytes: (bytes) => {
      calls.push('bytes')
      heard.bytes = Buffer.concat([heard.bytes, bytes])
    },
    onClose: (error) => {
      calls.push('close')
      errors.push(error)
    },
  })
  return Object.assign(heard, { connection, calls, errors })
}

export function testTransport(name: string, createWorld: () => Promise<TransportWorld>): void {
  const withWorld = (run: (world: TransportWorld) => Promise<void>) => async () => {
    const world = await createWorld()
    try {
      await run(world)
    } finally {
      await world.end()
    }
  }

  describe(name, () => {
    it(
      'opens, carries bytes both ways in order, and closes once, last',
      withWorld(async (world) => {
        const heard = dial(world)
        assert.deepEqual(heard.calls, [], 'nothing is told before connect returns')
        await world.until(() => heard.calls.includes('open') && world.peers.length === 1)
        const peer = world.peers[0] as Peer
        const sent: Buffer[] = []
        for (let i = 0; i < 300; i++) sent.push(Buffer.alloc(1 + (i % 70), i))
        for (const bytes of sent) assert.equal(heard.connection.write(bytes), true)
        await world.until(() => peer.received().length === Buffer.concat(sent).length)
        assert.deepEqual(Buffer.from(peer.received()), Buffer.concat(sent))
        for (const bytes of sent) peer.send(bytes)
        await world.until(() => heard.bytes.length === Buffer.concat(sent).length)
        assert.deepEqual(heard.bytes, Buffer.concat(sent))
        assert.equal(heard.connection.bufferedBytes, 0)
        peer.end()
        await world.until(() => heard.calls.includes('close'))
        assert.deepEqual(heard.errors, [undefined])
        assert.equal(heard.calls.at(-1), 'close')
        assert.equal(heard.calls[0], 'open')
      }),
    )

    it(
      'a refused dial is told by onClose with the system’s code, and never opens',
      withWorld(async (world) => {
        const heard = dial(world, world.deadAddress)
        assert.equal(heard.connection.write(Uint8Array.of(1)), false)
        await world.until(() => heard.calls.includes('close'))
        assert.deepEqual(heard.calls, ['close'])
        assert.equal((heard.errors[0] as NodeJS.ErrnoException).code, 'ECONNREFUSED')
        assert.equal(heard.connection.write(Uint8Array.of(1)), false)
      }),
    )

    it(
      'destroy ends both sides, once; nothing is heard or accepted after it',
      withWorld(async (world) => {
        const heard = dial(world)
        await world.until(() => heard.calls.includes('open') && world.peers.length === 1)
        const peer = world.peers[0] as Peer
        peer.send(Uint8Array.of(1, 2, 3))
        heard.connection.destroy()
        heard.connection.destroy()
        assert.equal(heard.connection.write(Uint8Array.of(1)), false)
        await world.until(() => heard.calls.includes('close') && peer.isClosed())
        assert.deepEqual(heard.calls, ['open', 'close'])
      }),
    )

    it(
      'a dial that is destroyed before it opens only closes',
      withWorld(async (world) => {
        const heard = dial(world)
        heard.connection.destroy()
        await world.until(() => heard.calls.includes('close'))
        assert.deepEqual(heard.calls, ['close'])
      }),
    )

    it(
      'write refuses what it could not hold, and what it refused is not sent in part',
      withWorld(async (world) => {
        const heard = dial(world)
        await world.until(() => heard.calls.includes('open') && world.peers.length === 1)
        world.stopReading()
        const piece = new Uint8Array(64 * 1_024).fill(7)
        let accepted = 0
        // 64 MiB are more than any kernel's socket buffers hold beside ours.
        for (let i = 0; i < 1_024 && heard.connection.write(piece); i++) {
          accepted++
          if (i % 16 === 15) await Promise.resolve()
        }
        assert.ok(accepted > 0 && accepted < 1_024)
        assert.ok(heard.connection.bufferedBytes <= world.bufferedBytesMax)
        assert.ok(heard.connection.bufferedBytes + piece.length > world.bufferedBytesMax)
        assert.ok(!heard.calls.includes('close'))
      }),
    )
  })
}
