// An issuer on the simulated network that answers as it is told: late, twice, wrong, or not at all.

import {
  type Dialect,
  editionOf,
  type FieldValue,
  type Framing,
  type IsoMessage,
  type MacKey,
  MessageAuthentication,
  messageIn,
  messageOf,
} from '../iso8583/index.ts'
import type { Address, Clock, Connection, Timers } from '../ports.ts'
import type { SimulatedNetwork } from './transport.ts'

/** One answer to send: on its request's connection, or on the newest where that one is gone. */
export interface TimedAnswer {
  readonly afterMs: number
  readonly message: IsoMessage
}

export interface SimulatedIssuerOptions {
  readonly network: SimulatedNetwork
  readonly address: Address
  readonly dialect: Dialect
  readonly framing: Framing
  readonly timers: Timers
  /** Needed from 1993 on, where dates have a year. */
  readonly clock?: Clock
  /** Set on what it sends; what comes without the right one throws. */
  readonly mac?: MacKey
  /** Everything but network management, in the words of 1987: any number of answers. */
  readonly answer: (request: IsoMessage) => readonly TimedAnswer[]
  /** DE39 to sign-on, sign-off and echo (DE70); null: silence. Absent: always 00. */
  readonly answerNetwork?: (networkCode: string) => string | null
}

export interface SimulatedIssuer {
  /** In the order of arrival, network management included. */
  readonly received: readonly IsoMessage[]
  /** The connection that each came on. */
  readonly receivedOn: readonly Connection[]
  readonly openConnections: number
  /** Sends a message of its own on the newest connection. False: there is none. */
  send(message: IsoMessage): boolean
  /** Sends bytes as they are, a broken frame for instance. */
  sendBytes(bytes: Uint8Array): boolean
  /** Ends its connections, or that one; takes new ones. */
  disconnect(connection?: Connection): void
  /** Takes no new connections. */
  stop(): void
}

/** Fields that a real issuer repeats in its answer. */
const ECHOED = [2, 3, 4, 7, 11, 32, 37, 41, 42, 49, 70]

/** The answer to a request: what is echoed, DE39, and then `changes` (undefined removes a field). */
export function answerOf(
  request: IsoMessage,
  responseCode: string,
  changes: Readonly<Record<number, FieldValue | undefined>> = {},
): IsoMessage {
  const fields: (FieldValue | undefined)[] = []
  for (const field of ECHOED) fields[field] = request.fields[field]
  fields[39] = responseCode
  for (const [field, value] of Object.entries(changes)) fields[Number(field)] = value
  return { mti: `${request.mti.slice(0, 2)}${Number(request.mti[2]) + 1}0`, fields }
}

export function createSimulatedIssuer(options: SimulatedIssuerOptions): SimulatedIssuer {
  const { dialect, framing, timers } = options
  const received: IsoMessage[] = []
  const receivedOn: Connection[] = []
  const connections: Connection[] = []

  const sendOn = (connection: Connection | undefined, bytes: Uint8Array): boolean => {
    const isOpen = connection !== undefined && connections.includes(connection)
    return (isOpen ? connection : connections.at(-1))?.write(bytes) ?? false
  }
  const sendBytes = (bytes: Uint8Array): boolean => sendOn(undefined, bytes)
  const edition = editionOf(dialect)
  const { mac, clock } = options
  if (clock === undefined && edition.year !== 1987)
    throw new Error('dates of this edition need a clock')
  const authentication = mac === undefined ? undefined : new MessageAuthentication(dialect)
  const send = (message: IsoMessage, connection?: Connection): boolean => {
    const written = messageIn(edition, message, clock?.now() ?? 0)
    const encoded =
      mac === undefined ? dialect.encode(written) : authentication?.encode(written, mac)
    if (encoded === undefined) throw new Error('no authentication')
    if (!encoded.ok) throw new Error(`can't encode: ${encoded.problem.message}`)
    const frame = framing.encode(encoded.bytes)
    if (!frame.ok) throw new Error(`can't frame: ${frame.problem.message}`)
    return sendOn(connection, frame.bytes)
  }
  const take = (payload: Uint8Array, connection: Connection): void => {
    const decoded = dialect.decode(payload)
    if (!decoded.ok)
      throw new Error(`the switch sent what can't be read: ${decoded.problem.message}`)
    if (mac !== undefined && authentication?.check(payload, decoded.message, mac) !== 'right') {
      throw new Error('the switch sent a wrong authentication code')
    }
    const message = messageOf(edition, decoded.message)
    received.push(message)
    receivedOn.push(connection)
    if (message.mti === '0810') return
    if (message.mti === '0800') {
      const code = options.answerNetwork?.(String(message.fields[70])) ?? null
      const responseCode = options.answerNetwork === undefined ? '00' : code
      if (responseCode !== null) send(answerOf(message, responseCode), connection)
      return
    }
    for (const { afterMs, message: answer } of options.answer(message)) {
      timers.set(afterMs, () => send(answer, connection))
    }
  }
  const stop = options.network.listen(options.address, (connection) => {
    const splitter = framing.createSplitter(
      (payload) => take(payload, connection),
      (problem) => {
        throw new Error(`the switch sent a broken frame: ${problem.message}`)
      },
    )
    return {
      onOpen: () => connections.push(connection),
      onBytes: (bytes) => splitter.push(bytes),
      onClose: () => connections.splice(connections.indexOf(connection), 1),
    }
  })
  return {
    received,
    receivedOn,
    get openConnections() {
      return connections.length
    },
    send: (message) => send(message),
    sendBytes,
    disconnect(only) {
      for (const connection of [...connections]) {
        if (only === undefined || only === connection) connection.destroy()
      }
    },
    stop,
  }
}
