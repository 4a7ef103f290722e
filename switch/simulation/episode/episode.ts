// One episode: a disk, two issuers and some acquirers of their own, a plan of what they do and what
// goes wrong, and the switch living through it, life after life, until everything is at rest.

import type { CardVault } from '../../card-data/index.ts'
import { createFraming, defaultFraming } from '../../iso8583/index.ts'
import type { Address, Connection, ConnectionEvents } from '../../ports.ts'
import { MemoryRecordIndex, type TransactionStore } from '../../store/index.ts'
import { SimulatedDisk } from '../disk.ts'
import { createSeededRandom, type SeededRandom, seedOf } from '../random.ts'
import { createVirtualTime, type VirtualTime } from '../time.ts'
import { createSimulatedNetwork, type SimulatedNetwork } from '../transport.ts'
import { HttpAcquirer } from './acquirer.ts'
import { auditBooks } from './audit.ts'
import { Bank } from './bank.ts'
import { Books, type Violation } from './books.ts'
import { type Crash, CrashPoints } from './crash-point.ts'
import { DoorWatch } from './door-watch.ts'
import { writeHistory } from './history.ts'
import { IsoAcquirer } from './iso-acquirer.ts'
import { type Ground, Life, type Variation } from './life.ts'
import {
  BUSY_MS,
  DEADLINE_TOLERANCE_MS,
  EPISODE_STORE_LIMITS,
  ERRANDS_MS_MAX,
  LATE_ANSWER_WINDOW_MS,
  QUIET_MS_MAX,
  RESTART_MAX_MS,
  RESTART_MIN_MS,
  SWEEP_PARTS,
} from './limits.ts'
import { spoilFrame } from './line-noise.ts'
import type { CrashEntry, MessageFaultEntry, PayEntry, PlanEntry, StepEntry } from './plan.ts'
import { LifePorts } from './ports.ts'
import type { VelocityState } from './scorer.ts'
import { Trace } from './trace.ts'
import { Troubles } from './troubles.ts'
import { watchStore } from './watch-store.ts'

export interface EpisodeOptions {
  readonly ground: Ground
  readonly seed: number
  readonly plan: readonly PlanEntry[]
  readonly variation?: Variation
  /** Keep the lines of what happened. */
  readonly keepsTrace?: boolean
}

export interface EpisodeResult {
  readonly virtualMs: number
  /** Requests of acquirers and messages that issuers got. */
  readonly messages: number
  readonly lives: number
  readonly faults: Readonly<Record<string, number>>
  /** What the workload did besides payments, by kind. */
  readonly work: Readonly<Record<string, number>>
  readonly violation: Violation | undefined
  readonly traceHash: string
  readonly trace: readonly string[]
  readonly crashes: readonly Crash[]
}

/** Where acquirers over ISO 8583 reach the switch. */
const ISO_ADDRESS: Address = { host: 'switch.test', port: 8583 }

/** Sunday, 2026-11-22 10:00:00 UTC. */
const START_MS = Date.UTC(2026, 10, 22, 10, 0, 0)

/** Runs a plan to rest, or to the first promise that is broken. Same seed and plan, same run. */
export async function runEpisode(options: EpisodeOptions): Promise<EpisodeResult> {
  return new Episode(options).run()
}

export class Episode {
  readonly time: VirtualTime
  readonly network: SimulatedNetwork
  readonly banks: readonly Bank[]
  readonly books: Books
  readonly trace: Trace
  readonly crashes: Crash[] = []
  readonly troubles: Troubles
  readonly random: SeededRandom
  life: Life | undefined
  velocity: VelocityState = 'fine'
  lastStoppedMs = Number.NEGATIVE_INFINITY
  readonly #options: EpisodeOptions
  readonly #http: HttpAcquirer
  readonly #iso: IsoAcquirer
  readonly #messageFaults = new Map<string, Map<number, MessageFaultEntry>>()
  readonly #messageCounts = new Map<string, number>()
  #disk: SimulatedDisk
  #keyDisk: SimulatedDisk
  #index = new MemoryRecordIndex()
  #lives = 0
  #isCalm = false
  /** Where lives have ended; of a sweep also where they need not. */
  readonly #ended = new Set<string>()
  #crashAtStart: CrashEntry | undefined
  /** The last life was ended in order, and none follows. */
  #isOver = false

  constructor(options: EpisodeOptions) {
    const { ground, seed } = options
    this.#options = options
    this.time = createVirtualTime({ startMs: START_MS, settle: ground.settle })
    const isSweep = options.plan.some((entry) => entry.kind === 'crash' && entry.isFresh)
    for (const site of isSweep ? ground.callSites : []) {
      if (seedOf(seed, site) % SWEEP_PARTS !== 0) this.#ended.add(site)
    }
    this.trace = new Trace({ clock: this.time.clock, keepsLines: options.keepsTrace ?? false })
    this.books = new Books(this.trace, () => this.time.clock.monotonic())
    this.random = createSeededRandom(seedOf(seed, 'world'))
    const lineRandom = createSeededRandom(seedOf(seed, 'line'))
    this.network = createSimulatedNetwork({
      clock: this.time.clock,
      timers: this.time.timers,
      latencyMs: () => 0.2 + lineRandom.fraction() * 4 + this.troubles.networkDelayMs(lineRandom),
      pieceBytes: (bytes) => (lineRandom.chance(0.1) ? 1 + lineRandom.below(bytes) : bytes),
      bufferedBytesMax: 1_000_000,
    })
    this.#disk = new SimulatedDisk({ random: createSeededRandom(seedOf(seed, 'disk')) })
    this.#keyDisk = new SimulatedDisk({ random: createSeededRandom(seedOf(seed, 'key disk')) })
    this.banks = ground.config.issuers.map(({ name, host, port }) => this.#bank(name, host, port))
    this.troubles = new Troubles(this)
    this.#http = new HttpAcquirer({
      time: this.time,
      books: this.books,
      trace: this.trace,
      acquirerMs: ground.config.deadlines.acquirerMs,
      life: () => this.life,
      isCalm: () => this.#isCalm,
      lastStoppedMs: () => this.lastStoppedMs,
    })
    this.network.listen(ISO_ADDRESS, (connection) => this.#accept(connection))
    this.#iso = new IsoAcquirer({
      time: this.time,
      network: this.network,
      address: ISO_ADDRESS,
      dialect: ground.dialect,
      framing: createFraming(defaultFraming),
      books: this.books,
      trace: this.trace,
      life: () => this.life,
      lineTroubles: this.troubles.lines,
      random: createSeededRandom(seedOf(seed, 'acquirers over ISO 8583')),
      institution: ground.config.acquirers[0]?.institution ?? '',
    })
  }

  /** A listener that is not there refuses. */
  #accept(connection: Connection): ConnectionEvents {
    const events = this.life?.accept(connection)
    if (events !== undefined) return events
    connection.destroy()
    return { onOpen: () => {}, onBytes: () => {}, onClose: () => {} }
  }

  get disk(): SimulatedDisk {
    return this.#disk
  }

  async run(): Promise<EpisodeResult> {
    try {
      await this.#whileTimePasses(
        writeHistory({
          disk: this.#disk,
          time: this.time,
          random: this.random,
          limits: EPISODE_STORE_LIMITS,
        }),
      )
      this.#schedule()
      this.#startLife()
      await this.#untilRest()
      if (this.books.violations.length === 0) await this.#close()
    } catch (error) {
      this.bug(error)
    }
    const received = this.banks.reduce((sum, bank) => sum + bank.received, 0)
    return {
      virtualMs: this.time.clock.monotonic(),
      messages: received + this.books.requests.size,
      lives: this.#lives,
      faults: this.books.faults,
      work: this.books.work,
      violation: this.books.violations[0],
      traceHash: this.trace.hash,
      trace: this.trace.lines,
      crashes: this.crashes,
    }
  }

  bug(error: unknown): void {
    const { message, stack } = error instanceof Error ? error : new Error(String(error))
    this.books.violate('bug', stack ?? message)
  }

  /** Ends the life that runs, as its supervisor or its kernel does, and sets the next start. */
  endLife(isPowerCut: boolean, why: string): void {
    const { life } = this
    if (life === undefined) return
    this.trace.add(`the switch ends: ${why}${isPowerCut ? ', power cut' : ''}`)
    this.life = undefined
    life.bury(isPowerCut ? 2_000 + this.random.below(20_000) : 0)
    const kind = isPowerCut ? 'power' : 'kill'
    this.#disk = this.#disk.restart(kind)
    this.#keyDisk = this.#keyDisk.restart(kind)
    if (isPowerCut) this.#index = new MemoryRecordIndex()
    if (this.#isOver) return
    const afterMs = RESTART_MIN_MS + this.random.below(RESTART_MAX_MS - RESTART_MIN_MS)
    this.time.timers.set(afterMs, () => this.#startLife())
  }

  /** SIGTERM, or what the switch does of itself when its store can't be written. */
  drainLife(why: string): void {
    const { life } = this
    if (life === undefined || life.isEnding) return
    this.trace.add(`the switch drains: ${why}`)
    const end = (how: string) => {
      if (this.life === life) this.endLife(false, how)
    }
    const { drainMs } = this.#options.ground.config.deadlines
    this.time.timers.set(drainMs, () => end('the drain took too long'))
    life.drain().then(
      () => {
        if (this.#isOver) this.#lookForTimers(life)
        end('drained')
      },
      (error: unknown) => this.bug(error),
    )
  }

  orderCrash(entry: CrashEntry): void {
    if (!entry.isAtStart) {
      this.#order(this.life, entry)
      return
    }
    this.#crashAtStart = entry
    this.endLife(false, 'killed, and again at its next start')
  }

  #order(life: Life | undefined, { call, nth, isPowerCut, isFresh, seed }: CrashEntry): void {
    const phases = ['before', 'after', 'between'] as const
    const phase = phases[createSeededRandom(seed).below(3)] ?? 'before'
    life?.points.order({ call, nth, isPowerCut, isFresh }, phase)
  }

  #startLife(): void {
    if (this.life !== undefined) return
    const { ground, variation, seed } = this.#options
    const number = ++this.#lives
    const random = createSeededRandom(seedOf(seed, `life ${number}`))
    const points = new CrashPoints(this.#ended, (crash) => this.#crashed(crash))
    const ports = new LifePorts({
      points,
      time: this.time,
      disk: this.#disk,
      index: this.#index,
      network: this.network,
      random,
      diskDelayMs: (call) => this.troubles.diskDelayMs(call, random),
      diskHang: () => this.troubles.diskHang(),
      lineTroubles: this.troubles.lines,
      spoil: (frame) => spoilFrame(frame, ground.dialect, random),
      onFault: (kind) => this.books.fault(kind),
    })
    const life = new Life({
      ground,
      ports,
      points,
      index: this.#index,
      keyDisk: this.#keyDisk,
      random,
      storeLimits: EPISODE_STORE_LIMITS,
      freeBytes: () => this.#disk.freeBytes,
      onUpkeep: (event) => {
        if (event.kind === 'compacted') this.books.note('compactions')
      },
      velocityState: () => this.velocity,
      variation: variation ?? {},
      watchStore: (store, vault) => this.#watch(store, vault),
      watchDoor: () => this.#watchDoor(ports),
      onBug: (error) => {
        if (!ports.isDead) this.bug(error)
      },
      onFault: (reason) => {
        if (!ports.isDead) this.#storeFailed(life, reason)
      },
    })
    this.life = life
    this.trace.add(`life ${number} begins`)
    if (this.#crashAtStart !== undefined) this.#order(life, this.#crashAtStart)
    this.#crashAtStart = undefined
    life.start().then(
      (result) => {
        if (ports.isDead) return
        if (result.ok) this.trace.add(`life ${number} is ready`)
        else this.#notStarted(life, result.code, result.message)
      },
      (error: unknown) => {
        if (!ports.isDead) this.bug(error)
      },
    )
  }

  #notStarted(life: Life, code: string, message: string): void {
    if (code === 'log_damaged' || code === 'log_newer') {
      this.books.violate('approval_lost', `the store was refused: ${code} ${message}`)
    }
    if (this.life === life) this.endLife(false, `not started: ${message}`)
  }

  #storeFailed(life: Life, reason: string): void {
    this.trace.add(`the store failed: ${reason}`)
    if (life.isReady) this.drainLife('the store failed')
    // Still starting: recovery stops and the process ends with a message.
    else if (this.life === life) this.time.timers.set(0, () => this.#endUnready(life))
  }

  #endUnready(life: Life): void {
    if (this.life === life && !life.isReady) this.endLife(false, 'the store failed at the start')
  }

  #crashed(crash: Crash): void {
    this.crashes.push(crash)
    this.books.fault(crash.isPowerCut ? 'power_cut' : 'process_killed')
    this.trace.add(`crash ${crash.phase} ${crash.call} at ${crash.site}`)
    const { life } = this
    if (life !== undefined) this.time.timers.set(0, () => this.#mourn(life, crash))
  }

  #mourn(life: Life, crash: Crash): void {
    if (this.life === life) this.endLife(crash.isPowerCut, crash.call)
  }

  #watch(store: TransactionStore, vault: () => CardVault): TransactionStore {
    return watchStore(store, this.books, (message) => {
      const { card } = message.original
      return card === null ? message.transactionId : vault().tokenOf(vault().unseal(card).pan)
    })
  }

  /** An answer by the deadline, or the connection closed; a stopped process does neither. */
  #watchDoor(ports: LifePorts): DoorWatch {
    const { config, dialect } = this.#options.ground
    const { acquirerMs } = config.deadlines
    const deadlineMs = acquirerMs + DEADLINE_TOLERANCE_MS
    return new DoorWatch({
      dialect,
      framing: createFraming(defaultFraming),
      timers: this.time.timers,
      deadlineMs,
      onLate: ({ mti, fields }) => {
        if (ports.isDead || ports.isStopped) return
        if (this.lastStoppedMs >= this.time.clock.monotonic() - deadlineMs) return
        const what = `${mti} ${fields[11]} over ISO 8583`
        this.books.violate('late_answer', `${what} had no answer after ${acquirerMs} ms`)
      },
    })
  }

  #bank(name: string, host: string, port: number): Bank {
    return new Bank({
      name,
      address: { host, port },
      network: this.network,
      dialect: this.#options.ground.dialect,
      framing: createFraming(defaultFraming),
      time: this.time,
      seed: this.#options.seed,
      books: this.books,
      trace: this.trace,
      faultOf: (payment) => {
        const nth = this.#messageCounts.get(payment) ?? 0
        this.#messageCounts.set(payment, nth + 1)
        return this.#messageFaults.get(payment)?.get(nth)
      },
    })
  }

  #schedule(): void {
    const at = (atMs: number, act: () => void) => this.time.timers.set(atMs, act)
    const errand = (work: Promise<void>) => void work.catch((error) => this.bug(error))
    for (const entry of this.#options.plan) {
      switch (entry.kind) {
        case 'pay':
          at(entry.atMs, () => errand(this.#payBy(entry)))
          break
        case 'step':
          at(entry.atMs, () => errand(this.#stepBy(entry)))
          break
        case 'crash':
          at(entry.atMs, () => this.orderCrash(entry))
          break
        case 'trouble':
          at(entry.atMs, () => this.troubles.begin(entry))
          break
        case 'message_fault': {
          const faults = this.#messageFaults.get(entry.of) ?? new Map()
          this.#messageFaults.set(entry.of, faults.set(entry.nth, entry))
        }
      }
    }
    at(BUSY_MS, () => this.#calmDown())
  }

  #payBy(entry: PayEntry): Promise<void> {
    return entry.door === 'iso' ? this.#iso.pay(entry) : this.#http.pay(entry)
  }

  #stepBy(entry: StepEntry): Promise<void> {
    const pay = this.books.requests.get(entry.of)?.entry
    if (pay?.kind !== 'pay') return Promise.resolve()
    return pay.door === 'iso' ? this.#iso.step(entry, pay) : this.#http.step(entry)
  }

  get #openErrands(): number {
    return this.#http.openErrands + this.#iso.openErrands
  }

  /** Faults end; what is queued, open or asked must now come to its end. */
  #calmDown(): void {
    this.trace.add('all troubles end')
    this.#isCalm = true
    this.#crashAtStart = undefined
    this.#messageFaults.clear()
    this.life?.points.order(
      { call: 'any', nth: Number.POSITIVE_INFINITY, isPowerCut: false },
      'before',
    )
    this.troubles.endAll()
  }

  async #untilRest(): Promise<void> {
    while (this.books.violations.length === 0) {
      if (!(await this.time.step())) throw new Error('nothing more will happen')
      const nowMs = this.time.clock.monotonic()
      if (nowMs < BUSY_MS) continue
      if (this.#isAtRest()) return
      if (nowMs > BUSY_MS + ERRANDS_MS_MAX && this.#openErrands > 0) {
        // An errand that waits behind the queue is not what is wrong.
        const isQueued = (this.life?.world?.store.status.queuedDeliveries ?? 0) > 0
        const promise = isQueued ? 'queue_stuck' : 'late_answer'
        this.books.violate(promise, `retries get nowhere: ${this.#unrest()}`)
      }
      if (nowMs > BUSY_MS + QUIET_MS_MAX) {
        this.books.violate('queue_stuck', this.#unrest())
      }
    }
  }

  #isAtRest(): boolean {
    const { world, isReady } = this.life ?? {}
    if (world === undefined || isReady !== true || this.#openErrands > 0) return false
    if (world.inFlight.size > 0 || world.store.status.openClaims > 0) return false
    return world.store.status.queuedDeliveries === 0
  }

  #unrest(): string {
    const { world } = this.life ?? {}
    const { status } = world?.store ?? {}
    const open = [...this.books.requests.values()].filter(({ isDone }) => !isDone)
    return (
      `not at rest: ${this.#openErrands} errands (${open.map(({ key }) => key).join(' ')}), ` +
      `${status?.openClaims} open claims, ${status?.queuedDeliveries} queued, ` +
      `${world?.inFlight.size} in flight`
    )
  }

  /** Audits, lets the late-answer windows pass, drains, and looks for what is left. */
  async #close(): Promise<void> {
    await this.time.advance(LATE_ANSWER_WINDOW_MS + 60_000)
    const { life, books } = this
    const world = life?.world
    if (life === undefined || world === undefined) throw new Error('the last life ended by itself')
    await this.#whileTimePasses(auditBooks({ world, books, banks: this.banks, http: this.#http }))
    this.#isOver = true
    this.#iso.close()
    this.#lookForLeftovers(life)
    this.drainLife('the episode is over')
    while (this.life !== undefined && (await this.time.step()));
    await this.time.advance(60_000)
    if (this.network.openConnections > 0) {
      books.violate('not_empty', `${this.network.openConnections} connections are left`)
    }
  }

  async #whileTimePasses(work: Promise<void>): Promise<void> {
    let isDone = false
    const done = work.finally(() => {
      isDone = true
    })
    done.catch(() => {})
    while (!isDone && (await this.time.step()));
    await done
  }

  #lookForTimers({ ports }: Life): void {
    if (ports.pendingTimers === 0) return
    this.books.violate('not_empty', `${ports.pendingTimers} timers are left after the drain`)
  }

  #lookForLeftovers(life: Life): void {
    const { world, scorer } = life
    if (world === undefined || scorer === undefined) return
    const left: [string, number][] = [
      ['in flight', world.inFlight.size],
      ['open claims', world.store.status.openClaims],
      ['scores waiting', scorer.batches.queueDepth],
      ['batches under way', scorer.batches.stats().batchesUnderWay],
    ]
    for (const [name, issuer] of world.issuers) {
      const { state } = issuer as unknown as { state: { inFlight: number; givenUp: number } }
      left.push([`asked of ${name}`, state.inFlight], [`given up at ${name}`, state.givenUp])
      left.push([`queued for ${name}`, world.storeAndForward.depth(name)])
      left.push([`dead letters of ${name}`, world.storeAndForward.deadLetters(name)])
    }
    for (const [what, count] of left) {
      if (count > 0) this.books.violate('not_empty', `${count} ${what}`)
    }
  }
}
