// What a decision costs a message: the whole of scoring (facts, velocity, features, model, rules,
// decide) in batches of 1, 16 and 64, on this thread and through the pool. Through the pool the
// messages of a batch are handed over in one tick, so the cost is that of both threads and the way
// between them, as a caller sees it. The last cases keep 16, 64 and 256 messages under way: the
// batches make themselves. Samples are batches; micros are of one message.
//
//   node --import tsx bench/scoring/score.bench.ts [--json]

import { createHash } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { compileRuleSet, readRuleFiles } from '#rules'
import {
  type Clock,
  createScorerPool,
  createScoring,
  FEATURE_NAMES,
  type ScorerPool,
  type Scoring,
  type ScoringRequest,
  type Timers,
} from '#scoring'
import { openModelFolder } from '../../scoring/adapters/index.ts'
import { loadModel } from '../../scoring/onnx/index.ts'
import { createEmbeddedVelocity } from '../../scoring/velocity/index.ts'
import { isBrief } from '../measure.ts'

const RULES = fileURLToPath(new URL('../../rules', import.meta.url))
const MODEL = fileURLToPath(new URL('../../scoring/models/switchyard-trees', import.meta.url))
const SIZES = [1, 16, 64]
const UNDER_WAY = [16, 64, 256]
const TIME_MS = isBrief ? 20 : 2_000
/** Nothing is to be degraded here, however slow the machine is. */
const DEADLINE_MS = 10_000
const REQUESTS = 20_000

const clock: Clock = { now: () => Date.now(), monotonic: () => performance.now() }
const timers: Timers = {
  set: (delayMs, callback) => setTimeout(callback, delayMs),
  clear: (handle) => clearTimeout(handle as NodeJS.Timeout),
}

/** Attempts of 2,000 customers at 300 merchants, each with all entities, a second apart. */
const requests: readonly ScoringRequest[] = Array.from({ length: REQUESTS }, (_, n) => {
  const customer = (n * 7_919) % 2_000
  const merchant = (n * 104_729) % 300
  return {
    id: `auth_${n}`,
    eventHash: createHash('sha256').update(`bench ${n}`).digest('hex').slice(0, 16),
    arrivedAtMs: Date.now() + n,
    acquirer: 'demo',
    type: 'authorization',
    amount: 199 + ((n * 31) % 40_000),
    currency: 'EUR',
    channel: n % 3 === 0 ? 'ecommerce' : 'pos',
    card: { token: `tok_${customer}`, bin: '47617390', expiry: '2912' },
    merchant: { id: `M-${merchant}`, mcc: '5411', country: 'DE', timeZone: 'Europe/Berlin' },
    terminal: { id: `T-${merchant}`, entryMode: 'contactless' },
    device: { id: `D-${customer}`, ip: `203.0.113.${customer % 250}` },
    customer: { id: `C-${customer}`, email: `c${customer}@example.com`, country: 'DE' },
  }
})

let next = 0
function take(count: number): ScoringRequest[] {
  const batch: ScoringRequest[] = []
  for (let i = 0; i < count; i++) batch.push(requests[next++ % REQUESTS] as ScoringRequest)
  return batch
}

/** Microseconds a message of every sample, sorted. */
type Samples = readonly number[]

/** Runs for half of the time to warm up, then measures. */
async function sample(size: number, run: () => Promise<unknown>): Promise<Samples> {
  const samples: number[] = []
  const startMs = performance.now()
  for (let nowMs = startMs; nowMs < startMs + TIME_MS * 1.5 || samples.length === 0; ) {
    const beforeMs = performance.now()
    await run()
    nowMs = performance.now()
    if (beforeMs > startMs + TIME_MS / 2) samples.push(((nowMs - beforeMs) * 1_000) / size)
  }
  return samples.sort((one, other) => one - other)
}

function print(name: string, opsPerSecond: number, samples: Samples, count: number): void {
  const at = (share: number) =>
    Math.round((samples[Math.floor(samples.length * share)] ?? 0) * 100) / 100
  const line = {
    name,
    opsPerSecond: Math.round(opsPerSecond),
    p50Micros: at(0.5),
    p99Micros: at(0.99),
    samples: count,
  }
  const rate = line.opsPerSecond.toLocaleString('en-US').padStart(10)
  const text = `${name.padEnd(40)} ${rate}/s  p50 ${line.p50Micros} µs  p99 ${line.p99Micros} µs`
  console.log(process.argv.includes('--json') ? JSON.stringify(line) : text)
}

function printBatches(name: string, samples: Samples): void {
  const mean = samples.reduce((sum, micros) => sum + micros, 0) / samples.length
  print(name, 1e6 / mean, samples, samples.length)
}

async function benchInline(scoring: Scoring): Promise<void> {
  for (const size of SIZES) {
    const samples = await sample(size, () => scoring.score(take(size), DEADLINE_MS))
    printBatches(`inline, a message of ${size}`, samples)
  }
}

async function benchPool(pool: ScorerPool): Promise<void> {
  for (const size of SIZES) {
    const samples = await sample(size, () =>
      Promise.all(take(size).map((request) => pool.score(request, DEADLINE_MS))),
    )
    printBatches(`pool, a message of ${size}`, samples)
  }
}

/** A closed loop: rate, and the time that one message takes, of that many under way. */
async function benchUnderWay(pool: ScorerPool, underWay: number): Promise<void> {
  const samples: number[] = []
  const startMs = performance.now()
  const untilMs = startMs + TIME_MS
  const loop = async () => {
    while (performance.now() < untilMs) {
      const beforeMs = performance.now()
      await pool.score(take(1)[0] as ScoringRequest, DEADLINE_MS)
      samples.push((performance.now() - beforeMs) * 1_000)
    }
  }
  await Promise.all(Array.from({ length: underWay }, loop))
  const perSecond = (samples.length * 1_000) / (performance.now() - startMs)
  samples.sort((one, other) => one - other)
  print(`pool, ${underWay} under way (time of a message)`, perSecond, samples, samples.length)
}

const compiled = compileRuleSet(await readRuleFiles(RULES))
const loaded = await loadModel(openModelFolder(MODEL), { featureNames: FEATURE_NAMES })
if (!compiled.ok || !loaded.ok) throw new Error('rules or model were refused')
const { ruleSet, lists } = compiled
const entityKey = new Uint8Array(32)
const velocity = createEmbeddedVelocity()
await benchInline(
  createScoring({ ruleSet, lists, model: loaded.model, velocity, clock, entityKey }),
)
await loaded.model.release()
const started = await createScorerPool({
  ...{ rulesDir: RULES, modelFolder: MODEL, entityKey, workers: 1, clock, timers },
})
if (!started.ok) throw new Error(JSON.stringify(started.problems))
await benchPool(started.pool)
for (const underWay of UNDER_WAY) await benchUnderWay(started.pool, underWay)
await started.pool.close()
