// One connection to one issuer, kept up: dial, sign on, echo when idle, dial again. Messages are in
// the words of 1987 here and to its owner; on the wire they are in those of the dialect's edition.
//
//            dial            0800 001          0810 00
//   waiting ─────> connecting ─────> signing_on ─────> up ── 0800 002 of theirs ──> signed_off
//      ^               │                 │             │ <── their 0800 001, or ours again ─┘
//      └── back-off ───┴─────────────────┴─────────────┘
//
// The link knows frames, the dialect and network management (08xx); every other message goes to
// whoever owns it. When it goes down it says so at once, before the socket has closed.

import {
  type Dialect,
  type Edition,
  type EncodeResult,
  editionOf,
  type Framing,
  type FramingProblem,
  type IsoMessage,
  type IsoProblem,
  type MacKey,
  type MacVerdict,
  MessageAuthentication,
  messageIn,
  messageOf,
  type Splitter,
} from '../iso8583/index.ts'
import type {
  Address,
  Clock,
  Connection,
  Random,
  TimerHandle,
  Timers,
  Transport,
} from '../ports.ts'
import { type BackOff, backOffMs } from './back-off.ts'
import {
  buildNetworkAnswer,
  buildNetworkRequest,
  NETWORK_APPROVED,
  NETWORK_CODE,
  type NetworkCode,
  textOf,
} from './issuer-message.ts'
import { BUFFERED_BYTES_MAX, UNDECODABLE_IN_A_ROW_MAX } from './limits.ts'
import type { TraceBook } from './trace-numbers.ts'

/** Why a link is down. Stable: metrics and logs depend on the words. */
export type LinkDownReason =
  | 'connect_timeout'
  | 'connection_error'
  | 'closed_by_issuer'
  | 'sign_on_timeout'
  | 'sign_on_refused'
  | 'signed_off_by_issuer'
  | 'echo_timeout'
  | 'echo_refused'
  | 'bad_frame'
  | 'undecodable'
  | 'closing'

export type BadMac = Exclude<MacVerdict, 'right'>

/** DE64 or DE128: set on what we send, and what comes without the right one is not heard. */
export interface LinkMac {
  readonly key: MacKey
  /** False: network management (08xx) goes without, both ways. */
  readonly coversNetwork: boolean
}

/** DE39 to a network management code that we don't know: invalid transaction. */
const NETWORK_UNKNOWN = '12'

export interface IsoLinkOptions {
  readonly address: Address
  readonly dialect: Dialect
  readonly framing: Framing
  readonly mac?: LinkMac | undefined
  readonly echoIntervalMs: number
  /** For the connection, for the answer to a sign-on, and for the answer to an echo. */
  readonly signOnTimeoutMs: number
  readonly reconnect: BackOff
}

export interface IsoLinkPorts {
  readonly transport: Transport
  readonly clock: Clock
  readonly timers: Timers
  readonly random: Random
}

/** Who owns the link. */
export interface IsoLinkOwner {
  linkUp(): void
  /** `code` is the system's, such as ECONNREFUSED; null where there is none. */
  linkDown(reason: LinkDownReason, code: string | null): void
  /** Anything but network management. */
  messageReceived(message: IsoMessage): void
  undecodable(problem: IsoProblem): void
  badMac(mti: string, verdict: BadMac): void
  /** The message could not be put into bytes or a frame: nothing left. */
  unencodable(mti: string, problem: IsoProblem | FramingProblem): void
  /** An 0810 that answers nothing we asked. */
  strayNetworkAnswer(message: IsoMessage): void
  echoAnswered(): void
  /** No 0810 in time, though other bytes came. */
  echoUnanswered(): void
}

type LinkState =
  | 'waiting'
  | 'connecting'
  | 'signing_on'
  | 'up'
  | 'signed_off'
  | 'signing_off'
  | 'closed'

export class IsoLink {
  readonly #options: IsoLinkOptions
  readonly #ports: IsoLinkPorts
  readonly #book: TraceBook
  readonly #owner: IsoLinkOwner
  readonly #edition: Edition
  readonly #authentication: MessageAuthentication | undefined
  #state: LinkState = 'waiting'
  #connection: Connection | undefined
  #splitter: Splitter | undefined
  /** Counts dials: what an older connection still says is not heard. */
  #dials = 0
  #openSockets = 0
  #failures = 0
  #upSinceMs = 0
  #lastReceivedMs = 0
  #undecodableInARow = 0
  /** The one timer of the state: back-off, time-out of connect or sign-on, idle, sign on again. */
  #timer: TimerHandle | undefined
  /** Our network request without an answer: at most one. */
  #asked: { readonly code: NetworkCode; readonly stan: string; readonly at: string } | undefined
  #onClosed: (() => void) | undefined

  constructor(options: IsoLinkOptions, ports: IsoLinkPorts, book: TraceBook, owner: IsoLinkOwner) {
    this.#options = options
    this.#ports = ports
    this.#book = book
    this.#owner = owner
    this.#edition = editionOf(options.dialect)
    const { dialect, mac } = options
    this.#authentication = mac === undefined ? undefined : new MessageAuthentication(dialect)
  }

  get isUp(): boolean {
    return this.#state === 'up'
  }

  /** Starts to dial, and goes on until `close`. */
  open(): void {
    this.#dial()
  }

  /** Names the connection of now: another one has another number. */
  get dial(): number {
    return this.#dials
  }

  /** The bytes of a message on any connection of this issuer; undefined: it has none. */
  frame(message: IsoMessage): Uint8Array | undefined {
    const encoded = this.#encode(message)
    if (!encoded.ok) {
      this.#owner.unencodable(message.mti, encoded.problem)
      return undefined
    }
    const frame = this.#options.framing.encode(encoded.bytes)
    if (!frame.ok) {
      this.#owner.unencodable(message.mti, frame.problem)
      return undefined
    }
    return frame.bytes
  }

  #encode(message: IsoMessage): EncodeResult {
    const { dialect, mac } = this.#options
    const written = messageIn(this.#edition, message, this.#ports.clock.now())
    return mac !== undefined && this.#isCovered(message)
      ? (this.#authentication as MessageAuthentication).encode(written, mac.key)
      : dialect.encode(written)
  }

  /** Whether a message (in the words of 1987) has an authentication code. */
  #isCovered({ mti }: IsoMessage): boolean {
    const { mac } = this.#options
    return mac !== undefined && (mac.coversNetwork || mti[1] !== '8')
  }

  /** False: certainly nothing left. True: it may have. */
  write(framed: Uint8Array): boolean {
    const connection = this.#connection
    if (connection === undefined || connection.bufferedBytes > BUFFERED_BYTES_MAX) return false
    return connection.write(framed)
  }

  /** Asks for a sign of life now: `echoAnswered`, `echoUnanswered` or `linkDown` follows. */
  probe(): void {
    if (this.isUp) this.#echo()
  }

  /** Signs off where signed on, and ends the connection. Resolves when it has closed. */
  close(): Promise<void> {
    const closed = new Promise<void>((resolve) => {
      this.#onClosed = resolve
    })
    if (this.#state === 'up' && this.#askNetwork(NETWORK_CODE.signOff)) {
      this.#state = 'signing_off'
      this.#setTimer(this.#options.signOnTimeoutMs, () => this.#down('closing', null))
    } else {
      this.#down('closing', null)
    }
    return closed
  }

  #dial(): void {
    const dial = ++this.#dials
    this.#state = 'connecting'
    this.#splitter = this.#options.framing.createSplitter(
      (payload) => this.#frameReceived(payload),
      (problem) => this.#down('bad_frame', problem.code),
    )
    this.#undecodableInARow = 0
    this.#openSockets++
    this.#setTimer(this.#options.signOnTimeoutMs, () => this.#down('connect_timeout', null))
    this.#connection = this.#ports.transport.connect(this.#options.address, {
      onOpen: () => {
        if (dial === this.#dials) this.#signOn()
      },
      onBytes: (bytes) => {
        if (dial !== this.#dials) return
        this.#lastReceivedMs = this.#ports.clock.monotonic()
        this.#splitter?.push(bytes)
      },
      onClose: (error) => {
        this.#openSockets--
        if (dial === this.#dials) this.#connectionClosed(error)
        if (this.#state === 'closed' && this.#openSockets === 0) this.#onClosed?.()
      },
    })
  }

  #signOn(): void {
    this.#state = 'signing_on'
    this.#askNetwork(NETWORK_CODE.signOn)
    this.#setTimer(this.#options.signOnTimeoutMs, () => this.#down('sign_on_timeout', null))
  }

  #signedOn(): void {
    this.#state = 'up'
    this.#upSinceMs = this.#ports.clock.monotonic()
    this.#awaitSilence()
    this.#owner.linkUp()
  }

  #connectionClosed(error: Error | undefined): void {
    if (error === undefined) this.#down('closed_by_issuer', null)
    else this.#down('connection_error', (error as NodeJS.ErrnoException).code ?? null)
  }

  /** Everything ends here: the owner hears of it at once, then the next dial is set. */
  #down(reason: LinkDownReason, code: string | null): void {
    if (this.#state === 'closed') return
    const { clock, random } = this.#ports
    const { reconnect } = this.#options
    const wasUpMs = this.isUp ? clock.monotonic() - this.#upSinceMs : 0
    const isEnd = this.#onClosed !== undefined
    this.#dials++
    this.#splitter?.stop()
    this.#connection?.destroy()
    this.#connection = undefined
    this.#asked = undefined
    this.#state = isEnd ? 'closed' : 'waiting'
    this.#clearTimer()
    if (!isEnd) {
      // Only a link that stayed up starts from the shortest wait: one that flaps waits longer.
      if (wasUpMs >= reconnect.maxMs) this.#failures = 0
      this.#setTimer(backOffMs(reconnect, this.#failures++, random), () => this.#dial())
    }
    this.#owner.linkDown(reason, code)
    if (isEnd && this.#openSockets === 0) this.#onClosed?.()
  }

  #frameReceived(bytes: Uint8Array): void {
    const decoded = this.#options.dialect.decode(bytes)
    if (!decoded.ok) {
      this.#owner.undecodable(decoded.problem)
      // One odd message costs itself; several in a row mean that the stream has slipped.
      if (++this.#undecodableInARow >= UNDECODABLE_IN_A_ROW_MAX) this.#down('undecodable', null)
      return
    }
    this.#undecodableInARow = 0
    const message = messageOf(this.#edition, decoded.message)
    if (this.#isCovered(message) && !this.#isAuthentic(bytes, decoded.message)) return
    if (message.mti.startsWith('080')) this.#networkRequested(message)
    else if (message.mti.startsWith('081')) this.#networkAnswered(message)
    else this.#owner.messageReceived(message)
  }

  #isAuthentic(bytes: Uint8Array, message: IsoMessage): boolean {
    const { key } = this.#options.mac as LinkMac
    const verdict = (this.#authentication as MessageAuthentication).check(bytes, message, key)
    if (verdict === 'right') return true
    this.#owner.badMac(message.mti, verdict)
    return false
  }

  #networkRequested(message: IsoMessage): void {
    switch (textOf(message, 70)) {
      case NETWORK_CODE.echo:
        this.#sendNetwork(buildNetworkAnswer(message, NETWORK_APPROVED))
        return
      case NETWORK_CODE.signOn:
        this.#sendNetwork(buildNetworkAnswer(message, NETWORK_APPROVED))
        if (this.#state === 'signed_off') this.#signedOn()
        return
      case NETWORK_CODE.signOff:
        this.#sendNetwork(buildNetworkAnswer(message, NETWORK_APPROVED))
        if (this.#state === 'up') this.#signedOffByIssuer()
        return
      default:
        this.#sendNetwork(buildNetworkAnswer(message, NETWORK_UNKNOWN))
    }
  }

  /** What is in flight may still be answered; nothing new is sent. We ask again after a while. */
  #signedOffByIssuer(): void {
    this.#state = 'signed_off'
    this.#asked = undefined
    this.#setTimer(this.#options.reconnect.maxMs, () => this.#signOn())
    this.#owner.linkDown('signed_off_by_issuer', null)
  }

  #networkAnswered(message: IsoMessage): void {
    const asked = this.#asked
    if (
      asked === undefined ||
      textOf(message, 11) !== asked.stan ||
      textOf(message, 7) !== asked.at ||
      textOf(message, 70) !== asked.code
    ) {
      this.#owner.strayNetworkAnswer(message)
      return
    }
    this.#asked = undefined
    if (asked.code === NETWORK_CODE.signOn) {
      if (textOf(message, 39) === NETWORK_APPROVED) this.#signedOn()
      else this.#down('sign_on_refused', textOf(message, 39))
    } else if (asked.code === NETWORK_CODE.echo) {
      this.#awaitSilence()
      this.#owner.echoAnswered()
    } else {
      this.#down('closing', null)
    }
  }

  #askNetwork(code: NetworkCode): boolean {
    const { stan, transmittedAt } = this.#book.draw('reversal')
    this.#asked = { code, stan, at: transmittedAt }
    return this.#sendNetwork(buildNetworkRequest(code, stan, transmittedAt))
  }

  #sendNetwork(message: IsoMessage): boolean {
    const framed = this.frame(message)
    return framed !== undefined && this.write(framed)
  }

  /**
   * Silence is measured from the last byte received, so that an issuer that takes requests and says
   * nothing is noticed. The timer looks at it once an interval; a message costs nothing.
   */
  #awaitSilence(): void {
    const silentMs = this.#ports.clock.monotonic() - this.#lastReceivedMs
    const restMs = this.#options.echoIntervalMs - silentMs
    if (restMs > 0) {
      this.#setTimer(restMs, () => this.#awaitSilence())
      return
    }
    this.#echo()
  }

  #echo(): void {
    this.#askNetwork(NETWORK_CODE.echo)
    const askedAtMs = this.#ports.clock.monotonic()
    this.#setTimer(this.#options.signOnTimeoutMs, () => {
      // Any byte is a sign of life; a link that carries answers is not cut for a missing echo.
      if (this.#lastReceivedMs <= askedAtMs) {
        this.#down('echo_timeout', null)
        return
      }
      this.#awaitSilence()
      this.#owner.echoUnanswered()
    })
  }

  #setTimer(delayMs: number, callback: () => void): void {
    this.#clearTimer()
    this.#timer = this.#ports.timers.set(delayMs, () => {
      this.#timer = undefined
      callback()
    })
  }

  #clearTimer(): void {
    if (this.#timer === undefined) return
    this.#ports.timers.clear(this.#timer)
    this.#timer = undefined
  }
}
