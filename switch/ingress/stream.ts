// Port: a connection that carries frames both ways, as the ingress sees it. The adapter owns the
// socket; what a frame means is decided behind `StreamApi`.

import type { Admittance, HttpHead } from './http.ts'

export interface StreamConnection {
  /** Hands a binary frame to the connection. Nothing happens once it has closed. */
  send(bytes: Uint8Array): void
  /** Bytes that the peer has not taken yet. */
  readonly bufferedBytes: number
  /** Ends it in good order, with a code of RFC 6455, 7.4. */
  close(code: number, reason: string): void
}

/** What the adapter tells of one connection. */
export interface StreamSession {
  /** `bytes` belongs to the callee only until it returns. */
  onFrame(bytes: Uint8Array, isBinary: boolean): void
  /** The peer took bytes: `bufferedBytes` is lower than it was. */
  onDrain(): void
  /** The process is ending: answer what runs, then close. */
  onLeave(): void
  /** Called once, last. */
  onClose(): void
}

export interface StreamApi<Caller> {
  readonly path: string
  readonly frameBytesMax: number
  /** The peer is closed when it leaves more than this untaken. */
  readonly bufferedBytesMax: number
  /** Silence after which the peer is asked for a sign of life, and later closed. */
  readonly idleSeconds: number
  /** Asked with the request that wants to become a stream. */
  gate(head: HttpHead): Admittance<Caller>
  open(connection: StreamConnection, caller: Caller): StreamSession
}
