// A TCP proxy that makes the network bad on purpose: late, slow, stalled, lost, cut.
//
//   client ──> [ held back: delay, throttle ] ──> server        each direction is a queue
//   client <── [ held back: delay, throttle ] <── server        of pieces with a due time
//
// TCP repairs what a network loses, or gives the connection up. So a loss is one of three here: a
// delay (the packet was sent again), a stall (the link was away and came back), or a connection
// that stays open and carries nothing (half-open), which ends when the link heals.

import { connect, createServer, type Server, type Socket } from 'node:net'
import { heldBytesMax, throttlePieceMs } from './limits.ts'

export interface Target {
  readonly host: string
  readonly port: number
}

/** What befalls bytes; several at once. */
export interface Weather {
  /** Every piece leaves so much later than it came. */
  readonly delayMs: number
  /** Bytes a second in each direction of each connection; Infinity is no limit. */
  readonly bytesPerSecond: number
  /** Bytes wait, in both directions, until this ends. */
  readonly isStalled: boolean
  /** Bytes in that direction are thrown away; the connection ends when this does. */
  readonly swallows: 'nothing' | 'to_server' | 'to_client'
  /** New connections are closed at once. */
  readonly isRefusing: boolean
}

export const fairWeather: Weather = {
  delayMs: 0,
  bytesPerSecond: Number.POSITIVE_INFINITY,
  isStalled: false,
  swallows: 'nothing',
  isRefusing: false,
}

type Direction = 'to_server' | 'to_client'

interface Line {
  readonly client: Socket
  readonly server: Socket
  readonly pumps: readonly [Pump, Pump]
}

export class TcpProxy {
  readonly #server: Server
  readonly #target: Target
  readonly #lines = new Set<Line>()
  #weather = fairWeather

  private constructor(target: Target) {
    this.#target = target
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
      this.#accept(client)
    })
  }

  /** Listens on a free port of loopback in front of `target`, which need not be there yet. */
  static listen(target: Target): Promise<TcpProxy> {
    const proxy = new TcpProxy(target)
    return new Promise((resolve, reject) => {
      proxy.#server.once('error', reject)
      proxy.#server.listen({ host: '127.0.0.1', port: 0 }, () => resolve(proxy))
    })
  }

  get port(): number {
    const address = this.#server.address()
    return typeof address === 'object' && address !== null ? address.port : 0
  }

  get connections(): number {
    return this.#lines.size
  }

  /** Lays `change` over fair weather. Connections that lost bytes end with what lost them. */
  setWeather(change: Partial<Weather>): void {
    this.#weather = { ...fairWeather, ...change }
    for (const { client, server, pumps } of this.#lines) {
      if (pumps.some((pump) => pump.hasLost) && this.#weather.swallows === 'nothing') {
        client.destroy()
        server.destroy()
      } else {
        for (const pump of pumps) pump.wake()
      }
    }
  }

  /** Ends every connection in the middle of what it carries: half of what is held still goes. */
  cut(): void {
    for (const { client, server, pumps } of this.#lines) {
      for (const pump of pumps) pump.tear()
      client.destroy()
      server.destroy()
    }
  }

  close(): void {
    this.#server.close()
    this.cut()
  }

  #accept(client: Socket): void {
    if (this.#weather.isRefusing) {
      client.destroy()
      return
    }
    const server = connect({ ...this.#target, allowHalfOpen: true, noDelay: true })
    const weather = () => this.#weather
    const pumps: Line['pumps'] = [
      new Pump('to_server', client, server, weather),
      new Pump('to_client', server, client, weather),
    ]
    const line: Line = { client, server, pumps }
    this.#lines.add(line)
    const end = () => {
      for (const pump of pumps) pump.stop()
      client.destroy()
      server.destroy()
      this.#lines.delete(line)
    }
    // 'close' follows an error; either side's end is the line's.
    client.on('error', () => undefined).on('close', end)
    server.on('error', () => undefined).on('close', end)
  }
}

/** One direction of one connection. */
class Pump {
  hasLost = false
  readonly #direction: Direction
  readonly #from: Socket
  readonly #to: Socket
  readonly #weather: () => Weather
  /** Oldest first; a piece without bytes is the end of the stream. */
  #pieces: { bytes: Buffer; dueMs: number }[] = []
  #heldBytes = 0
  #timer: NodeJS.Timeout | undefined

  constructor(direction: Direction, from: Socket, to: Socket, weather: () => Weather) {
    this.#direction = direction
    this.#from = from
    this.#to = to
    this.#weather = weather
    from.on('data', (bytes: Buffer) => this.#take(bytes))
    from.on('end', () => this.#take(Buffer.alloc(0)))
    to.on('drain', () => this.wake())
  }

  /** The weather changed, or the other side takes bytes again. */
  wake(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#send()
  }

  /** Half of what is held leaves, whatever frame it ends in. */
  tear(): void {
    const held = Buffer.concat(this.#pieces.map(({ bytes }) => bytes))
    if (held.length > 1 && !this.#to.destroyed) this.#to.write(held.subarray(0, held.length >> 1))
    this.#pieces = []
  }

  stop(): void {
    clearTimeout(this.#timer)
    this.#pieces = []
  }

  #take(bytes: Buffer): void {
    const { swallows, delayMs } = this.#weather()
    if (swallows === this.#direction) {
      this.hasLost = true
      return
    }
    this.#pieces.push({ bytes, dueMs: performance.now() + delayMs })
    this.#heldBytes += bytes.length
    if (this.#heldBytes > heldBytesMax) this.#from.pause()
    if (this.#timer === undefined) this.#send()
  }

  #send(): void {
    for (let piece = this.#pieces[0]; piece !== undefined; piece = this.#pieces[0]) {
      const { isStalled, bytesPerSecond } = this.#weather()
      // Woken by the change of weather, or by the other side's `drain`.
      if (isStalled || this.#to.writableNeedDrain) return
      const waitMs = piece.dueMs - performance.now()
      if (waitMs > 0) {
        this.#wait(waitMs)
        return
      }
      if (piece.bytes.length === 0) {
        this.#pieces.shift()
        this.#to.end()
        continue
      }
      const mostBytes = Math.max(1, Math.floor((bytesPerSecond * throttlePieceMs) / 1_000))
      const now = piece.bytes.subarray(0, Math.min(mostBytes, piece.bytes.length))
      this.#to.write(now)
      this.#heldBytes -= now.length
      piece.bytes = piece.bytes.subarray(now.length)
      if (piece.bytes.length === 0) this.#pieces.shift()
      if (this.#heldBytes * 2 < heldBytesMax) this.#from.resume()
      if (bytesPerSecond !== Number.POSITIVE_INFINITY) {
        this.#wait(throttlePieceMs)
        return
      }
    }
  }

  #wait(ms: number): void {
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      this.#send()
    }, ms)
  }
}
