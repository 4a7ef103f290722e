// `switchyard velocity`: what the counters know of an entity, counting them anew from the store, and
// whether both agree. The store is only read; counters are only written by `rebuild`.

import { existsSync } from 'node:fs'
import path from 'node:path'
import type { Command } from 'commander'
import type { Aggregate, Entity, Lists } from '#rules'
import { compileRuleSet, ENTITIES } from '#rules'
import {
  createEmbeddedVelocity,
  createEntityKeys,
  createRedisVelocity,
  type EntitySource,
  loadBacktest,
  loadRedisProbe,
  loadSnapshotFile,
  type RedisVelocity,
  supportsAggregate,
  type VelocityAttempt,
  type VelocityValues,
} from '#scoring'
import { readConfigFile } from '../adapters/config-files.ts'
import { findHolder } from '../adapters/folder-lock.ts'
import { readKeyFile } from '../adapters/key-files.ts'
import { createSystemRandom, systemClock, systemTimers } from '../adapters/system-clock.ts'
import type { KeyRing } from '../card-data/index.ts'
import type { Config } from '../config/index.ts'
import { openPastData } from './past-data.ts'
import { startProgress } from './progress.ts'
import { filesOf } from './rule-folder.ts'

const DAY_SECONDS = 86_400
const WINDOWS = [
  ['10m', 600],
  ['1h', 3_600],
  ['24h', DAY_SECONDS],
  ['7d', 7 * DAY_SECONDS],
  ['30d', 30 * DAY_SECONDS],
] as const
/** No window reaches further back. */
const REACH_MS = 30 * DAY_SECONDS * 1000
const DEADLINE_MS = 5_000
/** Entities that one call asks for. */
const BATCH_MAX = 64
/** Entities of one kind that `verify` compares: the newest. */
const VERIFIED_MAX = 2_000
/** Discrepancies that are named; the rest is counted. */
const NAMED_MAX = 20

/** What every subcommand stands on: configuration, keys and the lists that turn amounts to base. */
interface Ground {
  readonly config: Config
  readonly keys: KeyRing
  readonly lists: Lists
}

export function registerVelocity(program: Command): void {
  const velocity = program
    .command('velocity')
    .description('show, rebuild and verify the counters that rules and model read')
  velocity
    .command('show')
    .description('what is counted of one entity now')
    .argument('<entity>', `one of ${ENTITIES.join(', ')}: entity=value, see the examples`)
    .option('--json', 'one object')
    .addHelpText(
      'after',
      '\nThe counters are those of REDIS_URL; without it they are counted from the store.\n' +
        '\nExamples:\n  $ npx switchyard velocity show merchant=demo/M-1001' +
        '\n  $ npx switchyard velocity show terminal=demo/M-1001/T-0001' +
        '\n  $ npx switchyard velocity show customer=demo/C-42' +
        '\n  $ npx switchyard velocity show ip=203.0.113.7' +
        '\n  $ npx switchyard velocity show card=tok_...   (the token of an answer)',
    )
    .action(async (entity: string, options: { json?: boolean }) => {
      process.exitCode = await show(entity, options.json === true)
    })
  velocity
    .command('rebuild')
    .description('count the last 30 days of the store anew, into an empty Redis or a snapshot')
    .option('--json', 'one object: {payments, into}')
    .addHelpText(
      'after',
      '\nStop the switch first: what it counts meanwhile would be out of order. Redis must hold no\n' +
        'counters (FLUSHDB), or old events would count twice. Without REDIS_URL it writes the\n' +
        'snapshot that the next start begins with.\n' +
        '\nExample:\n  $ REDIS_URL=redis://127.0.0.1:6379 npx switchyard velocity rebuild',
    )
    .action(async (options: { json?: boolean }) => {
      process.exitCode = await rebuild(options.json === true)
    })
  velocity
    .command('verify')
    .description('compare the counters on Redis with the store, entity by entity')
    .option('--json', 'one object: {compared, differ, examples}')
    .addHelpText(
      'after',
      '\nLooks as of the last payment of the store, so run it while nothing is on its way.' +
        '\n\nExample:\n  $ REDIS_URL=redis://127.0.0.1:6379 npx switchyard velocity verify',
    )
    .action(async (options: { json?: boolean }) => {
      process.exitCode = await verify(options.json === true)
    })
}

async function show(text: string, asJson: boolean): Promise<number> {
  const word = text.split('=', 1)[0] ?? ''
  if (!ENTITIES.some((entity) => entity === word)) {
    console.error(`${word} is no entity: ${ENTITIES.join(', ')}`)
    return 2
  }
  const ground = await openGround()
  if (ground === undefined) return 2
  const named = readEntity(text, ground.keys)
  if (named === undefined) {
    console.error(`${text}: give entity=value; velocity show --help has examples`)
    return 2
  }
  const { entity, key } = named
  const plan = planOf(entity)
  const probe = attemptOf({ [entity]: key }, systemClock.now())
  const values = await readCounters(ground, [probe], plan)
  if (values === undefined) return 1
  const [answer] = values
  if (asJson) console.log(JSON.stringify(asObject(entity, key, plan, answer as VelocityValues)))
  else console.log(asTable(entity, key, plan, answer as VelocityValues))
  return 0
}

async function rebuild(asJson: boolean): Promise<number> {
  const ground = await openGround()
  if (ground === undefined) return 2
  const { config } = ground
  const holder = await findHolder(path.join(config.dataDir, 'store')).catch(() => undefined)
  if (holder !== undefined) {
    console.error(`the switch runs (process ${holder}): stop it, then rebuild`)
    return 2
  }
  if (config.redisUrl === undefined) {
    const velocity = await countStore(ground)
    if (velocity === undefined) return 1
    const file = path.join(config.dataDir, 'velocity.snapshot')
    const { writeSnapshot } = await loadSnapshotFile()
    await writeSnapshot(file, velocity.counters.snapshot())
    tellRebuilt(velocity.payments, `${velocity.counters.entities} entities, ${file}`, asJson)
    return 0
  }
  const right = await countStore(ground, true)
  if (right === undefined) return 1
  const redis = await openRedis(config.redisUrl)
  try {
    const known = await countKnown(redis, right)
    if (known > 0) {
      console.error(
        `Redis counts ${known} of the newest entities already, and would count them twice: ` +
          'remove its counters (FLUSHDB), or keep them (velocity verify compares)',
      )
      return 1
    }
    const counted = await countInto(ground, redis)
    if (counted === undefined) return 1
    tellRebuilt(counted, 'Redis', asJson)
    return 0
  } finally {
    await redis.close()
  }
}

/** How many of the newest entities Redis knows something of. */
async function countKnown(redis: RedisVelocity, { newest, lastMs }: StoreCounted): Promise<number> {
  let known = 0
  for (const [entity, keys] of newest) {
    const plan = comparedPlan(entity)
    const probes = [...keys]
      .slice(-BATCH_MAX)
      .map((key) => attemptOf({ [entity]: key }, lastMs + 1))
    const answers = await redis.read(probes, plan, DEADLINE_MS)
    known += answers.filter(({ values }) => values.some((count) => count > 0)).length
  }
  return known
}

function tellRebuilt(payments: number, into: string, asJson: boolean): void {
  if (asJson) console.log(JSON.stringify({ payments, into }))
  else console.log(`${payments} payments of the last 30 days counted into ${into}`)
}

async function verify(asJson: boolean): Promise<number> {
  const ground = await openGround()
  if (ground === undefined) return 2
  const { redisUrl } = ground.config
  if (redisUrl === undefined) {
    console.error(
      'REDIS_URL is not set: without Redis the counters are known to the switch alone. ' +
        'Set REDIS_URL as the switch has it; velocity show counts from the store without it',
    )
    return 2
  }
  const right = await countStore(ground, true)
  if (right === undefined) return 1
  const redis = await openRedis(redisUrl)
  const examples: object[] = []
  let compared = 0
  let differ = 0
  try {
    for (const [entity, keys] of right.newest) {
      const plan = comparedPlan(entity)
      for (const key of keys) {
        const probe = attemptOf({ [entity]: key }, right.lastMs + 1)
        const [here] = right.counters.read([probe], plan)
        const [there] = await redis.read([probe], plan, DEADLINE_MS)
        compared++
        if (isSame(here as VelocityValues, there as VelocityValues)) continue
        differ++
        if (examples.length < NAMED_MAX) {
          const counts = (values: VelocityValues | undefined) =>
            Object.fromEntries(
              plan.map(({ windowSeconds }, i) => [windowSeconds, values?.values[i]]),
            )
          examples.push({ entity, key, store: counts(here), redis: counts(there) })
        }
      }
    }
  } finally {
    await redis.close()
  }
  if (asJson) console.log(JSON.stringify({ compared, differ, examples }))
  else {
    for (const example of examples) console.log(JSON.stringify(example))
    console.log(`${compared} entities compared, ${differ} differ`)
  }
  return differ === 0 ? 0 : 1
}

/** A lower bound is right where it is not above the truth. */
function isSame(here: VelocityValues, there: VelocityValues): boolean {
  if (there.isPartial) return false
  return here.values.every((value, i) => {
    const other = there.values[i] as number
    if (there.saturated[i] === 1 || here.saturated[i] === 1) return other >= 0
    return Object.is(value, other) || value === other
  })
}

async function readCounters(
  ground: Ground,
  probes: readonly VelocityAttempt[],
  plan: readonly Aggregate[],
): Promise<readonly VelocityValues[] | undefined> {
  const { redisUrl } = ground.config
  if (redisUrl === undefined) {
    console.error('REDIS_URL is not set: counting from the store')
    return (await countStore(ground))?.counters.read(probes, plan)
  }
  const redis = await openRedis(redisUrl)
  try {
    return await redis.read(probes, plan, DEADLINE_MS)
  } catch (error) {
    console.error(`${(error as Error).message}: npx switchyard doctor looks at Redis`)
    return undefined
  } finally {
    await redis.close()
  }
}

async function openRedis(url: string): Promise<RedisVelocity> {
  const { connectRedis } = await loadRedisProbe()
  const connection = await connectRedis({
    url,
    commandTimeoutMs: DEADLINE_MS,
    connectTimeoutMs: DEADLINE_MS,
  })
  return createRedisVelocity({ connection, clock: systemClock, timers: systemTimers })
}

type StoreCounted = NonNullable<Awaited<ReturnType<typeof countStore>>>

/** The store's payments on counters of their own; `newest`: who was seen last, by entity. */
async function countStore(ground: Ground, withNewest = false) {
  const counters = createEmbeddedVelocity()
  const newest = new Map<Entity, Set<string>>()
  const keysOf = createEntityKeys(ground.keys.entityKey)
  let lastMs = 0
  const payments = await countInto(ground, counters, (source, atMs) => {
    lastMs = atMs
    if (!withNewest) return
    for (const [entity, key] of Object.entries(keysOf(source)) as [Entity, string | undefined][]) {
      if (key === undefined) continue
      const keys = newest.get(entity) ?? new Set()
      newest.set(entity, keys)
      keys.delete(key)
      keys.add(key)
      const [oldest] = keys
      if (keys.size > VERIFIED_MAX && oldest !== undefined) keys.delete(oldest)
    }
  })
  return payments === undefined ? undefined : { counters, newest, payments, lastMs }
}

/** How many payments were counted; undefined after saying why the store can't be read. */
async function countInto(
  ground: Ground,
  velocity: Parameters<Awaited<ReturnType<typeof loadBacktest>>['countPast']>[0],
  onPayment: (source: EntitySource, atMs: number) => void = () => undefined,
): Promise<number | undefined> {
  const data = await openPastData(NOTHING)
  if (data === undefined) return undefined
  const { countPast } = await loadBacktest()
  const progress = startProgress('counting')
  const sinceMs = systemClock.now() - REACH_MS
  async function* chunks(from: NonNullable<typeof data>) {
    for await (const chunk of from.chunks) {
      for (const { request } of chunk) {
        if (request.arrivedAtMs >= sinceMs) onPayment(request, request.arrivedAtMs)
      }
      yield chunk
    }
  }
  try {
    const { lists, keys } = ground
    const counted = await countPast(velocity, chunks(data), {
      lists,
      entityKey: keys.entityKey,
      sinceMs,
      onProgress: (payments) => progress.update(data.progress(), payments),
    })
    const problem = data.problem()
    if (problem === undefined) return counted.payments
    console.error(problem)
    return undefined
  } finally {
    progress.stop()
  }
}

const NOTHING = { map: [], set: [] } as const

async function openGround(): Promise<Ground | undefined> {
  const read = readConfigFile(process.env)
  if (!read.ok) {
    for (const problem of read.problems) console.error(`${read.file}: ${problem}`)
    return undefined
  }
  const { config } = read
  if (!existsSync(config.keysFile)) {
    console.error(`${config.keysFile} does not exist: set KEYS_FILE to the key file of the switch`)
    return undefined
  }
  const keys = readKeyFile({
    file: config.keysFile,
    dataDir: config.dataDir,
    isProduction: true,
    random: createSystemRandom(),
  })
  if (!keys.ok) {
    console.error(keys.problem)
    return undefined
  }
  const files = await filesOf(config.rulesDir)
  if (files === undefined) return undefined
  const compiled = compileRuleSet(files)
  if (!compiled.ok) {
    console.error(`${config.rulesDir}: the lists can't be read; npx switchyard rules lint says why`)
    return undefined
  }
  return { config, keys: keys.keys, lists: compiled.lists }
}

/** `merchant=demo/M-1001` as the key under which it is counted; undefined where it is none. */
function readEntity(
  text: string,
  keys: KeyRing,
): { readonly entity: Entity; readonly key: string } | undefined {
  const at = text.indexOf('=')
  const entity = ENTITIES.find((one) => one === text.slice(0, at))
  const value = text.slice(at + 1)
  if (entity === undefined || value === '') return undefined
  const [acquirer = '', first = '', second = ''] = value.split('/')
  const hasOwner = entity === 'merchant' || entity === 'terminal' || entity === 'customer'
  if (hasOwner && (first === '' || (entity === 'terminal' && second === ''))) return undefined
  const source: EntitySource = {
    acquirer,
    card: { token: value, bin: value },
    merchant: { id: first },
    terminal: { id: second },
    device: { id: value, ip: value },
    customer: { id: first, email: value },
  }
  const key = createEntityKeys(keys.entityKey)(source)[entity]
  return key === undefined ? undefined : { entity, key }
}

/** Everything that is counted of an entity, by window. */
function planOf(entity: Entity): readonly Aggregate[] {
  const all = WINDOWS.flatMap(([, windowSeconds]): Aggregate[] => [
    { function: 'count', entity, windowSeconds },
    { function: 'sum', entity, windowSeconds },
    { function: 'max', entity, windowSeconds },
    { function: 'declines', entity, windowSeconds },
    { function: 'frauds', entity, windowSeconds },
    ...ENTITIES.map((of): Aggregate => ({ function: 'distinct', entity, windowSeconds, of })),
  ])
  return all.filter((aggregate) => supportsAggregate(aggregate) === undefined)
}

function comparedPlan(entity: Entity): readonly Aggregate[] {
  return WINDOWS.slice(2).map(([, windowSeconds]) => ({ function: 'count', entity, windowSeconds }))
}

function attemptOf(keys: VelocityAttempt['keys'], atMs: number): VelocityAttempt {
  const { NaN: unknown } = Number
  return {
    eventHash: '0'.repeat(16),
    atMs,
    baseAmount: unknown,
    keys,
    latitude: unknown,
    longitude: unknown,
  }
}

function nameOf({ function: of, of: other }: Aggregate): string {
  return other === undefined ? of : `distinct ${other}`
}

function asObject(
  entity: Entity,
  key: string,
  plan: readonly Aggregate[],
  { values, saturated, isPartial }: VelocityValues,
) {
  const counters = plan.map((aggregate, i) => ({
    aggregate: nameOf(aggregate),
    windowSeconds: aggregate.windowSeconds,
    value: Number.isNaN(values[i]) ? null : values[i],
    isLowerBound: saturated[i] === 1,
  }))
  return { entity, key, isPartial, counters }
}

/** A row an aggregate, a column a window; `+` marks a lower bound. */
function asTable(
  entity: Entity,
  key: string,
  plan: readonly Aggregate[],
  { values, saturated, isPartial }: VelocityValues,
): string {
  const rows = new Map<string, string[]>()
  plan.forEach((aggregate, i) => {
    const value = values[i] as number
    const text = Number.isNaN(value) ? '-' : `${Math.round(value * 100) / 100}`
    const cells = rows.get(nameOf(aggregate)) ?? []
    rows.set(nameOf(aggregate), cells)
    cells.push(saturated[i] === 1 ? `${text}+` : text)
  })
  const row = (name: string, cells: readonly string[]) =>
    name.padEnd(20) + cells.map((cell) => cell.padStart(12)).join('')
  const head = row(
    '',
    WINDOWS.map(([name]) => name),
  )
  const missing = isPartial ? '\nits server did not answer: nothing is known' : ''
  const body = [...rows].map(([name, cells]) => row(name, cells)).join('\n')
  return `${entity} ${key}${missing}\n${head}\n${body}`
}
