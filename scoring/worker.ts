// A scoring worker: checks rules and model, warms up, tells the pool, then scores batches. Piscina
// loads it; nothing else imports it.

import { BroadcastChannel, parentPort, threadId, workerData } from 'node:worker_threads'
import { move } from 'piscina'
import { aggregateKey, compileRuleSet } from '#rules'
import { connectRedis } from './adapters/redis-connection.ts'
import { FEATURE_NAMES } from './features.ts'
import {
  OUTCOME_DEADLINE_MS,
  REDIS_COMMAND_TIMEOUT_MS,
  REDIS_CONNECT_TIMEOUT_MS,
} from './limits.ts'
import { loadModel } from './onnx/index.ts'
import type { Clock, Timers } from './ports.ts'
import { createScoring, type Scoring, type ScoringOptions } from './score.ts'
import {
  type ScoringInfo,
  type ScoringProblem,
  snapshotFolder,
  type WorkerNotice,
  type WorkerStart,
} from './start.ts'
import {
  createEmbeddedVelocity,
  createRedisVelocity,
  supportsAggregate,
  type Velocity,
} from './velocity/index.ts'
import { warmUp, warmUpVelocity } from './warm-up.ts'
import { decodeBatch, encodeDecided, type OutcomeEvent } from './wire.ts'

const clock: Clock = { now: () => Date.now(), monotonic: () => performance.now() }
const timers: Timers = {
  set: (delayMs, callback) => setTimeout(callback, delayMs),
  clear: (handle) => clearTimeout(handle as NodeJS.Timeout),
}

interface Worker {
  readonly scoring: Scoring
  release(): Promise<void>
}

type Started = { readonly ok: true; readonly worker: Worker } | { readonly ok: false }

function tell(notice: WorkerNotice): void {
  parentPort?.postMessage(notice)
}

async function start(options: WorkerStart): Promise<Started> {
  const rules = compileRuleSet(options.ruleFiles)
  if (!rules.ok) return refuse(rules.problems.map((problem) => ({ kind: 'rules', problem })))
  const unanswerable = rules.ruleSet.aggregates.flatMap((aggregate): ScoringProblem[] => {
    const reason = supportsAggregate(aggregate)
    if (reason === undefined) return []
    return [{ kind: 'worker', message: `no ${aggregateKey(aggregate)} by velocity: ${reason}` }]
  })
  if (unanswerable.length > 0) return refuse(unanswerable)
  const loaded = await loadModel(snapshotFolder(options.model), { featureNames: FEATURE_NAMES })
  if (!loaded.ok) return refuse([{ kind: 'model', problem: loaded.problem }])
  const { ruleSet, lists } = rules
  const { model } = loaded
  const { entityKey } = options
  const parts: Omit<ScoringOptions, 'velocity'> = { ruleSet, lists, model, clock, entityKey }
  await warmUp((velocity) => createScoring({ ...parts, velocity }))
  const velocity = await openVelocity(options.redis)
  const scoring = createScoring({ ...parts, velocity })
  await warmUpVelocity(velocity, scoring.plan, clock)
  const info: ScoringInfo = {
    ruleSet: ruleSet.hash,
    rules: ruleSet.rules.length,
    modelName: model.name,
    model: model.version,
    featureNames: model.featureNames,
    bands: model.bands,
    aggregates: scoring.plan,
  }
  tell({ kind: 'started', thread: threadId, info })
  return {
    ok: true,
    worker: {
      scoring,
      async release() {
        await velocity.close()
        await model.release()
      },
    },
  }
}

/** A Redis that is away keeps nobody from starting: velocity is missing until it is there. */
async function openVelocity(redis: WorkerStart['redis']): Promise<Velocity> {
  if (redis === null) return createEmbeddedVelocity()
  const connection = await connectRedis({
    ...redis,
    commandTimeoutMs: REDIS_COMMAND_TIMEOUT_MS,
    connectTimeoutMs: REDIS_CONNECT_TIMEOUT_MS,
  })
  return createRedisVelocity({ connection, clock, timers })
}

function refuse(problems: ScoringProblem[]): Started {
  tell({ kind: 'refused', thread: threadId, problems })
  return { ok: false }
}

const options = workerData as WorkerStart
const starting = start(options)
const publishing = new Set<Promise<void>>()
let outcomesLost = 0
let released = false

/** Frees what the thread must not be ended with. At most once. */
async function release(): Promise<void> {
  if (released) return
  released = true
  const started = await starting
  await Promise.all(publishing)
  if (started.ok) await started.worker.release()
}

const orders = new BroadcastChannel(options.channel)
// The only order is to release.
orders.onmessage = async () => {
  await release()
  orders.close()
  tell({ kind: 'released', thread: threadId })
}

// A bug: this thread ends, but not with its model loaded, which could end the process.
process.on('uncaughtException', async (error) => {
  tell({ kind: 'failed', thread: threadId, message: error.message })
  await release().catch(() => undefined)
  process.exit(1)
})

const started = await starting
/**
 * Scores one batch (wire.ts). Outcome events are on their way to velocity before the batch's own
 * attempts, so that these see them; nobody waits for their answer.
 */
export async function scoreBatch(bytes: Uint8Array): Promise<Uint8Array> {
  if (!started.ok) throw new Error('this worker was refused its rules or model')
  const { scoring } = started.worker
  const { requests, outcomes, velocityDeadlineMs } = decodeBatch(bytes)
  if (outcomes.length > 0) publish(scoring, outcomes)
  const scored = await scoring.score(requests, velocityDeadlineMs)
  const decided = { ...scored, outcomesLost }
  outcomesLost = 0
  return move(encodeDecided(decided)) as Uint8Array
}

/** Bounded by its deadline: at most what arrives in OUTCOME_DEADLINE_MS is under way. */
function publish(scoring: Scoring, outcomes: readonly OutcomeEvent[]): void {
  const published = scoring
    .publish(outcomes, OUTCOME_DEADLINE_MS)
    .catch(() => {
      outcomesLost += outcomes.length
    })
    .then(() => {
      publishing.delete(published)
    })
  publishing.add(published)
}
