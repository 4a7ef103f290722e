// Adapter: the end of the process: its signals, its exit codes, and the order in which a drain
// closes what is open.

import type { ScorerPool } from '#scoring'
import { endWorld, within } from '../end-world.ts'
import type { HttpServer } from '../ingress/index.ts'
import type { Journal } from '../observe/index.ts'
import { StoreFault } from '../store/index.ts'
import type { World } from '../world.ts'
import type { LogOutput } from './log-output.ts'
import type { NetListener } from './net-listener.ts'
import { systemTimers } from './system-clock.ts'

/** A reply needs some turns of the event loop from its outcome to the socket. */
const REPLIES_LEAVE_MS = 50

/** How this process ends: drained, after a store fault, or on a bug. */
export class ProcessEnd {
  readonly ended: Promise<number>
  readonly #journal: Journal
  readonly #output: LogOutput
  #resolve: (exitCode: number) => void = () => {}
  #world: World | undefined
  #scorer: ScorerPool | undefined
  #servers: readonly HttpServer[] = []
  #isoListeners: readonly NetListener[] = []
  readonly #atEnd: (() => Promise<void>)[] = []
  #drained: Promise<void> | undefined
  #exitCode = 0
  /** The acquirers' doors: nobody is left to be answered. */
  #areDoorsClosed = false

  constructor(journal: Journal, output: LogOutput) {
    this.#journal = journal
    this.#output = output
    this.ended = new Promise((resolve) => {
      this.#resolve = resolve
    })
    process.on('uncaughtException', this.afterBug)
    process.on('unhandledRejection', this.afterBug)
  }

  takeOver(
    world: World,
    scorer: ScorerPool,
    servers: readonly HttpServer[],
    isoListeners: readonly NetListener[],
  ): void {
    this.#world = world
    this.#scorer = scorer
    this.#servers = servers
    this.#isoListeners = isoListeners
    // `on`: a second one must not kill what the first one drains.
    process.on('SIGTERM', () => void this.drain(0))
    process.on('SIGINT', () => void this.drain(0))
  }

  /** Closed with the store: what only a part of the switch uses. */
  atEnd(close: () => Promise<void>): void {
    this.#atEnd.push(close)
  }

  /** A bug: its state can't be trusted, so the process ends at once and recovery decides. */
  readonly afterBug = (error: unknown): void => {
    // What still runs for a connection that was closed finds the store closed, too.
    if (this.#areDoorsClosed && error instanceof StoreFault) return
    const { name, message, stack } = error instanceof Error ? error : new Error(String(error))
    try {
      this.#journal.log.fatal({ error: { name, message, stack } }, 'a bug: the process ends')
      this.#output.flush()
    } finally {
      process.exit(70)
    }
  }

  /** The store can't be written: nothing new, what is in flight is answered 503, then the end. */
  afterFault(reason: string): void {
    this.#journal.log.fatal({ reason }, 'the store failed: readiness is off, the process stops')
    void this.drain(1)
  }

  /** Readiness off, nothing new, in-flight answered, store flushed, workers released. */
  drain(exitCode: number): Promise<void> {
    const world = this.#world
    const scorer = this.#scorer
    if (world === undefined || scorer === undefined) return Promise.resolve()
    if (exitCode !== 0) this.#exitCode = exitCode
    this.#drained ??= this.#drain(world, scorer)
    return this.#drained
  }

  async #drain(world: World, scorer: ScorerPool): Promise<void> {
    const { drainMs } = world.config.deadlines
    this.#journal.log.info({ inFlight: world.inFlight.size, drainMs }, 'draining')
    const tooLate = systemTimers.set(drainMs, () => {
      try {
        this.#journal.log.error({ inFlight: world.inFlight.size }, 'the drain took too long')
        this.#output.flush()
      } finally {
        process.exit(this.#exitCode === 0 ? 75 : this.#exitCode)
      }
    })
    world.door.isOpen = false
    // The operations port stays: /readyz says that it drains, /metrics has the last figures.
    const [acquirers, ...operators] = this.#servers
    acquirers?.drain()
    for (const listener of this.#isoListeners) listener.drain()
    await endWorld(world)
    // Replies leave in the turns after their outcome; then nobody may ask a store that closes.
    await within(systemTimers, REPLIES_LEAVE_MS, new Promise(() => {}))
    acquirers?.close()
    for (const listener of this.#isoListeners) listener.close()
    this.#areDoorsClosed = true
    await scorer.close()
    await world.store.close()
    await Promise.all(this.#atEnd.map((close) => close()))
    for (const server of operators) server.close()
    this.#journal.log.info('drained')
    this.#output.flush()
    systemTimers.clear(tooLate)
    this.#resolve(this.#exitCode)
  }
}
