// What other processes queue for lanes that are ours: looked for now and then. A look asks for what
// was queued since the last one's horizon, below which every transaction had ended, so a message
// that was being committed meanwhile is seen by the next look. Some are seen twice.

import type { TimerHandle, Timers } from '../../ports.ts'
import type { Delivery } from '../transaction-store.ts'
import { DatabaseError } from './database.ts'
import type { Lease } from './lease.ts'
import type { PostgresLimits } from './limits.ts'
import type { Reader } from './reader.ts'

export interface LanePollOptions {
  readonly reader: Reader
  readonly lease: Lease
  readonly timers: Timers
  readonly limits: PostgresLimits
  /** A look begins. */
  readonly onLook: () => void
  readonly onQueued: (deliveries: readonly Delivery[]) => void
}

export class LanePoll {
  readonly #options: LanePollOptions
  #timer: TimerHandle | undefined
  /** A transaction number of PostgreSQL, as text: 64 bits. */
  #horizon = '0'
  #isStopped = false
  /** Why the last look failed; null while the database answers. */
  problem: string | null = null

  constructor(options: LanePollOptions) {
    this.#options = options
  }

  /** What is queued from now on; what is there is read by whoever opens the store. */
  async begin(): Promise<void> {
    this.#horizon = await this.#options.reader.horizon()
  }

  start(): void {
    const { timers, limits } = this.#options
    if (this.#isStopped) return
    this.#timer = timers.set(limits.lanePollMs, () => void this.#look().then(() => this.start()))
  }

  stop(): void {
    this.#isStopped = true
    this.#options.timers.clear(this.#timer)
  }

  async #look(): Promise<void> {
    const { reader, lease, onLook, onQueued } = this.#options
    onLook()
    try {
      // Without a lane it is a look whether the database is there.
      const { deliveries, horizon } = await reader.pendingSince(lease.lanes, this.#horizon)
      this.#horizon = horizon
      this.problem = null
      if (deliveries.length > 0 && !this.#isStopped) onQueued(deliveries)
    } catch (error) {
      if (!(error instanceof DatabaseError)) throw error
      this.problem = error.message
    }
  }
}
