// Velocity in this process's own memory: for one process with one worker, and for simulations.

import type { AggregatePlan } from '#rules'
import { type Batch, batchAttempts, batchOutcomes, RECORDED_KINDS } from './batch.ts'
import { createEventLog, type EventLog } from './event-log.ts'
import {
  ATTEMPT_BYTES,
  EMBEDDED_BYTES_MAX,
  EMBEDDED_ENTITY_BYTES,
  TILE_COMPACT_BYTES,
  TILE_HEADER_BYTES,
} from './limits.ts'
import { createWorkspace, emptyAnswers, observeRing, observeTile } from './observe.ts'
import { type CompiledPlan, IS_TILE, planCompiler } from './plan.ts'
import { type Answer, readEvents } from './ring.ts'
import { baseBytes, compact, compactionEnd, EMPTY_BASE, type TileBase } from './tile.ts'
import type { Velocity, VelocityOutcomeEvent } from './velocity.ts'
import { VelocityError } from './velocity-error.ts'

export interface EmbeddedVelocityOptions {
  /** Memory for all entities; the least recently used go when it is full. Default 64 MB. */
  readonly bytesMax?: number
  /** Outcomes worth keeping; default declined and reversed. */
  readonly recordedKinds?: readonly VelocityOutcomeEvent['kind'][]
}

export interface EmbeddedVelocity extends Velocity {
  readonly entities: number
  readonly bytes: number
  /** Entities forgotten for want of memory since the start. */
  readonly evicted: number
}

interface Cell {
  readonly log: EventLog
  base: TileBase
  bytes: number
}

/** Events of one entity, and what became of them, in this process's memory. Never fails. */
export function createEmbeddedVelocity(options: EmbeddedVelocityOptions = {}): EmbeddedVelocity {
  const bytesMax = options.bytesMax ?? EMBEDDED_BYTES_MAX
  const recordedKinds = options.recordedKinds ?? RECORDED_KINDS
  const workspace = createWorkspace()
  const compile = planCompiler()
  // Two generations: what is used stands in the young one; when that holds half of the memory it
  // becomes the old one, and what was in the old one and not used since is forgotten.
  let young = new Map<string, Cell>()
  let old = new Map<string, Cell>()
  let youngBytes = 0
  let oldBytes = 0
  let evicted = 0
  let closed = false

  function take(key: string): Cell {
    let cell = young.get(key)
    if (cell !== undefined) return cell
    cell = old.get(key)
    if (cell === undefined) {
      cell = { log: createEventLog(ATTEMPT_BYTES), base: EMPTY_BASE, bytes: 0 }
    } else {
      old.delete(key)
      oldBytes -= cell.bytes
      youngBytes += cell.bytes
    }
    young.set(key, cell)
    return cell
  }

  function weigh(cell: Cell): void {
    const size =
      cell.log.bytes.length +
      EMBEDDED_ENTITY_BYTES +
      (cell.base === EMPTY_BASE ? 0 : baseBytes(cell.base))
    youngBytes += size - cell.bytes
    cell.bytes = size
  }

  function evict(): void {
    if (youngBytes <= bytesMax / 2) return
    evicted += old.size
    old = young
    oldBytes = youngBytes
    young = new Map()
    youngBytes = 0
  }

  function compactTile(cell: Cell, entity: number): void {
    const { log } = cell
    if (TILE_HEADER_BYTES + log.end - log.start <= TILE_COMPACT_BYTES) return
    readEvents(workspace.columns, log, log.start, log.end)
    const end = compactionEnd(workspace.columns, log.end)
    readEvents(workspace.columns, log, log.start, end)
    cell.base = compact(cell.base, entity, workspace.columns)
    log.start = end
  }

  function apply(batch: Batch, plan: CompiledPlan | undefined, answers: readonly Answer[]): void {
    workspace.repeated.fill(0)
    for (const entity of batch.entities) {
      const query = plan?.queries[entity.entity]
      const cell = take(entity.key)
      if (IS_TILE[entity.entity]) {
        observeTile(workspace, cell.log, cell.base, batch, entity, query, answers)
        compactTile(cell, entity.entity)
      } else observeRing(workspace, cell.log, batch, entity, query, answers)
      weigh(cell)
    }
    evict()
  }

  function assertOpen(): void {
    if (closed) throw new VelocityError('velocity_closed', 'velocity was closed')
  }

  return {
    get entities() {
      return young.size + old.size
    },
    get bytes() {
      return youngBytes + oldBytes
    },
    get evicted() {
      return evicted
    },
    async observe(attempts, plan: AggregatePlan) {
      assertOpen()
      const compiled = compile(plan)
      const answers = emptyAnswers(attempts.length, compiled.size)
      apply(batchAttempts(attempts, ''), compiled, answers)
      return answers
    },
    async publish(outcomes) {
      assertOpen()
      const recorded = outcomes.filter((outcome) => recordedKinds.includes(outcome.kind))
      if (recorded.length > 0) apply(batchOutcomes(recorded, ''), undefined, [])
    },
    async close() {
      closed = true
      young.clear()
      old.clear()
      youngBytes = 0
      oldBytes = 0
    },
  }
}
