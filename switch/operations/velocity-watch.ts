// Whether velocity answers, looked at every second: one line when it goes missing, one when it is
// back. Decisions name it each time; this is for whoever reads the log or /readyz.

import type { TimerHandle, Timers } from '#scoring'
import type { Journal } from '../observe/index.ts'

const LOOK_EVERY_MS = 1_000

/** What scoring counts since the start. */
export interface VelocityCounters {
  readonly batches: number
  readonly velocityFaults: number
  /** Why the last batch was decided without velocity: a stable code or a message. */
  readonly lastVelocityFault: string | null
}

export class VelocityWatch {
  readonly #count: () => VelocityCounters
  readonly #timers: Timers
  readonly #log: Pick<Journal['log'], 'info' | 'warn'>
  #seenBatches = 0
  #seenFaults = 0
  #fault: string | null = null
  #timer: TimerHandle

  constructor(
    count: () => VelocityCounters,
    timers: Timers,
    log: Pick<Journal['log'], 'info' | 'warn'>,
  ) {
    this.#count = count
    this.#timers = timers
    this.#log = log
    this.#timer = timers.set(LOOK_EVERY_MS, () => this.#look())
  }

  /** Why velocity is missing; null while it answers, or nobody has asked yet. */
  get fault(): string | null {
    return this.#fault
  }

  stop(): void {
    this.#timers.clear(this.#timer)
  }

  #look(): void {
    this.#timer = this.#timers.set(LOOK_EVERY_MS, () => this.#look())
    const { batches, velocityFaults, lastVelocityFault } = this.#count()
    const hasFailed = velocityFaults > this.#seenFaults
    // Batches of this second that all had velocity: it is back.
    const hasAnswered = !hasFailed && batches > this.#seenBatches
    this.#seenBatches = batches
    this.#seenFaults = velocityFaults
    if (hasFailed) {
      const fault = lastVelocityFault ?? 'unknown'
      if (this.#fault === null) {
        const advice = 'decisions say degraded: velocity; check REDIS_URL and the server'
        this.#log.warn({ fault, advice }, 'velocity is missing')
      }
      this.#fault = fault
    } else if (hasAnswered && this.#fault !== null) {
      this.#fault = null
      this.#log.info('velocity is back')
    }
  }
}
