// What a load run stands on: either a target that runs already, or issuers, Redis and a switch of
// its own, on free ports below one folder, ended when the run is over.

import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import {
  readLedger,
  readStatus,
  redisMissing,
  startIssuer,
  startRedis,
  startSwitch,
} from '../processes/index.ts'
import type { IssuerLedger } from './books.ts'
import type { Target } from './door.ts'
import type { LoadOptions } from './options.ts'

export interface Stand {
  readonly target: Target
  /** For the report: which stores the switch uses, or whose switch it is. */
  readonly stores: string
  readonly pids: {
    readonly switch: number | null
    readonly redis: number | null
    readonly issuers: readonly number[]
  }
  /** The issuers' ledgers from the start of the run on; null where none can be read. */
  readLedgers(): Promise<readonly IssuerLedger[] | null>
  /** Ends what was started, in reverse. */
  tearDown(): Promise<void>
}

/** `tell` takes one line at a time about what is being started. */
export async function setUp(options: LoadOptions, tell: (line: string) => void): Promise<Stand> {
  return options.target === undefined
    ? startOwn(options, tell)
    : findTarget(options.target, options.issuerControls)
}

async function findTarget(url: URL, controls: readonly string[]): Promise<Stand> {
  const issuers = await Promise.all(
    controls.map(async (controlUrl) => ({ controlUrl, before: await readStatus(controlUrl) })),
  )
  return {
    target: { host: url.hostname.replace(/^\[|\]$/g, ''), port: Number(url.port || 80) },
    stores: `of ${url.host}, not known here`,
    pids: { switch: null, redis: null, issuers: issuers.map(({ before }) => before.pid) },
    readLedgers: () => (issuers.length === 0 ? Promise.resolve(null) : readLedgers(issuers)),
    tearDown: () => Promise.resolve(),
  }
}

async function startOwn(options: LoadOptions, tell: (line: string) => void): Promise<Stand> {
  const folder = await makeFolder(options.folder)
  const endings: (() => Promise<unknown>)[] = []
  if (options.folder === undefined) {
    endings.push(() => rm(folder, { recursive: true, force: true }))
  }
  const tearDown = async () => {
    for (let end = endings.pop(); end !== undefined; end = endings.pop()) await end()
  }
  try {
    tell('starting two issuers')
    const issuers = await Promise.all([
      startIssuer({ name: 'demo-a', ledgerFile: path.join(folder, 'demo-a.ndjson') }),
      startIssuer({
        name: 'demo-b',
        ledgerFile: path.join(folder, 'demo-b.ndjson'),
        behaviour: { answers: 'cents' },
      }),
    ])
    for (const issuer of issuers) endings.push(() => issuer.stop())
    const redis = await startVelocityStore(options.redis, tell)
    if (redis !== undefined) endings.push(redis.stop)
    tell('starting the switch')
    const running = await startSwitch({
      folder,
      issuers,
      redisUrl: redis?.url,
      // Every line of the log costs the switch what an authorization does not.
      config: { log: { oneLineIn: 100 } },
    })
    endings.push(() => running.stop())
    const url = new URL(running.url)
    return {
      target: {
        host: url.hostname,
        port: options.protocol === 'iso8583' ? Number(running.isoPort) : Number(url.port),
      },
      get stores() {
        const said = running.logs
        return `transactions ${factOf(said, 'store')}, velocity ${factOf(said, 'velocity')}`
      },
      pids: {
        switch: running.pid,
        redis: redis?.pid ?? null,
        issuers: issuers.map((issuer) => issuer.pid),
      },
      readLedgers: () =>
        readLedgers(
          issuers.map(({ name, controlUrl }) => ({ controlUrl, before: { name, sequence: 0 } })),
        ),
      tearDown,
    }
  } catch (error) {
    await tearDown()
    throw error
  }
}

/** What the switch said at its start of the stores it uses, not what it was told to use. */
function factOf(logs: string, name: string): string {
  const fact = new RegExp(`^ {2}${name} +([^,(\\n]+)`, 'm').exec(logs)?.[1]
  return fact?.trim() ?? 'not said'
}

interface VelocityStore {
  readonly url: string
  readonly pid: number | null
  readonly stop: () => Promise<unknown>
}

async function startVelocityStore(
  redis: string,
  tell: (line: string) => void,
): Promise<VelocityStore | undefined> {
  if (redis === 'none') return undefined
  if (redis !== 'auto') {
    return { url: redis, pid: null, stop: () => Promise.resolve() }
  }
  const missing = redisMissing()
  if (missing !== false) {
    tell(`velocity is embedded: ${missing}`)
    return undefined
  }
  tell('starting redis-server')
  const server = await startRedis()
  return { url: server.url, pid: server.pid, stop: () => server.stop() }
}

async function makeFolder(wanted: string | undefined): Promise<string> {
  if (wanted === undefined) return mkdtemp(path.join(tmpdir(), 'switchyard-load-'))
  const folder = path.resolve(wanted)
  await mkdir(folder, { recursive: true })
  if ((await readdir(folder)).length > 0) throw new Error(`${folder} is not empty`)
  return folder
}

interface LedgerSource {
  readonly controlUrl: string
  /** Who, and the last entry from before the run. */
  readonly before: { readonly name: string; readonly sequence: number }
}

function readLedgers(sources: readonly LedgerSource[]): Promise<IssuerLedger[]> {
  return Promise.all(
    sources.map(async ({ controlUrl, before }) => ({
      issuer: before.name,
      entries: await readLedger(controlUrl, before.sequence),
    })),
  )
}
