import assert from 'node:assert/strict'
import { mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { Worker } from 'node:worker_threads'
import {
  bundleRuleFiles,
  compileRuleSet,
  type RuleBundle,
  type RuleFile,
  readRuleFiles,
} from '#rules'
import { redisMissing, startRedis } from '../load-tests/processes/index.ts'
import { createScorerPool, readModelSnapshot, type ScorerPool } from './pool.ts'
import type { Decision, ScoringRequest } from './request.ts'

// Real threads, the shipped model, rules that say their own name in the reason.
const MODEL = fileURLToPath(new URL('models/switchyard-trees', import.meta.url))
const SHIPPED = fileURLToPath(new URL('../rules', import.meta.url))
const PATIENT_MS = 30_000
const lists = (await readRuleFiles(SHIPPED)).filter(({ name }) => name.startsWith('lists/'))

/** A set whose one rule always fires and names the set; `outcome` is what a missing part costs. */
function setNamed(reason: string, outcome = 'review', when = 'amount > 0'): readonly RuleFile[] {
  const rule = `id: named.all\n    title: All\n    mode: live\n    when: ${when}\n    outcome: review`
  const policy = (part: string) =>
    `  - missing: [${part}]\n    outcome: ${outcome}\n    reason: ${reason}`
  return [
    ...lists,
    {
      name: 'packs/named.yaml',
      text: `typology: named\nrules:\n  - ${rule}\n    reason: ${reason}\n`,
    },
    {
      name: 'packs/degradation.yaml',
      text: `typology: degradation\npolicy:\n${policy('velocity')}\n${policy('model')}\n`,
    },
  ]
}

function bundleOf(files: readonly RuleFile[]): RuleBundle {
  const compiled = compileRuleSet(files)
  assert.ok(compiled.ok, JSON.stringify(compiled.problems))
  return bundleRuleFiles(files, compiled.ruleSet.hash)
}

const workers: Worker[] = []
const onWorker = (worker: Worker) => workers.push(worker)
let shared: ScorerPool
before(async () => {
  process.on('worker', onWorker)
  shared = await openPool({})
})
after(async () => {
  process.off('worker', onWorker)
  await shared.close()
})

async function openPool(changes: {
  readonly workers?: number
  readonly redisUrl?: string
}): Promise<ScorerPool> {
  const result = await createScorerPool({
    rulesDir: SHIPPED,
    ruleFiles: setNamed('first'),
    modelFolder: MODEL,
    entityKey: new Uint8Array(32).fill(3),
    workers: 1,
    velocityDeadlineMaxMs: 1_000,
    clock: { now: () => Date.now(), monotonic: () => performance.now() },
    timers: {
      set: (delayMs, callback) => setTimeout(callback, delayMs),
      clear: (handle) => clearTimeout(handle as NodeJS.Timeout),
    },
    ...changes,
  })
  assert.ok(result.ok, JSON.stringify(result))
  return result.pool
}

/** The pool that the tests share, with the first set in force. */
async function withPool(run: (pool: ScorerPool) => Promise<void>): Promise<void> {
  assert.ok((await shared.change({ rules: bundleOf(setNamed('first')) })).ok)
  await run(shared)
}

/** Ends the youngest worker, and waits until another one has taken its place. */
async function endWorker(pool: ScorerPool): Promise<void> {
  const { workerDeaths } = pool.stats()
  // No message that the thread expects: an exception that nobody in it catches.
  workers.at(-1)?.postMessage(null)
  while (pool.stats().workerDeaths === workerDeaths || pool.stats().workersReady === 0) {
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

function request(n: number): ScoringRequest {
  return {
    id: `auth_${n}`,
    eventHash: (BigInt(n + 1) * 0x9e3779b97f4a7c15n).toString(16).slice(-16).padStart(16, '0'),
    arrivedAtMs: Date.now(),
    acquirer: 'demo',
    type: 'authorization',
    amount: 199,
    currency: 'EUR',
    channel: 'pos',
    card: { token: `tok_${n}`, bin: '47617390' },
    merchant: { id: 'M-1', mcc: '5411' },
  }
}

/** Messages all the while, in waves; each with its wave's number, when it was decided. */
async function underTraffic(pool: ScorerPool, work: () => Promise<void>): Promise<Decision[]> {
  const decided: Decision[] = []
  let ended = false
  let n = 0
  const traffic = (async () => {
    while (!ended) {
      const wave = Array.from({ length: 40 }, () => pool.score(request(n++), PATIENT_MS))
      decided.push(...(await Promise.all(wave)))
    }
  })()
  try {
    await work()
  } finally {
    ended = true
    await traffic
  }
  return decided
}

function checkWhole(decided: readonly Decision[], hashes: ReadonlyMap<string, string>): void {
  for (const { reasons, ruleSet, degraded } of decided) {
    assert.deepEqual(degraded, [])
    assert.deepEqual(reasons, [hashes.get(ruleSet ?? '')])
  }
}

test('under traffic every message is decided by one set whole, and nothing is lost', async () => {
  const reasons = ['first', 'second', 'third', 'fourth']
  const bundles = reasons.map((reason) => bundleOf(setNamed(reason)))
  const hashes = new Map(bundles.map(({ hash }, i) => [hash, reasons[i] as string]))
  await withPool(async (pool) => {
    const { batchLost, deadlineMissed, workerUnavailable } = pool.stats()
    const decided = await underTraffic(pool, async () => {
      for (const rules of bundles.slice(1)) {
        const changed = await pool.change({ rules })
        assert.ok(changed.ok, JSON.stringify(changed))
        assert.equal(pool.info.ruleSet, rules.hash)
        // From now on the new one, whatever was under way.
        assert.equal((await pool.score(request(1_000_000), PATIENT_MS)).ruleSet, rules.hash)
      }
    })
    checkWhole(decided, hashes)
    assert.equal(new Set(decided.map(({ ruleSet }) => ruleSet)).size, reasons.length)
    const now = pool.stats()
    assert.deepEqual(
      [now.batchLost, now.deadlineMissed, now.workerUnavailable],
      [batchLost, deadlineMissed, workerUnavailable],
    )
  })
})

test('what a worker refuses is forgotten everywhere, and the old set goes on', async () => {
  await withPool(async (pool) => {
    const before = pool.info
    const broken: RuleBundle = bundleRuleFiles(setNamed('second', 'review', 'scroe > 0'), 'broken')
    const changed = await pool.change({ rules: broken })
    assert.ok(!changed.ok)
    const [problem] = changed.problems
    assert.ok(problem?.kind === 'rules')
    assert.match(problem.problem.message, /score/)
    assert.equal(pool.info, before)
    assert.deepEqual((await pool.score(request(1), PATIENT_MS)).reasons, ['first'])
    // And the next one is taken.
    assert.ok((await pool.change({ rules: bundleOf(setNamed('third')) })).ok)
    assert.deepEqual((await pool.score(request(2), PATIENT_MS)).reasons, ['third'])
  })
})

test('a worker that dies comes back with the set of the day', async () => {
  await withPool(async (pool) => {
    const rules = bundleOf(setNamed('second'))
    assert.ok((await pool.change({ rules })).ok)
    await endWorker(pool)
    const decision = await pool.score(request(1), PATIENT_MS)
    assert.deepEqual(decision.degraded, [])
    assert.deepEqual([decision.reasons, decision.ruleSet], [['second'], rules.hash])
  })
})

test('a worker that dies while it prepares: the old set goes on, in its successor too', async () => {
  await withPool(async (pool) => {
    const changing = pool.change({ rules: bundleOf(setNamed('second')) })
    const [changed] = await Promise.all([changing, endWorker(pool)])
    // Where the worker was quicker than its end, the change was made: then by its successor too.
    const expected = changed.ok ? 'second' : 'first'
    assert.deepEqual((await pool.score(request(1), PATIENT_MS)).reasons, [expected])
  })
})

test('another model is taken by the same way, and one that is refused is not', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'switchyard-model-'))
  const manifest = JSON.parse(await readFile(path.join(MODEL, 'manifest.json'), 'utf8'))
  await writeFile(path.join(folder, 'model.onnx'), await readFile(path.join(MODEL, 'model.onnx')))
  const write = (changes: object) =>
    writeFile(path.join(folder, 'manifest.json'), JSON.stringify({ ...manifest, ...changes }))
  await withPool(async (pool) => {
    await write({ modelSha256: '0'.repeat(64) })
    const refused = await pool.change({ model: await readModelSnapshot(folder) })
    assert.ok(!refused.ok && refused.problems[0]?.kind === 'model')
    await write({ name: 'another' })
    const decided = await underTraffic(pool, async () => {
      const changed = await pool.change({ model: await readModelSnapshot(folder) })
      assert.ok(changed.ok && changed.info.modelName === 'another', JSON.stringify(changed))
    })
    assert.ok(decided.every(({ score, degraded }) => score !== null && degraded.length === 0))
    assert.deepEqual((await pool.score(request(1), PATIENT_MS)).reasons, ['first'])
  })
})

test('several workers change in the same moment', { skip: redisMissing() }, async () => {
  const redis = await startRedis()
  try {
    const reasons = ['first', 'second', 'third']
    const bundles = reasons.map((reason) => bundleOf(setNamed(reason)))
    const hashes = new Map(bundles.map(({ hash }, i) => [hash, reasons[i] as string]))
    const pool = await openPool({ workers: 2, redisUrl: redis.url })
    try {
      const decided = await underTraffic(pool, async () => {
        for (const rules of bundles.slice(1)) {
          assert.ok((await pool.change({ rules })).ok)
          const wave = Array.from({ length: 200 }, (_, n) =>
            pool.score(request(2_000_000 + n), PATIENT_MS),
          )
          for (const decision of await Promise.all(wave)) {
            assert.equal(decision.ruleSet, rules.hash)
          }
        }
      })
      for (const {
        ruleSet,
        reasons: [reason],
      } of decided) {
        if (reason !== undefined) assert.equal(reason, hashes.get(ruleSet ?? ''))
      }
    } finally {
      await pool.close()
    }
  } finally {
    await redis.stop()
  }
})

test('challengers come and go with a change; one that is refused changes nothing', async () => {
  await withPool(async (pool) => {
    const decide = async (n: number) => (await pool.score(request(n), PATIENT_MS)).challengers
    assert.equal(await decide(1), undefined)
    const snapshot = await readModelSnapshot(MODEL)
    const added = await pool.change({ challengers: [snapshot] })
    assert.ok(added.ok)
    assert.deepEqual(added.info.challengers, [pool.info.model])
    const [challenger] = (await decide(2)) ?? []
    assert.equal(challenger?.model, pool.info.model)
    assert.ok((challenger?.score ?? -1) >= 0)

    const broken = { ...snapshot, files: {} }
    const refused = await pool.change({ challengers: [broken] })
    assert.ok(!refused.ok && refused.problems[0]?.kind === 'model')
    assert.equal((await decide(3))?.length, 1)

    assert.ok((await pool.change({ challengers: [] })).ok)
    assert.equal(await decide(4), undefined)
    assert.equal(pool.drift(), undefined)
  })
})

test('what no worker decides follows the same set: policy and hash', async () => {
  await withPool(async (pool) => {
    const rules = bundleOf(setNamed('second', 'decline'))
    assert.ok((await pool.change({ rules })).ok)
    await pool.close()
    const decision = await pool.score(request(1), PATIENT_MS)
    assert.deepEqual(decision.degraded, ['worker'])
    assert.deepEqual(
      [decision.outcome, decision.reasons, decision.ruleSet],
      ['decline', ['second'], rules.hash],
    )
  })
})
