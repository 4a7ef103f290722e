// The plain meaning of every aggregate: a list of events, walked from end to end. Pack tests count
// with it; it is slow and exact, and the velocity stores are tested against the same definitions.

import type { Aggregate, Entity } from './aggregate.ts'

/** One attempt, with what it was counted under. */
export interface AttemptEvent {
  readonly atMs: number
  /** Minor units of the base currency; NaN when unknown. */
  readonly baseAmount: number
  readonly declined: boolean
  readonly entities: Readonly<Partial<Record<Entity, string>>>
  /** Degrees; NaN when the place is unknown. */
  readonly latitude: number
  readonly longitude: number
}

/**
 * The aggregate over `earlier` events and the `current` one in the window (t - w, t], t being the
 * current event's time. NaN is unknown: the entity is absent, or there is nothing to say.
 */
export function aggregateOver(
  earlier: readonly AttemptEvent[],
  current: AttemptEvent,
  aggregate: Aggregate,
): number {
  const { entity, of, windowSeconds } = aggregate
  const value = current.entities[entity]
  if (value === undefined) return Number.NaN
  const from = current.atMs - windowSeconds * 1000
  const before = earlier
    .filter((event) => event.entities[entity] === value)
    .filter((event) => event.atMs > from && event.atMs <= current.atMs)
  const events = [...before, current]
  const amounts = events.map((event) => event.baseAmount)
  const last = before.reduce<AttemptEvent | undefined>(
    (latest, event) => (latest === undefined || event.atMs >= latest.atMs ? event : latest),
    undefined,
  )
  switch (aggregate.function) {
    case 'count':
      return events.length
    case 'sum':
      return amounts.reduce((sum, amount) => sum + amount, 0)
    case 'avg':
      return amounts.reduce((sum, amount) => sum + amount, 0) / events.length
    case 'max':
      return Math.max(...amounts)
    case 'distinct': {
      const values = events.map((event) => (of === undefined ? undefined : event.entities[of]))
      return new Set(values.filter((other) => other !== undefined)).size
    }
    case 'declines':
      return events.filter((event) => event.declined).length
    case 'frauds':
      // Nobody labels the events of a pack's test.
      return Number.NaN
    case 'secondsSinceLast':
      return last === undefined ? Number.NaN : (current.atMs - last.atMs) / 1000
    case 'speedKmh':
      return last === undefined ? Number.NaN : speedKmh(last, current)
  }
}

const earthRadiusKm = 6_371
const hourMs = 3_600_000

/** Great-circle distance (haversine formula, mean Earth radius) over the time between, in km/h. */
function speedKmh(from: AttemptEvent, to: AttemptEvent): number {
  const radians = Math.PI / 180
  const latitudes = Math.sin(((to.latitude - from.latitude) * radians) / 2) ** 2
  const longitudes = Math.sin(((to.longitude - from.longitude) * radians) / 2) ** 2
  const cosines = Math.cos(from.latitude * radians) * Math.cos(to.latitude * radians)
  const distanceKm = 2 * earthRadiusKm * Math.asin(Math.sqrt(latitudes + cosines * longitudes))
  // Two attempts in the same millisecond are no speed; a second is the least that we believe.
  return distanceKm / (Math.max(to.atMs - from.atMs, 1_000) / hourMs)
}
