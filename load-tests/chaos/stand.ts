// What a chaos run stands on: real processes on free ports below one folder, each link of the
// switch through a proxy of ours.
//
//   acquirer ──> switch ──(proxy)──> demo-a, demo-b, demo-c      demo-c takes demo-a's cards where
//                  │ ├─────(proxy)──> Redis                      demo-a certainly got nothing
//                  │ └─────(proxy)──> PostgreSQL, one proxy a switch
//                  └── or its own disk

import { mkdir, mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { openFileDiskForReading } from '../../switch/adapters/file-disk.ts'
import { openPostgresDatabase } from '../../switch/adapters/postgres-database.ts'
import { exportDatabase, exportLog } from '../../switch/store/index.ts'
import type { IssuerLedger } from '../driver/index.ts'
import {
  Child,
  freePort,
  mountSmallDisk,
  type RunningPostgres,
  redisMissing,
  type SmallDisk,
  startPostgres,
  startSwitch,
} from '../processes/index.ts'
import type { StoreKind } from './faults.ts'
import { issuerTimeoutMs, leaseMs, smallDiskMegabytes } from './limits.ts'
import { TcpProxy } from './proxy.ts'
import { StoredBooks } from './stored.ts'
import { RevivableIssuer, RevivableRedis, SupervisedSwitch } from './supervised.ts'

const ISSUERS = ['demo-a', 'demo-b', 'demo-c'] as const
/** A start on a machine that is busy with the load takes half a minute, and may be hit again. */
const READY_MS = 300_000

export interface StandOptions {
  readonly store: StoreKind
  /** The switch's disk has to be one that can be made full. */
  readonly wantsSmallDisk: boolean
  /** Keep everything there; a folder of its own that is removed where absent. */
  readonly keep: string | undefined
  readonly onReady: (tookMs: number) => void
  readonly say: (line: string) => void
}

export interface Stand {
  readonly store: StoreKind
  readonly switches: readonly SupervisedSwitch[]
  readonly issuers: readonly RevivableIssuer[]
  /** Of the issuer at the same place. */
  readonly issuerLinks: readonly TcpProxy[]
  /** Absent: no redis-server here, velocity is embedded. */
  readonly redis: RevivableRedis | undefined
  readonly redisLink: TcpProxy | undefined
  readonly postgres: RunningPostgres | undefined
  /** Of the switch at the same place. */
  readonly postgresLinks: readonly TcpProxy[]
  readonly disk: SmallDisk | undefined
  /** Bytes of the newest segment of the embedded store. */
  segmentBytes(): Promise<number>
  readStored(): Promise<StoredBooks>
  readLedgers(): Promise<IssuerLedger[]>
  /** Until every switch is ready. */
  waitReady(): Promise<void>
  /** Every link as it should be. */
  heal(): void
  tearDown(): Promise<void>
}

export async function setUp(options: StandOptions): Promise<Stand> {
  const endings: (() => unknown)[] = []
  const tearDown = async () => {
    for (let end = endings.pop(); end !== undefined; end = endings.pop()) await end()
  }
  try {
    const stand = await build(options, endings, tearDown)
    for (const one of stand.switches) {
      // One after the other: the first makes the key file.
      one.keep()
      await one.waitReady(READY_MS)
    }
    return stand
  } catch (error) {
    await tearDown()
    throw error
  }
}

type Endings = (() => unknown)[]

async function build(
  options: StandOptions,
  endings: Endings,
  tearDown: () => Promise<void>,
): Promise<Stand> {
  const { store, say } = options
  const isShared = store === 'postgres'
  const disk = options.wantsSmallDisk ? mountSmallDisk(smallDiskMegabytes) : undefined
  if (disk !== undefined) endings.push(() => disk.remove())
  const folder = await makeFolder(options.keep, store, endings)
  say('starting three issuers')
  const issuers = await Promise.all(ISSUERS.map((name) => RevivableIssuer.start(name, folder)))
  for (const issuer of issuers) endings.push(() => issuer.running.stop())
  const linkTo = async (port: number) => {
    const link = await TcpProxy.listen({ host: '127.0.0.1', port })
    endings.push(() => link.close())
    return link
  }
  const issuerLinks = await Promise.all(issuers.map(({ port }) => linkTo(port)))
  const redis = redisMissing() === false ? await RevivableRedis.start() : undefined
  if (redis !== undefined) endings.push(() => redis.running.stop())
  const redisLink = redis && (await linkTo(redis.port))
  const postgres = isShared ? await startDatabase(say, endings) : undefined
  const count = isShared ? 2 : 1
  const postgresLinks: TcpProxy[] = []
  const switches: SupervisedSwitch[] = []
  for (let index = 0; index < count; index++) {
    const postgresLink = postgres && (await linkTo(postgres.port))
    if (postgresLink !== undefined) postgresLinks.push(postgresLink)
    const one = await superviseSwitch(options, {
      name: count === 1 ? 'the switch' : `switch ${index + 1}`,
      folder: disk?.folder ?? path.join(folder, `switch-${index + 1}`),
      keysFile: path.join(folder, 'keys', 'keys.json'),
      issuerLinks,
      redisLink,
      databaseUrl: postgres && postgresLink && urlThrough(postgres.url, postgresLink.port),
    })
    endings.push(() => one.end())
    switches.push(one)
  }
  const storeFolder = path.join(disk?.folder ?? path.join(folder, 'switch-1'), 'data', 'store')
  const links = [...issuerLinks, ...(redisLink ? [redisLink] : []), ...postgresLinks]
  return {
    ...{ store, switches, issuers, issuerLinks, redis, redisLink, postgres, postgresLinks, disk },
    segmentBytes: () => newestBytes(storeFolder),
    readStored: () => readStored(postgres?.url, storeFolder),
    readLedgers: () =>
      Promise.all(
        issuers.map(async ({ name, running }) => ({
          issuer: name,
          entries: await running.ledger(),
        })),
      ),
    waitReady: async () => {
      for (const one of switches) await one.waitReady(READY_MS)
    },
    heal: () => {
      for (const link of links) link.setWeather({})
    },
    tearDown,
  }
}

interface SwitchParts {
  readonly name: string
  readonly folder: string
  readonly keysFile: string
  readonly issuerLinks: readonly TcpProxy[]
  readonly redisLink: TcpProxy | undefined
  readonly databaseUrl: string | undefined
}

async function superviseSwitch(
  { onReady, say }: StandOptions,
  { name, folder, keysFile, issuerLinks, redisLink, databaseUrl }: SwitchParts,
): Promise<SupervisedSwitch> {
  await mkdir(folder, { recursive: true })
  const link = { host: '127.0.0.1', dialect: 'iso8583-1987-ascii', timeoutMs: issuerTimeoutMs }
  const config = {
    // What is decided matters here, not how fast: cores may be shared with the load.
    deadlines: { scoreMs: 100, velocityMs: 80, durabilityMs: 4_000 },
    log: { oneLineIn: 0 },
    watchRules: false,
    issuers: ISSUERS.map((issuer, i) => ({ ...link, name: issuer, port: issuerLinks[i]?.port })),
    routes: [
      { bins: ['476173'], issuer: 'demo-a', failOver: ['demo-c'] },
      { bins: ['541333'], issuer: 'demo-b' },
    ],
    ...(databaseUrl === undefined ? {} : { database: { leaseMs } }),
  }
  const port = await freePort()
  const isoPort = await freePort()
  const start = () =>
    startSwitch({
      folder,
      issuers: [],
      config,
      redisUrl: redisLink && `redis://127.0.0.1:${redisLink.port}`,
      env: {
        PORT: String(port),
        ISO_PORT: String(isoPort),
        DATABASE_URL: databaseUrl,
        KEYS_FILE: keysFile,
      },
      waitReady: false,
    })
  say(`starting ${name}`)
  return new SupervisedSwitch({ name, port, isoPort, start, onReady, say })
}

async function startDatabase(
  say: (line: string) => void,
  endings: Endings,
): Promise<RunningPostgres> {
  say('starting PostgreSQL')
  const postgres = await startPostgres()
  endings.push(() => postgres.stop())
  const migrated = Child.start({
    title: 'store migrate',
    args: ['switch/commands/switchyard.js', 'store', 'migrate'],
    env: { DATABASE_URL: postgres.url },
  })
  if ((await migrated.exited) !== 0) throw new Error(`store migrate failed:\n${migrated.logs}`)
  return postgres
}

/** The same database by another port. */
function urlThrough(given: string, port: number): string {
  const url = new URL(given)
  url.port = String(port)
  return url.href
}

async function makeFolder(
  keep: string | undefined,
  store: StoreKind,
  endings: Endings,
): Promise<string> {
  if (keep !== undefined) {
    const folder = path.join(path.resolve(keep), store)
    await mkdir(folder, { recursive: true })
    if ((await readdir(folder)).length > 0) throw new Error(`${folder} is not empty`)
    return folder
  }
  const folder = await mkdtemp(path.join(tmpdir(), 'switchyard-chaos-'))
  endings.push(() => rm(folder, { recursive: true, force: true }))
  return folder
}

async function newestBytes(storeFolder: string): Promise<number> {
  const segments = (await readdir(storeFolder)).filter((name) => name.endsWith('.log')).sort()
  return (await stat(path.join(storeFolder, segments.at(-1) ?? ''))).size
}

/** By the store's own export, beside the running switch. */
async function readStored(url: string | undefined, storeFolder: string): Promise<StoredBooks> {
  const books = new StoredBooks()
  const take = (record: Readonly<Record<string, unknown>>) => {
    books.take(record)
    return undefined
  }
  if (url !== undefined) {
    await exportDatabase(openPostgresDatabase(url, 'switchyard-chaos'), take)
    return books
  }
  const problem = await exportLog(openFileDiskForReading(storeFolder), take)
  if (problem !== undefined) books.contradictions.push(problem.message)
  return books
}
