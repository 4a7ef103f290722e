// Adapter: the Transport port on TCP, and on TLS where the address says so.
//
// Writing: messages of one turn of the event loop leave in one system call. They are gathered
// until the loop's check phase (setImmediate), which comes after all sockets that had data were
// read, so that the answers to a whole batch share a packet. Reading: one fixed buffer a
// connection, no allocation a read; TLS hands out the buffers that it has decrypted into.

import { connect, isIP, type Socket } from 'node:net'
import { checkServerIdentity, connect as connectTls } from 'node:tls'
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
const SOCKET = { noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS } as const

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
    this.#socket = address.tls === undefined ? this.#dial(address) : this.#dialTls(address)
    // With TLS: once the peer has proved who it is, and not before.
    this.#socket.on(address.tls === undefined ? 'connect' : 'secureConnect', () => {
      this.#isOpen = true
      events.onOpen()
    })
    this.#socket.on('error', (error) => {
      this.#error = error
    })
    this.#socket.on('close', () => this.#closed())
  }

  #dial({ host, port }: Address): Socket {
    return connect({
      host,
      port,
      ...SOCKET,
      onread: {
        buffer: new Uint8Array(this.#limits.readBytes),
        callback: (lengthBytes, buffer) => {
          if (this.#isOpen) this.#events.onBytes(buffer.subarray(0, lengthBytes))
          return true
        },
      },
    })
  }

  #dialTls({ host, port, tls }: Address): Socket {
    const { serverName, ...proof } = tls ?? {}
    const name = serverName ?? host
    const socket = connectTls({
      host,
      port,
      ...SOCKET,
      ...proof,
      minVersion: 'TLSv1.2',
      // Compared with the certificate's names; an address can't be sent as a server name (RFC 6066).
      checkServerIdentity: (_host, certificate) => checkServerIdentity(name, certificate),
      ...(isIP(name) === 0 ? { servername: name } : {}),
    })
    socket.on('data', (bytes) => {
      if (this.#isOpen) this.#events.onBytes(bytes)
    })
    return socket
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
