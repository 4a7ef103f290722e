// The project's own transaction generator: a seeded population whose purchases and frauds come out
// in event time, labelled. It holds no card number: cards are tokens in test BINs.

import { planFrauds } from './fraud.ts'
import { DAY_MS, planCustomerDay, planStrangers } from './genuine.ts'
import { type GeneratedTransaction, type Purchase, toTransaction } from './purchase.ts'
import { createRandom } from './random.ts'
import { createWorld } from './world.ts'

export interface GenerateOptions {
  readonly seed: number
  readonly days: number
  readonly customers: number
  /** Midnight UTC of the first day, milliseconds since 1970. */
  readonly startMs: number
}

/** A season of a mid-sized acquirer: about 800,000 transactions. */
export const DEFAULT_GENERATE_OPTIONS: GenerateOptions = {
  seed: 1,
  days: 90,
  customers: 6_000,
  startMs: Date.UTC(2026, 0, 5),
}

/**
 * Yields transactions in order of arrival. The same options give the same transactions. Works a day
 * at a time, so memory holds one day and the frauds planned ahead.
 */
export function* generateTransactions(
  options: GenerateOptions,
): Generator<GeneratedTransaction, void, undefined> {
  const random = createRandom(options.seed)
  const world = createWorld(random.fork(), options.customers, options.days)
  const honest = random.fork()
  const criminal = random.fork()
  const writer = random.fork()
  const scale = options.customers / 6_000
  const days = Array.from({ length: options.days }, (): Purchase[] => [])
  const plan = (purchase: Purchase): void => {
    // What begins near the end may fall after it: the stream just ends earlier.
    days[Math.floor((purchase.atMs - options.startMs) / DAY_MS)]?.push(purchase)
  }
  for (let day = 0; day < options.days; day++) {
    const dayMs = options.startMs + day * DAY_MS
    for (const customer of world.customers) {
      planCustomerDay(honest, world, customer, day, dayMs, plan)
    }
    planStrangers(honest, world, dayMs, scale, plan)
    planFrauds(criminal, world, dayMs, scale, plan)
    const today = days[day] as Purchase[]
    today.sort((one, other) => one.atMs - other.atMs)
    for (const purchase of today) yield toTransaction(writer, purchase)
    days[day] = []
  }
}
