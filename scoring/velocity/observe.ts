// What happens to the events of a batch at one entity: append what is new, answer every attempt. The
// embedded store does it to its own memory; the Redis store to the bytes that came back, on which
// the script has just done the same.

import type { Batch, BatchEntity } from './batch.ts'
import { appendBytes, cutFront, type EventLog, holdsEvent } from './event-log.ts'
import { BATCH_MAX, RING_BYTES_MAX, TILE_HEADER_BYTES, TILE_LOG_BYTES_MAX } from './limits.ts'
import type { EntityQuery } from './plan.ts'
import {
  type Answer,
  answerFromRing,
  createEventColumns,
  createWindowTotals,
  type EventColumns,
  readEvents,
  type WindowTotals,
  wasCut,
} from './ring.ts'
import { answerFromTile, type TileBase } from './tile.ts'

/** Working memory of one store; nothing in it outlives a batch. */
export interface Workspace {
  readonly columns: EventColumns
  readonly totals: WindowTotals
  /** 1 for events of the batch that some ring knew already. */
  readonly repeated: Uint8Array
  /** 0 for events that are known to be new everywhere, so need not be looked for. */
  readonly suspected: Uint8Array
}

export function createWorkspace(): Workspace {
  return {
    columns: createEventColumns(),
    totals: createWindowTotals(),
    repeated: new Uint8Array(BATCH_MAX),
    suspected: new Uint8Array(BATCH_MAX).fill(1),
  }
}

/** Appends an entity's events to its ring; answers each attempt when there is a query. */
export function observeRing(
  workspace: Workspace,
  log: EventLog,
  batch: Batch,
  entity: BatchEntity,
  query: EntityQuery | undefined,
  answers: readonly Answer[],
): void {
  const { columns, totals, repeated, suspected } = workspace
  const { bytes, eventBytes } = batch
  for (const event of entity.events) {
    const at = event * eventBytes
    const known = suspected[event] === 1 && holdsEvent(log, bytes, at, eventBytes)
    if (known) repeated[event] = 1
    else {
      appendBytes(log, bytes, at, eventBytes)
      cutFront(log, RING_BYTES_MAX)
    }
    if (query === undefined) continue
    readEvents(columns, log.bytes, log.start, log.end)
    const cut = wasCut(log.end - log.start)
    const answer = answers[event] as Answer
    answerFromRing(answer, query, totals, columns, cut, bytes, at + eventBytes)
  }
}

/** The same for a tile; `log` is without its header. */
export function observeTile(
  workspace: Workspace,
  log: EventLog,
  base: TileBase,
  batch: Batch,
  entity: BatchEntity,
  query: EntityQuery | undefined,
  answers: readonly Answer[],
): void {
  const { columns, totals, repeated, suspected } = workspace
  const { bytes, eventBytes } = batch
  for (const event of entity.events) {
    const at = event * eventBytes
    const full = TILE_HEADER_BYTES + log.end - log.start >= TILE_LOG_BYTES_MAX
    const known =
      repeated[event] === 1 || (suspected[event] === 1 && holdsEvent(log, bytes, at, eventBytes))
    if (!full && !known) appendBytes(log, bytes, at, eventBytes)
    if (query === undefined) continue
    readEvents(columns, log.bytes, log.start, log.end)
    const answer = answers[event] as Answer
    answerFromTile(answer, query, totals, columns, base, full, bytes, at + eventBytes)
  }
}

/** Answers of a batch, everything unknown at first. */
export function emptyAnswers(count: number, size: number): Answer[] {
  const answers: Answer[] = []
  for (let i = 0; i < count; i++) {
    answers.push({
      values: new Float64Array(size).fill(Number.NaN),
      saturated: new Uint8Array(size),
    })
  }
  return answers
}
