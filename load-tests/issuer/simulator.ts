// The issuer's end of the line: many connections over TCP or TLS, in any dialect and framing.
// Answers to one chunk of bytes leave in one write, after their ledger lines are in the file, so
// whatever was answered is in the ledger, even when this process is killed.

import { createServer, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import {
  createFraming,
  type Dialect,
  defaultFraming,
  type Edition,
  editionOf,
  type Framing,
  type FramingSpec,
  type IsoMessage,
  type MacKey,
  MessageAuthentication,
  messageIn,
  messageOf,
  type Tpdu,
} from '#switch'
import { seededRandom } from '../random.ts'
import { answerTo, refusalOf } from './answer.ts'
import { type Behaviour, drawFate, noFault, responseCodeFor, staysSilent } from './behaviour.ts'
import type { Ledger } from './ledger.ts'
import { connectionsMax, heldAnswersMax } from './limits.ts'

export interface SimulatorOptions {
  readonly ledger: Ledger
  /** Writes the ledger's lines; called before answers leave. */
  readonly flushLedger: () => void
  readonly dialect: Dialect
  /** Absent: two bytes, big-endian. */
  readonly framing?: FramingSpec
  /** Set on what is sent; what comes without the right one is not read. */
  readonly mac?: MacKey
  readonly tls?: ServerTls
  readonly behaviour: Behaviour
  readonly seed: number
}

/** PEM texts. With `ca` clients must show a certificate. */
export interface ServerTls {
  readonly cert: string
  readonly key: string
  readonly ca?: string
}

export interface SimulatorCounts {
  readonly messages: number
  /** Messages that could not be decoded, and streams that could not be split. */
  readonly unreadable: number
  readonly connections: number
}

interface Lane {
  readonly socket: Socket
  /** Framed answers that leave with the next flush. */
  readonly answers: Uint8Array[]
}

/** What becomes of a message, for whoever has to send it. */
export type Taken =
  | { readonly kind: 'nothing' }
  | { readonly kind: 'drop' }
  | {
      readonly kind: 'answer'
      readonly message: IsoMessage
      readonly copies: 1 | 2
      readonly delayMs: number
    }

const NOTHING: Taken = { kind: 'nothing' }

export class Simulator {
  behaviour: Behaviour
  readonly #options: SimulatorOptions
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  readonly #held = new Set<NodeJS.Timeout>()
  readonly #random: () => number
  readonly #framing: Framing
  readonly #edition: Edition
  readonly #authentication: MessageAuthentication | undefined
  #flapping: NodeJS.Timeout | undefined
  /** 0 until it listens. */
  #port = 0
  #messages = 0
  #unreadable = 0

  constructor(options: SimulatorOptions) {
    this.#options = options
    this.behaviour = options.behaviour
    this.#random = seededRandom(options.seed)
    this.#framing = createFraming(options.framing ?? defaultFraming)
    this.#edition = editionOf(options.dialect)
    this.#authentication =
      options.mac === undefined ? undefined : new MessageAuthentication(options.dialect)
    const accept = (socket: Socket) => this.#accept(socket)
    const { tls } = options
    this.#server =
      tls === undefined
        ? createServer({ noDelay: true }, accept)
        : createTlsServer({ ...tls, noDelay: true, requestCert: tls.ca !== undefined }, accept)
    this.#server.maxConnections = connectionsMax
  }

  /** Listens on loopback; resolves with the port. */
  listen(port: number): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen({ host: '127.0.0.1', port }, () => {
        const address = this.#server.address()
        this.#port = typeof address === 'object' && address !== null ? address.port : port
        resolve(this.#port)
      })
    })
  }

  /** Sockets of others (HTTP) that flapping cuts, too. */
  watch(socket: Socket): void {
    this.#sockets.add(socket)
    socket.on('close', () => this.#sockets.delete(socket))
  }

  /** Obeys `flapMs` and `isClosed` as the behaviour has them now. */
  flap(): void {
    clearTimeout(this.#flapping)
    const { flapMs, isClosed } = this.behaviour
    if (isClosed === this.#server.listening && this.#port !== 0) {
      if (!isClosed) this.#server.listen({ host: '127.0.0.1', port: this.#port })
      else {
        this.#server.close()
        for (const socket of this.#sockets) socket.destroy()
      }
    }
    if (flapMs === 0) return
    this.#flapping = setTimeout(() => {
      for (const socket of this.#sockets) socket.destroy()
      this.flap()
    }, flapMs)
  }

  counts(): SimulatorCounts {
    return {
      messages: this.#messages,
      unreadable: this.#unreadable,
      connections: this.#sockets.size,
    }
  }

  close(): void {
    this.#server.close()
    clearTimeout(this.#flapping)
    for (const timer of this.#held) clearTimeout(timer)
    for (const socket of this.#sockets) socket.destroy()
  }

  #accept(socket: Socket): void {
    const lane: Lane = { socket, answers: [] }
    this.#sockets.add(socket)
    const splitter = this.#framing.createSplitter(
      (payload, tpdu) => this.#takeFrame(lane, payload, tpdu),
      () => {
        this.#unreadable++
        socket.destroy()
      },
    )
    socket.on('data', (chunk: Buffer) => {
      splitter.push(chunk)
      this.#flush(lane)
    })
    // A peer that does not read its answers is not read either.
    socket.on('drain', () => socket.resume())
    // 'close' follows; a switch that is killed is part of the game.
    socket.on('error', () => undefined)
    socket.on('close', () => {
      splitter.stop()
      this.#sockets.delete(socket)
    })
  }

  #takeFrame(lane: Lane, payload: Uint8Array, tpdu: Tpdu | null): void {
    const decoded = this.#options.dialect.decode(payload)
    if (!decoded.ok) {
      this.#messages++
      this.#unreadable++
      process.stderr.write(`unreadable message: ${JSON.stringify(decoded.problem)}\n`)
      return
    }
    const { mac } = this.#options
    const check = mac && this.#authentication?.check(payload, decoded.message, mac)
    if (check !== undefined && check !== 'right') {
      this.#messages++
      this.#unreadable++
      process.stderr.write(`a message authentication code was ${check}\n`)
      return
    }
    const taken = this.take(messageOf(this.#edition, decoded.message))
    if (taken.kind === 'drop') lane.socket.destroy()
    if (taken.kind !== 'answer') return
    const framed = this.#encode(taken.message, tpdu)
    for (let copy = 0; copy < taken.copies; copy++) this.#send(lane, framed, taken.delayMs)
  }

  /** A message in the words of 1987, wherever it came from: decided, booked, and its fate drawn. */
  take(message: IsoMessage): Taken {
    this.#messages++
    // An advice and a reversal are told, not asked.
    const isAdvice = message.mti[2] === '2' && message.mti[1] !== '4'
    const isReversal = message.mti[1] === '4' || isAdvice
    const isNetwork = message.mti[1] === '8'
    const fate = isNetwork ? noFault : drawFate(this.behaviour, isReversal, this.#random)
    if (fate.lost) return NOTHING
    const result =
      isAdvice && this.behaviour.refuseAdvices
        ? refusalOf(message)
        : answerTo(message, this.#options.ledger, (amount) => {
            const code = responseCodeFor(this.behaviour, amount)
            return fate.partial && code === '00' && amount > 1 ? '10' : code
          })
    if (result.kind === 'ignored') return NOTHING
    const amount = Number(message.fields[4] ?? 0)
    if (fate.silent || (!isReversal && !isNetwork && staysSilent(this.behaviour, amount))) {
      return NOTHING
    }
    if (fate.drop) return { kind: 'drop' }
    if (fate.wrongAmount) result.message.fields[4] = String(amount + 1).padStart(12, '0')
    return { kind: 'answer', message: result.message, copies: fate.copies, delayMs: fate.delayMs }
  }

  #send(lane: Lane, framed: Uint8Array, delayMs: number): void {
    if (delayMs === 0 || this.#held.size >= heldAnswersMax) {
      lane.answers.push(framed)
      return
    }
    const timer = setTimeout(() => {
      this.#held.delete(timer)
      lane.answers.push(framed)
      this.#flush(lane)
    }, delayMs)
    this.#held.add(timer)
  }

  #encode(message: IsoMessage, tpdu: Tpdu | null): Uint8Array {
    const { dialect, mac } = this.#options
    const written = messageIn(this.#edition, message, Date.now())
    const encoded = (mac && this.#authentication?.encode(written, mac)) ?? dialect.encode(written)
    if (!encoded.ok) throw new Error(`an answer could not be encoded: ${encoded.problem.message}`)
    const framed = this.#framing.encode(encoded.bytes, tpdu)
    if (!framed.ok) throw new Error(`an answer could not be framed: ${framed.problem.message}`)
    return framed.bytes
  }

  #flush(lane: Lane): void {
    this.#options.flushLedger()
    const { answers, socket } = lane
    const [first] = answers
    if (first === undefined) return
    const bytes = answers.length === 1 ? first : Buffer.concat(answers)
    answers.length = 0
    if (!socket.destroyed && !socket.write(bytes)) socket.pause()
  }
}
