// Velocity in this process's own memory: for one process with one worker, and for simulations.

import type { AggregatePlan } from '#rules'
import {
  type Batch,
  batchAttempts,
  batchOutcomes,
  labelsByEntity,
  RECORDED_KINDS,
  sortPublished,
} from './batch.ts'
import { createEventLog, type EventLog, EventMemory, place, reserve } from './event-log.ts'
import { addLabels, areLabelDays, NO_LABELS } from './label-days.ts'
import {
  ATTEMPT_BYTES,
  EMBEDDED_BYTES_MAX,
  EMBEDDED_ENTITY_BYTES,
  RING_ATTEMPTS_MAX,
  RING_BYTES_MAX,
  TILE_HEADER_BYTES,
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
  type Workspace,
} from './observe.ts'
import { type CompiledPlan, IS_TILE, planCompiler } from './plan.ts'
import { type Answer, readEvents } from './ring.ts'
import { decodeSnapshot, encodeSnapshot, type SnapshotEntity } from './snapshot.ts'
import {
  baseBytes,
  compact,
  compactBytes,
  compactionEnd,
  decodeBase,
  EMPTY_BASE,
  encodeBase,
  handOnRegisters,
  type TileBase,
} from './tile.ts'
import type {
  OutcomeKind,
  Velocity,
  VelocityAttempt,
  VelocityLabel,
  VelocityOutcomeEvent,
  VelocityValues,
} from './velocity.ts'
import { VelocityError } from './velocity-error.ts'

export interface EmbeddedVelocityOptions {
  /** Memory for all entities; the least recently used go when it is full. Default 64 MB. */
  readonly bytesMax?: number
  /** Outcomes worth keeping; default all but approved. */
  readonly recordedKinds?: readonly OutcomeKind[]
  /** Attempts that a ring keeps, where the usual 48 are too few: up to `RING_ATTEMPTS_MAX`. */
  readonly ringAttemptsMax?: number
  /**
   * Every `observe` brings the same plan: what that does not ask for is not kept. Memory is taken
   * in slabs, and given back only as a whole.
   */
  readonly offline?: boolean
}

export interface EmbeddedVelocity extends Velocity {
  /**
   * Answers as of each attempt's time and appends nothing, so the attempt itself is not counted.
   */
  read(attempts: readonly VelocityAttempt[], plan: AggregatePlan): readonly VelocityValues[]
  /** All entities, least recently used first, for `restore`. */
  snapshot(): Buffer
  /**
   * Takes the entities of a snapshot; those of before are forgotten. Undefined when done, else why
   * it was not: then nothing has changed.
   */
  restore(bytes: Buffer): string | undefined
  readonly entities: number
  readonly bytes: number
  /** Entities forgotten for want of memory since the start. */
  readonly evicted: number
}

const NO_BYTES = Buffer.alloc(0)
const NO_HASHES = new Int8Array(0)

interface Cell {
  readonly log: EventLog
  base: TileBase
  /** Daily counts of late labels; empty for all but some terminals and merchants. */
  labels: Buffer
  bytes: number
}

/** Events of one entity, and what became of them, in this process's memory. Never fails. */
export function createEmbeddedVelocity(options: EmbeddedVelocityOptions = {}): EmbeddedVelocity {
  return new Embedded(options)
}

class Embedded implements EmbeddedVelocity {
  readonly #recordedKinds: readonly OutcomeKind[]
  readonly #workspace: Workspace
  /** Stands for an entity of which nothing is known; nobody writes to it. */
  readonly #unknown = createEventLog(0)
  readonly #compile = planCompiler()
  readonly #cells: Cells
  readonly #isOffline: boolean
  /** The only plan there is, once it is known. */
  #plan: { readonly plan: AggregatePlan; readonly compiled: CompiledPlan } | undefined
  #isClosed = false

  constructor(options: EmbeddedVelocityOptions) {
    this.#recordedKinds = options.recordedKinds ?? RECORDED_KINDS
    this.#isOffline = options.offline === true
    const memory = this.#isOffline ? new EventMemory() : undefined
    this.#cells = new Cells(options.bytesMax ?? EMBEDDED_BYTES_MAX, memory)
    this.#workspace = createWorkspace(ringBytes(options.ringAttemptsMax))
  }

  get entities(): number {
    return this.#cells.size
  }

  get bytes(): number {
    return this.#cells.bytes
  }

  get evicted(): number {
    return this.#cells.evicted
  }

  async observe(attempts: readonly VelocityAttempt[], plan: AggregatePlan) {
    this.#assertOpen()
    const compiled = this.#compile(plan)
    if (this.#isOffline) this.#plan ??= { plan, compiled }
    if (this.#plan !== undefined && this.#plan.plan !== plan) {
      throw new RangeError('velocity of one plan was asked for another')
    }
    const answers = emptyAnswers(attempts.length, compiled.size)
    this.#apply(batchAttempts(attempts, ''), compiled, answers)
    return answers
  }

  read(attempts: readonly VelocityAttempt[], plan: AggregatePlan) {
    this.#assertOpen()
    const compiled = this.#compile(plan)
    const answers = emptyAnswers(attempts.length, compiled.size)
    const batch = batchAttempts(attempts, '')
    for (const entity of batch.entities) {
      const query = compiled.queries[entity.entity]
      if (query === undefined) continue
      const cell = this.#cells.find(entity.key)
      const log = cell?.log ?? this.#unknown
      if (IS_TILE[entity.entity]) {
        const base = cell?.base ?? EMPTY_BASE
        readTile(this.#workspace, log, base, batch, entity, query, answers)
      } else readRing(this.#workspace, log, batch, entity, query, answers)
      answerLabels(batch, entity, query, cell?.labels ?? NO_LABELS, answers)
    }
    return answers
  }

  async publish(events: readonly (VelocityOutcomeEvent | VelocityLabel)[]): Promise<void> {
    this.#assertOpen()
    const { labels, outcomes } = sortPublished(events, this.#recordedKinds)
    if (outcomes.length > 0) this.#apply(batchOutcomes(outcomes, ''), undefined, [])
    if (labels.length > 0) this.#label(labels)
  }

  #label(labels: readonly VelocityLabel[]): void {
    for (const { key, labels: own } of labelsByEntity(labels, '')) {
      const cell = this.#cells.take(key)
      cell.labels = addLabels(cell.labels, own)
      this.#cells.weigh(cell)
    }
    this.#cells.evict()
  }

  snapshot(): Buffer {
    this.#assertOpen()
    const entities: SnapshotEntity[] = []
    for (const [key, { log, base, labels }] of this.#cells.all()) {
      const bytes = base === EMPTY_BASE ? NO_BYTES : encodeBase(base)
      entities.push({ key, log: log.bytes.subarray(log.start, log.end), base: bytes, labels })
    }
    return encodeSnapshot(entities)
  }

  restore(bytes: Buffer): string | undefined {
    this.#assertOpen()
    const read = decodeSnapshot(bytes)
    if (!read.ok) return read.message
    const bases = read.entities.map(({ base }) =>
      base.length === 0 ? EMPTY_BASE : decodeBase(Buffer.from(base)),
    )
    if (bases.includes(undefined)) return 'a tile of it has another layout'
    if (!read.entities.every(({ labels }) => areLabelDays(labels))) {
      return 'labels of it have another layout'
    }
    this.#cells.clear()
    read.entities.forEach(({ key, log, labels }, i) => {
      const cell = this.#cells.take(key)
      reserve(cell.log, log.length)
      place(cell.log, log as Buffer, 0, log.length)
      cell.base = bases[i] as TileBase
      cell.labels = Buffer.from(labels)
      this.#cells.weigh(cell)
      this.#cells.evict()
    })
    return undefined
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#cells.clear()
  }

  #apply(batch: Batch, plan: CompiledPlan | undefined, answers: readonly Answer[]): void {
    const workspace = this.#workspace
    workspace.repeated.fill(0)
    for (const entity of batch.entities) {
      const query = plan?.queries[entity.entity]
      const cell = this.#cells.take(entity.key)
      if (IS_TILE[entity.entity]) {
        observeTile(workspace, cell.log, cell.base, batch, entity, query, answers)
        this.#compact(cell, entity.entity)
      } else observeRing(workspace, cell.log, batch, entity, query, answers)
      if (query !== undefined) answerLabels(batch, entity, query, cell.labels, answers)
      this.#cells.weigh(cell)
    }
    this.#cells.evict()
  }

  #compact(cell: Cell, entity: number): void {
    const { log } = cell
    const { columns } = this.#workspace
    if (TILE_HEADER_BYTES + log.end - log.start <= compactBytes(cell.base)) return
    readEvents(columns, log, log.start, log.end)
    const end = compactionEnd(columns, log.end)
    readEvents(columns, log, log.start, end)
    const asked = this.#plan?.compiled.queries
    const next = compact(cell.base, entity, columns, asked && (asked[entity]?.hashes ?? NO_HASHES))
    handOnRegisters(cell.base, next, columns)
    cell.base = next
    log.start = end
  }

  #assertOpen(): void {
    if (this.#isClosed) throw new VelocityError('velocity_closed', 'velocity was closed')
  }
}

/** The length of a full ring; less than a unit more than its events, as `RING_BYTES_MAX` is. */
function ringBytes(attemptsMax: number | undefined): number {
  if (attemptsMax === undefined) return RING_BYTES_MAX
  if (!Number.isInteger(attemptsMax) || attemptsMax < 2 || attemptsMax > RING_ATTEMPTS_MAX) {
    throw new RangeError(`a ring keeps 2 to ${RING_ATTEMPTS_MAX} attempts: ${attemptsMax}`)
  }
  return attemptsMax * ATTEMPT_BYTES + UNIT_BYTES / 2
}

/**
 * Cells in two generations: what is used stands in the young one; when that holds half of the
 * memory it becomes the old one, and what was in the old one and not used since is forgotten.
 */
class Cells {
  readonly #bytesMax: number
  readonly #memory: EventMemory | undefined
  #young = new Map<string, Cell>()
  #old = new Map<string, Cell>()
  #youngBytes = 0
  #oldBytes = 0
  evicted = 0

  constructor(bytesMax: number, memory: EventMemory | undefined) {
    this.#bytesMax = bytesMax
    this.#memory = memory
  }

  get size(): number {
    return this.#young.size + this.#old.size
  }

  get bytes(): number {
    return this.#youngBytes + this.#oldBytes
  }

  find(key: string): Cell | undefined {
    return this.#young.get(key) ?? this.#old.get(key)
  }

  take(key: string): Cell {
    let cell = this.#young.get(key)
    if (cell !== undefined) return cell
    cell = this.#old.get(key)
    if (cell === undefined) {
      const log = createEventLog(ATTEMPT_BYTES, this.#memory)
      cell = { log, base: EMPTY_BASE, labels: NO_LABELS, bytes: 0 }
    } else {
      this.#old.delete(key)
      this.#oldBytes -= cell.bytes
      this.#youngBytes += cell.bytes
    }
    this.#young.set(key, cell)
    return cell
  }

  /** Least recently used first, by generation. */
  *all(): Generator<[string, Cell]> {
    yield* this.#old
    yield* this.#young
  }

  /** Counts what a cell that was just taken has become. */
  weigh(cell: Cell): void {
    const size =
      cell.log.capacity +
      cell.labels.length +
      EMBEDDED_ENTITY_BYTES +
      (cell.base === EMPTY_BASE ? 0 : baseBytes(cell.base))
    this.#youngBytes += size - cell.bytes
    cell.bytes = size
  }

  evict(): void {
    if (this.#youngBytes <= this.#bytesMax / 2) return
    this.evicted += this.#old.size
    this.#giveBack(this.#old)
    this.#old = this.#young
    this.#oldBytes = this.#youngBytes
    this.#young = new Map()
    this.#youngBytes = 0
  }

  #giveBack(cells: ReadonlyMap<string, Cell>): void {
    if (this.#memory === undefined) return
    for (const { log } of cells.values()) this.#memory.giveBack(log)
  }

  clear(): void {
    this.#giveBack(this.#young)
    this.#giveBack(this.#old)
    this.#young.clear()
    this.#old.clear()
    this.#youngBytes = 0
    this.#oldBytes = 0
  }
}
