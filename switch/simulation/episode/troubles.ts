// What goes wrong for a while: begun by the plan, ended by itself or when faults end.

import { createSeededRandom, type SeededRandom } from '../random.ts'
import type { Bank } from './bank.ts'
import type { PortCall } from './crash-point.ts'
import type { Episode } from './episode.ts'
import { TO_THE_SWITCH } from './iso-acquirer.ts'
import type { Trouble, TroubleEntry } from './plan.ts'
import { ACQUIRERS_LINE, type LineTroubles } from './ports.ts'

/** Calls that take a disk's time; the others are the kernel's memory. */
const SLOW_CALLS: ReadonlySet<PortCall> = new Set([
  'file.append',
  'file.sync',
  'file.truncate',
  'disk.open',
  'index.write',
])

export class Troubles {
  readonly lines: LineTroubles = new Map()
  readonly #episode: Episode
  #diskSlowMs = 0
  #diskHang: { readonly over: Promise<void>; readonly end: () => void } | undefined
  #networkSlowMs = 0
  /** What ends what is under way. */
  readonly #endings = new Set<() => void>()

  constructor(episode: Episode) {
    this.#episode = episode
  }

  networkDelayMs(random: SeededRandom): number {
    return this.#networkSlowMs === 0 ? 0 : random.fraction() * this.#networkSlowMs
  }

  diskDelayMs(call: PortCall, random: SeededRandom): number {
    if (!SLOW_CALLS.has(call)) return 0
    const usualMs = 0.1 + random.fraction() * 2
    return this.#diskSlowMs === 0 ? usualMs : usualMs + random.fraction() * this.#diskSlowMs
  }

  /** While the disk hangs: resolves when it does not. */
  diskHang(): Promise<void> | undefined {
    return this.#diskHang?.over
  }

  begin(entry: TroubleEntry): void {
    const random = createSeededRandom(entry.seed)
    const { banks, books } = this.#episode
    const bank = banks[random.below(banks.length)]
    if (bank === undefined) throw new Error('an episode has issuers')
    // These two are counted when the bytes come by.
    const isCounted = entry.trouble !== 'connection_cut' && entry.trouble !== 'message_corrupted'
    if (isCounted) books.fault(entry.trouble)
    this.#begin[entry.trouble](entry.forMs, random, bank)
  }

  readonly #begin: Readonly<
    Record<Trouble, (forMs: number, random: SeededRandom, bank: Bank) => void>
  > = {
    restart: () => this.#episode.drainLife('SIGTERM'),
    disk_slow: (forMs, random) => {
      this.#diskSlowMs = 20 + random.below(random.chance(0.8) ? 400 : 3_000)
      this.#end(forMs, () => {
        this.#diskSlowMs = 0
      })
    },
    disk_full: (forMs) => this.#fillDisk(forMs),
    disk_write_failed: (forMs) => this.#failDisk(forMs, 'append'),
    disk_sync_failed: (forMs) => this.#failDisk(forMs, 'sync'),
    disk_read_failed: (forMs) => this.#failDisk(forMs, 'read'),
    disk_hung: (forMs) => this.#hangDisk(forMs),
    issuer_slow: (forMs, random, bank) => {
      bank.slowMs = 200 + random.below(12_000)
      this.#end(forMs, () => {
        bank.slowMs = 0
      })
    },
    issuer_silent: (forMs, _random, bank) => {
      bank.isSilent = true
      this.#end(forMs, () => {
        bank.isSilent = false
      })
    },
    issuer_dead: (forMs, _random, bank) => {
      bank.shut()
      this.#end(forMs, () => bank.open())
    },
    issuer_flapping: (forMs, random, bank) => {
      for (let i = 0; i < 4; i++) {
        this.#episode.time.timers.set(random.below(forMs), () => bank.disconnect())
      }
    },
    network_slow: (forMs, random) => {
      this.#networkSlowMs = 50 + random.below(3_000)
      this.#end(forMs, () => {
        this.#networkSlowMs = 0
      })
    },
    network_stalled: (forMs, _random, { address }) => {
      this.#episode.network.stall(true, address)
      this.#end(forMs, () => this.#episode.network.stall(false, address))
    },
    connection_cut: (_forMs, random, bank) => {
      this.lines.set(lineOf(random, bank), { kind: 'cut', share: random.fraction() })
    },
    message_corrupted: (_forMs, random, bank) => {
      this.lines.set(lineOf(random, bank), { kind: 'spoil' })
    },
    velocity_gone: (forMs) => this.#velocity('gone', forMs),
    velocity_slow: (forMs) => this.#velocity('slow', forMs),
    velocity_empty: () => this.#episode.life?.scorer?.forget(),
    clock_stepped: (_forMs, random) => this.#stepClock(random),
    process_stopped: (forMs) => this.#stopProcess(forMs),
  }

  endAll(): void {
    for (const end of [...this.#endings]) end()
    this.lines.clear()
  }

  #end(afterMs: number, end: () => void): void {
    const once = () => {
      if (this.#endings.delete(once)) end()
    }
    this.#endings.add(once)
    this.#episode.time.timers.set(afterMs, once)
  }

  #hangDisk(forMs: number): void {
    if (this.#diskHang !== undefined) return
    let end = () => {}
    const over = new Promise<void>((resolve) => {
      end = resolve
    })
    this.#diskHang = { over, end }
    this.#end(forMs, () => {
      this.#diskHang = undefined
      end()
    })
  }

  #fillDisk(forMs: number): void {
    const { disk } = this.#episode
    disk.setCapacity(disk.usedBytes)
    this.#end(forMs, () => this.#episode.disk.setCapacity(Number.POSITIVE_INFINITY))
  }

  #failDisk(forMs: number, call: 'append' | 'sync' | 'read'): void {
    this.#episode.disk.failWith('EIO', call)
    this.#end(forMs, () => this.#episode.disk.failWith(null))
  }

  #velocity(state: 'gone' | 'slow', forMs: number): void {
    this.#episode.velocity = state
    this.#end(forMs, () => {
      this.#episode.velocity = 'fine'
    })
  }

  /** Mostly back, as an operator or NTP would; the monotonic clock goes on. */
  #stepClock(random: SeededRandom): void {
    const byMs = random.below(random.chance(0.7) ? 5_000 : 600_000)
    this.#episode.time.stepWallClock(random.chance(0.8) ? -byMs : byMs)
  }

  #stopProcess(forMs: number): void {
    const { life, time } = this.#episode
    if (life === undefined || life.ports.isStopped) return
    life.ports.stop()
    this.#episode.lastStoppedMs = Number.POSITIVE_INFINITY
    this.#end(forMs, () => {
      this.#episode.lastStoppedMs = time.clock.monotonic()
      life.ports.wake()
    })
  }
}

/** The bank's line, or sometimes the acquirers', either way. */
function lineOf(random: SeededRandom, { address }: Bank): string {
  const line = random.below(8)
  if (line < 2) return ACQUIRERS_LINE
  return line === 2 ? TO_THE_SWITCH : `${address.host}:${address.port}`
}
