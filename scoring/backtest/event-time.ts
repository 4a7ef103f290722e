// Counters in event time: what became of a payment, and whether it was a fraud, is counted when it
// was known, between the attempts before and after that moment, as a running switch would have
// counted it.

import type { AggregatePlan } from '#rules'
import {
  LateLabels,
  type Velocity,
  type VelocityAttempt,
  type VelocityOutcomeEvent,
  type VelocityValues,
} from '../velocity/index.ts'

export interface EventTimeVelocity extends Velocity {
  /** Tells beforehand what will become of an attempt, by the hash of its event. */
  expect(eventHash: string, ending: EventEnding): void
  /**
   * Tells beforehand that an attempt was a fraud, and when that was known; NaN: as soon as it came.
   */
  expectFraud(eventHash: string, knownAtMs: number): void
  /** Counts what became of the last attempts, after which none comes. */
  settle(): Promise<void>
}

/** A decline; approvals are counted nowhere. */
export interface EventEnding {
  readonly atMs: number
  readonly responseCode: string | undefined
}

/** Nothing waits for anybody here. */
export const DEADLINE_MS = 60_000

/** Outcomes in one call of velocity. */
const OUTCOMES_MAX = 64

/** Attempts must come in order of arrival. Owns `velocity`, and closes it. */
export function eventTimeVelocity(velocity: Velocity): EventTimeVelocity {
  return new InEventTime(velocity)
}

class InEventTime implements EventTimeVelocity {
  readonly #velocity: Velocity
  readonly #endings = new Map<string, EventEnding>()
  readonly #frauds = new Map<string, number>()
  readonly #labels = new LateLabels()
  /** Of attempts that were observed, in order of their time. */
  readonly #due: VelocityOutcomeEvent[] = []

  constructor(velocity: Velocity) {
    this.#velocity = velocity
  }

  expect(eventHash: string, ending: EventEnding): void {
    this.#endings.set(eventHash, ending)
  }

  expectFraud(eventHash: string, knownAtMs: number): void {
    this.#frauds.set(eventHash, knownAtMs)
  }

  async observe(
    attempts: readonly VelocityAttempt[],
    plan: AggregatePlan,
  ): Promise<readonly VelocityValues[]> {
    const values: VelocityValues[] = []
    let start = 0
    const observeUpTo = async (end: number) => {
      if (end === start) return
      const run = attempts.slice(start, end)
      values.push(...(await this.#velocity.observe(run, plan, DEADLINE_MS)))
      start = end
    }
    for (let index = 0; index < attempts.length; index++) {
      const attempt = attempts[index] as VelocityAttempt
      if (this.#isDue(attempt.atMs)) {
        await observeUpTo(index)
        await this.#tellUpTo(attempt.atMs)
      }
      this.#remember(attempt)
    }
    await observeUpTo(attempts.length)
    return values
  }

  settle(): Promise<void> {
    return this.#tellUpTo(Number.POSITIVE_INFINITY)
  }

  publish(events: Parameters<Velocity['publish']>[0]): Promise<void> {
    return this.#velocity.publish(events, DEADLINE_MS)
  }

  close(): Promise<void> {
    return this.#velocity.close()
  }

  #isDue(atMs: number): boolean {
    const first = this.#due[0]
    return (first !== undefined && first.atMs <= atMs) || this.#labels.nextMs <= atMs
  }

  async #tellUpTo(atMs: number): Promise<void> {
    let count = 0
    while (count < this.#due.length && (this.#due[count]?.atMs ?? 0) <= atMs) count++
    const due = this.#due.splice(0, count)
    for (let at = 0; at < due.length; at += OUTCOMES_MAX) {
      await this.publish(due.slice(at, at + OUTCOMES_MAX))
    }
    for (const label of this.#labels.until(atMs)) await this.publish([label])
  }

  #remember({ eventHash, atMs: arrivedAtMs, keys }: VelocityAttempt): void {
    const knownAtMs = this.#frauds.get(eventHash)
    if (knownAtMs !== undefined) {
      this.#frauds.delete(eventHash)
      const label = { eventHash, atMs: arrivedAtMs, keys, kind: 'fraud' } as const
      this.#labels.add(label, Math.max(arrivedAtMs, knownAtMs || arrivedAtMs))
    }
    const ending = this.#endings.get(eventHash)
    if (ending === undefined) return
    this.#endings.delete(eventHash)
    const { atMs, responseCode } = ending
    // Answers take seconds, so the place is near the end.
    let at = this.#due.length
    while (at > 0 && (this.#due[at - 1]?.atMs ?? 0) > atMs) at--
    this.#due.splice(at, 0, { eventHash, atMs, keys, kind: 'declined', responseCode })
  }
}
