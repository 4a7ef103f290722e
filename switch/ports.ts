// The ports of the message path. Everything that the path does to the outside world goes through
// one of these; sockets, files, clocks and randomness are adapters (`switch/adapters/`), and a
// seeded simulation can stand in for each. `Clock`, `Timers` belong to scoring too and live there.

export type { Clock, TimerHandle, Timers } from '#scoring'

/** A source of random bytes. In production the operating system's, in a simulation a seed's. */
export interface Random {
  /** Fills `target` with random bytes and returns it. */
  fill(target: Uint8Array): Uint8Array
}

/**
 * A folder of append-only files. Nothing counts as stored before `sync` has resolved.
 * Operating errors (disk full, input/output error) reject with the system's error (`code` set).
 */
export interface Disk {
  /** Names of the files in the folder, sorted. */
  list(): Promise<readonly string[]>
  /** Opens a file for reading and appending; creates it, durably in its folder, when absent. */
  open(name: string): Promise<DiskFile>
  /** Removes a file. */
  remove(name: string): Promise<void>
  /** Gives a file another name, durably; whole or not at all, also where `to` is there already. */
  rename(name: string, to: string): Promise<void>
}

export interface DiskFile {
  readonly name: string
  /** Length in bytes, appended bytes included. */
  readonly sizeBytes: number
  /** Writes at the end. One caller at a time. A rejected append may have written a part. */
  append(bytes: Uint8Array): Promise<void>
  /** Resolves when all appended bytes are on stable storage (fdatasync). */
  sync(): Promise<void>
  /** Reads up to `lengthBytes` from `position`; shorter at the end of the file. */
  read(position: number, lengthBytes: number): Promise<Uint8Array>
  /** Cuts the file, durably. */
  truncate(sizeBytes: number): Promise<void>
  close(): Promise<void>
}

/** Dials byte-stream connections (TCP, TLS). */
export interface Transport {
  /** Starts to connect; the outcome comes as `onOpen` or `onClose`, never as a throw. */
  connect(address: Address, events: ConnectionEvents): Connection
}

export interface Address {
  readonly host: string
  readonly port: number
  /** Present: TLS, and the peer must prove who it is; absent: plain TCP. */
  readonly tls?: TlsClient | undefined
}

/** What a client brings to a TLS handshake; PEM texts. */
export interface TlsClient {
  /** Who must have signed the peer's certificate. Absent: the authorities that Node.js ships. */
  readonly ca?: string | undefined
  /** Our own certificate and its key, where the peer asks for one. */
  readonly cert?: string | undefined
  readonly key?: string | undefined
  /** The name in the peer's certificate, where it is not the host that is dialled. */
  readonly serverName?: string | undefined
}

export interface ConnectionEvents {
  onOpen(): void
  /** `bytes` belongs to the callee only until it returns. */
  onBytes(bytes: Uint8Array): void
  /** Called exactly once, last. `error` is absent on an orderly end. */
  onClose(error?: Error): void
}

export interface Connection {
  /**
   * Hands bytes to the connection. False: refused before any byte left, so nothing was sent.
   * True: the bytes may have left, which is all that a sender can ever know.
   */
  write(bytes: Uint8Array): boolean
  /** Bytes accepted by `write` and not yet handed to the network. */
  readonly bufferedBytes: number
  /** Ends the connection at once; `onClose` follows. */
  destroy(): void
}

/** Who is at the other end of a connection that was taken. */
export interface Peer {
  /** IPv4 or IPv6, as text. */
  readonly address: string
  /** SHA-256 of its certificate in lower-case hex, verified; undefined without TLS. */
  readonly certificateSha256: string | undefined
}

/** Takes a connection that is open, or says undefined: it is closed. */
export type AcceptConnection = (
  connection: Connection,
  peer: Peer,
) => Omit<ConnectionEvents, 'onOpen'> | undefined

/** Requests to one HTTP peer over a bounded number of connections. */
export interface HttpClient {
  /**
   * Sends once, and never again by itself. Resolves when the answer is whole, or certainly none
   * comes: at the latest after `giveUpMs`, when the connection is ended. Never rejects.
   */
  send(request: HttpClientRequest): Promise<HttpSent>
  /** Ends every connection. */
  close(): void
}

export interface HttpClientRequest {
  /** Without the origin, with a leading slash. */
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  /** POSTed. */
  readonly body: Uint8Array
  readonly giveUpMs: number
}

export type HttpSent =
  | { readonly kind: 'answered'; readonly status: number; readonly body: Uint8Array }
  /** Certainly nothing left. `code` is the system's, such as ECONNREFUSED. */
  | { readonly kind: 'not_sent'; readonly code: string }
  /** Bytes may have left, and no whole answer came. */
  | { readonly kind: 'unknown'; readonly code: string }

/** Where an HTTP peer is; with `tls` it is https. */
export interface HttpClientOptions {
  readonly address: Address
  /** Requests at a time; more must not be sent. */
  readonly connectionsMax: number
  readonly connectTimeoutMs: number
  /** A longer answer is `unknown`. */
  readonly answerBytesMax: number
}

export type CreateHttpClient = (options: HttpClientOptions) => HttpClient
