// The issuer's end of the line: many connections, ISO 8583:1987 in ASCII behind a two-byte length.
// Answers to one chunk of bytes leave in one write, after their ledger lines are in the file, so
// whatever was answered is in the ledger, even when this process is killed.

import { createServer, type Server, type Socket } from 'node:net'
import { createFraming, type Dialect, defaultFraming, type IsoMessage } from '#switch'
import { seededRandom } from '../random.ts'
import { answerTo } from './answer.ts'
import { type Behaviour, drawFate, noFault, responseCodeFor, staysSilent } from './behaviour.ts'
import type { Ledger } from './ledger.ts'
import { connectionsMax, heldAnswersMax } from './limits.ts'

export interface SimulatorOptions {
  readonly ledger: Ledger
  /** Writes the ledger's lines; called before answers leave. */
  readonly flushLedger: () => void
  readonly dialect: Dialect
  readonly behaviour: Behaviour
  readonly seed: number
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

const framing = createFraming(defaultFraming)

export class Simulator {
  behaviour: Behaviour
  readonly #options: SimulatorOptions
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  readonly #held = new Set<NodeJS.Timeout>()
  readonly #random: () => number
  #messages = 0
  #unreadable = 0

  constructor(options: SimulatorOptions) {
    this.#options = options
    this.behaviour = options.behaviour
    this.#random = seededRandom(options.seed)
    this.#server = createServer({ noDelay: true }, (socket) => this.#accept(socket))
    this.#server.maxConnections = connectionsMax
  }

  /** Listens on loopback; resolves with the port. */
  listen(port: number): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen({ host: '127.0.0.1', port }, () => {
        const address = this.#server.address()
        resolve(typeof address === 'object' && address !== null ? address.port : port)
      })
    })
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
    for (const timer of this.#held) clearTimeout(timer)
    for (const socket of this.#sockets) socket.destroy()
  }

  #accept(socket: Socket): void {
    const lane: Lane = { socket, answers: [] }
    this.#sockets.add(socket)
    const splitter = framing.createSplitter(
      (payload) => this.#take(lane, payload),
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

  #take(lane: Lane, payload: Uint8Array): void {
    this.#messages++
    const decoded = this.#options.dialect.decode(payload)
    if (!decoded.ok) {
      this.#unreadable++
      process.stderr.write(`unreadable message: ${JSON.stringify(decoded.problem)}\n`)
      return
    }
    const { message } = decoded
    // An advice and a reversal are told, not asked.
    const isReversal = message.mti[1] === '4' || message.mti.startsWith('022')
    const isNetwork = message.mti[1] === '8'
    const fate = isNetwork ? noFault : drawFate(this.behaviour, isReversal, this.#random)
    if (fate.lost) return
    const result = answerTo(message, this.#options.ledger, (amount) =>
      responseCodeFor(this.behaviour, amount),
    )
    if (result.kind === 'ignored') return
    const amount = Number(message.fields[4] ?? 0)
    if (fate.silent || (!isReversal && !isNetwork && staysSilent(this.behaviour, amount))) return
    if (fate.drop) {
      lane.socket.destroy()
      return
    }
    const framed = this.#encode(result.message)
    for (let copy = 0; copy < fate.copies; copy++) this.#send(lane, framed, fate.delayMs)
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

  #encode(message: IsoMessage): Uint8Array {
    const encoded = this.#options.dialect.encode(message)
    if (!encoded.ok) throw new Error(`an answer could not be encoded: ${encoded.problem.message}`)
    const framed = framing.encode(encoded.bytes)
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
