// A plan, sorted by entity: what each ring or tile is asked for, in arrays.

import {
  type Aggregate,
  type AggregateFunction,
  type AggregatePlan,
  aggregateKey,
  ENTITIES,
  type Entity,
} from '#rules'
import { hashIndex } from './event.ts'
import { WINDOW_SECONDS_MAX, WINDOW_SECONDS_MIN } from './limits.ts'

const DAY_SECONDS = 86_400

/**
 * How an entity is kept: few events, exact; or many, with bounded error. In order of `ENTITIES`.
 */
export const TILE_ENTITIES: readonly Entity[] = ['ip', 'merchant', 'bin']
export const IS_TILE: readonly boolean[] = ENTITIES.map((entity) => TILE_ENTITIES.includes(entity))

/** Entities whose late labels are kept. */
export const LABELLED_ENTITIES: readonly Entity[] = ['terminal', 'merchant']

/** What one entity is asked for. Aggregate `i` goes to slot `slots[i]`. */
export interface EntityQuery {
  /** Index into `ENTITIES`. */
  readonly entity: number
  readonly slots: Uint16Array
  readonly functions: readonly AggregateFunction[]
  /** Index of the aggregate's window in `windowsMs`. */
  readonly windows: Uint8Array
  /** For distinct: which short hash (`hashIndex`); -2 otherwise. */
  readonly hashes: Int8Array
  /** The different windows, in milliseconds. */
  readonly windowsMs: Float64Array
  /** Slots of `frauds`, which are none of the above, and the days of the window of each. */
  readonly labelSlots: Uint16Array
  readonly labelDays: Uint8Array
}

export interface CompiledPlan {
  /** Number of aggregates. */
  readonly size: number
  /** By entity, in order of `ENTITIES`; undefined where nothing is asked of it. */
  readonly queries: readonly (EntityQuery | undefined)[]
}

/** Why an aggregate can't be answered; undefined where it can. */
export function supportsAggregate(aggregate: Aggregate): string | undefined {
  const { windowSeconds, entity, of } = aggregate
  if (!Number.isInteger(windowSeconds)) return 'a window is a whole number of seconds'
  if (windowSeconds < WINDOW_SECONDS_MIN || windowSeconds > WINDOW_SECONDS_MAX) {
    return `a window is between ${WINDOW_SECONDS_MIN} seconds and ${WINDOW_SECONDS_MAX} (30 days)`
  }
  if (aggregate.function === 'distinct') {
    if (of === undefined) return 'distinct needs to know of which entity'
    if (of === entity) return `a ${entity} has one ${of} only`
    if (entity === 'card' && of === 'bin') return 'a card has one bin only'
    return undefined
  }
  if (of !== undefined) return `${aggregate.function} is not counted of another entity`
  if (aggregate.function === 'frauds') {
    if (!LABELLED_ENTITIES.includes(entity)) {
      return `frauds are known of a ${LABELLED_ENTITIES.join(' and a ')}`
    }
    if (windowSeconds % DAY_SECONDS !== 0) return 'a window of frauds is a number of whole days'
  }
  if (aggregate.function === 'speedKmh' && IS_TILE[ENTITIES.indexOf(entity)]) {
    return `speedKmh follows one thing that moves; many share one ${entity}`
  }
  return undefined
}

/**
 * Throws for an aggregate that `supportsAggregate` refuses: whoever made the plan should have
 * asked.
 */
export function compilePlan(plan: AggregatePlan): CompiledPlan {
  for (const aggregate of plan) {
    const reason = supportsAggregate(aggregate)
    if (reason !== undefined) throw new RangeError(`${aggregateKey(aggregate)}: ${reason}`)
  }
  const queries = ENTITIES.map((entity, index): EntityQuery | undefined => {
    const all = plan.flatMap((aggregate, slot) => (aggregate.entity === entity ? [slot] : []))
    if (all.length === 0) return undefined
    const isFrauds = (slot: number) => plan[slot]?.function === 'frauds'
    const slots = all.filter((slot) => !isFrauds(slot))
    const labelSlots = all.filter(isFrauds)
    const own = slots.map((slot) => plan[slot] as Aggregate)
    const windowsMs = [...new Set(own.map((aggregate) => aggregate.windowSeconds * 1000))]
    return {
      entity: index,
      slots: Uint16Array.from(slots),
      functions: own.map((aggregate) => aggregate.function),
      windows: Uint8Array.from(own, (aggregate) =>
        windowsMs.indexOf(aggregate.windowSeconds * 1000),
      ),
      hashes: Int8Array.from(own, ({ of }) => (of === undefined ? -2 : hashIndex(of))),
      windowsMs: Float64Array.from(windowsMs),
      labelSlots: Uint16Array.from(labelSlots),
      labelDays: Uint8Array.from(
        labelSlots,
        (slot) => (plan[slot] as Aggregate).windowSeconds / DAY_SECONDS,
      ),
    }
  })
  return { size: plan.length, queries }
}

/** Compiles plans, and remembers the last: the same one comes with every batch until a reload. */
export function planCompiler(): (plan: AggregatePlan) => CompiledPlan {
  let lastPlan: AggregatePlan | undefined
  let lastCompiled: CompiledPlan | undefined
  return (plan) => {
    if (lastCompiled === undefined || plan !== lastPlan) {
      lastCompiled = compilePlan(plan)
      lastPlan = plan
    }
    return lastCompiled
  }
}
