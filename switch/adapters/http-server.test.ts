// The listener on real sockets: what a client can do to it that the API behind it never sees.

import assert from 'node:assert/strict'
import { connect, type Socket } from 'node:net'
import test from 'node:test'
import { openWebSocket } from '../../load-tests/processes/index.ts'
import type { HttpApi, HttpRequest, HttpResponse, HttpServer } from '../ingress/index.ts'
import { listen } from './http-server.ts'

const text = (status: number, body: string): HttpResponse => ({
  status,
  contentType: 'text/plain',
  headers: [],
  body,
})

interface Rig {
  readonly server: HttpServer
  readonly handled: string[]
  readonly bugs: unknown[]
}

async function withServer(
  run: (rig: Rig) => Promise<void>,
  changes: { handle?: HttpApi<string>['handle']; connectionsMax?: number } = {},
): Promise<void> {
  const handled: string[] = []
  const bugs: unknown[] = []
  const echo = (request: HttpRequest) => {
    handled.push(Buffer.from(request.body).toString())
    return text(200, `${request.body.length}`)
  }
  const server = await listen<string>({
    host: '127.0.0.1',
    port: 0,
    bodyBytesMax: 1000,
    connectionsMax: changes.connectionsMax ?? 100,
    onBug: (error) => bugs.push(error),
    api: {
      gate: (head) =>
        head.headers.get('authorization') === 'yes'
          ? { caller: 'somebody' }
          : { refused: text(401, 'no') },
      handle: changes.handle ?? echo,
      refuse: (code) => text(code === 'body_too_large' ? 413 : 400, code),
    },
  })
  try {
    await run({ server, handled, bugs })
  } finally {
    server.close()
  }
}

/** Sends the parts one after the other and reads until the end or the first complete answer. */
function exchange(port: number, ...parts: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket: Socket = connect(port, '127.0.0.1')
    let received = ''
    const finish = () => {
      socket.destroy()
      resolve(received)
    }
    socket.on('data', (bytes) => {
      received += bytes.toString('latin1')
      const length = /content-length: (\d+)/i.exec(received)?.[1]
      const bodyAt = received.indexOf('\r\n\r\n') + 4
      if (length !== undefined && received.length >= bodyAt + Number(length)) finish()
    })
    socket.on('close', () => resolve(received))
    socket.on('error', reject)
    const sendNext = (index: number) => {
      const part = parts[index]
      if (part === undefined || socket.destroyed) return
      socket.write(part, () => setTimeout(() => sendNext(index + 1), 5))
    }
    sendNext(0)
  })
}

async function until(condition: () => boolean): Promise<void> {
  for (let i = 0; i < 200; i++) {
    if (condition()) return
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  assert.fail(`it never came: ${condition}`)
}

const post = (length: number | string, ...headers: readonly string[]) =>
  ['POST /v1/x HTTP/1.1', 'Host: h', 'Authorization: yes', `Content-Length: ${length}`, ...headers]
    .join('\r\n')
    .concat('\r\n\r\n')

test('a body in one piece and in many', async () => {
  await withServer(async ({ server, handled }) => {
    assert.match(await exchange(server.port, `${post(5)}hello`), /^HTTP\/1.1 200 OK/)
    assert.match(await exchange(server.port, post(5), 'he', 'l', 'lo'), /^HTTP\/1.1 200 OK/)
    assert.deepEqual(handled, ['hello', 'hello'])
  })
})

test('a body over the limit is 413 and never handled, told by its length or by its bytes', async () => {
  await withServer(async ({ server, handled }) => {
    const body = 'x'.repeat(1001)
    assert.match(await exchange(server.port, post(1001), body), /^HTTP\/1.1 413 /)
    assert.match(await exchange(server.port, post(5000), body), /^HTTP\/1.1 413 /)
    assert.match(await exchange(server.port, post(1000), 'x'.repeat(1000)), /^HTTP\/1.1 200 /)
    assert.equal(handled.length, 1)
  })
})

test('a request that could be read in two ways is 400 and its connection ends', async () => {
  await withServer(async ({ server, handled }) => {
    for (const head of [
      post(5, 'Content-Length: 6'),
      post(5, 'Transfer-Encoding: chunked'),
      post(5, 'Host: other'),
      'POST /v1/x HTTP/1.1\r\nAuthorization: yes\r\nContent-Length: 5\r\n\r\n',
      post('5, 5'),
    ]) {
      const answer = await exchange(server.port, `${head}hello`)
      assert.ok(!answer.startsWith('HTTP/1.1 200'), `${head}\n${answer}`)
    }
    assert.deepEqual(handled, [])
  })
})

test('HEAD is answered without a body: the next answer on the connection is whole', async () => {
  await withServer(async ({ server }) => {
    for (const handle of ['Authorization: yes\r\n', '']) {
      const socket = connect(server.port, '127.0.0.1')
      let received = ''
      socket.on('data', (bytes) => {
        received += bytes.toString('latin1')
      })
      const next = `${post(5)}hello`.replace('Host: h', 'Host: h\r\nConnection: close')
      socket.write(`HEAD /v1/x HTTP/1.1\r\nHost: h\r\n${handle}\r\n`)
      await until(() => received.includes('\r\n\r\n'))
      socket.write(next)
      await until(() => /\r\n\r\n5$/.test(received))
      const [head = '', second = '', body] = received.split('\r\n\r\n')
      assert.match(head, /content-length: [12]\b/i)
      assert.match(second, /^HTTP\/1.1 200 OK\r\n/)
      assert.equal(body, '5')
      socket.destroy()
    }
  })
})

test('what the gate refused is not kept, and the connection stays usable', async () => {
  await withServer(async ({ server, handled }) => {
    const head = 'POST /v1/x HTTP/1.1\r\nHost: h\r\nContent-Length: 900\r\n\r\n'
    const part = 'x'.repeat(300)
    const socket = connect(server.port, '127.0.0.1')
    let received = ''
    socket.on('data', (bytes) => {
      received += bytes.toString('latin1')
    })
    for (const piece of [head, part, part, part]) {
      socket.write(piece)
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    await until(() => received.startsWith('HTTP/1.1 401 '))
    socket.write(`${post(5)}hello`)
    await until(() => received.includes('HTTP/1.1 200 OK'))
    assert.deepEqual(handled, ['hello'])
    socket.destroy()
  })
})

test('a length over the limit is answered before any of the body came', async () => {
  await withServer(async ({ server }) => {
    assert.match(await exchange(server.port, post(1001)), /^HTTP\/1.1 413 /)
    const unknown = 'POST /v1/x HTTP/1.1\r\nHost: h\r\nContent-Length: 1001\r\n\r\n'
    assert.match(await exchange(server.port, unknown), /^HTTP\/1.1 401 /)
  })
})

test('the gate refuses before the body counts', async () => {
  await withServer(async ({ server, handled }) => {
    const head = 'POST /v1/x HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n'
    assert.match(await exchange(server.port, `${head}hello`), /^HTTP\/1.1 401 /)
    assert.deepEqual(handled, [])
  })
})

test('a client that goes away before its answer harms nobody', async () => {
  let release: () => void = () => {}
  const released = new Promise<void>((resolve) => {
    release = resolve
  })
  const handle = async () => {
    await released
    return text(200, 'late')
  }
  await withServer(
    async ({ server, bugs }) => {
      const socket = connect(server.port, '127.0.0.1')
      socket.write(`${post(5)}hello`)
      await new Promise((resolve) => setTimeout(resolve, 30))
      socket.destroy()
      await new Promise((resolve) => setTimeout(resolve, 30))
      release()
      await new Promise((resolve) => setTimeout(resolve, 30))
      assert.deepEqual(bugs, [])
      assert.match(await exchange(server.port, `${post(5)}hello`), /^HTTP\/1.1 200 /)
    },
    { handle },
  )
})

test('what throws in the API is told as a bug, not to the client as an answer', async () => {
  for (const handle of [
    () => {
      throw new Error('thrown')
    },
    () => Promise.reject(new Error('rejected')),
  ]) {
    await withServer(
      async ({ server, bugs }) => {
        const socket = connect(server.port, '127.0.0.1')
        socket.write(`${post(5)}hello`)
        await new Promise((resolve) => setTimeout(resolve, 30))
        assert.equal(bugs.length, 1)
        socket.destroy()
      },
      { handle },
    )
  }
})

test('connections over the limit are closed, the others go on', async () => {
  await withServer(
    async ({ server }) => {
      const first = connect(server.port, '127.0.0.1')
      await new Promise((resolve) => first.once('connect', resolve))
      await new Promise((resolve) => setTimeout(resolve, 20))
      const second = connect(server.port, '127.0.0.1')
      second.on('error', () => {})
      await new Promise((resolve) => second.once('close', resolve))
      assert.equal(server.connections, 1)
      first.destroy()
    },
    { connectionsMax: 1 },
  )
})

test('a drained listener takes no new connection and closes the old ones after their answer', async () => {
  await withServer(async ({ server }) => {
    const socket = connect(server.port, '127.0.0.1')
    await new Promise((resolve) => socket.once('connect', resolve))
    server.drain()
    let received = ''
    socket.on('data', (bytes) => {
      received += bytes.toString()
    })
    const closed = new Promise((resolve) => socket.once('close', resolve))
    socket.write(`${post(5)}hello`)
    await closed
    assert.match(received, /^HTTP\/1.1 200 OK/)
    assert.match(received, /connection: close/i)
    await assert.rejects(exchange(server.port, `${post(5)}hello`), { code: 'ECONNREFUSED' })
  })
})

test('a port that is taken is refused, not shared', async () => {
  await withServer(async ({ server }) => {
    const options = {
      host: '127.0.0.1',
      port: server.port,
      bodyBytesMax: 10,
      connectionsMax: 1,
      onBug: () => {},
      api: {
        gate: () => ({ caller: 'x' }),
        handle: () => text(200, ''),
        refuse: () => text(400, ''),
      },
    }
    await assert.rejects(listen(options), /is it taken/)
  })
})

test('a stream counts as a connection until it has closed, and gets each frame whole', async () => {
  const frames: string[] = []
  let closed = 0
  const server = await listen<string>({
    host: '127.0.0.1',
    port: 0,
    bodyBytesMax: 1000,
    connectionsMax: 2,
    onBug: (error) => assert.fail(String(error)),
    api: {
      gate: () => ({ caller: 'x' }),
      handle: () => text(404, ''),
      refuse: () => text(400, ''),
    },
    stream: {
      path: '/stream',
      frameBytesMax: 100,
      bufferedBytesMax: 1_000_000,
      idleSeconds: 60,
      gate: () => ({ caller: 'somebody' }),
      open: (connection, caller) => ({
        onFrame: (bytes, isBinary) => {
          frames.push(`${caller} ${isBinary} ${Buffer.from(bytes)}`)
          connection.send(bytes)
        },
        onDrain: () => {},
        onLeave: () => connection.close(1001, 'bye'),
        onClose: () => closed++,
      }),
    },
  })
  try {
    for (let i = 0; i < 5; i++) {
      let onMessage: (bytes: Buffer) => void = () => {}
      let onClose: (code: number) => void = () => {}
      const answered = new Promise<string>((resolve) => {
        onMessage = (bytes) => resolve(bytes.toString())
      })
      const gone = new Promise<number>((resolve) => {
        onClose = resolve
      })
      const url = `ws://127.0.0.1:${server.port}/stream`
      const client = await openWebSocket(url, {}, { onMessage, onClose })
      assert.equal(server.connections, 1)
      client.send(Buffer.from(`hello ${i}`))
      assert.equal(await answered, `hello ${i}`)
      if (i === 4) server.drain()
      else client.close()
      assert.equal(await gone, i === 4 ? 1001 : 1000)
      await new Promise((resolve) => setTimeout(resolve, 20))
      assert.equal(server.connections, 0)
    }
    assert.equal(closed, 5)
    assert.deepEqual(frames[0], 'somebody true hello 0')
  } finally {
    server.close()
  }
})
