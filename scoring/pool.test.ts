import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { Worker } from 'node:worker_threads'
import { compileRuleSet, readRuleFiles } from '#rules'
import { redisMissing, startRedis } from '../load-tests/processes/index.ts'
import { openModelFolder } from './adapters/index.ts'
import { FEATURE_NAMES } from './features.ts'
import { BATCH_MAX, QUEUE_DEPTH_MAX } from './limits.ts'
import { loadModel } from './onnx/index.ts'
import { createScorerPool, type ScorerPool, type ScorerPoolOptions } from './pool.ts'
import type { Clock, Timers } from './ports.ts'
import type { Decision, ScoringRequest } from './request.ts'
import { createScoring } from './score.ts'
import type { WorkerFault } from './start.ts'
import { createEmbeddedVelocity } from './velocity/index.ts'

// Real threads, the shipped rules, the shipped model, a real Redis.
const RULES = fileURLToPath(new URL('../rules', import.meta.url))
const MODEL = fileURLToPath(new URL('models/switchyard-trees', import.meta.url))
const DOOR = new URL('index.ts', import.meta.url).href
const START_MS = Date.parse('2026-11-22T10:00:00Z')
const ENTITY_KEY = new Uint8Array(32).fill(3)
/** Long enough that a busy machine does not make a test of something else fail. */
const PATIENT_MS = 30_000

const clock: Clock = { now: () => Date.now(), monotonic: () => performance.now() }
const timers: Timers = {
  set: (delayMs, callback) => setTimeout(callback, delayMs),
  clear: (handle) => clearTimeout(handle as NodeJS.Timeout),
}

function options(changes: Partial<ScorerPoolOptions> = {}): ScorerPoolOptions {
  return {
    rulesDir: RULES,
    modelFolder: MODEL,
    entityKey: ENTITY_KEY,
    workers: 1,
    clock,
    timers,
    ...changes,
  }
}

/** Runs with a pool and closes it, whatever happens. */
async function withPool(
  changes: Partial<ScorerPoolOptions>,
  run: (pool: ScorerPool) => Promise<void>,
): Promise<void> {
  const result = await createScorerPool(options(changes))
  if (!result.ok) throw new Error(JSON.stringify(result.problems))
  try {
    await run(result.pool)
  } finally {
    await result.pool.close()
  }
}

/** Attempt number `n`, one a second; a small e-commerce payment of one customer on one device. */
function request(n: number, changes: Partial<ScoringRequest> = {}): ScoringRequest {
  return {
    id: `auth_${n}`,
    eventHash: createHash('sha256').update(`demo ${n}`).digest('hex').slice(0, 16),
    arrivedAtMs: START_MS + n * 1000,
    acquirer: 'demo',
    type: 'authorization',
    amount: 199,
    currency: 'EUR',
    channel: 'ecommerce',
    card: { token: `tok_${n % 3}`, bin: '47617390', expiry: '2912' },
    merchant: { id: 'M-1', mcc: '5816', country: 'DE', timeZone: 'Europe/Berlin' },
    terminal: {},
    device: { id: 'D-77', ip: '203.0.113.7' },
    customer: { id: 'C-42', email: 'customer@example.com', country: 'DE' },
    threeDs: {},
    ...changes,
  }
}

function aggregateOf(pool: ScorerPool, decision: Decision | undefined, key: string): number {
  const slot = pool.info.aggregates.findIndex(
    ({ function: of, entity, windowSeconds }) => `${of}(${entity}, ${windowSeconds})` === key,
  )
  assert.notEqual(slot, -1, `${key} is in the plan`)
  return decision?.aggregates[slot] ?? Number.NaN
}

/**
 * Scores until nothing is missing. Asking again is safe: velocity knows the attempt by its hash and
 * counts it once, however busy the machine is that runs this.
 */
async function scoreWhole(pool: ScorerPool, asked: ScoringRequest): Promise<Decision> {
  for (;;) {
    const decision = await pool.score(asked, PATIENT_MS)
    if (decision.degraded.length === 0) return decision
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

function withoutTimes(decision: Decision): Omit<Decision, 'stepMicros'> {
  const { stepMicros: _, ...rest } = decision
  return rest
}

test('a worker decides exactly as the same code does on this thread', async () => {
  const compiled = compileRuleSet(await readRuleFiles(RULES))
  const loaded = await loadModel(openModelFolder(MODEL), { featureNames: FEATURE_NAMES })
  assert.ok(compiled.ok && loaded.ok)
  const { ruleSet, lists } = compiled
  const { model } = loaded
  const velocity = createEmbeddedVelocity()
  const here = createScoring({ ruleSet, lists, model, velocity, clock, entityKey: ENTITY_KEY })
  const requests = Array.from({ length: 100 }, (_, n) => request(n))
  const expected: Decision[] = []
  for (const each of requests) {
    const { decisions } = await here.score([each], PATIENT_MS)
    expected.push(...decisions)
  }
  await model.release()
  await withPool({ workers: 4 }, async (pool) => {
    assert.equal(pool.info.workers, 1, 'embedded counters live in one worker')
    assert.equal(pool.info.velocity, 'embedded')
    assert.equal(pool.info.ruleSet, ruleSet.hash)
    assert.equal(pool.info.model, model.version)
    const decisions = await Promise.all(requests.map((each) => pool.score(each, PATIENT_MS)))
    assert.deepEqual(decisions.map(withoutTimes), expected.map(withoutTimes))
    assert.ok(decisions.some((decision) => decision.outcome === 'decline'))
    assert.ok(decisions.every((decision) => decision.stepMicros.velocity > 0))
  })
})

test('messages that wait together share batches of up to 64', async () => {
  await withPool({}, async (pool) => {
    const scored = Array.from({ length: 500 }, (_, n) => pool.score(request(n), PATIENT_MS))
    for (const decision of await Promise.all(scored)) assert.deepEqual(decision.degraded, [])
    const { batchSizes, batches, messages } = pool.stats()
    assert.equal(messages, 500)
    assert.equal(batches, Math.ceil(500 / BATCH_MAX))
    assert.equal(batchSizes[BATCH_MAX], Math.floor(500 / BATCH_MAX))
  })
})

test('rules that are refused keep the pool from starting: file, line and column', async () => {
  const rulesDir = await mkdtemp(path.join(tmpdir(), 'switchyard-rules-'))
  try {
    await cp(RULES, rulesDir, { recursive: true })
    const pack = `typology: broken
rules:
  - id: broken.misspelt
    title: A name that there is not
    mode: live
    when: scroe >= 0.9
    outcome: decline
    reason: broken
`
    await writeFile(path.join(rulesDir, 'packs', 'broken.yaml'), pack)
    const result = await createScorerPool(options({ rulesDir }))
    assert.ok(!result.ok)
    const [first] = result.problems
    assert.ok(first?.kind === 'rules')
    assert.equal(first.problem.file, 'packs/broken.yaml')
    assert.deepEqual([first.problem.line, first.problem.column], [6, 11])
    assert.match(first.problem.message, /score/)
  } finally {
    await rm(rulesDir, { recursive: true })
  }
})

test('a rules folder that is not there keeps the pool from starting', async () => {
  const result = await createScorerPool(options({ rulesDir: path.join(RULES, 'nowhere') }))
  assert.ok(!result.ok)
  const [first] = result.problems
  assert.ok(first?.kind === 'rules')
  assert.equal(first.problem.code, 'rules_unreadable')
})

test('a model that differs from its parity vectors keeps the pool from starting', async () => {
  const modelFolder = await mkdtemp(path.join(tmpdir(), 'switchyard-model-'))
  try {
    await cp(MODEL, modelFolder, { recursive: true })
    const file = path.join(modelFolder, 'manifest.json')
    const manifest = JSON.parse(await readFile(file, 'utf8'))
    manifest.parity[0].score = Math.abs(manifest.parity[0].score - 0.5)
    await writeFile(file, JSON.stringify(manifest))
    const result = await createScorerPool(options({ modelFolder }))
    assert.ok(!result.ok)
    const [first] = result.problems
    assert.ok(first?.kind === 'model')
    assert.equal(first.problem.code, 'parity')
    assert.match(first.problem.message, new RegExp(manifest.parity[0].name))
  } finally {
    await rm(modelFolder, { recursive: true })
  }
})

test('a worker that dies is started again; its messages are decided without it', async () => {
  const workers: Worker[] = []
  const onWorker = (worker: Worker) => workers.push(worker)
  const faults: WorkerFault[] = []
  const onFault = (fault: WorkerFault) => void faults.push(fault)
  process.on('worker', onWorker)
  try {
    await withPool({ onFault }, async (pool) => {
      assert.deepEqual((await pool.score(request(1), PATIENT_MS)).degraded, [])
      // No message that the thread expects: an exception that nobody in it catches.
      workers[0]?.postMessage(null)
      let degraded = 0
      for (let n = 2; pool.stats().workerDeaths === 0 || pool.stats().workersReady === 0; n++) {
        const decision = await pool.score(request(n), PATIENT_MS)
        if (decision.degraded.length > 0) {
          assert.deepEqual(decision.degraded, ['worker'])
          degraded++
        }
        await new Promise((resolve) => setTimeout(resolve, 5))
      }
      assert.ok(degraded > 0)
      assert.equal(pool.stats().workerDeaths, 1)
      assert.notEqual(pool.stats().lastFault, null)
      // Where it happened, in the thread.
      const [fault] = faults
      assert.equal(fault?.name, 'TypeError')
      assert.match(fault?.stack ?? '', /^TypeError: .*\n {4}at .*piscina.*worker\.[jt]s:\d+:\d+/)
      assert.equal(new Set(faults.map(({ stack }) => stack)).size, faults.length)
      assert.equal(workers.length, 2)
      assert.deepEqual((await pool.score(request(0), PATIENT_MS)).degraded, [])
    })
  } finally {
    process.off('worker', onWorker)
  }
})

test('under overload the queue stays bounded, and every message is answered', async () => {
  await withPool({}, async (pool) => {
    const rounds = 20
    const scored: Promise<Decision>[] = []
    let deepest = 0
    for (let round = 0; round < rounds; round++) {
      for (let n = 0; n < QUEUE_DEPTH_MAX; n++) {
        scored.push(pool.score(request(round * QUEUE_DEPTH_MAX + n), PATIENT_MS))
      }
      deepest = Math.max(deepest, pool.queueDepth)
      await new Promise((resolve) => setImmediate(resolve))
    }
    const decisions = await Promise.all(scored)
    const stats = pool.stats()
    assert.ok(deepest <= QUEUE_DEPTH_MAX)
    assert.ok(stats.queueFull > 0)
    assert.equal(decisions.length, rounds * QUEUE_DEPTH_MAX)
    const withoutWorker = decisions.filter((decision) => decision.degraded.includes('worker'))
    assert.equal(withoutWorker.length, stats.queueFull + stats.deadlineMissed + stats.tooLate)
    assert.ok(withoutWorker.length < decisions.length, 'a part was scored nevertheless')
  })
})

test('Redis: workers share the counters, and what became of attempts', {
  skip: redisMissing(),
}, async () => {
  const redis = await startRedis()
  try {
    await withPool(
      { workers: 2, redisUrl: redis.url, velocityDeadlineMaxMs: 1_000 },
      async (pool) => {
        assert.equal(pool.info.velocity, 'redis')
        assert.equal(pool.stats().workersReady, 2)
        const at = (n: number) => request(n, { arrivedAtMs: Date.now() })
        for (let n = 0; n < 20; n++) {
          await scoreWhole(pool, at(n))
        }
        // Another worker may take them than the one asked next, and a busy machine may lose some:
        // they are seen soon, not at once, and are told again where they were lost.
        let last: Decision
        let attempts = 20
        let lost = -1
        do {
          if (pool.stats().outcomesLost > lost) {
            lost = pool.stats().outcomesLost
            for (let n = 0; n < 20; n++) {
              pool.publish({ request: at(n), kind: 'declined', responseCode: '51' })
            }
          }
          await new Promise((resolve) => setTimeout(resolve, 50))
          last = await scoreWhole(pool, at(attempts++))
          assert.equal(aggregateOf(pool, last, 'count(device, 600)'), attempts)
        } while (aggregateOf(pool, last, 'declines(device, 3600)') < 20)
      },
    )
  } finally {
    await redis.stop()
  }
})

test('a stalled Redis: decisions in time without velocity, then without the worker, then all again', {
  skip: redisMissing(),
}, async () => {
  const redis = await startRedis()
  try {
    await withPool({ redisUrl: redis.url }, async (pool) => {
      await scoreWhole(pool, request(0))
      redis.pause()
      // Velocity gets 5 ms at least: a message with less is decided before the worker answers.
      // Where the breaker is open, or this thread was away, it may hear of the worker first.
      for (let n = 1_000; ; n++) {
        const { degraded } = await pool.score(request(n), 2)
        assert.ok(degraded.includes('worker') || degraded.includes('velocity'), degraded.join())
        if (degraded.includes('worker')) break
        await new Promise((resolve) => setTimeout(resolve, 100))
      }
      const patient = await Promise.all(
        Array.from({ length: 200 }, (_, n) => pool.score(request(n + 3), PATIENT_MS)),
      )
      // None waited for its deadline, or it would be without the worker, too.
      assert.ok(patient.every(({ degraded }) => degraded.join() === 'velocity'))
      assert.ok(patient.every((decision) => decision.score !== null))
      assert.ok((pool.stats().batchSizes[BATCH_MAX] ?? 0) >= 1)
      assert.ok(pool.stats().velocityFaults > 0)
      assert.match(String(pool.stats().lastVelocityFault), /^velocity_/)
      redis.resume()
      await scoreWhole(pool, request(0))
    })
  } finally {
    redis.resume()
    await redis.stop()
  }
})

test('a Redis that is not there keeps nobody from starting', async () => {
  // A port on which nobody listens: it was free a moment ago.
  const server = createServer()
  const port = await new Promise<number>((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 1))
    })
  })
  await withPool({ redisUrl: `redis://127.0.0.1:${port}` }, async (pool) => {
    const decision = await pool.score(request(1), PATIENT_MS)
    assert.deepEqual(decision.degraded, ['velocity'])
    assert.ok(decision.score !== null)
    pool.publish({ request: request(1), kind: 'approved' })
  })
})

test('after close nothing keeps the process alive, wherever it was started', async () => {
  const script = `
    import { createScorerPool } from ${JSON.stringify(DOOR)}
    const result = await createScorerPool({
      rulesDir: ${JSON.stringify(RULES)},
      modelFolder: ${JSON.stringify(MODEL)},
      entityKey: new Uint8Array(32),
      workers: 1,
      clock: { now: () => Date.now(), monotonic: () => performance.now() },
      timers: { set: (ms, run) => setTimeout(run, ms), clear: (timer) => clearTimeout(timer) },
    })
    const decision = await result.pool.score(${JSON.stringify(request(1))}, ${PATIENT_MS})
    await result.pool.close()
    console.log(decision.degraded.length, decision.score)
  `
  const node = ['--import', import.meta.resolve('tsx'), '--input-type=module', '--eval', script]
  const child = await promisify(execFile)(process.execPath, node, {
    cwd: tmpdir(),
    timeout: 30_000,
  })
  assert.match(child.stdout, /^0 0\.\d+\n$/)
  assert.equal(child.stderr, '')
})

test('the door loads neither the model runtime nor a Redis client', async () => {
  const script = `
    import { createRequire } from 'node:module'
    await import(${JSON.stringify(DOOR)})
    const { cache } = createRequire(${JSON.stringify(DOOR)})
    console.log(Object.keys(cache).filter((file) => /onnxruntime|ioredis/.test(file)).length)
  `
  const node = ['--import', import.meta.resolve('tsx'), '--input-type=module', '--eval', script]
  const child = await promisify(execFile)(process.execPath, node, { timeout: 30_000 })
  assert.equal(child.stdout, '0\n')
})

test('embedded counters outlive an orderly end, and a damaged snapshot is said so', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'switchyard-pool-'))
  const velocityFile = path.join(folder, 'velocity.snapshot')
  try {
    const countOf = async (n: number) => {
      let count = Number.NaN
      await withPool({ velocityFile }, async (pool) => {
        const decision = await scoreWhole(pool, request(n))
        count = aggregateOf(pool, decision, 'count(card, 86400)')
        assert.equal(pool.info.restored?.refused, null)
      })
      return count
    }
    assert.deepEqual([await countOf(0), await countOf(3), await countOf(6)], [1, 2, 3])
    await writeFile(velocityFile, 'damaged')
    await withPool({ velocityFile }, async (pool) => {
      assert.match(pool.info.restored?.refused ?? '', /no snapshot/)
      const decision = await scoreWhole(pool, request(9))
      assert.equal(aggregateOf(pool, decision, 'count(card, 86400)'), 1)
    })
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
})
