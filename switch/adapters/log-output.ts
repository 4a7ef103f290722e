// Adapter: structured logs as JSON lines on standard error.

import pino, { type Logger } from 'pino'

export interface LogOutput {
  readonly log: Logger
  /** Writes what is still in memory, at once: before the process ends. */
  flush(): void
}

/**
 * `level` as pino has it. Lines are handed to the system a few kilobytes at a time, at the latest
 * after a second, so a line costs microseconds; what matters at an end is flushed by `flush`.
 */
export function createLogger(level: string): LogOutput {
  const destination = pino.destination({ fd: 2, sync: false })
  const log = pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime }, destination)
  return { log, flush: () => destination.flushSync() }
}
