// `GET /v1/stream`: authorizations over one WebSocket, many at a time, answered in any order.
//
//   acquirer   {id, key, body, traceparent?}        MessagePack, one map a binary frame
//   switch     {id, status, body, replayed}         status and body as HTTP has them
//
// An answer that the peer does not take waits here and keeps its place, so a peer that does not
// read can't send for long; nothing is lost by closing it: outcomes are durable, a retry gets them.

import { ERRORS, problemDocument, type Refusal, refuse, refuseForNow } from '../errors.ts'
import { RETRY_AFTER_SECONDS } from '../limits.ts'
import type { Reply } from '../respond.ts'
import { Fifo } from '../store/index.ts'
import type { Acquirer, World } from '../world.ts'
import { readContent, writeContent } from './content.ts'
import {
  STREAM_BUFFERED_BYTES_HIGH,
  STREAM_IN_FLIGHT_MAX,
  STREAM_UNREADABLE_IN_A_ROW_MAX,
  STREAM_WAITING_ANSWERS_MAX,
} from './limits.ts'
import type { StreamConnection, StreamSession } from './stream.ts'
import { refuseKey, takeAuthorization } from './take-authorization.ts'

/** The client's own word for a request: a text of up to 64 characters, or an integer. */
type Correlation = string | number

/** RFC 6455, 7.4.1. */
const CLOSE = { goingAway: 1001, unsupported: 1003, policy: 1008, tryAgainLater: 1013 } as const

export class AcquirerStream implements StreamSession {
  readonly #world: World
  readonly #acquirer: Acquirer
  readonly #connection: StreamConnection
  /** Answers that wait until the peer has taken what it was sent. */
  readonly #waiting = new Fifo<Uint8Array>()
  #inFlight = 0
  #unreadableInARow = 0
  #isLeaving = false
  #isClosed = false

  constructor(world: World, acquirer: Acquirer, connection: StreamConnection) {
    this.#world = world
    this.#acquirer = acquirer
    this.#connection = connection
  }

  onFrame(bytes: Uint8Array, isBinary: boolean): void {
    if (this.#isClosed) return
    if (!isBinary) {
      this.#close(CLOSE.unsupported, 'send MessagePack in binary frames')
      return
    }
    const content = readContent('msgpack', bytes)
    const frame = content.kind === 'read' ? asMap(content.value) : undefined
    const id = frame?.id
    if (frame === undefined || !isCorrelation(id)) {
      const detail = 'a frame is a map with an id: up to 64 characters, or an integer'
      this.#refuse(null, content.kind === 'refused' ? content : refuse('unreadable_body', detail))
      if (++this.#unreadableInARow >= STREAM_UNREADABLE_IN_A_ROW_MAX) {
        this.#close(CLOSE.policy, 'too many frames that are not readable')
      }
      return
    }
    this.#unreadableInARow = 0
    this.#take(id, frame)
  }

  onDrain(): void {
    while (!this.#isClosed && this.#connection.bufferedBytes < STREAM_BUFFERED_BYTES_HIGH) {
      const bytes = this.#waiting.shift()
      if (bytes === undefined) break
      this.#connection.send(bytes)
    }
    this.#leaveWhenDone()
  }

  onLeave(): void {
    this.#isLeaving = true
    this.#leaveWhenDone()
  }

  onClose(): void {
    this.#isClosed = true
  }

  #take(id: Correlation, frame: Readonly<Record<string, unknown>>): void {
    // Answers that wait count: who does not read does not send.
    if (this.#inFlight + this.#waiting.length >= STREAM_IN_FLIGHT_MAX) {
      this.#world.journal.shed('stream')
      const detail = `${STREAM_IN_FLIGHT_MAX} may be in flight on one connection: retry`
      this.#refuse(id, refuseForNow('overloaded', detail, RETRY_AFTER_SECONDS))
      return
    }
    const unknown = Object.keys(frame).find((name) => !FRAME_FIELDS.has(name))
    if (unknown !== undefined) {
      const fields = [...FRAME_FIELDS].join(', ')
      this.#refuse(id, refuse('unknown_field', `a frame has the fields ${fields}`))
      return
    }
    const key = typeof frame.key === 'string' ? frame.key : ''
    const wrongKey = refuseKey(key)
    if (wrongKey !== undefined) {
      this.#refuse(id, wrongKey)
      return
    }
    const trace = typeof frame.traceparent === 'string' ? frame.traceparent : undefined
    const taken = takeAuthorization(this.#world, this.#acquirer, key, frame.body, trace)
    if (!(taken instanceof Promise)) {
      this.#refuse(id, taken)
      return
    }
    this.#inFlight++
    void taken.then((reply) => {
      this.#inFlight--
      this.#answer(id, reply)
      this.#leaveWhenDone()
    })
  }

  #answer(id: Correlation, reply: Reply): void {
    if (reply.kind === 'refused') this.#refuse(id, reply)
    else this.#send({ id, status: 200, body: reply.body, replayed: reply.isReplay })
  }

  #refuse(id: Correlation | null, refusal: Refusal): void {
    this.#world.journal.refused(refusal.code)
    const { retryAfterSeconds } = refusal
    const problem = problemDocument(refusal, this.#world.identifiers.next('req_'))
    this.#send({
      id,
      status: ERRORS[refusal.code].status,
      body: retryAfterSeconds === undefined ? problem : { ...problem, retryAfterSeconds },
      replayed: false,
    })
  }

  #send(answer: Readonly<Record<string, unknown>>): void {
    if (this.#isClosed) return
    // `pack` gives a piece of its pool: what waits is kept as a copy.
    const bytes = writeContent('msgpack', answer) as Uint8Array
    const mustWait =
      this.#waiting.length > 0 || this.#connection.bufferedBytes >= STREAM_BUFFERED_BYTES_HIGH
    if (!mustWait) this.#connection.send(bytes)
    else if (this.#waiting.length < STREAM_WAITING_ANSWERS_MAX) this.#waiting.push(bytes.slice())
    else this.#close(CLOSE.tryAgainLater, 'answers are not taken')
  }

  #leaveWhenDone(): void {
    if (!this.#isLeaving || this.#inFlight > 0 || this.#waiting.length > 0) return
    this.#close(CLOSE.goingAway, 'this process is shutting down')
  }

  #close(code: number, reason: string): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#connection.close(code, reason)
  }
}

const FRAME_FIELDS = new Set(['id', 'key', 'body', 'traceparent'])
const CORRELATION_CHARACTERS_MAX = 64

function asMap(value: unknown): Readonly<Record<string, unknown>> | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
  return value as Readonly<Record<string, unknown>>
}

function isCorrelation(id: unknown): id is Correlation {
  if (typeof id === 'string') return id.length > 0 && id.length <= CORRELATION_CHARACTERS_MAX
  return Number.isSafeInteger(id)
}
