// Adapter: the Transport port on TCP.
//
// Writing: messages of one turn of the event loop leave in one system call. They are gathered
// until the loop's check phase (setImmediate), which comes after all sockets that had data were
// read, so that the answers to a whole batch share a packet. Reading: one fixed buffer a
// connection, no allocation a read.

import { connect, type Socket } from 'node:net'
import type { Address, Connection, ConnectionEvents, Transport } from '../ports.ts'

export interface NetTransportLimits {
  /** `write` refuses what would hold back more than this. */
  readonly bufferedBytesMax: number
  /** Size of the buffer that a read fills. */
  readonly readBytes: number
}

/** 2 MiB are 4,096 messages of 512 bytes; 64 KiB is what libuv asks the kernel for. */
export const NET_TRANSPORT_LIMITS: NetTransportLimits = {
  bufferedBytesMax: 2 * 1_048_576,
  readBytes: 65_536,
}

/** A connection that says nothing is probed by the kernel from then on. */
const KEEP_ALIVE_MS = 30_000

export function createNetTransport(limits: NetTransportLimits = NET_TRANSPORT_LIMITS): Transport {
  return {
    connect: (address, events) => new NetConnection(address, events, limits),
  }
}

class NetConnection implements Connection {
  readonly #socket: Socket
  readonly #events: ConnectionEvents
  readonly #limits: NetTransportLimits
  #isOpen = false
  #error: Error | undefined
  /** Gathered in this turn; flushed once in the check phase. */
  #gathered: Uint8Array[] = []
  #gatheredBytes = 0
  readonly #flush = (): void => this.#flushGathered()

  constructor(address: Address, events: ConnectionEvents, limits: NetTransportLimits) {
    this.#events = events
    this.#limits = limits
    this.#socket = connect({
      host: address.host,
      port: address.port,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: KEEP_ALIVE_MS,
      onread: {
        buffer: new Uint8Array(limits.readBytes),
        callback: (lengthBytes, buffer) => {
          if (this.#isOpen) events.onBytes(buffer.subarray(0, lengthBytes))
          return true
        },
      },
    })
    this.#socket.on('connect', () => {
      this.#isOpen = true
      events.onOpen()
    })
    this.#socket.on('error', (error) => {
      this.#error = error
    })
    this.#socket.on('close', () => this.#closed())
  }

  get bufferedBytes(): number {
    return this.#gatheredBytes + this.#socket.writableLength
  }

  write(bytes: Uint8Array): boolean {
    if (!this.#isOpen) return false
    if (this.bufferedBytes + bytes.length > this.#limits.bufferedBytesMax) return false
    if (this.#gathered.length === 0) setImmediate(this.#flush)
    this.#gathered.push(bytes)
    this.#gatheredBytes += bytes.length
    return true
  }

  destroy(): void {
    this.#isOpen = false
    this.#socket.destroy()
  }

  #flushGathered(): void {
    const gathered = this.#gathered
    const first = gathered[0]
    if (first === undefined) return
    const all = gathered.length === 1 ? first : Buffer.concat(gathered, this.#gatheredBytes)
    this.#gathered = []
    this.#gatheredBytes = 0
    if (this.#isOpen) this.#socket.write(all)
  }

  #closed(): void {
    this.#isOpen = false
    this.#gathered = []
    this.#gatheredBytes = 0
    if (this.#error === undefined) this.#events.onClose()
    else this.#events.onClose(this.#error)
  }
}
