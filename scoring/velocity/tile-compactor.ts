// Moves what is old in the logs of tiles on Redis into their compacted parts.

import type { Timers } from '../ports.ts'
import type { EventLog } from './event-log.ts'
import { COMPACTIONS_IN_FLIGHT_MAX, ENTITY_TTL_SECONDS, TILE_HEADER_BYTES } from './limits.ts'
import type { Workspace } from './observe.ts'
import type { RedisConnection } from './redis-connection.ts'
import { COMPACT_SCRIPT } from './redis-script.ts'
import { readEvents } from './ring.ts'
import {
  compact,
  compactBytes,
  compactionEnd,
  encodeBase,
  type TileBase,
  versionBytes,
} from './tile.ts'
import type { TileCache } from './tile-cache.ts'

const TTL = `${ENTITY_TTL_SECONDS}`

/** A compaction that waits for the next turn of the event loop: answers go first. */
interface Compaction {
  readonly key: string
  readonly base: TileBase
  readonly next: TileBase
  readonly dropBytes: number
}

/** Compactions of tiles, after the answers, a bounded number at once. */
export class TileCompactor {
  readonly #connection: RedisConnection
  readonly #timers: Timers
  readonly #cache: TileCache
  readonly #underWay = new Map<string, Promise<void>>()

  constructor(connection: RedisConnection, timers: Timers, cache: TileCache) {
    this.#connection = connection
    this.#timers = timers
    this.#cache = cache
  }

  /**
   * Compacts a tile when this batch has made its log long, so of many processes one does; or when
   * it is far too long, because that one failed. `events` is the log after the batch, `columns` is
   * scratch.
   */
  consider(
    key: string,
    entity: number,
    base: TileBase,
    lengthBefore: number,
    log: EventLog,
    workspace: Workspace,
  ): void {
    const length = TILE_HEADER_BYTES + log.end - log.start
    const compactAt = compactBytes(base)
    if (length <= compactAt) return
    if (lengthBefore > compactAt && length <= 2 * compactAt) return
    if (this.#underWay.has(key) || this.#underWay.size >= COMPACTIONS_IN_FLIGHT_MAX) return
    readEvents(workspace.columns, log, log.start, log.end)
    const end = compactionEnd(workspace.columns, log.end)
    readEvents(workspace.columns, log, log.start, end)
    const next = compact(base, entity, workspace.columns)
    const compaction = { key, base, next, dropBytes: end - log.start }
    this.#underWay.set(
      key,
      new Promise((resolve) => {
        this.#timers.set(0, () => resolve(this.#run(compaction)))
      }),
    )
  }

  async #run({ key, base, next, dropBytes }: Compaction): Promise<void> {
    try {
      const done = await this.#connection.runScript(
        COMPACT_SCRIPT,
        [key, `${key}b`],
        [
          versionBytes(base.version),
          versionBytes(next.version),
          `${dropBytes}`,
          encodeBase(next),
          TTL,
        ],
      )
      if (done === 1) this.#cache.set(key, next)
    } catch {
      // The log stays as it is, or the base was moved and this process reads it again: either is
      // right. Whoever finds the log too long compacts it next.
    } finally {
      this.#underWay.delete(key)
    }
  }

  async settled(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.all(this.#underWay.values())
  }
}
