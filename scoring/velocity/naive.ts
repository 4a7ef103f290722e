// What velocity means, as plainly as it can be said: a list of events, filtered. Slow, for tests:
// rings and tiles are held against it.

import type { Aggregate, Entity } from '#rules'
import { distanceKm } from './ring.ts'
import type { EntityKeys } from './velocity.ts'

export interface NaiveEvent {
  readonly eventHash: string
  readonly kind: 'attempt' | 'approved' | 'declined' | 'reversed'
  readonly atMs: number
  readonly baseAmount: number
  readonly keys: EntityKeys
  readonly latitude: number
  readonly longitude: number
}

/** Drops all but the first of the events with the same hash and kind. */
export function withoutRepeats(events: readonly NaiveEvent[]): readonly NaiveEvent[] {
  const seen = new Set<string>()
  return events.filter((event) => {
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
