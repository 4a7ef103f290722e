// Who may connect over ISO 8583, by configured address or client certificate. Nobody else is heard.

import { type Config, type IsoListenerConfig, macKeyOf } from '../config/index.ts'
import {
  createFraming,
  type Dialect,
  defaultFraming,
  MessageAuthentication,
} from '../iso8583/index.ts'
import { roomOf } from '../issuers/index.ts'
import type { AcceptConnection, Peer } from '../ports.ts'
import type { Acquirer, World } from '../world.ts'
import type { ExchangedKeys } from './exchanged-keys.ts'
import { type IsoPeer, IsoSession, type PeerMac } from './iso-session.ts'

type PeerConfig = IsoListenerConfig['peers'][number]

/** `dialects` holds every dialect that the listener and its peers name. */
export function createIsoDoor(
  world: World,
  listener: IsoListenerConfig,
  dialects: ReadonlyMap<string, Dialect>,
  keys: ExchangedKeys,
): AcceptConnection {
  const known = listener.peers.map((config) => ({
    config,
    peer: isoPeer(world.config, listener, config, dialects),
  }))
  return (connection, from) => {
    const found = known.find(({ config }) => isPeer(config, from))
    if (found === undefined) {
      world.journal.acquirerLinkEvent(listener.name, 'unknown_peer')
      world.journal.log.warn({ listener: listener.name, from }, 'an unknown peer was closed')
      return undefined
    }
    return new IsoSession(world, found.peer, keys, connection)
  }
}

function macOf({ mac }: PeerConfig, dialect: Dialect): PeerMac | undefined {
  if (mac === undefined) return undefined
  return {
    authentication: new MessageAuthentication(dialect),
    key: macKeyOf(mac),
    coversNetwork: mac.coversNetwork ?? true,
  }
}

/** All that the configuration says of a peer must hold. */
function isPeer({ addresses, certificateSha256 }: PeerConfig, from: Peer): boolean {
  if (addresses !== undefined && !addresses.includes(from.address)) return false
  if (certificateSha256 === undefined) return addresses !== undefined
  return from.certificateSha256 !== undefined && certificateSha256.includes(from.certificateSha256)
}

function isoPeer(
  config: Config,
  listener: IsoListenerConfig,
  peer: PeerConfig,
  dialects: ReadonlyMap<string, Dialect>,
): IsoPeer {
  const acquirer = config.acquirers.find(({ id }) => id === peer.acquirer)
  const dialect = dialects.get(peer.dialect ?? listener.dialect)
  if (acquirer === undefined || dialect === undefined) {
    throw new Error(`the configuration of ${listener.name} was not checked`)
  }
  const stepUpCode = peer.stepUpCode ?? listener.stepUpCode ?? acquirer.stepUpCode
  const own: Acquirer = { ...acquirer, stepUpCode }
  return {
    listener: listener.name,
    name: peer.name,
    acquirer: own,
    institutions: new Set(peer.institutions ?? [acquirer.institution]),
    dialect,
    framing: createFraming(peer.framing ?? listener.framing ?? defaultFraming),
    mac: macOf(peer, dialect),
    room: roomOf(dialect),
  }
}
