// The ports of one life of the switch: each call passes a crash point, costs virtual time, and may
// be in trouble. When the life has ended none of them has any effect, and none settles.

import type {
  Address,
  Clock,
  Connection,
  ConnectionEvents,
  Disk,
  DiskFile,
  Random,
  TimerHandle,
  Timers,
} from '../../ports.ts'
import type { IndexPut, RecordIndex } from '../../store/index.ts'
import type { SimulatedDisk } from '../disk.ts'
import type { SeededRandom } from '../random.ts'
import type { VirtualTime } from '../time.ts'
import type { SimulatedNetwork } from '../transport.ts'
import type { CrashPhase, CrashPoints, PortCall } from './crash-point.ts'

/** What may happen to the next bytes of a line; it happens once. */
export type LineTrouble =
  | { readonly kind: 'cut'; readonly share: number }
  | { readonly kind: 'spoil' }

/** The lines' troubles by the address that was dialled. Shared by all lives. */
export type LineTroubles = Map<string, LineTrouble>

export interface LifePortsOptions {
  readonly points: CrashPoints
  readonly time: VirtualTime
  readonly disk: SimulatedDisk
  readonly index: RecordIndex
  readonly network: SimulatedNetwork
  readonly random: SeededRandom
  /** Milliseconds that a disk call takes. */
  readonly diskDelayMs: (call: PortCall) => number
  /** While the disk hangs: until it does not. */
  readonly diskHang: () => Promise<void> | undefined
  readonly lineTroubles: LineTroubles
  readonly spoil: (frame: Uint8Array) => Uint8Array | undefined
  readonly onFault: (kind: string) => void
}

const NO_TIMER = {}

/** The line of every acquirer's connection, as `LineTroubles` names it. */
export const ACQUIRERS_LINE = 'acquirers'

/** The ports of one life. */
export class LifePorts {
  readonly clock: Clock
  readonly timers: Timers
  readonly random: Random
  readonly disk: Disk
  readonly index: RecordIndex
  readonly #options: LifePortsOptions
  readonly #timers = new Set<TimerHandle>()
  readonly #connections = new Set<Connection>()
  readonly #accepted = new Set<Connection>()
  #isStopped = false
  #whenWoken: (() => void)[] = []

  constructor(options: LifePortsOptions) {
    this.#options = options
    const { points, time, random } = options
    this.clock = {
      now: () => {
        this.#pass('clock.now')
        return time.clock.now()
      },
      monotonic: () => {
        this.#pass('clock.monotonic')
        return time.clock.monotonic()
      },
    }
    this.timers = {
      set: (delayMs, callback) => this.#setTimer(delayMs, callback),
      clear: (handle) => {
        this.#pass('timers.clear')
        if (points.isDead || !this.#timers.delete(handle)) return
        time.timers.clear(handle)
      },
    }
    this.random = {
      fill: (target) => {
        this.#pass('random.fill')
        return random.fill(target)
      },
    }
    this.disk = this.diskOf(options.disk)
    this.index = this.#livingIndex(options.index)
  }

  get isDead(): boolean {
    return this.#options.points.isDead
  }

  /** Timers set and neither fired nor cleared. */
  get pendingTimers(): number {
    return this.#timers.size
  }

  get openConnections(): number {
    return this.#connections.size
  }

  /** SIGSTOP: nothing of what happens reaches the life until it is woken. */
  stop(): void {
    this.#isStopped = true
  }

  wake(): void {
    this.#isStopped = false
    for (const go of this.#whenWoken.splice(0)) this.enter(go)
  }

  get isStopped(): boolean {
    return this.#isStopped
  }

  /** Something comes in from outside: at once, when the life is woken, or never. */
  enter(event: () => void): void {
    if (this.isDead) return
    if (this.#isStopped) this.#whenWoken.push(event)
    else event()
  }

  /** After the last call: no timer fires any more, and the kernel closes what is open. */
  bury(closeAfterMs: number): void {
    const { time } = this.#options
    for (const handle of this.#timers) time.timers.clear(handle)
    this.#timers.clear()
    const connections = [...this.#connections]
    this.#connections.clear()
    const close = () => {
      for (const connection of connections) connection.destroy()
    }
    if (closeAfterMs === 0) close()
    else time.timers.set(closeAfterMs, close)
  }

  /** Ends the connections that were accepted. */
  closeDoors(): void {
    for (const connection of [...this.#accepted]) connection.destroy()
  }

  /** Dials as this life. */
  connect(address: Address, events: ConnectionEvents): Connection {
    const { points, network } = this.#options
    const phase = points.reach('transport.connect')
    if (phase === 'before') points.end('transport.connect')
    if (points.isDead) return deadConnection
    const line = `${address.host}:${address.port}`
    const connection = this.take(
      (inner) => network.transport.connect(address, inner),
      () => events,
      line,
    )
    if (phase !== undefined) points.end('transport.connect')
    return connection
  }

  /** A connection of this life, dialled or accepted: what it says and hears passes through here. */
  take(
    open: (events: ConnectionEvents) => Connection,
    eventsOf: (connection: Connection) => ConnectionEvents,
    line: string,
  ): Connection {
    let events: ConnectionEvents | undefined
    const inner = open({
      onOpen: () => this.enter(() => events?.onOpen()),
      onBytes: (bytes) => {
        // The sender's buffer is spoiled once this returns; a stopped life reads it later.
        const kept = this.#isStopped ? bytes.slice() : bytes
        this.enter(() => events?.onBytes(kept))
      },
      onClose: (error) => {
        this.#connections.delete(inner)
        this.#accepted.delete(inner)
        this.enter(() => (error === undefined ? events?.onClose() : events?.onClose(error)))
      },
    })
    this.#connections.add(inner)
    if (line === ACQUIRERS_LINE) this.#accepted.add(inner)
    const connection = this.#livingConnection(inner, line)
    events = eventsOf(connection)
    return connection
  }

  /** Work of another port, such as a batch of scores. */
  async run<Result>(call: PortCall, work: () => Promise<Result>): Promise<Result> {
    const { points } = this.#options
    if (points.isDead) return never()
    const phase = points.reach(call)
    if (phase !== undefined) {
      if (phase !== 'before') void work()
      points.end(call)
      return never()
    }
    const result = await work()
    await this.#entered()
    return result
  }

  #pass(call: PortCall): void {
    const { points } = this.#options
    if (!points.isDead && points.reach(call) !== undefined) points.end(call)
  }

  #setTimer(delayMs: number, callback: () => void): TimerHandle {
    const { points, time } = this.#options
    this.#pass('timers.set')
    if (points.isDead) return NO_TIMER
    // As Node.js does: whole milliseconds, one at least.
    const handle = time.timers.set(Math.max(1, Math.trunc(delayMs)), () => {
      this.enter(() => {
        // A stopped life may have cleared it meanwhile.
        if (!this.#timers.delete(handle)) return
        const phase = points.reach('timers.fire')
        if (phase !== 'before') callback()
        if (phase !== undefined) points.end('timers.fire')
      })
    })
    this.#timers.add(handle)
    return handle
  }

  #livingConnection(inner: Connection, line: string): Connection {
    const { points } = this.#options
    return {
      write: (bytes) => this.#write(inner, line, bytes),
      get bufferedBytes() {
        return inner.bufferedBytes
      },
      destroy: () => {
        this.#pass('connection.destroy')
        if (!points.isDead) inner.destroy()
      },
    }
  }

  #write(inner: Connection, line: string, bytes: Uint8Array): boolean {
    const { points, lineTroubles, random, spoil, onFault } = this.#options
    if (points.isDead) return false
    const phase = points.reach('connection.write')
    if (phase !== undefined) {
      if (phase === 'after') inner.write(bytes)
      if (phase === 'between') inner.write(bytes.subarray(0, random.below(bytes.length)))
      points.end('connection.write')
      return false
    }
    const trouble = lineTroubles.get(line)
    if (trouble === undefined) return inner.write(bytes)
    if (trouble.kind === 'spoil') {
      const spoiled = spoil(bytes)
      if (spoiled === undefined) return inner.write(bytes)
      lineTroubles.delete(line)
      onFault('message_corrupted')
      return inner.write(spoiled)
    }
    lineTroubles.delete(line)
    onFault('connection_cut')
    const isTaken = inner.write(bytes.subarray(0, Math.floor(trouble.share * bytes.length)))
    // What was written before arrives; then both ends hear of it.
    inner.destroy()
    return isTaken
  }

  /** `crash` has the effect of the last call, as much of it as the phase says. */
  async #onDisk<Result>(
    call: PortCall,
    work: () => Promise<Result>,
    crash: (phase: CrashPhase) => void,
  ): Promise<Result> {
    const { points, time, random, diskDelayMs, diskHang } = this.#options
    if (points.isDead) return never()
    const phase = points.reach(call)
    if (phase !== undefined) {
      crash(phase)
      points.end(call)
      return never()
    }
    const delayMs = diskDelayMs(call)
    // Had before its caller hears of it, or at the last moment: a crash between finds either.
    const isEarly = random.chance(0.5)
    const early = isEarly ? work() : undefined
    early?.catch(() => {})
    if (delayMs > 0) await new Promise<void>((resolve) => time.timers.set(delayMs, resolve))
    const hang = diskHang()
    if (hang !== undefined) await hang
    if (points.isDead) return never()
    try {
      return await (early ?? work())
    } finally {
      await this.#entered()
    }
  }

  /** Never resolves in a life that has ended; in a stopped one when it is woken. */
  #entered(): Promise<void> | undefined {
    if (this.isDead) return never()
    if (!this.#isStopped) return undefined
    return new Promise((resolve) => this.enter(resolve))
  }

  /** A folder, as this life sees it. */
  diskOf(disk: SimulatedDisk): Disk {
    const onDisk = <Result>(call: PortCall, work: () => Promise<Result>) =>
      this.#onDisk(call, work, (phase) => {
        void disk.crashAt(1, partOf(phase, this.#options.random))
        void work()
      })
    const file = (inner: DiskFile): DiskFile => ({
      name: inner.name,
      get sizeBytes() {
        return inner.sizeBytes
      },
      append: (bytes) => onDisk('file.append', () => inner.append(bytes)),
      sync: () => onDisk('file.sync', () => inner.sync()),
      read: (position, bytes) => onDisk('file.read', () => inner.read(position, bytes)),
      truncate: (sizeBytes) => onDisk('file.truncate', () => inner.truncate(sizeBytes)),
      close: () => onDisk('file.close', () => inner.close()),
    })
    return {
      list: () => onDisk('disk.list', () => disk.list()),
      open: async (name) => file(await onDisk('disk.open', () => disk.open(name))),
      remove: (name) => onDisk('disk.remove', () => disk.remove(name)),
      rename: (name, to) => onDisk('disk.rename', () => disk.rename(name, to)),
    }
  }

  #livingIndex(index: RecordIndex): RecordIndex {
    const whole = (call: PortCall, work: () => Promise<void>) =>
      this.#onDisk(call, work, (phase) => {
        if (phase !== 'before') void work()
      })
    return {
      get: (key) => index.get(key),
      list: (prefix, limit, order) => index.list(prefix, limit, order),
      write: (puts: readonly IndexPut[]) => whole('index.write', () => index.write(puts)),
      clear: () => whole('index.clear', () => index.clear()),
      close: () => whole('index.close', () => index.close()),
    }
  }
}

const deadConnection: Connection = { write: () => false, bufferedBytes: 0, destroy: () => {} }

function partOf(phase: CrashPhase, random: SeededRandom): number {
  if (phase === 'between') return random.fraction()
  return phase === 'before' ? 0 : 1
}

export function never(): Promise<never> {
  return new Promise(() => {})
}
