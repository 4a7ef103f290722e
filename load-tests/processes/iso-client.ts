// An acquirer over ISO 8583 on TCP, as small as tests and load runs need.

import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import {
  createFraming,
  type Dialect,
  defaultFraming,
  type FramingSpec,
  type IsoMessage,
  loadDialect,
} from '#switch'

export interface IsoClientOptions {
  readonly port: number
  /** A preset's name. */
  readonly dialect?: string
  readonly framing?: FramingSpec
  /** PEM texts of a client certificate, its key, and who signed the server's. */
  readonly tls?: { readonly cert?: string; readonly key?: string; readonly ca: string }
  readonly onMessage?: (message: IsoMessage) => void
  /** False: `received` stays empty, for runs that receive more than memory should hold. */
  readonly isKept?: boolean
}

export interface IsoClient {
  readonly dialect: Dialect
  /** All messages so far, in order of arrival. */
  readonly received: readonly IsoMessage[]
  readonly closed: Promise<void>
  readonly isClosed: boolean
  send(message: IsoMessage): void
  /** The frame of a message, to be cut or changed. */
  frameOf(message: IsoMessage): Uint8Array
  sendBytes(bytes: Uint8Array): void
  destroy(): void
}

/** Connects; rejects where nobody listens or the handshake fails. */
export function openIsoClient(options: IsoClientOptions): Promise<IsoClient> {
  const dialect = readPreset(options.dialect ?? 'iso8583-1987-ascii')
  const framing = createFraming(options.framing ?? defaultFraming)
  const { port, tls } = options
  return new Promise((resolve, reject) => {
    const socket: Socket =
      tls === undefined
        ? connect(port, '127.0.0.1')
        : connectTls({ port, host: '127.0.0.1', servername: 'localhost', ...tls })
    const received: IsoMessage[] = []
    const splitter = framing.createSplitter(
      (payload) => {
        const decoded = dialect.decode(payload)
        if (!decoded.ok) throw new Error(`the switch sent ${decoded.problem.message}`)
        if (options.isKept !== false) received.push(decoded.message)
        options.onMessage?.(decoded.message)
      },
      (problem) => {
        throw new Error(`the switch sent ${problem.message}`)
      },
    )
    let isClosed = false
    const closed = new Promise<void>((done) => {
      socket.once('close', () => {
        isClosed = true
        done()
      })
    })
    const frameOf = (message: IsoMessage) => {
      const encoded = dialect.encode(message)
      const framed = encoded.ok ? framing.encode(encoded.bytes) : encoded
      if (!framed.ok) throw new Error(framed.problem.message)
      return framed.bytes
    }
    socket.on('data', (bytes) => splitter.push(bytes))
    socket.on('error', reject)
    socket.once(tls === undefined ? 'connect' : 'secureConnect', () =>
      resolve({
        dialect,
        received,
        closed,
        get isClosed() {
          return isClosed
        },
        frameOf,
        send: (message) => void socket.write(frameOf(message)),
        sendBytes: (bytes) => void socket.write(bytes),
        destroy: () => socket.destroy(),
      }),
    )
  })
}

function readPreset(name: string): Dialect {
  const file = new URL(`../../switch/iso8583/dialects/${name}.yaml`, import.meta.url)
  const result = loadDialect(readFileSync(file, 'utf8'), name)
  if (!result.ok) throw new Error(result.problems.map(({ reason }) => reason).join('\n'))
  return result.dialect
}
