// The vocabulary that rules, features and velocity share: which aggregates exist.

/** What velocity can be counted over. */
export const ENTITIES = [
  'card',
  'customer',
  'device',
  'ip',
  'email',
  'terminal',
  'merchant',
  'bin',
] as const
export type Entity = (typeof ENTITIES)[number]

export type AggregateFunction =
  | 'count'
  | 'sum'
  | 'avg'
  | 'max'
  | 'distinct'
  | 'declines'
  | 'frauds'
  | 'secondsSinceLast'
  | 'speedKmh'

/**
 * One number over the events of an entity in the window (t - windowSeconds, t], the current attempt
 * included. Sums, averages and maxima are over the base amount in minor units. `frauds`, of a
 * terminal or merchant, is read with a delay: attempts that are known to be fraud by now, of the
 * whole days (UTC) of the window that ended at least 7 days ago.
 */
export interface Aggregate {
  readonly function: AggregateFunction
  readonly entity: Entity
  /** 60 to 2,592,000 (30 days). For secondsSinceLast and speedKmh: how far back to look. */
  readonly windowSeconds: number
  /** For `distinct` only: which other entity's values are counted. */
  readonly of?: Entity
}

/** The aggregates that rules and model ask for together, without repeats; a value's index is its slot. */
export type AggregatePlan = readonly Aggregate[]

/** A stable text of an aggregate: equal exactly where the aggregates are equal. `count(card, 600)`. */
export function aggregateKey(aggregate: Aggregate): string {
  const of = aggregate.of === undefined ? '' : `, ${aggregate.of}`
  return `${aggregate.function}(${aggregate.entity}${of}, ${aggregate.windowSeconds})`
}
