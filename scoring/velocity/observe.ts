// What happens to the events of a batch at one entity: append what is new, answer every attempt.
// The embedded store does it to its own memory; the Redis store to the bytes that came back, on
// which the script has just done the same.

import type { Batch, BatchEntity } from './batch.ts'
import { readTime } from './event.ts'
import { appendEvent, cutFront, type EventLog, reserve, wasCut } from './event-log.ts'
import { areLabelDays, fraudsIn } from './label-days.ts'
import {
  BATCH_MAX,
  RING_BYTES_MAX,
  RING_SLACK_BYTES,
  TILE_HEADER_BYTES,
  TILE_LOG_BYTES_MAX,
  velocityLimitsFit,
} from './limits.ts'
import type { EntityQuery } from './plan.ts'
import {
  type Answer,
  answerFromRing,
  createEventColumns,
  createWindowTotals,
  dropCut,
  type EventColumns,
  holdsEvent,
  readAppended,
  readEvents,
  type WindowTotals,
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
  /** What a ring is cut to. */
  readonly ringBytesMax: number
}

/** Throws where the limits contradict each other: a bug. */
export function createWorkspace(ringBytesMax = RING_BYTES_MAX): Workspace {
  if (!velocityLimitsFit()) throw new RangeError('the limits of velocity do not fit each other')
  return {
    ringBytesMax,
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
  const { columns, totals, repeated, suspected, ringBytesMax } = workspace
  const { eventBytes } = batch
  const { events } = entity
  reserve(log, events.length * eventBytes)
  readEvents(columns, log, log.start, log.end)
  for (const event of events) {
    const end = (event + 1) * eventBytes
    if (suspected[event] === 1 && holdsEvent(columns, batch, end)) repeated[event] = 1
    else {
      appendEvent(log, batch, end - eventBytes, eventBytes)
      readAppended(columns, log, eventBytes)
      if (log.end - log.start > ringBytesMax + RING_SLACK_BYTES) cutFront(log, ringBytesMax)
      dropCut(columns, log)
    }
    if (query === undefined) continue
    answerFromRing(answers[event] as Answer, query, totals, columns, wasCut(log), batch, end)
  }
}

/** Answers from a ring as it is: nothing is appended, so an attempt is not among what it sees. */
export function readRing(
  workspace: Workspace,
  log: EventLog,
  batch: Batch,
  entity: BatchEntity,
  query: EntityQuery,
  answers: readonly Answer[],
): void {
  const { columns, totals } = workspace
  readEvents(columns, log, log.start, log.end)
  const cut = wasCut(log)
  for (const event of entity.events) {
    const end = (event + 1) * batch.eventBytes
    answerFromRing(answers[event] as Answer, query, totals, columns, cut, batch, end)
  }
}

/** What `observeRing` does, for a tile; `log` is without its header. */
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
  const { eventBytes } = batch
  const { events } = entity
  reserve(log, events.length * eventBytes)
  readEvents(columns, log, log.start, log.end)
  for (const event of events) {
    const end = (event + 1) * eventBytes
    const full = TILE_HEADER_BYTES + log.end - log.start >= TILE_LOG_BYTES_MAX
    const known =
      repeated[event] === 1 || (suspected[event] === 1 && holdsEvent(columns, batch, end))
    if (!full && !known) {
      appendEvent(log, batch, end - eventBytes, eventBytes)
      readAppended(columns, log, eventBytes)
    }
    if (query === undefined) continue
    answerFromTile(answers[event] as Answer, query, totals, columns, base, full, batch, end)
  }
}

/** What `readRing` does, for a tile; `log` is without its header. */
export function readTile(
  workspace: Workspace,
  log: EventLog,
  base: TileBase,
  batch: Batch,
  entity: BatchEntity,
  query: EntityQuery,
  answers: readonly Answer[],
): void {
  const { columns, totals } = workspace
  readEvents(columns, log, log.start, log.end)
  const full = TILE_HEADER_BYTES + log.end - log.start >= TILE_LOG_BYTES_MAX
  for (const event of entity.events) {
    const end = (event + 1) * batch.eventBytes
    answerFromTile(answers[event] as Answer, query, totals, columns, base, full, batch, end)
  }
}

/**
 * Fills what is asked of an entity's late labels; `labels` are its daily counts. False where they
 * are of another layout: then it stays unknown.
 */
export function answerLabels(
  batch: Batch,
  entity: BatchEntity,
  query: EntityQuery,
  labels: Buffer,
  answers: readonly Answer[],
): boolean {
  const { labelSlots, labelDays } = query
  if (!areLabelDays(labels)) return false
  for (const event of entity.events) {
    const { values } = answers[event] as Answer
    const atMs = readTime(batch.bytes, event * batch.eventBytes)
    for (let i = 0; i < labelSlots.length; i++) {
      const days = labelDays[i] as number
      values[labelSlots[i] as number] = fraudsIn(labels, atMs, days)
    }
  }
  return true
}

/** Answers of a batch, everything unknown at first. */
export function emptyAnswers(count: number, size: number): Answer[] {
  const answers: Answer[] = []
  for (let i = 0; i < count; i++) {
    answers.push({
      values: new Float64Array(size).fill(Number.NaN),
      saturated: new Uint8Array(size),
      isPartial: false,
    })
  }
  return answers
}
