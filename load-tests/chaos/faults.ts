// What may be done to a running system, and when: a plan that a seed decides.

import { seededRandom } from '../random.ts'

export type StoreKind = 'embedded' | 'postgres'
export type Part = 'switch' | 'issuer' | 'redis' | 'postgres' | 'disk'

interface FaultWords {
  readonly part: Part
  /** Where the part is; absent: with both stores. */
  readonly store?: StoreKind
  readonly says: string
}

/** Every fault by its name on the command line. */
export const FAULTS = {
  'kill-switch': { part: 'switch', says: 'kill -9 of a switch; its supervisor starts it again' },
  'stop-switch': { part: 'switch', says: 'SIGSTOP of a switch for a second or two' },
  'stop-switch-past-lease': {
    part: 'switch',
    store: 'postgres',
    says: 'SIGSTOP of a switch for longer than its lease, then SIGCONT',
  },
  'full-disk': { part: 'disk', store: 'embedded', says: 'no room for another record' },
  'kill-issuer': { part: 'issuer', says: 'kill -9 of an issuer' },
  'stop-issuer': { part: 'issuer', says: 'SIGSTOP of an issuer: its connections stay open' },
  'delay-issuer': { part: 'issuer', says: 'bytes to and from an issuer come late' },
  'throttle-issuer': { part: 'issuer', says: 'a few kB a second to and from an issuer' },
  'stall-issuer': { part: 'issuer', says: 'the link to an issuer is away and comes back' },
  'cut-issuer': { part: 'issuer', says: 'connections to an issuer end amid a message, repeatedly' },
  'half-open-issuer': { part: 'issuer', says: 'what goes to an issuer, or comes, is lost' },
  'kill-redis': { part: 'redis', says: 'kill -9 of redis-server; it comes back empty' },
  'stop-redis': { part: 'redis', says: 'SIGSTOP of redis-server' },
  'delay-redis': { part: 'redis', says: 'bytes to and from Redis come late' },
  'cut-redis': { part: 'redis', says: 'connections to Redis end amid a reply, repeatedly' },
  'half-open-redis': { part: 'redis', says: 'what goes to Redis, or comes, is lost' },
  'kill-postgres': { part: 'postgres', store: 'postgres', says: 'kill -9 of PostgreSQL' },
  'stop-postgres': {
    part: 'postgres',
    store: 'postgres',
    says: 'SIGSTOP of all of PostgreSQL for a second or two',
  },
  'stop-postgres-past-lease': {
    part: 'postgres',
    store: 'postgres',
    says: 'the same for longer than the leases of both switches',
  },
  'delay-postgres': { part: 'postgres', store: 'postgres', says: 'bytes of one switch come late' },
  'stall-postgres': { part: 'postgres', store: 'postgres', says: 'one switch loses it, then not' },
  'cut-postgres': { part: 'postgres', store: 'postgres', says: "one switch's connections end" },
  'half-open-postgres': {
    part: 'postgres',
    store: 'postgres',
    says: "one switch's bytes are lost",
  },
} as const satisfies Readonly<Record<string, FaultWords>>

export type FaultName = keyof typeof FAULTS

export const FAULT_NAMES = Object.keys(FAULTS) as readonly FaultName[]

/** The faults that a store's scenario has a part for. */
export function faultsFor(store: StoreKind, wanted: readonly FaultName[]): FaultName[] {
  return wanted.filter((name) => {
    const words: FaultWords = FAULTS[name]
    return words.store === undefined || words.store === store
  })
}

export interface PlannedFault {
  readonly fault: FaultName
  /** From the first message on. */
  readonly atMs: number
  readonly forMs: number
  /** A number in [0, 1): which of several parts, which direction. */
  readonly draw: number
}

export interface PlanOptions {
  readonly seed: number
  readonly faults: readonly FaultName[]
  readonly durationMs: number
  readonly leaseMs: number
}

/** Load alone before the first fault and after the last. */
const QUIET_MS = 2_000
/** From one fault to the next: shorter ones leave no time to recover, longer ones test less. */
const SLOT_MS = { min: 3_500, max: 9_000 } as const
/** The part of a slot that a fault may last. */
const LASTING = { min: 0.1, max: 0.35 } as const
/** How often something happens to the network while something else is down. */
const TOGETHER = 0.35
const NETWORK = /^(delay|throttle|stall|cut|half-open)-/

/**
 * One fault a slot, every one that was wanted before any comes again; now and then the network of
 * another part is bad at the same time. In order of their times.
 */
export function planFaults({ seed, faults, durationMs, leaseMs }: PlanOptions): PlannedFault[] {
  const random = seededRandom(seed)
  const room = durationMs - 2 * QUIET_MS
  if (faults.length === 0 || room <= 0) return []
  const slotMs = Math.min(SLOT_MS.max, Math.max(SLOT_MS.min, room / faults.length))
  const planned: PlannedFault[] = []
  const deck = new Deck(faults, random)
  for (let startMs = QUIET_MS; startMs + slotMs <= QUIET_MS + room + 1; startMs += slotMs) {
    const fault = deck.draw()
    const part = LASTING.min + random() * (LASTING.max - LASTING.min)
    const forMs = fault.endsWith('-past-lease') ? leaseMs * 1.7 : slotMs * part
    planned.push({ fault, atMs: startMs + random() * slotMs * 0.15, forMs, draw: random() })
    if (random() >= TOGETHER) continue
    const others = faults.filter(
      (name) => NETWORK.test(name) && FAULTS[name].part !== FAULTS[fault].part,
    )
    const other = others[Math.floor(random() * others.length)]
    if (other === undefined) continue
    planned.push({ fault: other, atMs: startMs, forMs: slotMs * LASTING.max, draw: random() })
  }
  return planned.sort((a, b) => a.atMs - b.atMs)
}

/** Gives every card once before any a second time. */
class Deck {
  readonly #cards: readonly FaultName[]
  readonly #random: () => number
  #left: FaultName[] = []

  constructor(cards: readonly FaultName[], random: () => number) {
    this.#cards = cards
    this.#random = random
  }

  draw(): FaultName {
    if (this.#left.length === 0) this.#left = [...this.#cards]
    const [card] = this.#left.splice(Math.floor(this.#random() * this.#left.length), 1)
    return card as FaultName
  }
}
