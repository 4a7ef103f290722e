// Splits a byte stream into messages, and puts messages into it:
//
//   frame = length reserved tpdu payload trailer
//   tpdu  = 60 destination source          two bytes each; an answer has them swapped
//
// `length` is what the spec's words say. A frame of length zero is a keep-alive, and skipped.

import Type, { type Static } from 'typebox'
import { frameBytesDefault, messageBytesMax } from './limits.ts'

const address = Type.String({ pattern: '^[0-9A-Fa-f]{4}$' })

/** The words of a framing, for the schema of a configuration. */
export const FramingWords = Type.Object(
  {
    /** binary: big-endian; bcd: two digits a byte; ascii: one digit a byte. */
    encoding: Type.Enum(['binary', 'bcd', 'ascii']),
    /** Bytes that the length takes: 2 or 4. */
    bytes: Type.Enum([2, 4]),
    /** The length counts its own bytes too. */
    countsItself: Type.Optional(Type.Boolean()),
    /** Bytes after the length that are written as zeros and read as anything. */
    reservedBytes: Type.Optional(Type.Integer({ minimum: 0, maximum: 16 })),
    /** False: the length does not count the reserved bytes (Visa's header of 2 + 2 bytes). */
    countsReserved: Type.Optional(Type.Boolean()),
    /**
     * A TPDU stands before each message, and is counted. These hex addresses are written in
     * messages that answer nothing; an answer has those of its request, swapped.
     */
    tpdu: Type.Optional(
      Type.Object({ destination: address, source: address }, { additionalProperties: false }),
    ),
    /** Hex that ends every frame (`03`). Counted. */
    trailer: Type.Optional(Type.String({ pattern: '^([0-9A-Fa-f]{2}){1,4}$' })),
    /** The longest payload that is taken, in bytes; 8,192 where absent. */
    frameBytesMax: Type.Optional(Type.Integer({ minimum: 1, maximum: messageBytesMax })),
  },
  { additionalProperties: false },
)

type Words = Static<typeof FramingWords>

/** How the messages of a stream are told apart, in words as a configuration has them. */
export interface FramingSpec extends Readonly<Omit<Words, 'encoding' | 'bytes'>> {
  readonly encoding: 'binary' | 'bcd' | 'ascii'
  readonly bytes: 2 | 4
}

/** The two addresses of a TPDU (transport protocol data unit), 0 to 65,535 each. */
export interface Tpdu {
  readonly destination: number
  readonly source: number
}

const tpduId = 0x60
const tpduBytes = 5

/** What `ISO_PORT` and issuer links speak unless told otherwise. */
export const defaultFraming: FramingSpec = { encoding: 'binary', bytes: 2 }

/** Every way a stream can be wrong. Stable, as those of a message. */
export const framingProblemCodes = [
  'frame_too_long',
  'frame_too_short',
  'bad_frame_length',
  'bad_tpdu',
  'bad_trailer',
] as const

/** Why a stream can not be split any further, or a payload not be sent. */
export interface FramingProblem {
  readonly code: (typeof framingProblemCodes)[number]
  /** Offset in the stream of the frame's first byte. */
  readonly offset: number
  readonly message: string
}

export type FrameResult =
  | { readonly ok: true; readonly bytes: Uint8Array }
  | { readonly ok: false; readonly problem: FramingProblem }

export interface Splitter {
  /**
   * Takes the next bytes of the stream and hands on every message that they complete. The bytes are
   * the caller's again on return. After a problem, or after `stop`, further bytes are ignored.
   */
  push(bytes: Uint8Array): void
  /** Drops what is buffered; no more calls follow. May be called from `onFrame`. */
  stop(): void
  /** Bytes of a frame that is not complete yet. */
  readonly bufferedBytes: number
}

export interface Framing {
  /**
   * The payload in a frame, in memory of its own. `answered` is the TPDU of the request that the
   * payload answers, as `onFrame` got it.
   */
  encode(payload: Uint8Array, answered?: Tpdu | null): FrameResult
  /**
   * `onFrame` gets a message that is valid until it returns, and its TPDU where the framing has
   * one. `onProblem` is called once at most: the stream is lost then, and the connection should be
   * closed.
   */
  createSplitter(
    onFrame: (payload: Uint8Array, tpdu: Tpdu | null) => void,
    onProblem: (problem: FramingProblem) => void,
  ): Splitter
}

/** Everything of a spec that splitting needs, worked out once. */
interface Shape {
  readonly encoding: FramingSpec['encoding']
  readonly lengthBytes: number
  /** Bytes between the length and the payload: the reserved ones, then the TPDU. */
  readonly headBytes: number
  readonly reservedBytes: number
  readonly tpdu: Tpdu | null
  readonly trailer: Uint8Array
  /** What the length says beyond head, payload and trailer; below zero: it counts less. */
  readonly ownBytes: number
  /** What the length of a keep-alive says, and the bytes that it has. */
  readonly keepAliveSays: number
  readonly keepAliveBytes: number
  readonly payloadMax: number
}

/** The framing of a spec, whose values the configuration's schema has checked. */
export function createFraming(spec: FramingSpec): Framing {
  const reservedBytes = spec.reservedBytes ?? 0
  const uncountedBytes = spec.countsReserved === false ? reservedBytes : 0
  const shape: Shape = {
    encoding: spec.encoding,
    lengthBytes: spec.bytes,
    headBytes: reservedBytes + (spec.tpdu === undefined ? 0 : tpduBytes),
    reservedBytes,
    tpdu:
      spec.tpdu === undefined
        ? null
        : {
            destination: Number.parseInt(spec.tpdu.destination, 16),
            source: Number.parseInt(spec.tpdu.source, 16),
          },
    trailer: new Uint8Array(Buffer.from(spec.trailer ?? '', 'hex')),
    ownBytes: (spec.countsItself === true ? spec.bytes : 0) - uncountedBytes,
    keepAliveSays: spec.countsItself === true ? spec.bytes : 0,
    keepAliveBytes: spec.bytes + uncountedBytes,
    payloadMax: Math.min(spec.frameBytesMax ?? frameBytesDefault, messageBytesMax),
  }
  return {
    encode: (payload, answered = null) => encodeFrame(shape, payload, answered),
    createSplitter: (onFrame, onProblem) => new FrameSplitter(shape, onFrame, onProblem),
  }
}

function encodeFrame(shape: Shape, payload: Uint8Array, answered: Tpdu | null): FrameResult {
  const { lengthBytes, headBytes, trailer } = shape
  const body = headBytes + payload.length + trailer.length
  const says = body + shape.ownBytes
  if (payload.length > shape.payloadMax || says > lengthMax(shape)) {
    return { ok: false, problem: tooLong(shape, payload.length, 0) }
  }
  const bytes = Buffer.allocUnsafe(lengthBytes + body)
  let rest = says
  for (let i = lengthBytes - 1; i >= 0; i--) {
    if (shape.encoding === 'binary') {
      bytes[i] = rest & 255
      rest >>>= 8
    } else if (shape.encoding === 'bcd') {
      bytes[i] = (rest % 10) | ((((rest / 10) | 0) % 10) << 4)
      rest = (rest / 100) | 0
    } else {
      bytes[i] = 48 + (rest % 10)
      rest = (rest / 10) | 0
    }
  }
  bytes.fill(0, lengthBytes, lengthBytes + shape.reservedBytes)
  if (shape.tpdu !== null) writeTpdu(bytes, lengthBytes + shape.reservedBytes, shape.tpdu, answered)
  bytes.set(payload, lengthBytes + headBytes)
  bytes.set(trailer, lengthBytes + headBytes + payload.length)
  return { ok: true, bytes }
}

function writeTpdu(bytes: Buffer, at: number, own: Tpdu, answered: Tpdu | null): void {
  bytes[at] = tpduId
  bytes.writeUInt16BE(answered === null ? own.destination : answered.source, at + 1)
  bytes.writeUInt16BE(answered === null ? own.source : answered.destination, at + 3)
}

function readTpdu(bytes: Uint8Array, at: number): Tpdu {
  const two = (i: number): number => (bytes[i] as number) * 256 + (bytes[i + 1] as number)
  return { destination: two(at + 1), source: two(at + 3) }
}

function lengthMax(shape: Shape): number {
  if (shape.encoding === 'binary') return 256 ** shape.lengthBytes - 1
  return 10 ** (shape.lengthBytes * (shape.encoding === 'bcd' ? 2 : 1)) - 1
}

/** The number that the length bytes say, or -1 where they are not digits. */
function readLength(shape: Shape, bytes: Uint8Array, at: number): number {
  let length = 0
  for (let i = at; i < at + shape.lengthBytes; i++) {
    const byte = bytes[i] as number
    if (shape.encoding === 'binary') length = length * 256 + byte
    else if (shape.encoding === 'bcd') {
      if (byte >> 4 > 9 || (byte & 15) > 9) return -1
      length = length * 100 + (byte >> 4) * 10 + (byte & 15)
    } else {
      if (byte < 48 || byte > 57) return -1
      length = length * 10 + byte - 48
    }
  }
  return length
}

class FrameSplitter implements Splitter {
  readonly #shape: Shape
  readonly #onFrame: (payload: Uint8Array, tpdu: Tpdu | null) => void
  readonly #onProblem: (problem: FramingProblem) => void
  /** A frame that came in parts: its first `#held` bytes. Grows to twice what came, at most. */
  #partial = Buffer.alloc(0)
  #held = 0
  #isStopped = false
  /** Offset in the stream of the frame at hand. */
  #offset = 0

  constructor(
    shape: Shape,
    onFrame: (payload: Uint8Array, tpdu: Tpdu | null) => void,
    onProblem: (problem: FramingProblem) => void,
  ) {
    this.#shape = shape
    this.#onFrame = onFrame
    this.#onProblem = onProblem
  }

  get bufferedBytes(): number {
    return this.#held
  }

  push(bytes: Uint8Array): void {
    if (this.#isStopped) return
    const { lengthBytes } = this.#shape
    let at = this.#held > 0 ? this.#completeHeld(bytes) : 0
    while (!this.#isStopped && at < bytes.length) {
      const left = bytes.length - at
      const frameBytes = left < lengthBytes ? left + 1 : this.#measure(bytes, at)
      if (frameBytes < 0) return
      if (frameBytes > left) {
        this.#hold(bytes, at, bytes.length, Math.max(frameBytes, lengthBytes))
        return
      }
      this.#deliver(bytes, at, frameBytes)
      at += frameBytes
    }
  }

  stop(): void {
    this.#isStopped = true
    this.#release()
  }

  /** Completes the frame that is held; returns how many of `bytes` it took. */
  #completeHeld(bytes: Uint8Array): number {
    const { lengthBytes, payloadMax } = this.#shape
    let at = 0
    if (this.#held < lengthBytes) {
      at = Math.min(bytes.length, lengthBytes - this.#held)
      this.#hold(bytes, 0, at, lengthBytes + payloadMax)
      if (this.#held < lengthBytes) return at
    }
    const frameBytes = this.#measure(this.#partial, 0)
    if (frameBytes < 0) return at
    const take = Math.min(bytes.length - at, frameBytes - this.#held)
    this.#hold(bytes, at, at + take, frameBytes)
    if (this.#held < frameBytes) return at + take
    const frame = this.#partial
    this.#release()
    this.#deliver(frame, 0, frameBytes)
    return at + take
  }

  /** Bytes of the whole frame whose length stands at `at`; -1 after a problem. */
  #measure(bytes: Uint8Array, at: number): number {
    const { ownBytes, lengthBytes, keepAliveSays, keepAliveBytes } = this.#shape
    const says = readLength(this.#shape, bytes, at)
    if (says === keepAliveSays) return keepAliveBytes
    const body = says - ownBytes
    const problem = lengthProblem(this.#shape, says, body, this.#offset)
    if (problem === null) return lengthBytes + body
    this.#fail(problem)
    return -1
  }

  #deliver(bytes: Uint8Array, at: number, frameBytes: number): void {
    const { lengthBytes, headBytes, trailer, keepAliveBytes } = this.#shape
    if (frameBytes === keepAliveBytes) {
      this.#offset += frameBytes
      return
    }
    const end = at + frameBytes - trailer.length
    const payloadAt = at + lengthBytes + headBytes
    const hasTpdu = this.#shape.tpdu !== null
    if (hasTpdu && bytes[payloadAt - tpduBytes] !== tpduId) {
      const message = 'the frame does not start with a TPDU (60 and two addresses)'
      this.#fail({ code: 'bad_tpdu', offset: this.#offset, message })
      return
    }
    if (!trailer.every((byte, i) => bytes[end + i] === byte)) {
      const message = 'the frame does not end with the trailer; the length may count other bytes'
      this.#fail({ code: 'bad_trailer', offset: this.#offset, message })
      return
    }
    this.#offset += frameBytes
    const tpdu = hasTpdu ? readTpdu(bytes, payloadAt - tpduBytes) : null
    this.#onFrame(bytes.subarray(payloadAt, end), tpdu)
  }

  #hold(bytes: Uint8Array, from: number, to: number, frameBytes: number): void {
    const need = this.#held + to - from
    if (this.#partial.length < need) {
      const grown = Buffer.allocUnsafe(Math.min(frameBytes, Math.max(need * 2, 256)))
      this.#partial.copy(grown, 0, 0, this.#held)
      this.#partial = grown
    }
    this.#partial.set(bytes.subarray(from, to), this.#held)
    this.#held = need
  }

  #release(): void {
    this.#partial = Buffer.alloc(0)
    this.#held = 0
  }

  #fail(problem: FramingProblem): void {
    this.stop()
    this.#onProblem(problem)
  }
}

function lengthProblem(
  shape: Shape,
  says: number,
  body: number,
  offset: number,
): FramingProblem | null {
  const payload = body - shape.headBytes - shape.trailer.length
  if (says < 0) {
    const message = `the length is not ${shape.encoding} digits: another framing, or none`
    return { code: 'bad_frame_length', offset, message }
  }
  if (payload > shape.payloadMax) return tooLong(shape, payload, offset)
  if (payload > 0) return null
  const message = `the length says ${says}, which leaves nothing for a message`
  return { code: 'frame_too_short', offset, message }
}

function tooLong(shape: Shape, payload: number, offset: number): FramingProblem {
  const most = Math.min(shape.payloadMax, lengthMax(shape))
  const message = `a frame of ${payload} bytes, ${most} are allowed: an attack, or another framing`
  return { code: 'frame_too_long', offset, message }
}
