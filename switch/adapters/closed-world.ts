// A switch whose door is shut, for tests of what stands before it: every well-formed request is
// answered 91 or 503 at once, and nothing is stored. What an open door gives is in load-tests/e2e.

import pino, { type Logger } from 'pino'
import { KeyedHash } from '#scoring'
import { CardVault } from '../card-data/index.ts'
import { InFlight } from '../in-flight.ts'
import { Journal } from '../observe/index.ts'
import { IdentifierSource } from '../ulid.ts'
import type { World } from '../world.ts'
import { simulatedParts } from './simulated-parts.ts'

export interface ClosedWorldOptions {
  readonly log?: Logger
  /** Laid over a store that knows nothing. */
  readonly store?: object
}

/** With the shipped configuration and keys of its own. Throws where that can't be read. */
export function closedWorld({ log, store }: ClosedWorldOptions = {}): World {
  const { config, keys, clock, timers, random } = simulatedParts()
  const world = {
    config,
    clock,
    timers,
    keys,
    fingerprints: new KeyedHash(keys.fingerprintKey),
    vault: new CardVault(keys, 'owner'),
    identifiers: new IdentifierSource(clock, random),
    store: {
      status: { writable: true },
      findKey: () => undefined,
      lookUpKey: async () => undefined,
      lookUpKeys: async () => [],
      findByRrn: async () => [],
      ...store,
    },
    scorer: { queueDepth: 0 },
    inFlight: new InFlight(10),
    journal: new Journal({
      log: log ?? pino({ level: 'silent' }),
      oneLineIn: log === undefined ? 0 : 1,
      version: 'test',
    }),
    door: { isOpen: false },
  }
  return world as unknown as World
}
