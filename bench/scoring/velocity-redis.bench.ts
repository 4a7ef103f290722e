// Rings on one Redis beside what is usually done, and their cost as entities grow in number. Five
// entities a transaction, batches of 32, two under way as a worker has them, events of 48 bytes.
//
//   node --import tsx bench/scoring/velocity-redis.bench.ts [--json] [--seconds 2] [--rounds 3]
//        [--entities 10000,100000,1000000]
//
//   rings         `observe` of production: one script call a batch; the rings come back, and 20
//                 aggregates a transaction are computed here
//   INCR          pipelined: for each entity INCR of a window of 10 minutes, INCRBY of the sum of
//                 a day, each with EXPIRE: two fixed windows, 10 values
//   Lua buckets   one script call a batch: for each entity a hash of buckets of a minute, counts
//                 and sums over ten of them: 10 values
//
// A ring's fill is kept: before each slice of measuring, in which every ring gets one event, all of
// them are written anew. Ways and sizes are measured in turn, round by round; a row is the median
// of its rounds. CPU of Redis is its own account (INFO cpu). Memory is MEMORY USAGE of a ring.

import { Redis } from 'ioredis'
import { redisMissing, startRedis } from '../../load-tests/processes/redis-server.ts'
import { connectRedis } from '../../scoring/adapters/redis-connection.ts'
import { createRedisVelocity, type VelocityAttempt } from '../../scoring/velocity/index.ts'
import { isBrief } from '../measure.ts'
import { attemptOf, BATCH, DEADLINE_MS, planOf, RINGS, round, UNDER_WAY } from './velocity-load.ts'

/** Transactions of a slice at most: some 100 ms. */
const SLICE_MAX = 4_000
/** Keys that one call of the copying script writes. */
const COPIES = 20_000
const plan = planOf(RINGS)

interface Way {
  readonly name: string
  /** Rings of each of the five entities. */
  readonly cards: number
  readonly fill: number
  readonly refill: () => Promise<void>
  readonly observe: (batch: readonly VelocityAttempt[]) => Promise<unknown>
  readonly close: () => Promise<void>
}

const nothing = async () => {}

interface Measured {
  readonly opsPerSecond: number
  readonly clientMicros: number
  readonly redisMicros: number
  /** Of a batch, by its transactions. */
  readonly samples: readonly number[]
}

const COPY = `
local value = redis.call('GET', KEYS[1])
for i = ARGV[3], ARGV[4] do redis.call('SET', ARGV[1] .. i .. ARGV[2], value, 'EX', 3600) end
return 1`

const BUCKETS = `
local reply, minute = {}, tonumber(ARGV[1])
local names = {}
for i = 0, 9 do names[#names + 1] = 'c' .. (minute - i); names[#names + 1] = 's' .. (minute - i) end
for i = 1, #KEYS do
  redis.call('HINCRBY', KEYS[i], 'c' .. minute, 1)
  redis.call('HINCRBY', KEYS[i], 's' .. minute, ARGV[i + 1])
  redis.call('EXPIRE', KEYS[i], 2592000)
  local values, count, sum = redis.call('HMGET', KEYS[i], unpack(names)), 0, 0
  for j = 1, 20, 2 do count = count + (values[j] or 0); sum = sum + (values[j + 1] or 0) end
  reply[#reply + 1] = count
  reply[#reply + 1] = sum
end
return reply`

function entityKeys(prefix: string, { keys }: VelocityAttempt): string[] {
  return RINGS.map((entity) => `${prefix}${keys[entity]}`)
}

function pipelinedIncr(client: Redis, cards: number): Way {
  const observe = async (batch: readonly VelocityAttempt[]) => {
    const pipeline = client.pipeline()
    for (const attempt of batch) {
      for (const key of entityKeys('i.', attempt)) {
        const count = `${key}.${Math.floor(attempt.atMs / 600_000)}`
        const sum = `${key}.s${Math.floor(attempt.atMs / 86_400_000)}`
        pipeline.incr(count).expire(count, 1_200)
        pipeline.incrby(sum, attempt.baseAmount).expire(sum, 172_800)
      }
    }
    return pipeline.exec()
  }
  return { name: 'INCR, pipelined', cards, fill: 0, refill: nothing, observe, close: nothing }
}

function luaBuckets(client: Redis, cards: number): Way {
  const observe = (batch: readonly VelocityAttempt[]) => {
    const keys = batch.flatMap((attempt) => entityKeys('b.', attempt))
    const minute = Math.floor((batch[0]?.atMs ?? 0) / 60_000)
    const sums = batch.flatMap(({ baseAmount }) => RINGS.map(() => baseAmount))
    return client.eval(BUCKETS, keys.length, ...keys, minute, ...sums)
  }
  return { name: 'buckets in Lua', cards, fill: 0, refill: nothing, observe, close: nothing }
}

/** `fill` events in one ring of each entity, copied to all the others. */
async function ringsOf(client: Redis, url: string, cards: number, fill: number): Promise<Way> {
  const prefix = `r${cards}-${fill}.`
  const connection = await connectRedis({
    url,
    commandTimeoutMs: DEADLINE_MS,
    connectTimeoutMs: DEADLINE_MS,
  })
  const velocity = createRedisVelocity({
    connection,
    clock: { now: () => Date.now(), monotonic: () => performance.now() },
    timers: {
      set: (delayMs, callback) => setTimeout(callback, delayMs),
      clear: (handle) => clearTimeout(handle as NodeJS.Timeout),
    },
    keyPrefix: prefix,
  })
  const observe = (batch: readonly VelocityAttempt[]) => velocity.observe(batch, plan, DEADLINE_MS)
  for (let n = 0; n < fill; n++) await observe([attemptOf(n * cards, { entities: RINGS, cards })])
  const written = await client.keys(`${prefix}*`)
  const models = written.map((key) => `${key}.model`)
  await Promise.all(written.map((key, i) => client.copy(key, models[i] as string)))
  const refill = async () => {
    for (const [i, key] of written.entries()) {
      const [before = '', after = ''] = key.split('-0-')
      for (let from = 0; from < cards; from += COPIES) {
        const ends = [from, Math.min(from + COPIES, cards) - 1]
        await client.eval(COPY, 1, models[i] as string, `${before}-`, `-${after}`, ...ends)
      }
    }
  }
  const size = (5 * cards).toLocaleString('en-US')
  const name = `rings of ${fill}, ${size} entities`
  return { name, cards, fill, refill, observe, close: () => velocity.close() }
}

async function redisMicros(client: Redis): Promise<number> {
  const info = await client.info('cpu')
  const of = (name: string) => Number(new RegExp(`^${name}:([\\d.]+)`, 'm').exec(info)?.[1])
  return (of('used_cpu_user') + of('used_cpu_sys')) * 1e6
}

let next = 10_000_000

async function measureWay(client: Redis, way: Way, seconds: number): Promise<Measured> {
  const samples: number[] = []
  let [elapsedMs, client_, redis, count] = [0, 0, 0, 0]
  // What was written once needs no writing again while each slice meets other rings.
  let untouched = 0
  while (elapsedMs < seconds * 1_000) {
    const size = Math.min(SLICE_MAX, way.cards)
    if (untouched < size) {
      await way.refill()
      untouched = way.cards
    }
    untouched -= size
    const batches = Array.from({ length: Math.ceil(size / BATCH) }, () =>
      Array.from({ length: BATCH }, () => attemptOf(next++, { entities: RINGS, cards: way.cards })),
    )
    let taken = 0
    const redisBefore = await redisMicros(client)
    const before = process.cpuUsage()
    const startedMs = performance.now()
    const lane = async () => {
      while (taken < batches.length) {
        const sentMs = performance.now()
        await way.observe(batches[taken++] as readonly VelocityAttempt[])
        samples.push(((performance.now() - sentMs) * 1_000) / BATCH)
      }
    }
    await Promise.all(Array.from({ length: UNDER_WAY }, lane))
    elapsedMs += performance.now() - startedMs
    const cpu = process.cpuUsage(before)
    client_ += cpu.user + cpu.system
    redis += (await redisMicros(client)) - redisBefore
    count += batches.length * BATCH
  }
  return {
    opsPerSecond: Math.round((count / elapsedMs) * 1_000),
    clientMicros: round(client_ / count),
    redisMicros: round(redis / count),
    samples,
  }
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((one, other) => one - other)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}

function print(name: string, rounds: readonly Measured[], asJson: boolean): number {
  const rates = rounds.map(({ opsPerSecond }) => opsPerSecond)
  const opsPerSecond = median(rates)
  const samples = rounds.flatMap((one) => one.samples).sort((one, other) => one - other)
  const at = (share: number) => round(samples[Math.floor(samples.length * share)] ?? Number.NaN)
  const redis = median(rounds.map((one) => one.redisMicros))
  const row = { name, opsPerSecond, p50Micros: at(0.5), p99Micros: at(0.99) }
  if (asJson) console.log(JSON.stringify({ ...row, samples: samples.length }))
  else {
    const client = median(rounds.map((one) => one.clientMicros))
    const spread = `${Math.min(...rates)} to ${Math.max(...rates)}`
    const rate = opsPerSecond.toLocaleString('en-US').padStart(8)
    console.log(
      `${name.padEnd(34)} ${rate}/s (${spread})  CPU: client ${client} µs, Redis ${redis} µs`,
    )
  }
  return redis
}

/** The value after a flag, as numbers. */
function numbers(flag: string, otherwise: string): number[] {
  const at = process.argv.indexOf(flag)
  return (at < 0 ? otherwise : (process.argv[at + 1] ?? '')).split(',').map(Number)
}

async function main(): Promise<void> {
  const missing = redisMissing()
  if (missing !== false) return console.error(`rings on Redis: skipped, ${missing}`)
  const [seconds = 2] = numbers('--seconds', isBrief ? '0.01' : '2')
  const [rounds = 3] = numbers('--rounds', isBrief ? '1' : '3')
  const entities = numbers('--entities', isBrief ? '200' : '10000,100000,1000000')
  const sizes = entities.map((all) => Math.round(all / 5))
  const asJson = process.argv.includes('--json')
  const redis = await startRedis()
  const client = new Redis(redis.url)
  const open: Way[] = []
  try {
    const [least = 2_000] = sizes
    const flat: Way[] = []
    for (const cards of sizes) flat.push(await ringsOf(client, redis.url, cards, 10))
    const full = await ringsOf(client, redis.url, least, 48)
    const small = await ringsOf(client, redis.url, 1, 5)
    open.push(...flat, full, small)
    const ways = [...flat, full, pipelinedIncr(client, least), luaBuckets(client, least)]
    const measured = ways.map((): Measured[] => [])
    for (let at = 0; at < rounds; at++) {
      for (const [i, way] of ways.entries()) {
        measured[i]?.push(await measureWay(client, way, seconds))
      }
    }
    const costs = ways.map(({ name }, i) => print(name, measured[i] ?? [], asJson))
    if (asJson) return
    await small.refill()
    const [ring] = await client.keys('r1-5.*}')
    const bytes = await client.memory('USAGE', ring ?? '', 'SAMPLES', 0)
    console.log(`a ring of 5 events takes ${bytes} bytes of Redis (key of ${ring?.length})`)
    const ratios = flat.map((_, i) => round(((costs[i] ?? 0) / (costs[0] ?? 1)) * 100))
    console.log(`Redis CPU by number of entities, first one 100: ${ratios.join(', ')}`)
  } finally {
    await Promise.all(open.map((way) => way.close()))
    client.disconnect()
    await redis.stop()
  }
}

await main()
