// One life of the switch: from a start on the disk that the last one left to its end. Everything in
// it is production's own, put together as `main.ts` does; only its ports are simulated.

import { assemble, recoverWorld } from '../../assemble.ts'
import type { CardVault, KeyRing } from '../../card-data/index.ts'
import type { Config } from '../../config/index.ts'
import { endWorld, within } from '../../end-world.ts'
import {
  type AcquirerApi,
  createAcquirerApi,
  createIsoDoor,
  ExchangedKeys,
  type HttpRequest,
  type HttpResponse,
} from '../../ingress/index.ts'
import type { Dialect } from '../../iso8583/index.ts'
import { DAY_MS, KEY_RETENTION_MS, SCORING_QUEUE_CAPACITY } from '../../limits.ts'
import type { Journal } from '../../observe/index.ts'
import type { AcceptConnection, Connection, ConnectionEvents } from '../../ports.ts'
import {
  flushDeadlineFor,
  isOperatingError,
  openEmbeddedStore,
  type RecordIndex,
  type StoreLimits,
  type TransactionStore,
  UPKEEP,
  type UpkeepEvent,
} from '../../store/index.ts'
import { IdentifierSource } from '../../ulid.ts'
import type { World } from '../../world.ts'
import type { SimulatedDisk } from '../disk.ts'
import type { SeededRandom } from '../random.ts'
import type { CrashPoints } from './crash-point.ts'
import type { DoorWatch } from './door-watch.ts'
import { ACQUIRERS_LINE, type LifePorts } from './ports.ts'
import { createSimulatedScorer, type SimulatedScorer, type VelocityState } from './scorer.ts'

/** What every life is built of, read from files before anything is simulated. */
export interface Ground {
  readonly config: Config
  readonly keys: KeyRing
  readonly dialect: Dialect
  readonly rules: Pick<Parameters<typeof createSimulatedScorer>[0], 'ruleSet' | 'lists'>
  readonly journal: Journal
  /** Every port call of the message path, by `portCallSites`. */
  readonly callSites: readonly string[]
  /** Resolves when every promise that was ready has run. */
  readonly settle: () => Promise<void>
}

/** Parts of a life that a test may put something else in the place of: a guard switched off. */
export interface Variation {
  readonly store?: (store: TransactionStore) => TransactionStore
  readonly disk?: (disk: LifePorts['disk']) => LifePorts['disk']
  readonly connect?: (connect: LifePorts['connect']) => LifePorts['connect']
  readonly api?: (api: AcquirerApi) => AcquirerApi
  readonly world?: (world: World) => World
  /** In place of recovery. */
  readonly recover?: (world: World, recover: () => Promise<unknown>) => Promise<unknown>
}

export interface LifeOptions {
  readonly ground: Ground
  readonly ports: LifePorts
  readonly points: CrashPoints
  readonly index: RecordIndex
  /** For exchanged keys, beside the store's. */
  readonly keyDisk: SimulatedDisk
  readonly random: SeededRandom
  readonly storeLimits: Partial<StoreLimits>
  /** Room on the store's disk. */
  readonly freeBytes: () => number
  readonly onUpkeep: (event: UpkeepEvent) => void
  readonly velocityState: () => VelocityState
  readonly variation: Variation
  /** Sees what the store promises; returns the store to use. */
  readonly watchStore: (store: TransactionStore, vault: () => CardVault) => TransactionStore
  /** Sees what passes one connection of an acquirer. */
  readonly watchDoor: () => DoorWatch
  readonly onBug: (error: unknown) => void
  readonly onFault: (reason: string) => void
}

/** Why a start did not succeed; the supervisor tries again. */
export type StartResult =
  | { readonly ok: true }
  | { readonly ok: false; readonly code: string; readonly message: string }

export class Life {
  readonly ports: LifePorts
  readonly points: CrashPoints
  world: World | undefined
  scorer: SimulatedScorer | undefined
  /** Doors are open. */
  isReady = false
  isEnding = false
  readonly #options: LifeOptions
  #api: AcquirerApi | undefined
  #acceptIso: AcceptConnection | undefined
  /** Whoever waits for an answer hears when the life ends. */
  readonly #mourners = new Set<() => void>()

  constructor(options: LifeOptions) {
    this.#options = options
    this.ports = options.ports
    this.points = options.points
  }

  async start(): Promise<StartResult> {
    const { ground, ports, random, storeLimits, watchStore, variation } = this.#options
    const { clock, timers } = ports
    const { durabilityMs } = ground.config.deadlines
    const disk = variation.disk?.(ports.disk) ?? ports.disk
    const opened = await openEmbeddedStore({
      disk,
      index: ports.index,
      clock,
      timers,
      random: ports.random,
      owner: new IdentifierSource(clock, random).next('switch_'),
      keyRetentionMs: KEY_RETENTION_MS,
      limits: { ...storeLimits, flushDeadlineMs: flushDeadlineFor(durabilityMs) },
      upkeep: {
        ...UPKEEP,
        retentionMs: UPKEEP.retentionDays * DAY_MS,
        retentionMinMs: DAY_MS,
        panRetentionMs: UPKEEP.panRetentionDays * DAY_MS,
        // A disk as small as these is never far from full: low room is no reason here.
        freeBytesMin: 0,
        freeBytes: async () => this.#options.freeBytes(),
        onEvent: (event) => {
          if (!ports.isDead) this.#options.onUpkeep(event)
        },
      },
      onFault: (reason) => this.#options.onFault(reason),
    })
    if (!opened.ok) return { ok: false, ...opened.problem }
    const store = variation.store?.(opened.store) ?? opened.store
    const world = this.#assemble(watchStore(store, () => world.vault))
    this.world = world
    try {
      const recover = () => recoverWorld(world)
      await (variation.recover?.(world, recover) ?? recover())
      const keyDisk = ports.diskOf(this.#options.keyDisk)
      const exchanged = await ExchangedKeys.open(keyDisk, world.vault)
      this.#openDoors(world, exchanged)
    } catch (error) {
      if (!isOperatingError(error)) throw error
      return { ok: false, code: error.code, message: error.message }
    }
    return { ok: true }
  }

  /** Answers as the listener would; undefined: the door is shut, or the life ends before it. */
  async request(request: HttpRequest): Promise<HttpResponse | undefined> {
    const api = this.#api
    if (api === undefined || this.ports.isDead || !this.isReady) return undefined
    return new Promise((resolve) => {
      const mourn = () => resolve(undefined)
      this.#mourners.add(mourn)
      const reply = (response: HttpResponse) => {
        this.#mourners.delete(mourn)
        // A life that has ended answers nobody, whatever its last step computed.
        if (!this.ports.isDead) resolve(response)
      }
      this.ports.enter(() => {
        const admitted = api.gate(request)
        if ('refused' in admitted) return reply(admitted.refused)
        const response = api.handle(request, admitted.caller)
        if (!(response instanceof Promise)) return reply(response)
        response.then(reply, this.#options.onBug)
      })
    })
  }

  /** Takes a connection of an acquirer. */
  accept(inner: Connection): ConnectionEvents | undefined {
    const acceptIso = this.#acceptIso
    if (acceptIso === undefined || this.ports.isDead || !this.isReady) return undefined
    let heard: ConnectionEvents | undefined
    let isKnown = true
    this.ports.take(
      (events) => {
        heard = events
        return inner
      },
      (connection) => {
        const peer = { address: '127.0.0.1', certificateSha256: undefined }
        const watch = this.#options.watchDoor()
        const session = acceptIso(watched(connection, watch), peer)
        isKnown = session !== undefined
        return {
          onOpen: () => {},
          onBytes: (bytes) => {
            watch.heard(bytes)
            session?.onBytes(bytes)
          },
          onClose: () => {
            watch.close()
            session?.onClose()
          },
        }
      },
      ACQUIRERS_LINE,
    )
    return isKnown ? heard : undefined
  }

  /** After its last call, or when its process was ended from outside. */
  bury(closeAfterMs: number): void {
    this.isReady = false
    this.points.isDead = true
    this.ports.bury(closeAfterMs)
    for (const mourn of this.#mourners) mourn()
    this.#mourners.clear()
  }

  /** SIGTERM, or a store that can't be written. Resolves when nothing is left open. */
  async drain(): Promise<void> {
    const { world, scorer } = this
    if (this.isEnding || world === undefined || scorer === undefined) return
    this.isEnding = true
    await endWorld(world)
    // Replies leave; then nobody may ask a store that closes.
    await within(world.timers, 50, new Promise(() => {}))
    this.isReady = false
    this.ports.closeDoors()
    await scorer.batches.drain(1_000)
    await world.store.close()
  }

  #openDoors(world: World, exchanged: ExchangedKeys): void {
    const { ground, variation } = this.#options
    const [listener] = world.config.iso?.listeners ?? []
    const api = createAcquirerApi(world)
    this.#api = variation.api?.(api) ?? api
    if (listener !== undefined) {
      const dialects = new Map([[listener.dialect, ground.dialect]])
      this.#acceptIso = createIsoDoor(world, listener, dialects, exchanged)
    }
    this.isReady = true
  }

  #assemble(store: TransactionStore): World {
    const { ground, ports, random, velocityState, variation, onBug } = this.#options
    const { config, keys, dialect, journal, rules } = ground
    const { clock, timers } = ports
    this.scorer = createSimulatedScorer({
      ...rules,
      entityKey: keys.entityKey,
      clock,
      timers,
      random,
      velocityState,
      run: (work) => ports.run('runner.run', work),
      queueDepthMax: SCORING_QUEUE_CAPACITY,
    })
    const connect: LifePorts['connect'] = (address, events) => ports.connect(address, events)
    const world = assemble({
      config,
      keys,
      store,
      scorer: this.scorer.batches,
      journal,
      transport: { connect: variation.connect?.(connect) ?? connect },
      clock,
      timers,
      random: ports.random,
      dialects: new Map(config.issuers.map((issuer) => [issuer.dialect ?? '', dialect])),
      onBug,
    })
    return variation.world?.(world) ?? world
  }
}

function watched(connection: Connection, watch: DoorWatch): Connection {
  return {
    write(bytes) {
      watch.said(bytes)
      return connection.write(bytes)
    },
    get bufferedBytes() {
      return connection.bufferedBytes
    },
    destroy() {
      watch.close()
      connection.destroy()
    },
  }
}
