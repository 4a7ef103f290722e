// What a load run stands on: either a target that runs already, or issuers, Redis and a switch of
// its own, on free ports below one folder, ended when the run is over.

import { randomFillSync } from 'node:crypto'
import { existsSync } from 'node:fs'
import { cp, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { newKeyFile, parseKeyFile } from '#switch'
import {
  projectFolder,
  type RunningIssuer,
  readLedger,
  readStatus,
  redisMissing,
  startIssuer,
  startRedis,
  startSwitch,
} from '../processes/index.ts'
import type { IssuerLedger } from './books.ts'
import type { Target } from './door.ts'
import { Faults } from './faults.ts'
import { issuerPlan } from './issuer-plan.ts'
import { type BookedEntry, readLedgerLines } from './ledger-lines.ts'
import type { MixOptions } from './mix.ts'
import type { Pids } from './observer.ts'
import { type LoadOptions, requestsOf } from './options.ts'
import { warmVelocity } from './warm-velocity.ts'

export interface Stand {
  readonly target: Target
  /** For the report: which stores the switch uses, or whose switch it is. */
  readonly stores: string
  readonly pids: Pids
  /** Operations port; absent where it is not known. */
  readonly adminUrl: string | undefined
  /** What can be broken here; absent where nothing was started. */
  readonly faults: Faults | undefined
  /** From now on ledgers count: what stands in them belongs to runs before. */
  mark(): Promise<void>
  /** The issuers' ledgers since the mark; null where none can be read. */
  readLedgers(): Promise<readonly IssuerLedger<BookedEntry>[] | null>
  /** The ledger in which an issuer's approvals stand. */
  ledgerOf(issuer: string): string
  /** Ends the switch alone, and what it wrote of itself; absent where none was started. */
  readonly endProfiled?: () => Promise<Profiled>
  /** Ends what was started, in reverse. */
  tearDown(): Promise<void>
}

/** What a profiled switch left behind (`LoadOptions.where`). */
export interface Profiled {
  /** `.cpuprofile`, one a thread. */
  readonly folder: string
  /** Its output, with the lines of --trace-gc. */
  readonly trace: string
  /** When it was started, microseconds of the monotonic clock. */
  readonly startedAt: number
}

/** `tell` takes one line at a time about what is being started. */
export async function setUp(
  options: LoadOptions,
  mix: MixOptions,
  tell: (line: string) => void,
): Promise<Stand> {
  return options.target === undefined
    ? startOwn(options, mix, tell)
    : findTarget(options.target, options.issuerControls)
}

async function findTarget(url: URL, controls: readonly string[]): Promise<Stand> {
  const issuers = await Promise.all(controls.map((controlUrl) => readStatus(controlUrl)))
  const books = ledgersOf(
    issuers.map(({ name }, i) => ({ name, controlUrl: controls[i] as string, sequence: 0 })),
  )
  return {
    target: { host: url.hostname.replace(/^\[|\]$/g, ''), port: Number(url.port || 80) },
    stores: `of ${url.host}, not known here`,
    pids: { switch: null, redis: null, issuers: issuers.map(({ pid }) => pid) },
    adminUrl: undefined,
    faults: undefined,
    ...books,
    ledgerOf: (issuer) => issuer,
    tearDown: () => Promise.resolve(),
  }
}

/** Orders to the operations port of the switch that is started; known to nobody else. */
const adminToken = 'load-test-admin-token'

async function startOwn(
  options: LoadOptions,
  mix: MixOptions,
  tell: (line: string) => void,
): Promise<Stand> {
  const folder = await makeFolder(options.folder)
  const endings: (() => Promise<unknown>)[] = []
  if (options.folder === undefined) {
    endings.push(() => rm(folder, { recursive: true, force: true }))
  }
  const tearDown = async () => {
    for (let end = endings.pop(); end !== undefined; end = endings.pop()) await end()
  }
  const { scenario } = options
  try {
    tell('starting issuers')
    const issuers = await startIssuers(options, folder)
    for (const issuer of issuers) endings.push(() => issuer.stop())
    const redis = await startVelocityStore(options.redis, tell)
    if (redis !== undefined) endings.push(redis.stop)
    await fillVelocity(options, folder, mix, redis, tell)
    const rulesDir =
      scenario.rules === undefined ? undefined : await rulesFolder(folder, scenario.rules)
    tell('starting the switch')
    const plan = issuerPlan(scenario.issuers, issuers)
    const profiles = path.join(folder, 'profiles')
    const startedAt = monotonicMicros()
    const running = await startSwitch({
      folder,
      issuers,
      redisUrl: redis?.url,
      // Every line of the log costs the switch what an authorization does not.
      config: { log: { oneLineIn: 100 }, watchRules: false, ...plan.config, ...scenario.config },
      env: {
        ADMIN_TOKEN: adminToken,
        RULES_DIR: rulesDir,
        // A profile names the functions of the source, not of its compiled copy.
        ...(options.where ? { SWITCHYARD_AS_WRITTEN: '1' } : {}),
      },
      nodeArgs: options.where ? ['--cpu-prof', `--cpu-prof-dir=${profiles}`, '--trace-gc'] : [],
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
      adminUrl: running.adminUrl,
      faults: new Faults({
        redis,
        issuers,
        reload: { adminUrl: running.adminUrl, adminToken, rulesDir },
      }),
      ...ledgersOf(
        issuers.map(({ name, controlUrl }) => {
          const file = ledgerFileIn(folder, name)
          return { name, controlUrl, sequence: 0, file: existsSync(file) ? file : undefined }
        }),
      ),
      ledgerOf: plan.ledgerOf,
      async endProfiled() {
        await running.stop()
        return { folder: profiles, trace: running.logs, startedAt }
      },
      tearDown,
    }
  } catch (error) {
    await tearDown()
    throw error
  }
}

/**
 * Their ledgers go to files where somebody keeps them, or where the run is longer than they
 * remember: a line a message is not free.
 */
function startIssuers(options: LoadOptions, folder: string): Promise<RunningIssuer[]> {
  const isWritten =
    options.folder !== undefined || requestsOf(options.scenario.phases) > requestsRemembered
  const file = (name: string) => (isWritten ? { ledgerFile: ledgerFileIn(folder, name) } : {})
  return Promise.all([
    startIssuer({ name: 'demo-a', ...file('demo-a') }),
    startIssuer({ name: 'demo-b', ...file('demo-b'), behaviour: { answers: 'cents' } }),
  ])
}

/** Below what an issuer holds in memory, since a rate is no promise. */
const requestsRemembered = 500_000

function ledgerFileIn(folder: string, name: string): string {
  return path.join(folder, `${name}.ndjson`)
}

/** Keys are made before the switch is: the counters stand under tokens of its keys. */
async function fillVelocity(
  options: LoadOptions,
  folder: string,
  mix: MixOptions,
  redis: VelocityStore | undefined,
  tell: (line: string) => void,
): Promise<void> {
  const { warmEvents = 0 } = options.scenario
  if (warmEvents === 0) return
  if (redis === undefined) throw new Error('warm counters need Redis: embedded ones begin at zero')
  const text = newKeyFile({ fill: (bytes) => randomFillSync(bytes) })
  const parsed = parseKeyFile(text)
  if (!parsed.ok) throw new Error(parsed.problem)
  const file = path.join(folder, 'keys', 'keys.json')
  await mkdir(path.dirname(file), { recursive: true, mode: 0o700 })
  await writeFile(file, text, { mode: 0o600 })
  await warmVelocity({
    ...{ redisUrl: redis.url, keys: parsed.keys, acquirer: 'demo', mix, tell },
    eventsPerRing: warmEvents,
  })
}

/** The shipped lists and degradation policy, and one pack in place of all others. */
async function rulesFolder(folder: string, pack: string): Promise<string> {
  const rules = path.join(folder, 'rules')
  const shipped = path.join(projectFolder, 'rules')
  await mkdir(path.join(rules, 'packs'), { recursive: true })
  await cp(path.join(shipped, 'lists'), path.join(rules, 'lists'), {
    recursive: true,
    filter: (name) => !name.endsWith('.ts'),
  })
  const policy = path.join('packs', 'degradation.yaml')
  await cp(path.join(shipped, policy), path.join(rules, policy))
  await cp(path.resolve(projectFolder, pack), path.join(rules, 'packs', path.basename(pack)))
  return rules
}

/** What the switch said at its start of the stores it uses, not what it was told to use. */
function factOf(logs: string, name: string): string {
  const fact = new RegExp(`^ {2}${name} +([^,(\\n]+)`, 'm').exec(logs)?.[1]
  return fact?.trim() ?? 'not said'
}

export interface VelocityStore {
  readonly url: string
  readonly pid: number | null
  /** Stops it from running; absent where it is somebody else's. */
  readonly pause?: () => void
  readonly resume?: () => void
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
  const { url, pid, pause, resume } = server
  return { url, pid, pause, resume, stop: () => server.stop() }
}

async function makeFolder(wanted: string | undefined): Promise<string> {
  if (wanted === undefined) return mkdtemp(path.join(tmpdir(), 'switchyard-load-'))
  const folder = path.resolve(wanted)
  await mkdir(folder, { recursive: true })
  if ((await readdir(folder)).length > 0) throw new Error(`${folder} is not empty`)
  return folder
}

interface LedgerSource {
  readonly name: string
  readonly controlUrl: string
  /** The last entry that does not count. */
  sequence: number
  /** Where it is written, line by line, too. */
  readonly file?: string | undefined
}

function ledgersOf(sources: readonly LedgerSource[]): Pick<Stand, 'mark' | 'readLedgers'> {
  return {
    async mark() {
      for (const source of sources) source.sequence = (await readStatus(source.controlUrl)).sequence
    },
    async readLedgers() {
      if (sources.length === 0) return null
      return Promise.all(
        sources.map(async (source) => ({
          issuer: source.name,
          entries: await entriesOf(source),
        })),
      )
    },
  }
}

/** What an issuer no longer remembers stands in its file. */
async function entriesOf(source: LedgerSource): Promise<readonly BookedEntry[]> {
  const { name, controlUrl, sequence, file } = source
  const { forgotten } = await readStatus(controlUrl)
  if (forgotten <= sequence) return readLedger(controlUrl, sequence)
  if (file !== undefined) return readLedgerLines(file, sequence)
  throw new Error(
    `issuer ${name} remembers its newest entries only, so the books of this run can't be judged: ` +
      'offer less, or name no --issuer-control',
  )
}

/** Of the machine's monotonic clock, which all its processes share. */
export function monotonicMicros(): number {
  return Number(process.hrtime.bigint() / 1_000n)
}
