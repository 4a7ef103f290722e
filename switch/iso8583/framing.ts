// Splits a byte stream into messages, and puts messages into it:
//
//   frame = length reserved payload trailer
//
// `length` is what the spec's words say. A frame of length zero is a keep-alive, and skipped.

import { frameBytesDefault, messageBytesMax } from './limits.ts'

/** How the messages of a stream are told apart, in words as a configuration has them. */
export interface FramingSpec {
  /** binary: big-endian; bcd: two digits a byte; ascii: one digit a byte. */
  readonly encoding: 'binary' | 'bcd' | 'ascii'
  /** Bytes that the length takes: 2 or 4. */
  readonly bytes: 2 | 4
  /** The length counts its own bytes too. */
  readonly countsItself?: boolean
  /** Bytes after the length that are written as zeros and read as anything (Visa: 2). Counted. */
  readonly reservedBytes?: number
  /** Hex that ends every frame (`03`). Counted. */
  readonly trailer?: string
  /** The longest payload that is taken, in bytes; 8,192 where absent. */
  readonly frameBytesMax?: number
}

/** What `ISO_PORT` and issuer links speak unless told otherwise. */
export const defaultFraming: FramingSpec = { encoding: 'binary', bytes: 2 }

/** Why a stream can not be split any further, or a payload not be sent. */
export interface FramingProblem {
  readonly code: 'frame_too_long' | 'frame_too_short' | 'bad_frame_length' | 'bad_trailer'
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
  /** The payload in a frame, in memory of its own. */
  encode(payload: Uint8Array): FrameResult
  /**
   * `onFrame` gets a message that is valid until it returns. `onProblem` is called once at most: the
   * stream is lost then, and the connection should be closed.
   */
  createSplitter(
    onFrame: (payload: Uint8Array) => void,
    onProblem: (problem: FramingProblem) => void,
  ): Splitter
}

/** Everything of a spec that splitting needs, worked out once. */
interface Shape {
  readonly encoding: FramingSpec['encoding']
  readonly lengthBytes: number
  readonly reservedBytes: number
  readonly trailer: Uint8Array
  /** What the length says beyond reserved bytes, payload and trailer. */
  readonly ownBytes: number
  readonly payloadMax: number
}

/** The framing of a spec, whose values the configuration's schema has checked. */
export function createFraming(spec: FramingSpec): Framing {
  const shape: Shape = {
    encoding: spec.encoding,
    lengthBytes: spec.bytes,
    reservedBytes: spec.reservedBytes ?? 0,
    trailer: new Uint8Array(Buffer.from(spec.trailer ?? '', 'hex')),
    ownBytes: spec.countsItself === true ? spec.bytes : 0,
    payloadMax: Math.min(spec.frameBytesMax ?? frameBytesDefault, messageBytesMax),
  }
  return {
    encode: (payload) => encodeFrame(shape, payload),
    createSplitter: (onFrame, onProblem) => new FrameSplitter(shape, onFrame, onProblem),
  }
}

function encodeFrame(shape: Shape, payload: Uint8Array): FrameResult {
  const { lengthBytes, reservedBytes, trailer } = shape
  const body = reservedBytes + payload.length + trailer.length
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
  bytes.fill(0, lengthBytes, lengthBytes + reservedBytes)
  bytes.set(payload, lengthBytes + reservedBytes)
  bytes.set(trailer, lengthBytes + reservedBytes + payload.length)
  return { ok: true, bytes }
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
  readonly #onFrame: (payload: Uint8Array) => void
  readonly #onProblem: (problem: FramingProblem) => void
  /** A frame that came in parts: its first `#held` bytes. Grows to twice what came, at most. */
  #partial = Buffer.alloc(0)
  #held = 0
  #isStopped = false
  /** Offset in the stream of the frame at hand. */
  #offset = 0

  constructor(
    shape: Shape,
    onFrame: (payload: Uint8Array) => void,
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
    const says = readLength(this.#shape, bytes, at)
    const body = says - this.#shape.ownBytes
    if (body === 0) return this.#shape.lengthBytes
    const problem = lengthProblem(this.#shape, says, body, this.#offset)
    if (problem === null) return this.#shape.lengthBytes + body
    this.#fail(problem)
    return -1
  }

  #deliver(bytes: Uint8Array, at: number, frameBytes: number): void {
    const { lengthBytes, reservedBytes, trailer } = this.#shape
    const end = at + frameBytes - trailer.length
    const isKeepAlive = frameBytes === lengthBytes
    if (!isKeepAlive && !trailer.every((byte, i) => bytes[end + i] === byte)) {
      const message = 'the frame does not end with the trailer; the length may count other bytes'
      this.#fail({ code: 'bad_trailer', offset: this.#offset, message })
      return
    }
    this.#offset += frameBytes
    if (!isKeepAlive) this.#onFrame(bytes.subarray(at + lengthBytes + reservedBytes, end))
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
  const payload = body - shape.reservedBytes - shape.trailer.length
  if (says < 0) {
    const message = `the length is not ${shape.encoding} digits: another framing, or no framing at all`
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
