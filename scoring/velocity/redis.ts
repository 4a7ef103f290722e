// Velocity on Redis: one script call a batch and server, windows computed here from the bytes that
// come back.
//
//   observe ── pack ──> script: read, append, cut ──> ring or log of every entity, as it was
//                                                         │ the same appends, then the windows
//                                                         ▼
//   a tile whose log has become long ── compact script ── answers
//
// In a cluster rings go first, then tiles, side by side at every server: a resent event is known to
// some ring, wherever it stands, and must not be counted by a tile whose log has forgotten it.
//
//   one server    rings and tiles ──────────────> answers
//   a cluster     rings at A ─┐ known  ┌─ tiles at A
//                 rings at B ─┼────────┼─ tiles at B ─> answers; what a server did not give is NaN
//                 rings at C ─┘        └─ tiles at C

import type { AggregatePlan } from '#rules'
import type { Clock, Timers } from '../ports.ts'
import {
  type Batch,
  type BatchEntity,
  batchAttempts,
  batchOutcomes,
  type EntityLabels,
  labelKey,
  labelsByEntity,
  RECORDED_KINDS,
  sortPublished,
} from './batch.ts'
import type { Breaker } from './breaker.ts'
import { createEventLog, place, reserve } from './event-log.ts'
import { addLabels } from './label-days.ts'
import {
  BATCH_MAX,
  ENTITY_TTL_SECONDS,
  LABEL_TRIES_MAX,
  LABEL_TTL_SECONDS,
  RING_BYTES_MAX,
  RING_LONG_BYTES,
  RING_SLACK_BYTES,
  SERVERS_MAX,
  TILE_CACHE_BYTES_MAX,
  TILE_COMPACT_BYTES,
  TILE_HEADER_BYTES,
  TILE_LOG_BYTES_MAX,
  UNIT_BYTES,
} from './limits.ts'
import {
  answerLabels,
  createWorkspace,
  emptyAnswers,
  observeRing,
  observeTile,
  readRing,
  readTile,
} from './observe.ts'
import { packBatch } from './packed-batch.ts'
import { type CompiledPlan, type EntityQuery, IS_TILE, planCompiler } from './plan.ts'
import { RedisCaller } from './redis-caller.ts'
import { KeysMoved, type RedisConnection } from './redis-connection.ts'
import { LABEL_SCRIPT, OBSERVE_SCRIPT } from './redis-script.ts'
import type { Answer } from './ring.ts'
import { decodeBase, EMPTY_BASE, readVersion, type TileBase } from './tile.ts'
import { createTileCache } from './tile-cache.ts'
import { TileCompactor } from './tile-compactor.ts'
import type {
  OutcomeKind,
  Velocity,
  VelocityAttempt,
  VelocityLabel,
  VelocityOutcomeEvent,
  VelocityValues,
} from './velocity.ts'
import { VelocityError } from './velocity-error.ts'

export interface RedisVelocityOptions {
  readonly connection: RedisConnection
  readonly clock: Clock
  readonly timers: Timers
  /** In front of every key; default `switchyard:v`. */
  readonly keyPrefix?: string
  /** Outcomes worth keeping; default all but approved. */
  readonly recordedKinds?: readonly OutcomeKind[]
  readonly breakerFailuresMax?: number
  readonly breakerOpenMs?: number
}

export interface RedisVelocity extends Velocity {
  /** Open where any server's is. */
  readonly breakerState: Breaker['state']
  /**
   * Answers as of each attempt's time and appends nothing, so the attempt itself is not counted.
   * Rejects like `observe`.
   */
  read(
    attempts: readonly VelocityAttempt[],
    plan: AggregatePlan,
    deadlineMs: number,
  ): Promise<readonly VelocityValues[]>
  /** Resolves when no compaction is under way. */
  settled(): Promise<void>
}

export const DEFAULT_KEY_PREFIX = 'switchyard:v'
const TTL = `${ENTITY_TTL_SECONDS}`
/** What the script is told with every batch, see there. */
const SCRIPT_LIMITS = [
  TTL,
  `${RING_BYTES_MAX}`,
  `${RING_BYTES_MAX + RING_SLACK_BYTES}`,
  `${RING_LONG_BYTES}`,
  `${TILE_LOG_BYTES_MAX}`,
  `${TILE_COMPACT_BYTES}`,
]
const LABEL_TTL = `${LABEL_TTL_SECONDS}`
/** No counts: the script only reads. */
const UNREAD = Buffer.from('?')
const ALL_KNOWN = new Uint8Array(BATCH_MAX).fill(1)
/** The only one, where the connection does not tell servers apart. */
const ONE_SERVER = ''

/**
 * The base that a log continues: the one at hand, or the one that came with it. Undefined where it
 * is lost, written by a later layout, or has not moved to this server with its log yet.
 */
function baseOf(log: Buffer, sent: Buffer, known: TileBase | undefined): TileBase | undefined {
  if (log.length < TILE_HEADER_BYTES) return EMPTY_BASE
  const version = readVersion(log, 0)
  if (version === 0) return EMPTY_BASE
  if (known?.version === version) return known
  const decoded = decodeBase(sent)
  return decoded?.version === version ? decoded : undefined
}

function markPartial({ events }: BatchEntity, answers: readonly Answer[]): void {
  for (const event of events) {
    const answer = answers[event]
    if (answer !== undefined) answer.isPartial = true
  }
}

/** Nothing is wrong with the server: its keys are elsewhere. */
function haveMoved(error: unknown): boolean {
  return error instanceof VelocityError && error.cause instanceof KeysMoved
}

function bytesAt(replies: readonly unknown[], index: number): Buffer {
  const reply = replies[index]
  if (Buffer.isBuffer(reply)) return reply
  throw new VelocityError('velocity_unreachable', 'Redis: the script answered something else')
}

/** What one call was about, and what came back: undefined where the server did not answer. */
interface Part {
  readonly entities: readonly BatchEntity[]
  /** Sent again after keys had moved: what it knows may be from the first time. */
  readonly isSecond: boolean
  readonly bases: readonly (TileBase | undefined)[]
  readonly replies: readonly unknown[] | undefined
  readonly error: unknown
}

/**
 * Velocity on one Redis (7.0 or newer) or a Redis Cluster, shared by any number of processes.
 * `observe` and `publish` reject with a `VelocityError`; where a cluster answered in part, what is
 * missing is NaN and the answer says `isPartial`.
 */
export function createRedisVelocity(options: RedisVelocityOptions): RedisVelocity {
  return new OnRedis(options)
}

class OnRedis implements RedisVelocity {
  readonly #options: RedisVelocityOptions
  readonly #prefix: string
  readonly #recordedKinds: readonly OutcomeKind[]
  readonly #cache = createTileCache(TILE_CACHE_BYTES_MAX)
  readonly #callers = new Map<string, RedisCaller>()
  readonly #compactor: TileCompactor
  readonly #compile = planCompiler()
  readonly #workspace = createWorkspace()
  readonly #scratch = createEventLog(TILE_LOG_BYTES_MAX)
  #isClosed = false

  constructor(options: RedisVelocityOptions) {
    this.#options = options
    this.#prefix = options.keyPrefix ?? DEFAULT_KEY_PREFIX
    this.#recordedKinds = options.recordedKinds ?? RECORDED_KINDS
    this.#compactor = new TileCompactor(options.connection, options.timers, this.#cache)
  }

  get breakerState(): Breaker['state'] {
    const states = [...this.#callers.values()].map(({ breaker }) => breaker.state)
    return states.find((state) => state !== 'closed') ?? 'closed'
  }

  settled() {
    return this.#compactor.settled()
  }

  async observe(attempts: readonly VelocityAttempt[], plan: AggregatePlan, deadlineMs: number) {
    this.#assertOpen()
    const compiled = this.#compile(plan)
    const batch = batchAttempts(attempts, this.#prefix)
    const answers = emptyAnswers(attempts.length, compiled.size)
    await this.#send(batch, compiled, answers, deadlineMs)
    return answers
  }

  async read(attempts: readonly VelocityAttempt[], plan: AggregatePlan, deadlineMs: number) {
    this.#assertOpen()
    const compiled = this.#compile(plan)
    const batch = batchAttempts(attempts, this.#prefix)
    const answers = emptyAnswers(attempts.length, compiled.size)
    const asked = batch.entities.filter(({ entity }) => compiled.queries[entity] !== undefined)
    // Events that are all known already are appended nowhere.
    const parts = await this.#callEach(batch, asked, compiled, ALL_KNOWN, deadlineMs)
    for (const part of parts) {
      if (part.replies === undefined) throw part.error
      this.#readPart(part, part.replies, batch, compiled, answers)
    }
    return answers
  }

  #readPart(
    { entities, bases }: Part,
    replies: readonly unknown[],
    batch: Batch,
    plan: CompiledPlan,
    answers: readonly Answer[],
  ): void {
    const workspace = this.#workspace
    const scratch = this.#scratch
    let at = 1
    for (let i = 0; i < entities.length; i++) {
      const entity = entities[i] as BatchEntity
      const query = plan.queries[entity.entity] as EntityQuery
      const before = bytesAt(replies, at++)
      if (IS_TILE[entity.entity] !== true) {
        this.#load(before, 0)
        readRing(workspace, scratch, batch, entity, query, answers)
      } else {
        const base = baseOf(before, bytesAt(replies, at++), bases[i])
        this.#load(before, TILE_HEADER_BYTES)
        if (base === undefined) markPartial(entity, answers)
        else readTile(workspace, scratch, base, batch, entity, query, answers)
      }
      at = this.#answerLabels(replies, at, batch, entity, query, answers)
    }
  }

  /** Takes the reply at `at` where it is the entity's labels; returns where the next one is. */
  #answerLabels(
    replies: readonly unknown[],
    at: number,
    batch: Batch,
    entity: BatchEntity,
    query: EntityQuery,
    answers: readonly Answer[],
  ): number {
    if (query.labelSlots.length === 0) return at
    const isKnown = answerLabels(batch, entity, query, bytesAt(replies, at), answers)
    if (!isKnown) markPartial(entity, answers)
    return at + 1
  }

  async publish(
    events: readonly (VelocityOutcomeEvent | VelocityLabel)[],
    deadlineMs: number,
  ): Promise<void> {
    this.#assertOpen()
    const { labels, outcomes } = sortPublished(events, this.#recordedKinds)
    const batch = batchOutcomes(outcomes, this.#prefix)
    // Side by side, and both to their end, so that one that fails doesn't cost the others.
    const sent = await Promise.allSettled([
      this.#send(batch, undefined, [], deadlineMs),
      ...labelsByEntity(labels, this.#prefix).map((own) => this.#label(own, deadlineMs)),
    ])
    const failed = sent.find(({ status }) => status === 'rejected')
    if (failed?.status === 'rejected') throw failed.reason
  }

  /** Reads the daily counts of an entity and replaces them, until nobody did so in between. */
  async #label({ key, labels }: EntityLabels, deadlineMs: number): Promise<void> {
    const startMs = this.#options.clock.monotonic()
    const stored = labelKey(key)
    let read: Buffer = UNREAD
    let next: Buffer = UNREAD
    for (let tries = 0; tries <= LABEL_TRIES_MAX; tries++) {
      const leftMs = deadlineMs - (this.#options.clock.monotonic() - startMs)
      const args = [read, next, LABEL_TTL]
      try {
        const caller = this.#callerOf(this.#serverOf(stored))
        const now = await caller.run(LABEL_SCRIPT, [stored], args, Math.max(leftMs, 1))
        if (now === 1) return
        if (!Buffer.isBuffer(now)) break
        read = now
      } catch (error) {
        if (!haveMoved(error)) throw error
        continue
      }
      next = addLabels(read, labels)
      if (next === read) return
    }
    throw new VelocityError('velocity_unreachable', `Redis: the labels of ${stored} were not taken`)
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await this.#compactor.settled()
    await this.#options.connection.close()
  }

  #assertOpen(): void {
    if (this.#isClosed) throw new VelocityError('velocity_closed', 'velocity was closed')
  }

  /** Sends the batch; what comes back becomes the answers. Rejects when nothing came back. */
  async #send(
    batch: Batch,
    plan: CompiledPlan | undefined,
    answers: readonly Answer[],
    deadlineMs: number,
  ): Promise<void> {
    if (batch.entities.length === 0) return
    if (this.#options.connection.serverOf === undefined) {
      const part = await this.#call(ONE_SERVER, batch, batch.entities, plan, undefined, deadlineMs)
      if (part.replies === undefined) throw part.error
      const { repeated, suspected } = this.#workspace
      repeated.fill(0)
      suspected.fill(0)
      this.#suspect([part])
      this.#answer(part, batch, plan, answers)
    } else {
      await this.#sendToServers(batch, plan, answers, deadlineMs)
    }
  }

  async #sendToServers(
    batch: Batch,
    plan: CompiledPlan | undefined,
    answers: readonly Answer[],
    deadlineMs: number,
  ): Promise<void> {
    const startMs = this.#options.clock.monotonic()
    const rings = batch.entities.filter(({ entity }) => IS_TILE[entity] !== true)
    const tiles = batch.entities.filter(({ entity }) => IS_TILE[entity] === true)
    const { repeated, suspected } = this.#workspace
    const ringParts = await this.#callEach(batch, rings, plan, undefined, deadlineMs)
    repeated.fill(0)
    suspected.fill(0)
    this.#suspect(ringParts)
    for (const part of ringParts) this.#answer(part, batch, plan, answers)
    // What a ring knows because it was sent twice just now is new to the tiles all the same.
    suspected.fill(0)
    this.#suspect(ringParts.filter(({ isSecond }) => !isSecond))
    // Copies: another batch uses the same workspace while this one waits for its tiles.
    const known = suspected.slice(0, BATCH_MAX)
    const knownToRings = repeated.map((isRepeated, event) => isRepeated & (known[event] as number))
    const leftMs = deadlineMs - (this.#options.clock.monotonic() - startMs)
    const tileParts = await this.#callEach(batch, tiles, plan, known, Math.max(leftMs, 1))
    repeated.set(knownToRings)
    suspected.set(known)
    this.#suspect(tileParts)
    for (const part of tileParts) this.#answer(part, batch, plan, answers)
    const parts = [...ringParts, ...tileParts]
    if (parts.every(({ replies }) => replies === undefined)) throw parts[0]?.error
  }

  /** Side by side at every server. A server whose keys moved is asked for them one by one. */
  async #callEach(
    batch: Batch,
    entities: readonly BatchEntity[],
    plan: CompiledPlan | undefined,
    known: Uint8Array | undefined,
    deadlineMs: number,
  ): Promise<readonly Part[]> {
    const byServer = new Map<string, BatchEntity[]>()
    for (const entity of entities) {
      const server = this.#serverOf(entity.key)
      const group = byServer.get(server)
      if (group === undefined) byServer.set(server, [entity])
      else group.push(entity)
    }
    const startMs = this.#options.clock.monotonic()
    const parts = await Promise.all(
      [...byServer].map(async ([server, group]) => {
        const part = await this.#call(server, batch, group, plan, known, deadlineMs)
        if (!haveMoved(part.error)) return [part]
        const leftMs = deadlineMs - (this.#options.clock.monotonic() - startMs)
        return Promise.all(
          group.map((entity) => this.#callAgain(batch, entity, plan, known, leftMs)),
        )
      }),
    )
    return parts.flat()
  }

  async #callAgain(
    batch: Batch,
    entity: BatchEntity,
    plan: CompiledPlan | undefined,
    known: Uint8Array | undefined,
    deadlineMs: number,
  ): Promise<Part> {
    const server = this.#serverOf(entity.key)
    const part = await this.#call(server, batch, [entity], plan, known, deadlineMs)
    return { ...part, isSecond: true }
  }

  /** One script call. Never rejects but for a bug. */
  async #call(
    server: string,
    batch: Batch,
    entities: readonly BatchEntity[],
    plan: CompiledPlan | undefined,
    known: Uint8Array | undefined,
    deadlineMs: number,
  ): Promise<Part> {
    const bases = entities.map(({ entity, key }) =>
      IS_TILE[entity] === true ? this.#cache.get(key) : undefined,
    )
    const packed = packBatch({ ...batch, entities }, plan, bases, known)
    const { key } = entities[0] as BatchEntity
    try {
      const args = [...SCRIPT_LIMITS, packed]
      const replies = await this.#callerOf(server).run(OBSERVE_SCRIPT, [key], args, deadlineMs)
      if (Array.isArray(replies))
        return { entities, bases, replies, isSecond: false, error: undefined }
      const message = 'Redis: the script answered something else'
      throw new VelocityError('velocity_unreachable', message)
    } catch (error) {
      return { entities, bases, replies: undefined, isSecond: false, error }
    }
  }

  #serverOf(key: string): string {
    return this.#options.connection.serverOf?.(key) ?? ONE_SERVER
  }

  #callerOf(server: string): RedisCaller {
    const known = this.#callers.get(server)
    if (known !== undefined) return known
    const caller = new RedisCaller(this.#options)
    this.#callers.set(server, caller)
    for (const oldest of this.#callers.keys()) {
      if (this.#callers.size <= SERVERS_MAX) break
      this.#callers.delete(oldest)
    }
    return caller
  }

  /** Marks the events that some entity knew already: a byte each, their index. */
  #suspect(parts: readonly Part[]): void {
    for (const { replies } of parts) {
      if (replies === undefined) continue
      for (const event of bytesAt(replies, 0)) this.#workspace.suspected[event] = 1
    }
  }

  #answer(
    { entities, bases, replies }: Part,
    batch: Batch,
    plan: CompiledPlan | undefined,
    answers: readonly Answer[],
  ): void {
    if (replies === undefined) {
      for (const entity of entities) markPartial(entity, answers)
      return
    }
    const workspace = this.#workspace
    const scratch = this.#scratch
    let at = 1
    for (let i = 0; i < entities.length; i++) {
      const entity = entities[i] as BatchEntity
      const query = plan?.queries[entity.entity]
      const before = bytesAt(replies, at++)
      if (IS_TILE[entity.entity] !== true) {
        if (query === undefined) continue
        this.#load(before, 0)
        observeRing(workspace, scratch, batch, entity, query, answers)
        at = this.#answerLabels(replies, at, batch, entity, query, answers)
        continue
      }
      const sent = bytesAt(replies, at++)
      if (query !== undefined) {
        at = this.#answerLabels(replies, at, batch, entity, query, answers)
      }
      if (query === undefined && before.length === 0) continue
      const found = baseOf(before, sent, bases[i])
      // Its counts are gone, and said to be missing; its version is needed to go on.
      const base = found ?? { ...EMPTY_BASE, version: readVersion(before, 0) }
      if (found === undefined) markPartial(entity, answers)
      else if (sent.length > 0) this.#cache.set(entity.key, base)
      this.#load(before, TILE_HEADER_BYTES)
      const asked = found === undefined ? undefined : query
      observeTile(workspace, scratch, base, batch, entity, asked, answers)
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
