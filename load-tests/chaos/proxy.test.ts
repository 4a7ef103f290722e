// The proxy on real sockets: fair weather changes nothing, each bad one does what its name says.

import assert from 'node:assert/strict'
import { connect, createServer, type Server, type Socket } from 'node:net'
import test, { after, before } from 'node:test'
import { pause } from '../processes/index.ts'
import { TcpProxy } from './proxy.ts'

let echo: Server
let proxy: TcpProxy
before(async () => {
  echo = createServer((socket) => {
    socket.on('error', () => undefined)
    socket.pipe(socket)
  })
  await new Promise<void>((resolve) => echo.listen(0, '127.0.0.1', resolve))
  const address = echo.address()
  assert.ok(typeof address === 'object' && address !== null)
  proxy = await TcpProxy.listen({ host: '127.0.0.1', port: address.port })
})
after(() => {
  proxy.close()
  echo.close()
})

class Client {
  received = Buffer.alloc(0)
  isClosed = false
  readonly socket: Socket

  private constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', (bytes) => {
      this.received = Buffer.concat([this.received, bytes])
    })
    socket.on('error', () => undefined)
    socket.on('close', () => {
      this.isClosed = true
    })
  }

  static open(): Promise<Client> {
    return new Promise((resolve) => {
      const client: Client = new Client(connect(proxy.port, '127.0.0.1', () => resolve(client)))
    })
  }

  async until(check: () => boolean, withinMs = 5_000): Promise<number> {
    const startedMs = performance.now()
    while (!check()) {
      assert.ok(performance.now() - startedMs < withinMs, 'it took too long')
      await pause(2)
    }
    return performance.now() - startedMs
  }
}

test('fair weather: the same bytes, whatever their number, and the end of the stream', async () => {
  const client = await Client.open()
  const bytes = Buffer.from(Array.from({ length: 3_000_000 }, (_, i) => (i * 7 + (i >> 8)) & 255))
  client.socket.write(bytes)
  client.socket.end()
  await client.until(() => client.isClosed)
  assert.ok(client.received.equals(bytes))
  await client.until(() => proxy.connections === 0)
})

test('a delay counts in both directions and keeps the order', async () => {
  const client = await Client.open()
  proxy.setWeather({ delayMs: 60 })
  for (const word of ['one ', 'two ', 'three']) client.socket.write(word)
  const tookMs = await client.until(() => client.received.length === 13)
  assert.ok(tookMs >= 119, `${tookMs}`)
  assert.equal(client.received.toString(), 'one two three')
  proxy.setWeather({})
  client.socket.destroy()
})

test('a throttle lets so many bytes a second through', async () => {
  const client = await Client.open()
  proxy.setWeather({ bytesPerSecond: 20_000 })
  client.socket.write(Buffer.alloc(6_000, 1))
  const tookMs = await client.until(() => client.received.length === 6_000)
  assert.ok(tookMs > 250, `${tookMs}`)
  proxy.setWeather({})
  client.socket.destroy()
})

test('a stall holds bytes back and loses none', async () => {
  const client = await Client.open()
  client.socket.write('before ')
  await client.until(() => client.received.length === 7)
  proxy.setWeather({ isStalled: true })
  client.socket.write('within ')
  await pause(100)
  assert.equal(client.received.toString(), 'before ')
  proxy.setWeather({})
  await client.until(() => client.received.toString() === 'before within ')
  client.socket.destroy()
})

test('a half-open connection stays, carries nothing, and ends when the link heals', async () => {
  for (const swallows of ['to_server', 'to_client'] as const) {
    const client = await Client.open()
    await client.until(() => proxy.connections === 1)
    proxy.setWeather({ swallows })
    client.socket.write('lost')
    await pause(100)
    assert.equal(client.received.length, 0)
    assert.equal(client.isClosed, false)
    proxy.setWeather({})
    await client.until(() => client.isClosed)
    assert.equal(client.received.length, 0)
  }
})

test('a cut ends all connections; refusing lets no new one live', async () => {
  const clients = await Promise.all([Client.open(), Client.open()])
  await clients[0].until(() => proxy.connections === 2)
  proxy.cut()
  for (const client of clients) await client.until(() => client.isClosed)
  proxy.setWeather({ isRefusing: true })
  const refused = await Client.open()
  await refused.until(() => refused.isClosed)
  proxy.setWeather({})
})

test('a cut in the middle of held bytes lets half of them through', async () => {
  const client = await Client.open()
  await client.until(() => proxy.connections === 1)
  proxy.setWeather({ isStalled: true })
  client.socket.write(Buffer.alloc(1_000, 7))
  await pause(50)
  proxy.cut()
  await client.until(() => client.isClosed)
  proxy.setWeather({})
  assert.equal(proxy.connections, 0)
})

test('a target that is away closes the connection', async () => {
  const alone = await TcpProxy.listen({ host: '127.0.0.1', port: 1 })
  const socket = connect(alone.port, '127.0.0.1')
  socket.on('error', () => undefined)
  await new Promise((resolve) => socket.once('close', resolve))
  alone.close()
})
