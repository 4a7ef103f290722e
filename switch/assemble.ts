// Puts the world together on the ports that it is given: production's adapters in `main.ts`,
// simulated ones in tests. Everything that happens on the message path happens in here.

import { type Clock, KeyedHash, type Timers } from '#scoring'
import { CardVault, type KeyRing } from './card-data/index.ts'
import { type Config, type IssuerConfig, macKeyOf } from './config/index.ts'
import { InFlight } from './in-flight.ts'
import type { Dialect } from './iso8583/index.ts'
import {
  createHttpIssuer,
  createIssuer,
  type Issuer,
  type IssuerEvent,
  type LateIssuerAnswer,
  LeasedIssuer,
  type LinkMac,
  TraceBook,
} from './issuers/index.ts'
import { takeLateAnswer } from './late-answers.ts'
import { IN_FLIGHT_MAX } from './limits.ts'
import type { Journal } from './observe/index.ts'
import type { CreateHttpClient, Random, TlsClient, Transport } from './ports.ts'
import { type RecoveryReport, recover } from './recover.ts'
import { Router } from './route.ts'
import { type Attempt, StoreFault, type Transaction, type TransactionStore } from './store/index.ts'
import { createStoreAndForward, type StoreAndForwardEvent } from './store-and-forward/index.ts'
import { IdentifierSource } from './ulid.ts'
import type { World } from './world.ts'

export interface Parts {
  readonly config: Config
  readonly keys: KeyRing
  readonly store: TransactionStore
  readonly scorer: World['scorer']
  readonly journal: Journal
  readonly transport: Transport
  readonly clock: Clock
  readonly timers: Timers
  readonly random: Random
  /** By the names that the configuration's issuers give. */
  readonly dialects: ReadonlyMap<string, Dialect>
  /** Needed where an issuer is reached by HTTP. */
  readonly createHttpClient?: CreateHttpClient
  /** What the issuers with `tls` bring to its handshake, by their names. */
  readonly issuerTls?: ReadonlyMap<string, TlsClient>
  /** Something threw that must not: the process should end. */
  readonly onBug: (error: unknown) => void
}

/** Dials the issuers and wires the rest. Nothing is let in by it; `recoverWorld` comes first. */
export function assemble(parts: Parts): World {
  const { config, keys, store, journal, clock, timers, random } = parts
  const vault = new CardVault(keys, store.ownership.owner)
  const issuers = new Map<string, Issuer>()
  const noteLink = linkNotes(journal)
  const world: World = {
    config,
    clock,
    timers,
    keys,
    vault,
    fingerprints: new KeyedHash(keys.fingerprintKey),
    identifiers: new IdentifierSource(clock, random),
    store,
    scorer: parts.scorer,
    router: new Router(config.routes),
    issuers,
    traceNumbers: (issuer) => traceNumbersOf(issuers, store, clock, issuer),
    storeAndForward: createStoreAndForward({
      store,
      issuers,
      unseal: (card) => vault.unseal(card),
      cardKey: ({ original, transactionId }) =>
        original.card === null ? transactionId : vault.tokenOf(vault.unseal(original.card).pan),
      clock,
      timers,
      random,
      sharing: store.sharing,
      onEvent: (event) => noteDelivery(parts, event),
    }),
    inFlight: new InFlight(IN_FLIGHT_MAX),
    journal,
    attemptOwners: new WeakMap(),
    door: { isOpen: true },
  }
  const { sharing } = store
  for (const link of config.issuers) {
    const issuer = dial(world, parts, link, noteLink)
    const isShared = sharing !== undefined
    issuers.set(link.name, isShared ? new LeasedIssuer(issuer, sharing.leaseOutlives) : issuer)
  }
  return world
}

/** An issuer as its configuration has it: over ISO 8583, or by HTTP. */
function dial(
  world: World,
  parts: Parts,
  link: IssuerConfig,
  onEvent: (event: IssuerEvent) => void,
): Issuer {
  const { store, clock, timers, random } = parts
  const tls = parts.issuerTls?.get(link.name)
  if (link.tls !== undefined && tls === undefined) throw new Error(`no TLS for ${link.name}`)
  const lastStan = store.lastStan(link.name)
  const onLateAnswer = (late: LateIssuerAnswer) =>
    void takeLateAnswer(world, late).catch(parts.onBug)
  const traceSlot = store.sharing?.traceSlot
  const shared = { clock, timers, random, lastStan, traceSlot, onLateAnswer, onEvent }
  if (link.http !== undefined) {
    const { createHttpClient } = parts
    if (createHttpClient === undefined) throw new Error(`no HTTP client for ${link.name}`)
    const http = { ...link.http, secret: Buffer.from(link.http.secret, 'base64') }
    return createHttpIssuer({ ...link, tls, http }, { ...shared, createHttpClient })
  }
  const dialect = parts.dialects.get(link.dialect ?? '')
  if (dialect === undefined) throw new Error(`dialect ${link.dialect} was not read`)
  const { transport } = parts
  return createIssuer({ ...link, tls, mac: macOf(link) }, { ...shared, transport, dialect })
}

function macOf({ mac }: IssuerConfig): LinkMac | undefined {
  if (mac === undefined) return undefined
  return { key: macKeyOf(mac), coversNetwork: mac.coversNetwork ?? true }
}

/**
 * Ends what a crash left open and takes up the queued reversals: before anything is let in. From
 * then on it does the same for other processes on the store that end. `onBug`: as in `Parts`.
 */
export async function recoverWorld(
  world: World,
  onBug: Parts['onBug'] = () => {},
): Promise<RecoveryReport> {
  for (const { message } of await world.store.pendingDeliveries()) {
    // What is captured, given back or reversed by its acquirer was answered long ago; an advice is
    // no request, and the reversal of the one that it replaces is queued before it.
    if (message.mti !== '0420' || message.step === 'reversal') continue
    expectLateAnswer(world, message.original, message.transactionId)
  }
  const report = await recover(recoveryWorld(world))
  await world.storeAndForward.start()
  world.store.sharing?.watch({
    onAdopted: (transactions) => void recoverAdopted(world, transactions).catch(onBug),
    onLanesTaken: (issuers) => void takeLanes(world, issuers).catch(onBug),
    onQueued: (deliveries) => world.storeAndForward.takeUp(deliveries),
  })
  return report
}

function recoveryWorld(world: World): Parameters<typeof recover>[0] {
  const { store, clock, journal, traceNumbers } = world
  return {
    store,
    clock,
    journal,
    traceNumbers,
    expectLateAnswer: (attempt, id) => expectLateAnswer(world, attempt, id),
  }
}

/** What an earlier process gave up may still be answered: matched, recorded, changing nothing. */
function expectLateAnswer(world: World, attempt: Attempt, transactionId: string): void {
  world.attemptOwners.set(attempt, transactionId)
  world.issuers.get(attempt.issuer)?.expectLateAnswer(attempt)
}

/** Claims of a process that has ended; the lanes' owners find the reversals in the store. */
async function recoverAdopted(world: World, transactions: readonly Transaction[]): Promise<void> {
  try {
    const { declined, reversed } = await recover(recoveryWorld(world), transactions)
    world.journal.log.warn({ declined, reversed }, 'took over the open claims of an ended process')
  } catch (error) {
    // The store says so itself, and the process ends; the next one takes over.
    if (!(error instanceof StoreFault)) throw error
  }
}

async function takeLanes(world: World, issuers: readonly string[]): Promise<void> {
  world.journal.log.warn({ issuers }, 'took over store-and-forward to these issuers')
  for (;;) {
    try {
      return await world.storeAndForward.start(issuers)
    } catch (error) {
      if (!(error instanceof StoreFault)) throw error
      // A read that failed: until it succeeds nobody sends what is queued. A store that has ended
      // ends the process.
      if (!world.door.isOpen) return
    }
    await new Promise<void>((resolve) => {
      world.timers.set(TAKE_LANES_AGAIN_MS, resolve)
    })
  }
}

/** As often as a database that does not answer is asked anyway. */
const TAKE_LANES_AGAIN_MS = 1_000

/** The configured link's numbers; for an issuer that is no longer configured, a book of its own. */
function traceNumbersOf(
  issuers: ReadonlyMap<string, Issuer>,
  store: TransactionStore,
  clock: Clock,
  issuer: string,
): Pick<Issuer, 'drawTraceNumbers'> {
  const configured = issuers.get(issuer)
  if (configured !== undefined) return configured
  const book = new TraceBook(clock, store.lastStan(issuer), 1, store.sharing?.traceSlot)
  return { drawTraceNumbers: () => book.draw('reversal') }
}

/**
 * A link that goes down is a warning once, until it is up again: what follows are the tries to
 * reconnect. One that we close ourselves is none.
 */
function linkNotes(journal: Journal): (event: IssuerEvent) => void {
  const down = new Set<string>()
  return (event) => {
    journal.linkEvent(event.issuer, event.kind)
    if (event.kind === 'link_up') down.delete(event.issuer)
    if (event.kind !== 'link_down') {
      const isGood = event.kind === 'link_up' || event.kind === 'breaker_closed'
      journal.log[isGood ? 'info' : 'warn'](event, 'issuer link')
    } else if (event.reason === 'closing') {
      journal.log.info(event, 'issuer link')
    } else {
      journal.log[down.has(event.issuer) ? 'debug' : 'warn'](event, 'issuer link')
      down.add(event.issuer)
    }
  }
}

/** What an SRE must look at is an error; the rest is counted. */
function noteDelivery({ journal, onBug }: Parts, event: StoreAndForwardEvent): void {
  if (event.kind === 'halted') {
    journal.log.error({ error: event.error.message }, 'store-and-forward halted')
    if (!(event.error instanceof StoreFault)) onBug(event.error)
    return
  }
  journal.linkEvent(event.issuer, `reversal_${event.kind}`)
  if (event.kind === 'acknowledged' || event.kind === 'will_repeat') {
    journal.log.debug(event, 'queued message')
  } else {
    journal.log.error(event, 'a queued message needs attention')
  }
}
