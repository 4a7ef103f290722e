// Adapter: Redis by ioredis, one server, the master of a Sentinel, or a cluster. A command is never
// sent twice, never waits for a connection, and always ends: its effect is unknown when it fails,
// and the scripts make asking again safe.

import type { ConnectionOptions } from 'node:tls'
import { Cluster, Redis } from 'ioredis'
import {
  KeysMoved,
  parseRedisUrl,
  type RedisAddress,
  type RedisConnection,
  type RedisScript,
} from '../velocity/index.ts'
import { clusterSlot } from './cluster-slot.ts'

export interface RedisConnectionOptions {
  /** As `redis-address.ts` has it. */
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
/** A cluster is asked anew who has what, so that a fail-over is noticed without a refused call. */
const SLOTS_REFRESH_MS = 2_000
/** Redirections of one call: to where a slot is now, and once more where it moves that moment. */
const REDIRECTIONS_MAX = 3

function reconnectDelayMs(times: number): number {
  const delayMs = Math.min(RECONNECT_MS_MAX, RECONNECT_MS_MIN * 2 ** Math.min(times, 10))
  return delayMs / 2 + (Math.random() * delayMs) / 2
}

/**
 * Resolves once connected, or when that has not happened within `connectTimeoutMs`: a missing Redis
 * makes calls fail, it doesn't keep anybody from starting. Rejects for a URL that is none.
 */
export async function connectRedis(options: RedisConnectionOptions): Promise<RedisConnection> {
  const address = parseRedisUrl(options.url)
  if (address === undefined) throw new Error('the URL of Redis is none')
  const client = dial(address, options)
  let lastError: Error | undefined
  client.on('error', (error: Error) => {
    lastError = error
  })
  await firstConnection(client, options.connectTimeoutMs)

  const connection: RedisConnection = {
    async runScript(script, keys, args) {
      if (client.status !== 'ready') {
        throw new Error('not connected to Redis', { cause: lastError })
      }
      try {
        return await callScript(client, script, keys, args)
      } catch (error) {
        throw isMove(error) ? new KeysMoved(error.message) : error
      }
    },
    async close() {
      client.disconnect()
    },
  }
  if (!(client instanceof Cluster)) return connection
  return {
    ...connection,
    // Of a slot that nobody is known to have, any server knows where it is.
    serverOf: (key) => client.slots[clusterSlot(key)]?.[0] ?? 'unknown',
  }
}

/** What `switchyard doctor` asks: of every master, where there are several. */
export interface RedisFacts {
  readonly version: string
  readonly maxmemoryPolicies: readonly string[]
}

/** Rejects with what is wrong: no connection, a wrong password, no URL. */
export async function probeRedis(options: RedisConnectionOptions): Promise<RedisFacts> {
  const address = parseRedisUrl(options.url)
  if (address === undefined) throw new Error('the URL of Redis is none')
  const client = dial(address, options)
  let lastError: Error | undefined
  client.on('error', (error: Error) => {
    lastError = error
  })
  try {
    await firstConnection(client, options.connectTimeoutMs)
    if (client.status !== 'ready') throw lastError ?? new Error('no connection in time')
    const masters = client instanceof Cluster ? client.nodes('master') : [client]
    const infos = await Promise.all(masters.map((master) => master.info()))
    const of = (name: string) =>
      infos.map((info) => new RegExp(`^${name}:(\\S+)`, 'm').exec(info)?.[1] ?? 'unknown')
    return {
      version: [...new Set(of('redis_version'))].join(', '),
      maxmemoryPolicies: [...new Set(of('maxmemory_policy'))],
    }
  } finally {
    client.disconnect()
  }
}

async function callScript(
  client: Redis | Cluster,
  script: RedisScript,
  keys: readonly string[],
  args: readonly (string | Buffer)[],
): Promise<unknown> {
  try {
    return await client.callBuffer('evalsha', script.sha1, keys.length, ...keys, ...args)
  } catch (error) {
    // Refused before it ran, so it may be sent again; EVAL also keeps it for the next time.
    if (!isNoScript(error)) throw error
    return await client.callBuffer('eval', script.source, keys.length, ...keys, ...args)
  }
}

function isNoScript(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith('NOSCRIPT')
}

/** The words of Redis 7 for a key that another server has, alone or in a script. */
function isMove(error: unknown): error is Error {
  return (
    error instanceof Error &&
    /non local key|^(MOVED|ASK|TRYAGAIN) |^Too many Cluster redirections/.test(error.message)
  )
}

function dial(address: RedisAddress, options: RedisConnectionOptions): Redis | Cluster {
  const once = {
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    commandTimeout: options.commandTimeoutMs,
    connectTimeout: Math.max(options.connectTimeoutMs, 1_000),
    socketTimeout: SILENT_MS_MAX,
  }
  const reconnecting = { ...once, enableOfflineQueue: false, retryStrategy: reconnectDelayMs }
  if (address.kind === 'server') {
    const tls = options.tls === undefined ? {} : { tls: options.tls }
    return new Redis(address.url, { ...reconnecting, ...tls })
  }
  const { username, password, isTls } = address
  const tls = isTls ? { tls: options.tls ?? {} } : {}
  const credentials = {
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
  }
  if (address.kind === 'sentinel') {
    return new Redis({
      ...reconnecting,
      ...credentials,
      ...tls,
      sentinels: [...address.sentinels],
      name: address.name,
      db: address.database,
      sentinelRetryStrategy: reconnectDelayMs,
      ...(isTls ? { enableTLSForSentinelMode: true, sentinelTLS: options.tls ?? {} } : {}),
    })
  }
  return new Cluster([...address.nodes], {
    enableOfflineQueue: false,
    clusterRetryStrategy: reconnectDelayMs,
    slotsRefreshInterval: SLOTS_REFRESH_MS,
    maxRedirections: REDIRECTIONS_MAX,
    // Who was asked and may have done it is not asked again behind the caller's back.
    retryDelayOnFailover: 0,
    retryDelayOnClusterDown: 0,
    retryDelayOnTryAgain: 10,
    redisOptions: { ...once, ...credentials, ...tls },
  })
}

function firstConnection(client: Redis | Cluster, timeoutMs: number): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer)
      client.off('ready', done)
      resolve()
    }
    const timer = setTimeout(done, timeoutMs)
    client.on('ready', done)
  })
}
