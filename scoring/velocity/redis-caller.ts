// The calls to one Redis server, each with a deadline, all with one breaker: a server that failed a
// moment ago is not waited for.

import type { Clock, Timers } from '../ports.ts'
import { type Breaker, createBreaker } from './breaker.ts'
import { BREAKER_FAILURES_MAX, BREAKER_OPEN_MS, CALLS_IN_FLIGHT_MAX } from './limits.ts'
import { KeysMoved, type RedisConnection } from './redis-connection.ts'
import type { RedisScript } from './redis-script.ts'
import { VelocityError } from './velocity-error.ts'

export interface RedisCallerOptions {
  readonly connection: RedisConnection
  readonly clock: Clock
  readonly timers: Timers
  readonly breakerFailuresMax?: number
  readonly breakerOpenMs?: number
}

export class RedisCaller {
  readonly breaker: Breaker
  readonly #connection: RedisConnection
  readonly #timers: Timers
  #inFlight = 0

  constructor(options: RedisCallerOptions) {
    this.#connection = options.connection
    this.#timers = options.timers
    this.breaker = createBreaker({
      clock: options.clock,
      failuresMax: options.breakerFailuresMax ?? BREAKER_FAILURES_MAX,
      openMs: options.breakerOpenMs ?? BREAKER_OPEN_MS,
    })
  }

  /** Rejects with a VelocityError. */
  async run(
    script: RedisScript,
    keys: readonly string[],
    args: readonly (string | Buffer)[],
    deadlineMs: number,
  ): Promise<unknown> {
    if (this.#inFlight >= CALLS_IN_FLIGHT_MAX) {
      throw new VelocityError('velocity_busy', `${CALLS_IN_FLIGHT_MAX} calls are under way`)
    }
    if (!this.breaker.allows()) {
      throw new VelocityError('velocity_suspended', 'Redis failed a moment ago; not asked')
    }
    this.#inFlight++
    const reply = this.#connection.runScript(script, keys, args)
    reply.then(this.#ended, this.#ended)
    return await this.#withDeadline(reply, deadlineMs)
  }

  readonly #ended = (): void => {
    this.#inFlight--
  }

  #withDeadline(reply: Promise<unknown>, deadlineMs: number): Promise<unknown> {
    return new Promise((resolve, reject) => {
      let over = false
      const timer = this.#timers.set(deadlineMs, () => {
        over = true
        this.breaker.failed()
        reject(new VelocityError('velocity_timeout', `no answer from Redis in ${deadlineMs} ms`))
      })
      reply.then(
        (value) => {
          if (over) return
          this.#timers.clear(timer)
          this.breaker.succeeded()
          resolve(value)
        },
        (cause: unknown) => {
          if (over) return
          this.#timers.clear(timer)
          // A server that says where its keys went is well.
          if (cause instanceof KeysMoved) this.breaker.succeeded()
          else this.breaker.failed()
          const message = cause instanceof Error ? cause.message : String(cause)
          reject(new VelocityError('velocity_unreachable', `Redis: ${message}`, cause))
        },
      )
    })
  }
}
