// What has happened to the rules of a switch, and what follows from it.

import type { RuleChanges } from '#rules'

/** One line of the history. */
export interface RuleEvent {
  /** ISO 8601. */
  readonly at: string
  /** `refused` changed nothing; every other names the set that decides from then on. */
  readonly result: 'started' | 'taken' | 'rolled_back' | 'released' | 'refused'
  /** Who asked: a name that came with the request, or what it was that changed. */
  readonly by: string
  readonly hash: string
  /** The set that decided before; null at the first start. */
  readonly before: string | null
  readonly changes?: RuleChanges
  /** Why it was refused, the first problem. */
  readonly problem?: string
}

/** A set that decides whatever the rules folder says. */
export interface PinnedSet {
  readonly hash: string
  readonly by: string
  /** ISO 8601. */
  readonly since: string
}

/** The set that decided last, by the history; undefined before the first start. */
export function lastLive(events: readonly RuleEvent[]): RuleEvent | undefined {
  return events.findLast(({ result }) => result !== 'refused')
}

/** The set that decided before the one that decides now; undefined where there was no other. */
export function previousSet(events: readonly RuleEvent[], live: string): string | undefined {
  return events.findLast(({ result, hash }) => result !== 'refused' && hash !== live)?.hash
}
