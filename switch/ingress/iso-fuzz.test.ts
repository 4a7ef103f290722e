// Changed, cut and joined frames over real sockets, in three editions, behind a door that is shut:
// no crash, no hang, bounded memory. A thousand cases each time; FUZZ_CASES says another number:
//
//   FUZZ_CASES=1000000 node --import tsx --test switch/ingress/iso-fuzz.test.ts

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import test from 'node:test'
import { closedWorld } from '../adapters/closed-world.ts'
import { readDialect } from '../adapters/dialect-files.ts'
import { listenForStreams } from '../adapters/net-listener.ts'
import {
  createFraming,
  type Dialect,
  defaultFraming,
  editionOf,
  type IsoMessage,
  messageIn,
} from '../iso8583/index.ts'
import { createSeededRandom, SimulatedDisk } from '../simulation/index.ts'
import { ExchangedKeys } from './exchanged-keys.ts'
import { writeIsoAuthorization } from './iso-authorization.ts'
import { createIsoDoor } from './iso-door.ts'
import { ISO_BUFFERED_BYTES_MAX } from './limits.ts'

const cases = Number(process.env.FUZZ_CASES ?? 1_000)
const PRESETS = ['iso8583-1987-ascii', 'iso8583-1993-binary', 'iso8583-2003-ascii'] as const
const ANSWER_MS_MAX = 20_000
/** What a long run may add: garbage that was not collected yet, and nothing that stays. */
const GROWTH_BYTES_MAX = 300 * 1_048_576

const random = createSeededRandom(7)
const draw = (below: number) => {
  const [a = 0, b = 0, c = 0] = random.fill(new Uint8Array(3))
  return (a * 65_536 + b * 256 + c) % below
}
const framing = createFraming(defaultFraming)
const world = closedWorld()

function frameOf(dialect: Dialect, message: IsoMessage): Buffer {
  const encoded = dialect.encode(messageIn(editionOf(dialect), message, Date.UTC(2026, 10, 22)))
  assert.ok(encoded.ok, JSON.stringify(encoded))
  const framed = framing.encode(encoded.bytes)
  assert.ok(framed.ok)
  return Buffer.from(framed.bytes)
}

function messages(): IsoMessage[] {
  const authorization = writeIsoAuthorization(
    {
      amount: 2599,
      currency: 'EUR',
      channel: 'pos',
      card: { pan: '4761739001010119', expiry: '2912', cvv: '123' },
      merchant: { id: 'M-1', mcc: '5411', name: 'Corner Shop', city: 'Berlin', country: 'DE' },
      rrn: '632610000123',
    },
    { stan: '000123', transmittedAt: '1122095959', institution: '100001' },
  )
  assert.ok(authorization)
  const named = [...authorization.fields]
  named[90] = `0100000122112209595900000100001${'0'.repeat(11)}`
  const chip = [...authorization.fields]
  chip[55] = new Map([['9F26', '0011223344556677']])
  chip[52] = '0123456789ABCDEF'
  return [
    echo(1),
    authorization,
    { mti: '0200', fields: chip },
    { mti: '0220', fields: named },
    { mti: '0420', fields: named },
    { mti: '0120', fields: authorization.fields },
  ]
}

function echo(stan: number): IsoMessage {
  const fields: (string | undefined)[] = []
  fields[7] = '1122095959'
  fields[11] = String(stan).padStart(6, '0')
  fields[70] = '301'
  return { mti: '0800', fields }
}

/** One to four changes: a byte set, a bit flipped, cut, repeated, or none but the joint. */
function changed(frame: Buffer): Buffer {
  let bytes = Buffer.from(frame)
  for (let left = draw(5); left > 0; left--) {
    const at = draw(Math.max(1, bytes.length))
    const kind = draw(8)
    // Mostly behind the length: a wrong one ends the connection, which is soon tried enough.
    const inside = bytes.length > 2 && draw(50) > 0 ? 2 + (at % (bytes.length - 2)) : at
    if (kind < 4) bytes[inside] = draw(256)
    else if (kind < 6) bytes[inside] = (bytes[inside] ?? 0) ^ (1 << draw(8))
    else if (kind === 6 && draw(10) === 0) bytes = bytes.subarray(0, at)
    else if (bytes.length < 4_096 && draw(10) === 0) bytes = Buffer.concat([bytes, frame])
  }
  return bytes
}

async function open(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  await once(socket, 'connect')
  return socket
}

/** A new connection is served: an echo is answered. */
async function isServed(port: number, dialect: Dialect): Promise<void> {
  const socket = await open(port)
  socket.write(frameOf(dialect, echo(2)))
  const timer = setTimeout(() => socket.destroy(new Error('no answer')), ANSWER_MS_MAX)
  const [answer] = (await once(socket, 'data')) as [Buffer]
  clearTimeout(timer)
  assert.ok(answer.length > 20)
  socket.destroy()
}

for (const preset of PRESETS) {
  test(`${preset}: changed frames over a socket`, { timeout: 3_600_000 }, async (t) => {
    const loaded = readDialect(preset)
    assert.ok(loaded.ok)
    const { dialect } = loaded
    const kept = await ExchangedKeys.open(new SimulatedDisk({ random }), world.vault)
    const peers = [{ name: 'p', acquirer: 'demo', addresses: ['127.0.0.1'] }]
    const door = { name: preset, host: '127.0.0.1', port: 0, dialect: preset, peers }
    const bugs: unknown[] = []
    const listener = await listenForStreams({
      host: '127.0.0.1',
      port: 0,
      connectionsMax: 100,
      bufferedBytesMax: ISO_BUFFERED_BYTES_MAX,
      accept: createIsoDoor(world, door, new Map([[preset, dialect]]), kept),
      onBug: (error) => bugs.push(error),
    })
    const frames = messages().map((message) => frameOf(dialect, message))
    const before = process.memoryUsage().rss
    let socket = await open(listener.port)
    let connections = 1
    let answers = 0
    const listenTo = (one: Socket) => one.on('data', () => answers++)
    listenTo(socket)
    for (let i = 0; i < cases; i++) {
      const bytes = changed(frames[draw(frames.length)] as Buffer)
      const cut = draw(bytes.length + 1)
      socket.write(bytes.subarray(0, cut))
      socket.write(bytes.subarray(cut))
      if (i % 8 !== 7) continue
      // The listener is in this process: some turns of the event loop take what was sent.
      for (let turns = 0; turns < 4; turns++) await new Promise((next) => setImmediate(next))
      // A frame that says more than it has holds what follows: a new connection now and then.
      if (socket.closed || i % 32 === 31) {
        socket.destroy()
        socket = await open(listener.port)
        listenTo(socket)
        connections++
        // What is right is answered, whatever came before it elsewhere.
        socket.write(frames[0] as Buffer)
      }
      if (i % 4_096 === 4_095) await isServed(listener.port, dialect)
    }
    await isServed(listener.port, dialect)
    socket.destroy()
    listener.close()
    assert.deepEqual(bugs, [])
    assert.ok(answers > 0)
    const grown = process.memoryUsage().rss - before
    assert.ok(grown < GROWTH_BYTES_MAX, `grew by ${grown} bytes`)
    t.diagnostic(`${cases} frames on ${connections} connections, ${answers} answers read`)
  })
}
