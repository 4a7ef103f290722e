// Keep-alive HTTP/1.1 connections on raw sockets, one request at a time on each: uWebSockets.js
// closes a connection on which a second request is pipelined.

import { connect, type Socket } from 'node:net'
import type { NoAnswer, Target } from './door.ts'
import { connectionsMax, idleMsMax, redialMs, redialsAtOnce } from './limits.ts'
import { type HttpAnswer, ResponseParser } from './response-parser.ts'

export interface ConnectionsEvents {
  /** The answer to the request that was sent as `token`. */
  onAnswer(token: number, answer: HttpAnswer): void
  onNoAnswer(token: number, why: NoAnswer): void
  /** A connection became free. */
  onIdle(): void
  onConnectFailed(): void
}

/** No request is in flight. */
const none = -1

interface Lane {
  socket: Socket
  parser: ResponseParser
  token: number
  idleSinceMs: number
  isOpen: boolean
}

export class Connections {
  readonly #target: Target
  readonly #events: ConnectionsEvents
  readonly #now: () => number
  readonly #keptMax: number
  readonly #lanes = new Set<Lane>()
  /** First in, first out, so that none stays idle until the server closes it. */
  readonly #idle: Lane[] = []
  readonly #redials = new Set<NodeJS.Timeout>()
  #idleHead = 0
  #isClosed = false

  /** Of connections that end so many are dialled again; the others only by a further `open`. */
  constructor(
    target: Target,
    now: () => number,
    events: ConnectionsEvents,
    keptMax: number = connectionsMax,
  ) {
    this.#target = target
    this.#events = events
    this.#now = now
    this.#keptMax = keptMax
  }

  /** Opens `count` connections; resolves when each is open or was refused once. */
  async open(count: number): Promise<void> {
    const dials: Promise<void>[] = []
    for (let i = 0; i < Math.min(count, connectionsMax); i++) dials.push(this.#dial())
    await Promise.all(dials)
  }

  /** Open, being dialled, or waiting to be. */
  get count(): number {
    return this.#lanes.size + this.#redials.size
  }

  /** Connections that are open, busy or idle. */
  get openCount(): number {
    let open = 0
    for (const lane of this.#lanes) if (lane.isOpen) open++
    return open
  }

  /** Sends on a free connection; false when there is none, and nothing was written or sent. */
  send(token: number, write: () => string | Buffer): boolean {
    const lane = this.#takeIdle()
    if (lane === undefined) return false
    lane.token = token
    lane.socket.write(write())
    return true
  }

  /** Gives up a request: its connection can't be used again, since its answer may still come. */
  giveUp(token: number): void {
    for (const lane of this.#lanes) {
      if (lane.token === token) this.#drop(lane, 'timeout')
    }
  }

  close(): void {
    this.#isClosed = true
    for (const timer of this.#redials) clearTimeout(timer)
    for (const lane of this.#lanes) lane.socket.destroy()
  }

  #dial(): Promise<void> {
    if (this.#isClosed) return Promise.resolve()
    return new Promise((resolve) => {
      const socket = connect({ host: this.#target.host, port: this.#target.port, noDelay: true })
      const parser = new ResponseParser((answer) => this.#onAnswer(lane, answer))
      const lane: Lane = { socket, parser, token: none, idleSinceMs: 0, isOpen: false }
      this.#lanes.add(lane)
      socket.on('connect', () => {
        lane.isOpen = true
        this.#release(lane)
        resolve()
      })
      socket.on('data', (chunk: Buffer) => {
        const problem = parser.push(chunk)
        if (problem !== undefined) this.#drop(lane, problem)
      })
      // 'close' follows, and says all that matters here.
      socket.on('error', () => undefined)
      socket.on('close', () => {
        const isNews = this.#lanes.has(lane) && !this.#isClosed
        if (isNews && !lane.isOpen) this.#events.onConnectFailed()
        this.#drop(lane, 'connection_closed')
        resolve()
      })
    })
  }

  #onAnswer(lane: Lane, answer: HttpAnswer): void {
    const { token } = lane
    lane.token = none
    // An answer that nobody asked for: the connection is out of step with its requests.
    if (token === none) {
      this.#drop(lane, 'bad_status_line')
      return
    }
    this.#events.onAnswer(token, answer)
    if (answer.keepAlive) this.#release(lane)
    else this.#drop(lane, 'connection_closed')
  }

  #release(lane: Lane): void {
    lane.idleSinceMs = this.#now()
    this.#idle.push(lane)
    this.#events.onIdle()
  }

  #takeIdle(): Lane | undefined {
    while (this.#idleHead < this.#idle.length) {
      const lane = this.#idle[this.#idleHead++] as Lane
      if (this.#idleHead > 1_024 && this.#idleHead * 2 > this.#idle.length) {
        this.#idle.splice(0, this.#idleHead)
        this.#idleHead = 0
      }
      if (!this.#lanes.has(lane)) continue
      if (this.#now() - lane.idleSinceMs <= idleMsMax) return lane
      this.#drop(lane, 'connection_closed')
    }
    return undefined
  }

  #drop(lane: Lane, why: NoAnswer): void {
    if (!this.#lanes.delete(lane)) return
    const wasOpen = lane.isOpen
    lane.isOpen = false
    lane.socket.destroy()
    if (lane.token !== none) this.#events.onNoAnswer(lane.token, why)
    lane.token = none
    if (this.#isClosed || this.count >= this.#keptMax) return
    const redial = setTimeout(
      () => {
        this.#redials.delete(redial)
        void this.#dial()
      },
      // A hundred that are refused are dialled again as fast as they may, more take their turns.
      wasOpen ? 0 : redialMs * Math.max(1, this.#redials.size / redialsAtOnce),
    )
    this.#redials.add(redial)
  }
}
