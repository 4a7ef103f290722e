// Adapter: Redis by ioredis. A command is never sent twice, never waits for a connection, and
// always ends: its effect is unknown when it fails, and the scripts make asking again safe.

import type { ConnectionOptions } from 'node:tls'
import { Redis } from 'ioredis'
import type { RedisConnection, RedisScript } from '../velocity/index.ts'

export interface RedisConnectionOptions {
  /** `redis://[user:password@]host:port[/database]`, or `rediss://` for TLS. */
  readonly url: string
  /** Every command ends by then; above every deadline of the callers. */
  readonly commandTimeoutMs: number
  /** How long to wait for the first connection before going on without; it is tried on and on. */
  readonly connectTimeoutMs: number
  readonly tls?: ConnectionOptions
}

const RECONNECT_MS_MIN = 50
const RECONNECT_MS_MAX = 1_000
/** A connection on which an asked Redis says nothing for so long is given up, and dialled again. */
const SILENT_MS_MAX = 5_000

function reconnectDelayMs(times: number): number {
  const delayMs = Math.min(RECONNECT_MS_MAX, RECONNECT_MS_MIN * 2 ** Math.min(times, 10))
  return delayMs / 2 + (Math.random() * delayMs) / 2
}

function isNoScript(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith('NOSCRIPT')
}

/**
 * Resolves once connected, or when that has not happened within `connectTimeoutMs`: a missing Redis
 * makes calls fail, it doesn't keep anybody from starting. Rejects for a URL that is none.
 */
export async function connectRedis(options: RedisConnectionOptions): Promise<RedisConnection> {
  const redis = new Redis(options.url, {
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    enableOfflineQueue: false,
    commandTimeout: options.commandTimeoutMs,
    connectTimeout: Math.max(options.connectTimeoutMs, 1_000),
    socketTimeout: SILENT_MS_MAX,
    retryStrategy: reconnectDelayMs,
    ...(options.tls === undefined ? {} : { tls: options.tls }),
  })
  let lastError: Error | undefined
  redis.on('error', (error: Error) => {
    lastError = error
  })
  await firstConnection(redis, options.connectTimeoutMs)

  return {
    async runScript(script: RedisScript, keys, args) {
      if (redis.status !== 'ready') {
        throw new Error('not connected to Redis', { cause: lastError })
      }
      try {
        return await redis.callBuffer('EVALSHA', script.sha1, keys.length, ...keys, ...args)
      } catch (error) {
        // Refused before it ran, so it may be sent again; EVAL also keeps it for the next time.
        if (!isNoScript(error)) throw error
        return await redis.callBuffer('EVAL', script.source, keys.length, ...keys, ...args)
      }
    },
    async close() {
      redis.disconnect()
    },
  }
}

function firstConnection(redis: Redis, timeoutMs: number): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer)
      redis.off('ready', done)
      resolve()
    }
    const timer = setTimeout(done, timeoutMs)
    redis.on('ready', done)
  })
}
