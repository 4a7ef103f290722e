// Velocity: attempts a second through `observe`, in batches of 32 with two batches under way, as a
// scoring worker sends them. Every attempt has five entities and asks for 20 aggregates.
//
//   node --import tsx bench/scoring/velocity.bench.ts [--json] [--seconds 3]
//
// rings: card, customer, device, email, terminal. mixed: card, customer, device (rings), ip,
// merchant (tiles; 20 merchants, so that their logs are compacted all the time). Fill is the number
// of events in each ring before the measurement, in which they grow; 48 is full. Rings of a fill
// that is kept, beside other ways, are in velocity-redis.bench.ts. Samples are batches; micros are
// of one attempt.

import { readFileSync } from 'node:fs'
import {
  type RunningRedis,
  redisMissing,
  startRedis,
} from '../../load-tests/processes/redis-server.ts'
import type { AggregatePlan, Entity } from '../../rules/index.ts'
import { connectRedis } from '../../scoring/adapters/redis-connection.ts'
import {
  createEmbeddedVelocity,
  createRedisVelocity,
  type Velocity,
  type VelocityAttempt,
} from '../../scoring/velocity/index.ts'
import { isBrief } from '../measure.ts'
import { attemptOf, BATCH, DEADLINE_MS, planOf, RINGS, round, UNDER_WAY } from './velocity-load.ts'

const FULL = isBrief ? 12 : 48
const CARDS = isBrief ? 20 : 500
/** Ticks of /proc/<pid>/stat are 10 ms on every Linux that Node.js runs on. */
const TICK_MICROS = 10_000

interface Case {
  readonly name: string
  readonly entities: readonly Entity[]
  readonly fill: number
  readonly cards: number
}

const MIXED: readonly Entity[] = ['card', 'customer', 'device', 'ip', 'merchant']

const CASES: readonly Case[] = [
  { name: 'rings, fill 10', entities: RINGS, fill: 10, cards: 4 * CARDS },
  { name: 'rings, full', entities: RINGS, fill: FULL, cards: CARDS },
  { name: 'mixed, fill 10', entities: MIXED, fill: 10, cards: 4 * CARDS },
  { name: 'mixed, full', entities: MIXED, fill: FULL, cards: CARDS },
]

function batchOf(from: number, bench: Case): readonly VelocityAttempt[] {
  return Array.from({ length: BATCH }, (_, i) => attemptOf(from + i, bench))
}

/** CPU of another process in microseconds; NaN where there is no /proc. */
function cpuMicros(pid: number): number {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
    return (Number(fields[11]) + Number(fields[12])) * TICK_MICROS
  } catch {
    return Number.NaN
  }
}

async function fillUp(velocity: Velocity, bench: Case, plan: AggregatePlan): Promise<number> {
  const attempts = bench.fill * bench.cards
  let next = 0
  while (next < attempts) {
    await velocity.observe(batchOf(next, bench), plan, DEADLINE_MS)
    next += BATCH
  }
  return next
}

interface Result {
  readonly name: string
  readonly opsPerSecond: number
  readonly p50Micros: number
  readonly p99Micros: number
  readonly samples: number
  readonly clientCpuMicros: number
  readonly redisCpuMicros: number
}

async function measure(
  name: string,
  velocity: Velocity,
  bench: Case,
  seconds: number,
  redisPid: number | undefined,
): Promise<Result> {
  const plan = planOf(bench.entities)
  let next = await fillUp(velocity, bench, plan)
  // Made before, so that only velocity is measured; long enough that no hash comes twice.
  const batches = Array.from({ length: Math.ceil(seconds * 4_000) }, () => {
    const batch = batchOf(next, bench)
    next += BATCH
    return batch
  })
  const samples: number[] = []
  let taken = 0
  const endMs = performance.now() + seconds * 1_000
  const redisBefore = redisPid === undefined ? 0 : cpuMicros(redisPid)
  const before = process.cpuUsage()
  const startedMs = performance.now()
  const lane = async (): Promise<void> => {
    // One at least: a busy machine may be late before it begins.
    while ((samples.length === 0 || performance.now() < endMs) && taken < batches.length) {
      const batch = batches[taken++] as readonly VelocityAttempt[]
      const sentMs = performance.now()
      await velocity.observe(batch, plan, DEADLINE_MS)
      samples.push(((performance.now() - sentMs) * 1_000) / BATCH)
    }
  }
  await Promise.all(Array.from({ length: UNDER_WAY }, lane))
  const elapsedMs = performance.now() - startedMs
  const cpu = process.cpuUsage(before)
  const attempts = samples.length * BATCH
  samples.sort((a, b) => a - b)
  const at = (share: number) => round(samples[Math.floor(samples.length * share)] ?? Number.NaN)
  return {
    name,
    opsPerSecond: Math.round((attempts / elapsedMs) * 1_000),
    p50Micros: at(0.5),
    p99Micros: at(0.99),
    samples: samples.length,
    clientCpuMicros: round((cpu.user + cpu.system) / attempts),
    redisCpuMicros:
      redisPid === undefined ? 0 : round((cpuMicros(redisPid) - redisBefore) / attempts),
  }
}

function print(result: Result): void {
  if (process.argv.includes('--json')) {
    const { name, opsPerSecond, p50Micros, p99Micros, samples } = result
    console.log(JSON.stringify({ name, opsPerSecond, p50Micros, p99Micros, samples }))
    return
  }
  const { name, opsPerSecond, p50Micros, p99Micros, clientCpuMicros, redisCpuMicros } = result
  const rate = opsPerSecond.toLocaleString('en-US').padStart(9)
  const cpu = `client ${clientCpuMicros} µs`.padEnd(15)
  const redis = redisCpuMicros === 0 ? '' : `Redis ${redisCpuMicros} µs`
  console.log(
    `${name.padEnd(32)} ${rate}/s  p50 ${p50Micros} µs  p99 ${p99Micros} µs  ${cpu} ${redis}`,
  )
}

async function benchRedis(bench: Case, seconds: number, redis: RunningRedis): Promise<void> {
  const connection = await connectRedis({
    url: redis.url,
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
    keyPrefix: `bench.${bench.name}.`,
  })
  print(await measure(`velocity redis, ${bench.name}`, velocity, bench, seconds, redis.pid))
  await velocity.close()
}

async function main(): Promise<void> {
  const flag = process.argv.indexOf('--seconds')
  const seconds = isBrief ? 0.02 : flag < 0 ? 3 : Number(process.argv[flag + 1])
  for (const bench of CASES) {
    const velocity = createEmbeddedVelocity({ bytesMax: 256 * 1024 * 1024 })
    print(await measure(`velocity embedded, ${bench.name}`, velocity, bench, seconds, undefined))
    await velocity.close()
  }
  const missing = redisMissing()
  if (missing !== false) {
    console.error(`velocity redis: skipped, ${missing}`)
    return
  }
  const redis = await startRedis()
  try {
    for (const bench of CASES) await benchRedis(bench, seconds, redis)
  } finally {
    await redis.stop()
  }
}

await main()
