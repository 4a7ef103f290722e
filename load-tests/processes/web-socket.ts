// A WebSocket client (RFC 6455) on a plain socket, as small as tests and load runs need: binary
// frames, pings answered, no extensions. Node.js 20 has none of its own.

import { createHash, randomBytes } from 'node:crypto'
import { connect, type Socket } from 'node:net'

export interface WebSocketEvents {
  onMessage(bytes: Buffer): void
  /** Once, last; code 1006 where the connection ended without a close frame. */
  onClose(code: number, reason: string): void
}

export interface WebSocketClient {
  /** A binary message; false where the socket's buffer is full and should drain first. */
  send(bytes: Uint8Array): boolean
  /** Any frame as it is, for tests of bad input. */
  sendFrame(opcode: number, payload: Uint8Array): void
  /** Stops and resumes reading from the socket. */
  pause(): void
  resume(): void
  close(): void
  /** Ends the socket without a word. */
  destroy(): void
  readonly pings: number
}

/** The answer of a server that does not want to be a WebSocket here. */
export class UpgradeRefused extends Error {
  readonly status: number
  readonly body: string

  constructor(status: number, body: string) {
    super(`the upgrade was refused with ${status}: ${body}`)
    this.status = status
    this.body = body
  }
}

const OPCODE = { text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const
const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'

/** Connects and upgrades; rejects with `UpgradeRefused` where the server says no. */
export function openWebSocket(
  url: string,
  headers: Readonly<Record<string, string>>,
  events: WebSocketEvents,
): Promise<WebSocketClient> {
  const { hostname, port, pathname, host } = new URL(url)
  const key = randomBytes(16).toString('base64')
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname)
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
    socket.write(
      `GET ${pathname} HTTP/1.1\r\nHost: ${host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
        `Sec-WebSocket-Key: ${key}\r\nSec-WebSocket-Version: 13\r\n${lines.join('')}\r\n`,
    )
    let received = Buffer.alloc(0)
    const onData = (bytes: Buffer) => {
      received = Buffer.concat([received, bytes])
      const end = received.indexOf('\r\n\r\n')
      if (end < 0) return
      const head = received.toString('latin1', 0, end)
      const status = Number(head.split(' ', 2)[1])
      const rest = received.subarray(end + 4)
      if (status !== 101) {
        const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0)
        if (rest.length < length) return
        socket.destroy()
        reject(new UpgradeRefused(status, rest.toString('utf8')))
        return
      }
      const accept = createHash('sha1')
        .update(key + GUID)
        .digest('base64')
      if (!head.includes(accept)) reject(new Error('Sec-WebSocket-Accept does not fit'))
      socket.off('data', onData)
      socket.off('error', reject)
      resolve(new Client(socket, events, rest))
    }
    socket.on('data', onData)
    socket.on('error', reject)
  })
}

class Client implements WebSocketClient {
  readonly #socket: Socket
  readonly #events: WebSocketEvents
  #received: Buffer
  #closed: { readonly code: number; readonly reason: string } = { code: 1006, reason: '' }
  pings = 0

  constructor(socket: Socket, events: WebSocketEvents, rest: Buffer) {
    this.#socket = socket
    this.#events = events
    this.#received = rest
    socket.on('data', (bytes) => this.#take(bytes))
    socket.on('error', () => {})
    socket.on('close', () => events.onClose(this.#closed.code, this.#closed.reason))
    this.#take(Buffer.alloc(0))
  }

  send(bytes: Uint8Array): boolean {
    return this.#socket.write(frameOf(OPCODE.binary, bytes))
  }

  sendFrame(opcode: number, payload: Uint8Array): void {
    this.#socket.write(frameOf(opcode, payload))
  }

  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  close(): void {
    this.sendFrame(OPCODE.close, Uint8Array.of(0x03, 0xe8))
  }

  destroy(): void {
    this.#socket.destroy()
  }

  #take(bytes: Buffer): void {
    this.#received = this.#received.length === 0 ? bytes : Buffer.concat([this.#received, bytes])
    for (;;) {
      const frame = readFrame(this.#received)
      if (frame === undefined) return
      this.#received = this.#received.subarray(frame.bytes)
      if (frame.opcode === OPCODE.ping) {
        this.pings++
        this.sendFrame(OPCODE.pong, frame.payload)
      } else if (frame.opcode === OPCODE.close) {
        const { payload } = frame
        const code = payload.length >= 2 ? payload.readUInt16BE(0) : 1005
        this.#closed = { code, reason: payload.toString('utf8', 2) }
        this.#socket.end(frameOf(OPCODE.close, payload))
      } else if (frame.opcode === OPCODE.binary) {
        this.#events.onMessage(Buffer.from(frame.payload))
      }
    }
  }
}

/** A server's frame is never masked, and ours never come in fragments. */
function readFrame(bytes: Buffer) {
  if (bytes.length < 2) return undefined
  const short = (bytes[1] as number) & 127
  const at = short === 126 ? 4 : short === 127 ? 10 : 2
  if (bytes.length < at) return undefined
  const length =
    short === 126 ? bytes.readUInt16BE(2) : short === 127 ? Number(bytes.readBigUInt64BE(2)) : short
  if (bytes.length < at + length) return undefined
  const opcode = (bytes[0] as number) & 15
  return { opcode, payload: bytes.subarray(at, at + length), bytes: at + length }
}

/** A client's frame is masked (RFC 6455, 5.3). */
function frameOf(opcode: number, payload: Uint8Array): Buffer {
  const { length } = payload
  const at = length < 126 ? 2 : length < 65_536 ? 4 : 10
  const frame = Buffer.alloc(at + 4 + length)
  frame[0] = 0x80 | opcode
  frame[1] = 0x80 | (length < 126 ? length : length < 65_536 ? 126 : 127)
  if (at === 4) frame.writeUInt16BE(length, 2)
  if (at === 10) frame.writeBigUInt64BE(BigInt(length), 2)
  const mask = randomBytes(4)
  mask.copy(frame, at)
  for (let i = 0; i < length; i++) {
    frame[at + 4 + i] = (payload[i] as number) ^ (mask[i & 3] as number)
  }
  return frame
}
