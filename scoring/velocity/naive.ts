// What velocity means, as plainly as it can be said: a list of events, filtered. Slow, for tests:
// rings and tiles are held against it.

import type { Aggregate, Entity } from '#rules'
import { LABEL_DELAY_DAYS } from './limits.ts'
import { distanceKm } from './ring.ts'
import { type EntityKeys, isLabel, type LabelEventKind, type OutcomeKind } from './velocity.ts'

const DAY_MS = 86_400_000

export interface NaiveEvent {
  readonly eventHash: string
  /** Labels have the time of their attempt, and stand where they were heard. */
  readonly kind: 'attempt' | OutcomeKind | LabelEventKind
  readonly atMs: number
  readonly baseAmount: number
  readonly keys: EntityKeys
  readonly latitude: number
  readonly longitude: number
}

/** Drops all but the first of the events with the same hash and kind; of labels the last counts. */
export function withoutRepeats(events: readonly NaiveEvent[]): readonly NaiveEvent[] {
  const seen = new Set<string>()
  return events.filter((event) => {
    if (isLabel(event)) return true
    const identity = `${event.eventHash} ${event.kind}`
    if (seen.has(identity)) return false
    seen.add(identity)
    return true
  })
}

function newestBefore(events: readonly NaiveEvent[], now: NaiveEvent): NaiveEvent | undefined {
  let newest: NaiveEvent | undefined
  for (const event of events) {
    if (event.eventHash === now.eventHash) continue
    if (newest === undefined || event.atMs >= newest.atMs) newest = event
  }
  return newest
}

/** Attempts of the `days` days before `day` of which it was said last that they are a fraud. */
function naiveFrauds(events: readonly NaiveEvent[], day: number, days: number): number {
  const said = new Map<string, NaiveEvent>()
  for (const event of events) {
    if (event.kind === 'fraud' || event.kind === 'cleared') said.set(event.eventHash, event)
  }
  const dayOf = ({ atMs }: NaiveEvent) => Math.floor(atMs / DAY_MS)
  return [...said.values()].filter(
    (event) => event.kind === 'fraud' && dayOf(event) < day && dayOf(event) >= day - days,
  ).length
}

/**
 * The value of an aggregate for the attempt `now`, which is among `events`. The window may be made
 * longer at both ends: how tiles are bounded.
 */
export function naiveValue(
  events: readonly NaiveEvent[],
  aggregate: Aggregate,
  now: NaiveEvent,
  earlierMs = 0,
  laterMs = 0,
): number {
  const key = now.keys[aggregate.entity]
  if (key === undefined) return Number.NaN
  const startMs = now.atMs - aggregate.windowSeconds * 1000 - earlierMs
  const inWindow = events.filter(
    (event) =>
      event.keys[aggregate.entity] === key &&
      event.atMs > startMs &&
      event.atMs <= now.atMs + laterMs,
  )
  const attempts = inWindow.filter((event) => event.kind === 'attempt')
  const amounts = attempts.map((event) => event.baseAmount).filter((amount) => amount >= 0)
  const sum = amounts.reduce((total, amount) => total + amount, 0)
  switch (aggregate.function) {
    case 'count':
      return attempts.length
    case 'sum':
      return sum
    case 'avg':
      return sum / attempts.length
    case 'max':
      return amounts.length === 0 ? Number.NaN : Math.max(...amounts)
    case 'frauds':
      return naiveFrauds(
        events.filter((event) => event.keys[aggregate.entity] === key),
        Math.floor(now.atMs / DAY_MS) - LABEL_DELAY_DAYS,
        aggregate.windowSeconds / 86_400,
      )
    case 'declines':
      return inWindow.filter((event) => event.kind === 'declined').length
    case 'distinct':
      return new Set(
        attempts
          .map((event) => event.keys[aggregate.of as Entity])
          .filter((value) => value !== undefined),
      ).size
    case 'secondsSinceLast': {
      const last = newestBefore(attempts, now)
      return last === undefined ? Number.NaN : (now.atMs - last.atMs) / 1000
    }
    case 'speedKmh': {
      const last = newestBefore(
        attempts.filter((event) => !Number.isNaN(event.latitude)),
        now,
      )
      if (last === undefined || Number.isNaN(now.latitude)) return Number.NaN
      const km = distanceKm(last.latitude, last.longitude, now.latitude, now.longitude)
      return (km / Math.max(1, (now.atMs - last.atMs) / 1000)) * 3600
    }
  }
}
