import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test from 'node:test'
import { connect as connectTls } from 'node:tls'
import { makeCertificates, type TestCertificates } from '../../load-tests/processes/index.ts'
import type { Connection, Peer } from '../ports.ts'
import { listenForStreams, type NetListenerOptions } from './net-listener.ts'

interface Taken {
  readonly connection: Connection
  readonly peer: Peer
  readonly calls: string[]
}

async function withListener(
  run: (port: number, taken: Taken[], close: () => void) => Promise<void>,
  changes: Partial<NetListenerOptions> = {},
): Promise<void> {
  const taken: Taken[] = []
  const listener = await listenForStreams({
    host: '127.0.0.1',
    port: 0,
    connectionsMax: 3,
    bufferedBytesMax: 1_000_000,
    accept: (connection, peer) => {
      const calls: string[] = []
      taken.push({ connection, peer, calls })
      return {
        onBytes: (bytes) => {
          calls.push(Buffer.from(bytes).toString())
          connection.write(Buffer.from(bytes))
        },
        onClose: () => calls.push('close'),
      }
    },
    onBug: (error) => assert.fail(String(error)),
    ...changes,
  })
  try {
    await run(listener.port, taken, () => listener.close())
  } finally {
    listener.close()
  }
}

/** What came until `text` was there or the connection ended. */
function read(socket: Socket, text: string): Promise<string> {
  let received = ''
  return new Promise((resolve) => {
    socket.on('data', (bytes) => {
      received += bytes.toString()
      if (received.includes(text)) resolve(received)
    })
    socket.on('error', () => {})
    socket.on('close', () => resolve(received))
  })
}

const closed = (socket: Socket) =>
  new Promise<void>((resolve) => {
    socket.on('error', () => {})
    socket.once('close', () => resolve())
  })

test('bytes both ways, the peer’s address, and one end', async () => {
  await withListener(async (port, taken) => {
    const socket = connect(port, '127.0.0.1')
    socket.write('hello')
    assert.equal(await read(socket, 'hello'), 'hello')
    assert.deepEqual(taken[0]?.peer, { address: '127.0.0.1', certificateSha256: undefined })
    socket.destroy()
    for (let i = 0; i < 100 && !taken[0]?.calls.includes('close'); i++) {
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    assert.deepEqual(taken[0]?.calls, ['hello', 'close'])
    assert.equal(taken[0]?.connection.write(Buffer.from('x')), false)
  })
})

test('who is not wanted is closed, unheard', async () => {
  await withListener(
    async (port) => {
      const socket = connect(port, '127.0.0.1')
      socket.write('hello')
      await closed(socket)
    },
    { accept: () => undefined },
  )
})

test('connections over the limit are closed, the others go on', async () => {
  await withListener(
    async (port, taken) => {
      const first = connect(port, '127.0.0.1')
      first.write('one')
      assert.equal(await read(first, 'one'), 'one')
      await closed(connect(port, '127.0.0.1'))
      assert.equal(taken.length, 1)
      first.destroy()
    },
    { connectionsMax: 1 },
  )
})

test('what is written before the end still arrives; over the buffer nothing is taken', async () => {
  await withListener(
    async (port, taken, close) => {
      const socket = connect(port, '127.0.0.1')
      socket.write('x')
      await read(socket, 'x')
      const [one] = taken
      assert.equal(one?.connection.write(Buffer.alloc(1_001)), false)
      assert.equal(one?.connection.write(Buffer.from('bye')), true)
      const rest = read(socket, 'bye')
      await new Promise((resolve) => setImmediate(resolve))
      close()
      assert.match(await rest, /bye/)
      await assert.rejects(
        new Promise((_, reject) => connect(port, '127.0.0.1').on('error', reject)),
        { code: 'ECONNREFUSED' },
      )
    },
    { bufferedBytesMax: 1_000 },
  )
})

test('a port that is taken is refused', async () => {
  await withListener(async (port) => {
    const options = { connectionsMax: 1, bufferedBytesMax: 1, onBug: () => {} }
    const again = { ...options, host: '127.0.0.1', port, accept: () => undefined }
    await assert.rejects(listenForStreams(again), /is it taken/)
  })
})

test('what throws behind it is told as a bug', async () => {
  const bugs: unknown[] = []
  await withListener(
    async (port) => {
      const socket = connect(port, '127.0.0.1')
      socket.write('x')
      for (let i = 0; i < 100 && bugs.length === 0; i++) {
        await new Promise((resolve) => setTimeout(resolve, 5))
      }
      assert.equal(bugs.length, 1)
      socket.destroy()
    },
    {
      accept: () => ({
        onBytes: () => {
          throw new Error('a bug')
        },
        onClose: () => {},
      }),
      onBug: (error) => bugs.push(error),
    },
  )
})

const folder = mkdtempSync(path.join(tmpdir(), 'switchyard-tls-'))
process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
const certificates = makeCertificates(folder)

test('TLS: in with a certificate that the CA has signed, by whose hash it is known; not without', {
  skip: certificates === undefined && 'openssl is not installed',
}, async () => {
  const { pem } = certificates as TestCertificates
  const tls = { cert: pem('server.pem'), key: pem('server.key'), ca: pem('ca.pem') }
  await withListener(
    async (port, taken) => {
      const dial = (name?: string) =>
        connectTls({
          port,
          host: '127.0.0.1',
          servername: 'localhost',
          ca: pem('ca.pem'),
          ...(name === undefined ? {} : { cert: pem(`${name}.pem`), key: pem(`${name}.key`) }),
        })
      const socket = dial('client')
      socket.write('hello')
      assert.equal(await read(socket, 'hello'), 'hello')
      const { stdout } = spawnSync(
        'openssl',
        ['x509', '-in', 'client.pem', '-noout', '-fingerprint', '-sha256'],
        { cwd: folder, encoding: 'utf8' },
      )
      const fingerprint = stdout.trim().split('=')[1]?.replaceAll(':', '').toLowerCase()
      assert.equal(taken[0]?.peer.certificateSha256, fingerprint)
      for (const name of [undefined, 'stranger']) await closed(dial(name))
      const plain = connect(port, '127.0.0.1')
      plain.write('not TLS at all, but long enough to be read as a record')
      await closed(plain)
      assert.equal(taken.length, 1)
      socket.destroy()
    },
    { tls, connectionsMax: 10 },
  )
})
