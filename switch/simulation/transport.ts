// A network in memory: the Transport port on virtual time. Bytes of one direction keep their order
// and arrive late, in pieces or never; connections are refused, stall and break when told.
//
//   dialer ── write ──> [held while stalled] ── latency, cut in pieces ──> onBytes of the listener
//          <── the same, the other way ──

import type { Address, Clock, Connection, ConnectionEvents, Timers, Transport } from '../ports.ts'

export interface SimulatedNetworkOptions {
  readonly clock: Clock
  readonly timers: Timers
  /** How long the next piece travels; drawn once a piece. Order is kept all the same. */
  readonly latencyMs: () => number
  /** Length of the next piece of `lengthBytes` bytes, 1..lengthBytes. Absent: never cut. */
  readonly pieceBytes?: (lengthBytes: number) => number
  /** `write` refuses what would hold back more than this. */
  readonly bufferedBytesMax: number
}

/** Accepts a connection: gets its own end, and says what it wants to hear. */
export type Accept = (connection: Connection) => ConnectionEvents

export interface SimulatedNetwork {
  readonly transport: Transport
  /** Answers dials of that address until the returned function is called. */
  listen(address: Address, accept: Accept): () => void
  /** Breaks every open connection: bytes on their way are lost, both ends hear an error. */
  cut(): void
  /** The same of one connection, by either of its ends. */
  reset(connection: Connection): void
  /**
   * While stalled nothing travels and nobody is told, as behind a dead router: to that address, or
   * to all.
   */
  stall(stalled: boolean, address?: Address): void
  readonly openConnections: number
}

export function createSimulatedNetwork(options: SimulatedNetworkOptions): SimulatedNetwork {
  const listeners = new Map<string, Accept>()
  const pairs = new Set<Pair>()
  const stalledKeys = new Set<string>()
  let stalled = false

  const dial = (address: Address, events: ConnectionEvents): Connection => {
    const key = keyOf(address)
    const isStalled = stalled || stalledKeys.has(key)
    const pair = new Pair(options, key, isStalled, () => pairs.delete(pair))
    pairs.add(pair)
    pair.dial(() => listeners.get(key), events)
    return pair.dialer
  }
  return {
    transport: { connect: dial },
    listen(address, accept) {
      listeners.set(keyOf(address), accept)
      return () => listeners.delete(keyOf(address))
    },
    cut() {
      for (const pair of [...pairs]) pair.cut()
    },
    reset(connection) {
      if (connection instanceof End) connection.reset()
    },
    stall(isStalled, address) {
      if (address === undefined) {
        stalled = isStalled
        stalledKeys.clear()
        for (const pair of pairs) pair.stall(isStalled)
        return
      }
      const key = keyOf(address)
      if (isStalled) stalledKeys.add(key)
      else stalledKeys.delete(key)
      for (const pair of pairs) if (pair.key === key) pair.stall(isStalled || stalled)
    },
    get openConnections() {
      return pairs.size
    },
  }
}

function keyOf(address: Address): string {
  return `${address.host}:${address.port}`
}

function systemError(code: string): Error {
  return Object.assign(new Error(`simulated ${code}`), { code })
}

/** Both ends of one connection. */
class Pair {
  readonly dialer: End
  /** The listener's address. */
  readonly key: string
  readonly #listener: End
  readonly #options: SimulatedNetworkOptions
  #openEnds = 0
  #isStalled: boolean
  /** The rest of a handshake that the stall holds up. */
  #heldDial: (() => void) | undefined
  readonly #onGone: () => void

  constructor(options: SimulatedNetworkOptions, key: string, stalled: boolean, onGone: () => void) {
    this.#options = options
    this.key = key
    this.#isStalled = stalled
    this.#onGone = onGone
    this.dialer = new End(options, stalled, this.#endGone)
    this.#listener = new End(options, stalled, this.#endGone)
    this.dialer.peer = this.#listener
    this.#listener.peer = this.dialer
  }

  readonly #endGone = (): void => {
    this.#openEnds--
    if (this.#openEnds <= 0) this.#onGone()
  }

  /** The outcome is seen one latency later, as a handshake's would be. */
  dial(findAccept: () => Accept | undefined, events: ConnectionEvents): void {
    this.dialer.events = events
    this.#openEnds = 1
    const finish = () => {
      if (this.dialer.isClosed) return
      if (this.#isStalled) {
        this.#heldDial = finish
        return
      }
      const accept = findAccept()
      if (accept === undefined) {
        this.dialer.close(systemError('ECONNREFUSED'))
        return
      }
      this.#openEnds = 2
      this.#listener.events = accept(this.#listener)
      this.#listener.open()
      this.dialer.open()
    }
    this.#options.timers.set(this.#options.latencyMs(), finish)
  }

  cut(): void {
    this.dialer.reset()
  }

  stall(stalled: boolean): void {
    this.#isStalled = stalled
    this.dialer.stall(stalled)
    this.#listener.stall(stalled)
    const heldDial = this.#heldDial
    if (stalled || heldDial === undefined) return
    this.#heldDial = undefined
    heldDial()
  }
}

class End implements Connection {
  peer: End | undefined
  events: ConnectionEvents | undefined
  isClosed = false
  readonly #options: SimulatedNetworkOptions
  readonly #onGone: () => void
  #isOpen = false
  #isStalled: boolean
  /** What was written while stalled. */
  #held: Uint8Array[] = []
  #heldBytes = 0
  #isEndHeld = false
  /** What is on its way to the peer, in order; each arrival timer takes the first. */
  readonly #travelling: (() => void)[] = []
  /** When the last of them arrives: the next may not arrive before it. */
  #lastArrivalMs = 0

  constructor(options: SimulatedNetworkOptions, stalled: boolean, onGone: () => void) {
    this.#options = options
    this.#isStalled = stalled
    this.#onGone = onGone
  }

  get bufferedBytes(): number {
    return this.#heldBytes
  }

  /** Both ends hear an error; what is on its way is lost. */
  reset(): void {
    this.close(systemError('ECONNRESET'))
    this.peer?.close(systemError('ECONNRESET'))
  }

  open(): void {
    if (this.isClosed) return
    this.#isOpen = true
    this.events?.onOpen()
  }

  write(bytes: Uint8Array): boolean {
    if (!this.#isOpen || this.isClosed) return false
    if (this.#heldBytes + bytes.length > this.#options.bufferedBytesMax) return false
    if (this.#isStalled) {
      this.#held.push(bytes.slice())
      this.#heldBytes += bytes.length
    } else {
      this.#send(bytes)
    }
    return true
  }

  destroy(): void {
    if (this.isClosed) return
    this.#held = []
    this.#heldBytes = 0
    if (this.#isStalled) this.#isEndHeld = true
    else this.#sendEnd()
    this.close()
  }

  stall(stalled: boolean): void {
    this.#isStalled = stalled
    if (stalled) return
    const held = this.#held
    this.#held = []
    this.#heldBytes = 0
    for (const bytes of held) this.#send(bytes)
    if (this.#isEndHeld) this.#sendEnd()
    this.#isEndHeld = false
  }

  /** The end hears of it on a later turn, once. */
  close(error?: Error): void {
    if (this.isClosed) return
    this.isClosed = true
    this.#isOpen = false
    this.#options.timers.set(0, () => {
      this.#onGone()
      if (error === undefined) this.events?.onClose()
      else this.events?.onClose(error)
    })
  }

  #send(bytes: Uint8Array): void {
    const peer = this.peer as End
    const pieceBytes = this.#options.pieceBytes
    for (let start = 0; start < bytes.length; ) {
      const restBytes = bytes.length - start
      const lengthBytes = pieceBytes === undefined ? restBytes : pieceBytes(restBytes)
      const piece = bytes.slice(start, start + lengthBytes)
      this.#arrive(() => peer.#receive(piece))
      start += lengthBytes
    }
  }

  #sendEnd(): void {
    const peer = this.peer as End
    this.#arrive(() => peer.close())
  }

  #arrive(arrival: () => void): void {
    const nowMs = this.#options.clock.monotonic()
    this.#lastArrivalMs = Math.max(this.#lastArrivalMs, nowMs + this.#options.latencyMs())
    this.#travelling.push(arrival)
    this.#options.timers.set(this.#lastArrivalMs - nowMs, () => this.#travelling.shift()?.())
  }

  /** Spoils the piece afterwards: who kept a view of it is found out. */
  #receive(piece: Uint8Array): void {
    if (this.isClosed) return
    this.events?.onBytes(piece)
    piece.fill(0xdb)
  }
}
