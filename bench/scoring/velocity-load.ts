// The attempts that the suites of velocity send, and what they ask for.

import { createHash } from 'node:crypto'
import type { Aggregate, AggregatePlan, Entity } from '../../rules/index.ts'
import type { VelocityAttempt } from '../../scoring/velocity/index.ts'

export const BATCH = 32
export const UNDER_WAY = 2
export const DEADLINE_MS = 5_000
const T0 = 1_800_000_000_000

export interface Population {
  readonly entities: readonly Entity[]
  /** Different values of each entity, but for merchants. */
  readonly cards: number
}

export const RINGS: readonly Entity[] = ['card', 'customer', 'device', 'email', 'terminal']
export function planOf(entities: readonly Entity[]): AggregatePlan {
  return entities.flatMap((entity): Aggregate[] => [
    { function: 'count', entity, windowSeconds: 600 },
    { function: 'sum', entity, windowSeconds: 86_400 },
    { function: 'declines', entity, windowSeconds: 86_400 },
    entity === 'card'
      ? { function: 'secondsSinceLast', entity, windowSeconds: 2_592_000 }
      : { function: 'distinct', entity, windowSeconds: 86_400, of: 'card' },
  ])
}

/** Attempt number n: cards in turn, so that all rings grow alike. */
export function attemptOf(n: number, { entities, cards }: Population): VelocityAttempt {
  const keys: { [E in Entity]?: string } = {}
  for (const entity of entities) {
    const different = entity === 'merchant' ? 20 : cards
    keys[entity] = `${entity}-${(n * 7) % different}-aaaaaaaa`
  }
  return {
    // A hash as real ones are: searching a ring for one that begins with zeros takes twice as long.
    eventHash: createHash('sha1').update(`${n}`).digest('hex').slice(0, 16),
    atMs: T0 + n * 100,
    baseAmount: 100 + (n % 5_000),
    keys,
    latitude: Number.NaN,
    longitude: Number.NaN,
  }
}

export function round(value: number): number {
  return Math.round(value * 10) / 10
}
