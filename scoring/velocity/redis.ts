// Velocity on Redis: one script call a batch, windows computed here from the bytes that come back.
//
//   observe ── pack ──> script: read, append, cut ──> ring or log of every entity, as it was
//                                                         │ the same appends, then the windows
//                                                         ▼
//   a tile whose log has become long ── compact script ── answers
//
// The packed batch, as the script reads it:
//
//   events 1 | bytes of an event 1 | event | event | ...
// then for each entity: kind 1 | key length 1 | key | version 8 (tiles) | events 1 | indexes, 1
// each
//   kind: 0 ring, 1 ring to be returned, 2 tile, 3 tile to be returned

import type { AggregatePlan } from '#rules'
import type { Clock, Timers } from '../ports.ts'
import { type Batch, batchAttempts, batchOutcomes, RECORDED_KINDS } from './batch.ts'
import { type Breaker, createBreaker } from './breaker.ts'
import { createEventLog, type EventLog, place, reserve } from './event-log.ts'
import {
  BREAKER_FAILURES_MAX,
  BREAKER_OPEN_MS,
  CALLS_IN_FLIGHT_MAX,
  COMPACTIONS_IN_FLIGHT_MAX,
  ENTITY_TTL_SECONDS,
  RING_BYTES_MAX,
  TILE_CACHE_BYTES_MAX,
  TILE_COMPACT_BYTES,
  TILE_HEADER_BYTES,
  TILE_LOG_BYTES_MAX,
  UNIT_BYTES,
} from './limits.ts'
import {
  createWorkspace,
  emptyAnswers,
  observeRing,
  observeTile,
  type Workspace,
} from './observe.ts'
import { type CompiledPlan, IS_TILE, planCompiler } from './plan.ts'
import { COMPACT_SCRIPT, OBSERVE_SCRIPT, type RedisScript } from './redis-script.ts'
import { type Answer, readEvents } from './ring.ts'
import {
  compact,
  compactionEnd,
  decodeBase,
  EMPTY_BASE,
  encodeBase,
  readVersion,
  type TileBase,
  versionBytes,
} from './tile.ts'
import { createTileCache, type TileCache } from './tile-cache.ts'
import type { Velocity, VelocityAttempt, VelocityOutcomeEvent } from './velocity.ts'
import { VelocityError } from './velocity-error.ts'

/** Port: one connection to Redis. Adapter: `scoring/adapters/redis-connection.ts`. */
export interface RedisConnection {
  /**
   * Runs a script, once at most. Resolves with its reply, strings as Buffers. Rejects when there is
   * no connection, no reply in time, or an error reply; always settles.
   */
  runScript(
    script: RedisScript,
    keys: readonly string[],
    args: readonly (string | Buffer)[],
  ): Promise<unknown>
  close(): Promise<void>
}

export interface RedisVelocityOptions {
  readonly connection: RedisConnection
  readonly clock: Clock
  readonly timers: Timers
  /** In front of every key; default `switchyard:v`. */
  readonly keyPrefix?: string
  /** Outcomes worth keeping; default declined and reversed. */
  readonly recordedKinds?: readonly VelocityOutcomeEvent['kind'][]
  readonly breakerFailuresMax?: number
  readonly breakerOpenMs?: number
}

export interface RedisVelocity extends Velocity {
  readonly breakerState: Breaker['state']
  /** Resolves when no compaction is under way. */
  settled(): Promise<void>
}

const DEFAULT_KEY_PREFIX = 'switchyard:v'
const TTL = `${ENTITY_TTL_SECONDS}`
const NO_VERSION = versionBytes(0)

/** A batch as the script reads it. `cache`: versions of the tiles that need not be sent again. */
function packBatch(
  batch: Batch,
  plan: CompiledPlan | undefined,
  bases: readonly (TileBase | undefined)[],
): Buffer {
  let size = 2 + batch.bytes.length
  for (const { key, events } of batch.entities) size += 11 + key.length + events.length
  const packed = Buffer.allocUnsafe(size)
  packed[0] = batch.count
  packed[1] = batch.eventBytes
  batch.bytes.copy(packed, 2)
  let at = 2 + batch.bytes.length
  for (let i = 0; i < batch.entities.length; i++) {
    const { entity, key, events } = batch.entities[i] as Batch['entities'][number]
    const isTile = IS_TILE[entity] === true
    packed[at++] = (isTile ? 2 : 0) + (plan?.queries[entity] === undefined ? 0 : 1)
    packed[at++] = key.length
    at += packed.write(key, at, 'latin1')
    if (isTile) {
      const base = bases[i]
      at += (base === undefined ? NO_VERSION : versionBytes(base.version)).copy(packed, at)
    }
    packed[at++] = events.length
    for (const event of events) packed[at++] = event
  }
  return packed.subarray(0, at)
}

/** A compaction that waits for the next turn of the event loop: answers go first. */
interface Compaction {
  readonly key: string
  readonly base: TileBase
  readonly next: TileBase
  readonly dropBytes: number
}

/** The calls to Redis, with deadline and breaker. */
class Caller {
  readonly breaker: Breaker
  readonly #connection: RedisConnection
  readonly #timers: Timers
  #inFlight = 0
  #closed = false

  constructor(options: RedisVelocityOptions) {
    this.#connection = options.connection
    this.#timers = options.timers
    this.breaker = createBreaker({
      clock: options.clock,
      failuresMax: options.breakerFailuresMax ?? BREAKER_FAILURES_MAX,
      openMs: options.breakerOpenMs ?? BREAKER_OPEN_MS,
    })
  }

  close(): void {
    this.#closed = true
  }

  assertOpen(): void {
    if (this.#closed) throw new VelocityError('velocity_closed', 'velocity was closed')
  }

  /** Rejects with a VelocityError. */
  async run(
    script: RedisScript,
    keys: readonly string[],
    args: readonly (string | Buffer)[],
    deadlineMs: number,
  ): Promise<unknown> {
    this.assertOpen()
    if (this.#inFlight >= CALLS_IN_FLIGHT_MAX) {
      throw new VelocityError('velocity_busy', `${CALLS_IN_FLIGHT_MAX} calls are under way`)
    }
    if (!this.breaker.allows()) {
      throw new VelocityError('velocity_suspended', 'Redis failed a moment ago; not asked')
    }
    this.#inFlight++
    const reply = this.#connection.runScript(script, keys, args)
    reply.then(this.#ended, this.#ended)
    return await this.#withDeadline(reply, deadlineMs)
  }

  readonly #ended = (): void => {
    this.#inFlight--
  }

  #withDeadline(reply: Promise<unknown>, deadlineMs: number): Promise<unknown> {
    return new Promise((resolve, reject) => {
      let over = false
      const timer = this.#timers.set(deadlineMs, () => {
        over = true
        this.breaker.failed()
        reject(new VelocityError('velocity_timeout', `no answer from Redis in ${deadlineMs} ms`))
      })
      reply.then(
        (value) => {
          if (over) return
          this.#timers.clear(timer)
          this.breaker.succeeded()
          resolve(value)
        },
        (cause: unknown) => {
          if (over) return
          this.#timers.clear(timer)
          this.breaker.failed()
          const message = cause instanceof Error ? cause.message : String(cause)
          reject(new VelocityError('velocity_unreachable', `Redis: ${message}`, cause))
        },
      )
    })
  }
}

/** Compactions of tiles, after the answers, a bounded number at once. */
class Compactor {
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
    if (length <= TILE_COMPACT_BYTES) return
    if (lengthBefore > TILE_COMPACT_BYTES && length <= 2 * TILE_COMPACT_BYTES) return
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

/** The base that a log continues: the one at hand, or the one that came with it. */
function baseOf(log: Buffer, sent: Buffer, known: TileBase | undefined): TileBase {
  if (log.length < TILE_HEADER_BYTES) return EMPTY_BASE
  const version = readVersion(log, 0)
  if (version === 0) return EMPTY_BASE
  if (known?.version === version) return known
  const decoded = decodeBase(sent)
  if (decoded?.version === version) return decoded
  // Lost, or written by a later layout: its counts are gone, its version is needed to go on.
  return { ...EMPTY_BASE, version }
}

function bytesAt(replies: readonly unknown[], index: number): Buffer {
  const reply = replies[index]
  if (Buffer.isBuffer(reply)) return reply
  throw new VelocityError('velocity_unreachable', 'Redis: the script answered something else')
}

/**
 * Velocity on one Redis (7.0 or newer), shared by any number of processes. `observe` and `publish`
 * reject with a `VelocityError`.
 */
export function createRedisVelocity(options: RedisVelocityOptions): RedisVelocity {
  return new OnRedis(options)
}

class OnRedis implements RedisVelocity {
  readonly #options: RedisVelocityOptions
  readonly #prefix: string
  readonly #recordedKinds: readonly VelocityOutcomeEvent['kind'][]
  readonly #cache = createTileCache(TILE_CACHE_BYTES_MAX)
  readonly #caller: Caller
  readonly #compactor: Compactor
  readonly #compile = planCompiler()
  readonly #workspace = createWorkspace()
  readonly #scratch = createEventLog(TILE_LOG_BYTES_MAX)

  constructor(options: RedisVelocityOptions) {
    this.#options = options
    this.#prefix = options.keyPrefix ?? DEFAULT_KEY_PREFIX
    this.#recordedKinds = options.recordedKinds ?? RECORDED_KINDS
    this.#caller = new Caller(options)
    this.#compactor = new Compactor(options.connection, options.timers, this.#cache)
  }

  get breakerState() {
    return this.#caller.breaker.state
  }

  settled() {
    return this.#compactor.settled()
  }

  async observe(attempts: readonly VelocityAttempt[], plan: AggregatePlan, deadlineMs: number) {
    this.#caller.assertOpen()
    const compiled = this.#compile(plan)
    const batch = batchAttempts(attempts, this.#prefix)
    const answers = emptyAnswers(attempts.length, compiled.size)
    await this.#send(batch, compiled, answers, deadlineMs)
    return answers
  }

  async publish(outcomes: readonly VelocityOutcomeEvent[], deadlineMs: number): Promise<void> {
    this.#caller.assertOpen()
    const recorded = outcomes.filter(({ kind }) => this.#recordedKinds.includes(kind))
    await this.#send(batchOutcomes(recorded, this.#prefix), undefined, [], deadlineMs)
  }

  async close(): Promise<void> {
    this.#caller.close()
    await this.#compactor.settled()
    await this.#options.connection.close()
  }

  /** One script call for the batch; its replies become the answers. */
  async #send(
    batch: Batch,
    plan: CompiledPlan | undefined,
    answers: readonly Answer[],
    deadlineMs: number,
  ): Promise<void> {
    const first = batch.entities[0]
    if (first === undefined) return
    const bases = batch.entities.map(({ entity, key }) =>
      IS_TILE[entity] === true ? this.#cache.get(key) : undefined,
    )
    const args = [
      TTL,
      `${RING_BYTES_MAX}`,
      `${TILE_LOG_BYTES_MAX}`,
      `${TILE_COMPACT_BYTES}`,
      packBatch(batch, plan, bases),
    ]
    const replies = await this.#caller.run(OBSERVE_SCRIPT, [first.key], args, deadlineMs)
    if (!Array.isArray(replies)) {
      throw new VelocityError('velocity_unreachable', 'Redis: the script answered something else')
    }
    this.#answer(batch, plan, bases, replies, answers)
  }

  #answer(
    batch: Batch,
    plan: CompiledPlan | undefined,
    bases: readonly (TileBase | undefined)[],
    replies: readonly unknown[],
    answers: readonly Answer[],
  ): void {
    const workspace = this.#workspace
    const scratch = this.#scratch
    workspace.repeated.fill(0)
    workspace.suspected.fill(0)
    for (const event of bytesAt(replies, 0)) workspace.suspected[event] = 1
    let at = 1
    for (let i = 0; i < batch.entities.length; i++) {
      const entity = batch.entities[i] as Batch['entities'][number]
      const query = plan?.queries[entity.entity]
      const before = bytesAt(replies, at++)
      if (IS_TILE[entity.entity] !== true) {
        if (query === undefined) continue
        this.#load(before, 0)
        observeRing(workspace, scratch, batch, entity, query, answers)
        continue
      }
      const sent = bytesAt(replies, at++)
      if (query === undefined && before.length === 0) continue
      const base = baseOf(before, sent, bases[i])
      if (sent.length > 0) this.#cache.set(entity.key, base)
      this.#load(before, TILE_HEADER_BYTES)
      observeTile(workspace, scratch, base, batch, entity, query, answers)
      this.#compactor.consider(entity.key, entity.entity, base, before.length, scratch, workspace)
    }
  }

  /** The scratch log with the bytes of one entity, from `from` on. */
  #load(source: Buffer, from: number): void {
    const scratch = this.#scratch
    const to = source.length
    const at = Math.min(from, to)
    scratch.start = 0
    scratch.end = 0
    reserve(scratch, to - at + UNIT_BYTES)
    place(scratch, source, at, to)
  }
}
