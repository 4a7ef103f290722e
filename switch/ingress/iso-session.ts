// One acquirer's connection over ISO 8583: frames in, answers out in any order.
//
//   08xx   sign-on, sign-off, echo, key exchange     answered here
//   01xx 02xx 04xx                                   the story that HTTP takes too: iso-story.ts
//   what has no story                                DE39 12
//   a code (DE64, DE128) that is wrong               DE39 63, 916 or 9116; closed after ten
//   a message that can't be read                     DE39 30 where its trace numbers can be; logged
//                                                    without its bytes; closed after three
//   a frame that can't be split                      the stream is lost: closed
//
// Nothing is answered where the outcome is not known: the acquirer repeats, or reverses. 1993 and
// 2003 are the same in other words: iso8583/edition-message.ts.

import {
  type Dialect,
  type EncodeResult,
  type Framing,
  type FramingProblem,
  type IsoMessage,
  type IsoProblem,
  MAC_INCORRECT,
  type MacKey,
  type MessageAuthentication,
  type Splitter,
  type Tpdu,
} from '../iso8583/index.ts'
import type { DialectRoom } from '../issuers/index.ts'
import type { Connection } from '../ports.ts'
import type { Reply } from '../respond.ts'
import type { Acquirer, World } from '../world.ts'
import type { ExchangedKeys } from './exchanged-keys.ts'
import {
  answerReply,
  answerTo,
  answerWithCode,
  ISO_CODE,
  isAccepted,
  isRequest,
} from './iso-answer.ts'
import { hasTrace, institutionOf, type Received, received, textOf } from './iso-received.ts'
import { takeIsoMessage } from './iso-story.ts'
import {
  ISO_ACCEPTED_RESERVED,
  ISO_IN_FLIGHT_MAX,
  ISO_UNREADABLE_IN_A_ROW_MAX,
  ISO_WRONG_MACS_IN_A_ROW_MAX,
} from './limits.ts'

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
  /** Where messages carry codes: who knows how, and with which key. */
  readonly mac: PeerMac | undefined
  /** How its dialect has chip data. */
  readonly room: DialectRoom
}

export interface PeerMac {
  readonly authentication: MessageAuthentication
  readonly key: MacKey
  /** False: network management goes without a code. */
  readonly coversNetwork: boolean
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
  | 'unreadable_answered'
  | 'wrong_mac'
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
  #wrongMacsInARow = 0
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
    const { dialect } = this.#peer
    const decoded = dialect.decode(payload)
    if (!decoded.ok) {
      this.#unreadable(decoded.problem, received(dialect, decoded.partial), tpdu)
      return
    }
    this.#unreadableInARow = 0
    const message = received(dialect, decoded.message)
    const { mti } = message.message
    if (!isRequest(mti)) {
      this.#note('not_a_request')
    } else if (!this.#isAuthentic(payload, message)) {
      this.#wrongMac(message, tpdu)
    } else if (mti.startsWith('080')) {
      this.#takeNetwork(message, tpdu)
    } else if (/^0(?:[12][02]|4[02])[01]$/.test(mti)) {
      this.#takePayment(message, tpdu)
    } else {
      this.#notOffered(message, tpdu)
    }
  }

  #takePayment(message: Received, tpdu: Tpdu | null): void {
    const { acquirer, institutions } = this.#peer
    if (!institutions.has(institutionOf(message, acquirer.institution))) {
      this.#note('wrong_institution')
      this.#send(answerTo(message, ISO_CODE.merchant), tpdu)
      return
    }
    const isTold = isAccepted(message.message.mti)
    if (this.#inFlight >= ISO_IN_FLIGHT_MAX + (isTold ? ISO_ACCEPTED_RESERVED : 0)) {
      this.#note('overloaded')
      this.#world.journal.shed('iso')
      if (!isTold) this.#send(answerTo(message, ISO_CODE.unavailable), tpdu)
      return
    }
    const sender = { institution: acquirer.institution, institutions }
    const taken = takeIsoMessage(this.#world, acquirer, sender, message)
    if (taken === undefined) {
      this.#notOffered(message, tpdu)
    } else if (taken instanceof Promise) {
      this.#inFlight++
      void taken.then((reply) => {
        this.#inFlight--
        this.#answer(message, reply, tpdu)
      })
    } else if (taken.param === '3') {
      this.#world.journal.refused(taken.code)
      this.#send(answerTo(message, ISO_CODE.transaction), tpdu)
    } else {
      this.#answer(message, taken, tpdu)
    }
  }

  #answer(message: Received, reply: Reply, tpdu: Tpdu | null): void {
    if (reply.kind === 'refused') this.#world.journal.refused(reply.code)
    const answer = answerReply(message, reply, this.#peer.room)
    if (answer !== undefined) {
      this.#send(answer, tpdu)
      return
    }
    this.#note('unanswered')
    // Who asked must not wait in vain: where no answer will come its connection ends. What is told
    // comes again by itself, and the answer to what still runs has the same numbers.
    const isUnknown = reply.kind === 'refused' && reply.code === 'outcome_unknown'
    if (isUnknown && !isAccepted(message.message.mti)) this.#close('unanswered')
  }

  #notOffered(message: Received, tpdu: Tpdu | null): void {
    this.#note('not_offered')
    this.#send(answerTo(message, ISO_CODE.transaction), tpdu)
  }

  #takeNetwork(message: Received, tpdu: Tpdu | null): void {
    const code = textOf(message, 70)
    const acknowledge = (event: AcquirerLinkEvent) => {
      this.#note(event)
      this.#send(answerTo(message, ISO_CODE.approved), tpdu)
    }
    if (code === NETWORK.signOn) acknowledge('signed_on')
    else if (code === NETWORK.signOff) acknowledge('signed_off')
    else if (code === NETWORK.echo) acknowledge('echoed')
    else if (KEY_EXCHANGES.has(code)) {
      void this.#keys.keep(this.#peer.name, message.raw).then((isKept) => {
        if (isKept) acknowledge('keys_exchanged')
        else this.#send(answerTo(message, ISO_CODE.fault), tpdu)
      })
    } else this.#notOffered(message, tpdu)
  }

  #isAuthentic(payload: Uint8Array, { raw }: Received): boolean {
    const mac = this.#macFor(raw)
    if (mac === undefined) return true
    const verdict = mac.authentication.check(payload, raw, mac.key)
    if (verdict === 'right') this.#wrongMacsInARow = 0
    return verdict === 'right'
  }

  #macFor({ mti }: IsoMessage): PeerMac | undefined {
    const { mac } = this.#peer
    return mac?.coversNetwork === false && mti[1] === '8' ? undefined : mac
  }

  /** Nothing of it was taken: who sent it is not known. */
  #wrongMac(message: Received, tpdu: Tpdu | null): void {
    const { listener, name } = this.#peer
    this.#note('wrong_mac')
    const { mti } = message.raw
    const log = { listener, peer: name, mti }
    this.#world.journal.log.warn(log, 'a message authentication code is wrong or missing')
    if (++this.#wrongMacsInARow >= ISO_WRONG_MACS_IN_A_ROW_MAX) this.#close('wrong_mac')
    else this.#send(answerWithCode(message, MAC_INCORRECT[message.edition.year]), tpdu)
  }

  /** Balances and chip data may be longer than this dialect's fields: the answer counts more. */
  #encodeWhatFits(message: IsoMessage): EncodeResult {
    const encoded = this.#encode(message)
    if (encoded.ok || !/^5[45]/.test(encoded.problem.field)) return encoded
    const fields = [...message.fields]
    fields[54] = undefined
    fields[55] = undefined
    return this.#encode({ ...message, fields })
  }

  #encode(message: IsoMessage): EncodeResult {
    const mac = this.#macFor(message)
    return mac === undefined
      ? this.#peer.dialect.encode(message)
      : mac.authentication.encode(message, mac.key)
  }

  #send(message: IsoMessage, tpdu: Tpdu | null): void {
    if (this.#isClosed) return
    const encoded = this.#encodeWhatFits(message)
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

  /**
   * Its bytes may be card data, so only the place and the kind of the mistake are logged. Answered
   * where what was read before the mistake is enough for its sender to know which one is meant.
   */
  #unreadable(problem: IsoProblem, partial: Received, tpdu: Tpdu | null): void {
    const { listener, name } = this.#peer
    const { code, field, offset, message } = problem
    this.#note('unreadable')
    this.#world.journal.log.warn(
      { listener, peer: name, code, field, offset, problem: message },
      'a message of an acquirer is not readable',
    )
    if (++this.#unreadableInARow >= ISO_UNREADABLE_IN_A_ROW_MAX) {
      this.#close('unreadable')
    } else if (/^0[1248][02][01]$/.test(partial.message.mti) && hasTrace(partial)) {
      this.#note('unreadable_answered')
      this.#send(answerTo(partial, ISO_CODE.format), tpdu)
    }
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
    if (this.#isClosed) return
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
