// What scoring takes from outside. The switch hands these in; a simulation hands in its own.

export interface Clock {
  /** Wall-clock time in milliseconds since 1970 (UTC). May step. */
  now(): number
  /** Milliseconds from an arbitrary start; never steps back. For durations and deadlines. */
  monotonic(): number
}

/** What `Timers.set` returns; opaque. */
export type TimerHandle = unknown

export interface Timers {
  /** Runs `callback` once after `delayMs`. */
  set(delayMs: number, callback: () => void): TimerHandle
  clear(handle: TimerHandle): void
}
