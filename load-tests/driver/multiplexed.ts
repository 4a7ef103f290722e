// Connections that carry many requests at once: who has room takes the next, and a connection that
// ends gives up what it carried.

import type { DoorAnswer, NoAnswer } from './door.ts'
import { connectionsMax, inFlightPerConnectionMax, redialMs } from './limits.ts'

/** What a connection tells of itself. */
export interface Lane<Answer = DoorAnswer> {
  settle(token: number, answer: Answer | NoAnswer): void
  lost(): void
}

export interface MultiplexedEvents<Answer> {
  onAnswer(token: number, answer: Answer): void
  onNoAnswer(token: number, why: NoAnswer): void
  /** There is room for a further request. */
  onIdle(): void
  onConnectFailed(): void
}

interface Carrier<Socket, Answer> extends Lane<Answer> {
  socket: Socket | undefined
  readonly tokens: Set<number>
}

export class Multiplexed<Socket extends { destroy(): void }, Answer extends object = DoorAnswer> {
  readonly #events: MultiplexedEvents<Answer>
  readonly #connect: (lane: Lane<Answer>) => Promise<Socket>
  readonly #carriers: Carrier<Socket, Answer>[] = []
  readonly #carrierOf = new Map<number, Carrier<Socket, Answer>>()
  readonly #redials = new Set<NodeJS.Timeout>()
  #next = 0
  #isClosed = false

  constructor(events: MultiplexedEvents<Answer>, connect: (lane: Lane<Answer>) => Promise<Socket>) {
    this.#events = events
    this.#connect = connect
  }

  async open(count: number): Promise<void> {
    const dials: Promise<void>[] = []
    for (let i = 0; i < Math.min(count, connectionsMax); i++) {
      const carrier = this.#carrier()
      this.#carriers.push(carrier)
      dials.push(this.#dial(carrier))
    }
    await Promise.all(dials)
  }

  /** In turns, so that all connections carry the same; false where none has room. */
  send(token: number, write: (socket: Socket) => void): boolean {
    for (let i = 0; i < this.#carriers.length; i++) {
      const carrier = this.#carriers[this.#next++ % this.#carriers.length]
      if (carrier?.socket === undefined) continue
      if (carrier.tokens.size >= inFlightPerConnectionMax) continue
      carrier.tokens.add(token)
      this.#carrierOf.set(token, carrier)
      write(carrier.socket)
      return true
    }
    return false
  }

  giveUp(token: number): void {
    this.#settle(token, 'timeout')
  }

  close(): void {
    this.#isClosed = true
    for (const timer of this.#redials) clearTimeout(timer)
    for (const { socket } of this.#carriers) socket?.destroy()
  }

  #carrier(): Carrier<Socket, Answer> {
    const carrier: Carrier<Socket, Answer> = {
      socket: undefined,
      tokens: new Set(),
      settle: (token, answer) => {
        // A late answer to a request that was given up settles nothing.
        if (carrier.tokens.has(token)) this.#settle(token, answer)
      },
      lost: () => {
        if (carrier.socket === undefined) return
        carrier.socket = undefined
        for (const token of [...carrier.tokens]) this.#settle(token, 'connection_closed')
        this.#dialLater(carrier)
      },
    }
    return carrier
  }

  #settle(token: number, answer: Answer | NoAnswer): void {
    const carrier = this.#carrierOf.get(token)
    if (carrier === undefined) return
    this.#carrierOf.delete(token)
    carrier.tokens.delete(token)
    if (typeof answer === 'string') this.#events.onNoAnswer(token, answer)
    else this.#events.onAnswer(token, answer)
    if (!this.#isClosed && carrier.socket !== undefined) this.#events.onIdle()
  }

  async #dial(carrier: Carrier<Socket, Answer>): Promise<void> {
    try {
      const socket = await this.#connect(carrier)
      if (this.#isClosed) {
        socket.destroy()
        return
      }
      carrier.socket = socket
      this.#events.onIdle()
    } catch {
      if (this.#isClosed) return
      this.#events.onConnectFailed()
      this.#dialLater(carrier)
    }
  }

  #dialLater(carrier: Carrier<Socket, Answer>): void {
    if (this.#isClosed) return
    const timer = setTimeout(() => {
      this.#redials.delete(timer)
      void this.#dial(carrier)
    }, redialMs)
    this.#redials.add(timer)
  }
}
