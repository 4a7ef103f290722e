// One acquirer's connection over ISO 8583: frames in, answers out in any order.
//
//   08xx   sign-on, sign-off, echo, key exchange     answered here
//   0100 0200, 0101 0201                             authorize, as HTTP does
//   what has no story yet                            DE39 12
//   a frame that can't be split                      the stream is lost: closed
//   a message that can't be read                     logged without its bytes; closed after three
//
// Nothing is answered where the outcome is not known: the acquirer repeats, or reverses.

import { authorize } from '../authorize.ts'
import type {
  Dialect,
  Framing,
  FramingProblem,
  IsoMessage,
  IsoProblem,
  Splitter,
  Tpdu,
} from '../iso8583/index.ts'
import type { Connection } from '../ports.ts'
import type { Reply } from '../respond.ts'
import type { Acquirer, World } from '../world.ts'
import type { ExchangedKeys } from './exchanged-keys.ts'
import { answerReply, answerTo, ISO_CODE, isRequest, refusalCode } from './iso-answer.ts'
import { readIsoAuthorization } from './iso-authorization.ts'
import { ISO_IN_FLIGHT_MAX, ISO_UNREADABLE_IN_A_ROW_MAX } from './limits.ts'

/** Who a connection belongs to, as the configuration says. */
export interface IsoPeer {
  /** The listener's name, for metrics and logs. */
  readonly listener: string
  readonly name: string
  readonly acquirer: Acquirer
  /** DE32 that it may send. */
  readonly institutions: ReadonlySet<string>
  readonly dialect: Dialect
  readonly framing: Framing
}

/** What happened on an acquirer's connection. Stable: metrics depend on the words. */
export type AcquirerLinkEvent =
  | 'connected'
  | 'unknown_peer'
  | 'closed'
  | 'signed_on'
  | 'signed_off'
  | 'echoed'
  | 'keys_exchanged'
  | 'unreadable'
  | 'bad_frame'
  | 'not_a_request'
  | 'not_offered'
  | 'wrong_institution'
  | 'overloaded'
  | 'unanswered'
  | 'unwritable'

/** DE70 of ISO 8583:1987. */
const NETWORK = { signOn: '001', signOff: '002', echo: '301' } as const
const KEY_EXCHANGES: ReadonlySet<string> = new Set(['101', '161', '162', '163', '164'])

export class IsoSession {
  readonly #world: World
  readonly #peer: IsoPeer
  readonly #keys: ExchangedKeys
  readonly #connection: Connection
  readonly #splitter: Splitter
  #inFlight = 0
  #unreadableInARow = 0
  #isClosed = false

  constructor(world: World, peer: IsoPeer, keys: ExchangedKeys, connection: Connection) {
    this.#world = world
    this.#peer = peer
    this.#keys = keys
    this.#connection = connection
    this.#splitter = peer.framing.createSplitter(
      (payload, tpdu) => this.#take(payload, tpdu),
      (problem) => this.#lost(problem),
    )
    this.#note('connected')
  }

  onBytes(bytes: Uint8Array): void {
    this.#splitter.push(bytes)
  }

  onClose(): void {
    this.#isClosed = true
    this.#splitter.stop()
    this.#note('closed')
  }

  #take(payload: Uint8Array, tpdu: Tpdu | null): void {
    const decoded = this.#peer.dialect.decode(payload)
    if (!decoded.ok) {
      this.#unreadable(decoded.problem)
      return
    }
    this.#unreadableInARow = 0
    const { message } = decoded
    const { mti } = message
    if (!isRequest(mti)) {
      this.#note('not_a_request')
    } else if (mti.startsWith('080')) {
      this.#takeNetwork(message, tpdu)
    } else if (/^0[12]0[01]$/.test(mti)) {
      this.#takeAuthorization(message, tpdu)
    } else {
      this.#note('not_offered')
      this.#send(answerTo(message, ISO_CODE.transaction), tpdu)
    }
  }

  #takeAuthorization(message: IsoMessage, tpdu: Tpdu | null): void {
    const { acquirer, institutions } = this.#peer
    const named = message.fields[32]
    const institution = typeof named === 'string' ? named : acquirer.institution
    if (!institutions.has(institution)) {
      this.#note('wrong_institution')
      this.#send(answerTo(message, ISO_CODE.merchant), tpdu)
      return
    }
    // A PIN that does not reach the issuer would be a PIN that nobody checked.
    if (message.fields[52] !== undefined) {
      this.#note('not_offered')
      this.#send(answerTo(message, ISO_CODE.transaction), tpdu)
      return
    }
    if (this.#inFlight >= ISO_IN_FLIGHT_MAX) {
      this.#note('overloaded')
      this.#world.journal.shed('iso')
      this.#send(answerTo(message, ISO_CODE.unavailable), tpdu)
      return
    }
    const read = readIsoAuthorization(message, institution, this.#world.clock.now())
    if ('kind' in read) {
      this.#world.journal.refused(read.code)
      const code = read.param === '3' ? ISO_CODE.transaction : refusalCode(read.code)
      this.#send(answerTo(message, code ?? ISO_CODE.format), tpdu)
      return
    }
    this.#inFlight++
    const { request, key, compared } = read
    void authorize(this.#world, acquirer, key, request, undefined, compared).then((reply) => {
      this.#inFlight--
      this.#answer(message, reply, tpdu)
    })
  }

  #answer(message: IsoMessage, reply: Reply, tpdu: Tpdu | null): void {
    if (reply.kind === 'refused') this.#world.journal.refused(reply.code)
    const answer = answerReply(message, reply)
    if (answer === undefined) this.#note('unanswered')
    else this.#send(answer, tpdu)
  }

  #takeNetwork(message: IsoMessage, tpdu: Tpdu | null): void {
    const code = message.fields[70]
    const acknowledge = (event: AcquirerLinkEvent) => {
      this.#note(event)
      this.#send(answerTo(message, ISO_CODE.approved), tpdu)
    }
    if (code === NETWORK.signOn) acknowledge('signed_on')
    else if (code === NETWORK.signOff) acknowledge('signed_off')
    else if (code === NETWORK.echo) acknowledge('echoed')
    else if (typeof code === 'string' && KEY_EXCHANGES.has(code)) {
      void this.#keys.keep(this.#peer.name, message).then((isKept) => {
        if (isKept) acknowledge('keys_exchanged')
        else this.#send(answerTo(message, ISO_CODE.fault), tpdu)
      })
    } else {
      this.#note('not_offered')
      this.#send(answerTo(message, ISO_CODE.transaction), tpdu)
    }
  }

  #send(message: IsoMessage, tpdu: Tpdu | null): void {
    if (this.#isClosed) return
    const encoded = this.#peer.dialect.encode(message)
    const framed = encoded.ok ? this.#peer.framing.encode(encoded.bytes, tpdu) : encoded
    if (!framed.ok) {
      this.#note('unwritable')
      const { listener, name } = this.#peer
      this.#world.journal.log.error(
        { listener, peer: name, mti: message.mti, problem: framed.problem },
        'an answer can not be written in this dialect',
      )
      return
    }
    // Refused by the connection: the peer does not read. Outcomes are durable, a repeat gets them.
    if (!this.#connection.write(framed.bytes)) this.#close('unwritable')
  }

  /** Its bytes may be card data, so only the place and the kind of the mistake are logged. */
  #unreadable(problem: IsoProblem): void {
    const { listener, name } = this.#peer
    const { code, field, offset, message } = problem
    this.#note('unreadable')
    this.#world.journal.log.warn(
      { listener, peer: name, code, field, offset, problem: message },
      'a message of an acquirer is not readable',
    )
    if (++this.#unreadableInARow >= ISO_UNREADABLE_IN_A_ROW_MAX) this.#close('unreadable')
  }

  #lost(problem: FramingProblem): void {
    const { listener, name } = this.#peer
    this.#note('bad_frame')
    this.#world.journal.log.warn(
      { listener, peer: name, problem },
      'a stream of an acquirer can not be split',
    )
    this.#close('bad_frame')
  }

  #close(reason: AcquirerLinkEvent): void {
    const { listener, name } = this.#peer
    this.#world.journal.log.warn({ listener, peer: name, reason }, 'an acquirer was closed')
    this.#splitter.stop()
    this.#isClosed = true
    this.#connection.destroy()
  }

  #note(event: AcquirerLinkEvent): void {
    this.#world.journal.acquirerLinkEvent(this.#peer.listener, event)
  }
}
