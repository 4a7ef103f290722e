// Adapter: byte-stream connections taken on TCP or TLS. With TLS a client certificate is required,
// and the handshake fails without one that `ca` has signed: real mutual TLS.
//
// Writing gathers what one turn of the event loop answers, as the dialling side does.

import { createServer as createTcpServer, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer, type TLSSocket } from 'node:tls'
import type { AcceptConnection, Connection, Peer } from '../ports.ts'

export interface TlsFiles {
  /** PEM. */
  readonly cert: string
  readonly key: string
  /** Who signs the clients' certificates. */
  readonly ca: string
}

export interface NetListenerOptions {
  readonly host: string
  /** 0: any free one. */
  readonly port: number
  readonly connectionsMax: number
  /** `write` refuses what would hold back more than this. */
  readonly bufferedBytesMax: number
  readonly tls?: TlsFiles
  readonly accept: AcceptConnection
  /** The owner threw: a bug. */
  readonly onBug: (error: unknown) => void
}

export interface NetListener {
  readonly port: number
  readonly connections: number
  /** Takes no new connection; those that are open go on. */
  drain(): void
  /** Ends all that is left, once what was written has been handed to the network. */
  close(): void
}

/** A handshake that takes longer is ended: it holds a place and has proved nothing. */
const HANDSHAKE_TIMEOUT_MS = 10_000

/** A connection that says nothing is probed by the kernel from then on. */
const KEEP_ALIVE_MS = 30_000

/** Listens; rejects where the port can't be had. */
export function listenForStreams(options: NetListenerOptions): Promise<NetListener> {
  return new Promise((resolve, reject) => {
    const sockets = new Set<Socket>()
    const server = createServer(options)
    // Raw sockets are counted from the first byte on: a handshake holds a place, too.
    server.on('connection', (socket: Socket) => {
      if (sockets.size >= options.connectionsMax) {
        socket.destroy()
        return
      }
      sockets.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => sockets.delete(socket))
    })
    server.on(options.tls === undefined ? 'connection' : 'secureConnection', (socket: Socket) => {
      if (!socket.destroyed) accept(options, socket)
    })
    server.on('tlsClientError', (_error: Error, socket: Socket) => socket.destroy())
    server.once('error', () => {
      const { host, port } = options
      reject(new Error(`${host}:${port} can't be listened on: is it taken?`))
    })
    server.listen(options.port, options.host, () => {
      const { port } = server.address() as { port: number }
      const drain = () => void server.close()
      const close = () => {
        drain()
        for (const socket of sockets) socket.destroySoon()
      }
      resolve({
        port,
        get connections() {
          return sockets.size
        },
        drain,
        close,
      })
    })
  })
}

function createServer({ tls }: NetListenerOptions): Server {
  const tcp = { noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS }
  if (tls === undefined) return createTcpServer(tcp)
  const mutual = { requestCert: true, rejectUnauthorized: true, minVersion: 'TLSv1.2' } as const
  return createTlsServer({ ...tcp, ...tls, ...mutual, handshakeTimeout: HANDSHAKE_TIMEOUT_MS })
}

function accept(options: NetListenerOptions, socket: Socket): void {
  const connection = new AcceptedConnection(socket, options.bufferedBytesMax)
  const events = options.accept(connection, peerOf(socket))
  if (events === undefined) {
    socket.destroy()
    return
  }
  socket.on('data', (bytes) => {
    try {
      if (connection.isOpen) events.onBytes(bytes)
    } catch (error) {
      options.onBug(error)
    }
  })
  let problem: Error | undefined
  socket.on('error', (error) => {
    problem = error
  })
  socket.on('close', () => {
    connection.isOpen = false
    if (problem === undefined) events.onClose()
    else events.onClose(problem)
  })
}

function peerOf(socket: Socket): Peer {
  // A dual-stack listener sees IPv4 peers as IPv6: `::ffff:10.0.0.1`.
  const address = (socket.remoteAddress ?? '').replace(/^::ffff:(?=[0-9.]+$)/, '')
  if (!('getPeerCertificate' in socket)) return { address, certificateSha256: undefined }
  const { fingerprint256 } = (socket as TLSSocket).getPeerCertificate()
  return { address, certificateSha256: fingerprint256?.replaceAll(':', '').toLowerCase() }
}

class AcceptedConnection implements Connection {
  readonly #socket: Socket
  readonly #bufferedBytesMax: number
  isOpen = true
  #gathered: Uint8Array[] = []
  #gatheredBytes = 0
  readonly #flush = (): void => this.#flushGathered()

  constructor(socket: Socket, bufferedBytesMax: number) {
    this.#socket = socket
    this.#bufferedBytesMax = bufferedBytesMax
  }

  get bufferedBytes(): number {
    return this.#gatheredBytes + this.#socket.writableLength
  }

  write(bytes: Uint8Array): boolean {
    if (!this.isOpen || this.bufferedBytes + bytes.length > this.#bufferedBytesMax) return false
    if (this.#gathered.length === 0) setImmediate(this.#flush)
    this.#gathered.push(bytes)
    this.#gatheredBytes += bytes.length
    return true
  }

  destroy(): void {
    this.isOpen = false
    this.#socket.destroy()
  }

  #flushGathered(): void {
    const all = Buffer.concat(this.#gathered, this.#gatheredBytes)
    this.#gathered = []
    this.#gatheredBytes = 0
    if (this.isOpen) this.#socket.write(all)
  }
}
