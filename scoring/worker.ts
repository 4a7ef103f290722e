// A scoring worker: checks rules and model, warms up, tells the pool, then scores batches. Piscina
// loads it; nothing else imports it.

import { BroadcastChannel, parentPort, threadId, workerData } from 'node:worker_threads'
import { move } from 'piscina'
import { connectRedis } from './adapters/redis-connection.ts'
import { takeSnapshot, writeSnapshot } from './adapters/velocity-file.ts'
import { Editions } from './editions.ts'
import {
  OUTCOME_DEADLINE_MS,
  REDIS_COMMAND_TIMEOUT_MS,
  REDIS_CONNECT_TIMEOUT_MS,
} from './limits.ts'
import type { Clock, Timers } from './ports.ts'
import type { Scoring } from './score.ts'
import type { Edition, WorkerNotice, WorkerOrder, WorkerStart } from './start.ts'
import { createEmbeddedVelocity, createRedisVelocity, type Velocity } from './velocity/index.ts'
import { warmUpVelocity } from './warm-up.ts'
import { decodeBatch, encodeDecided, type OutcomeEvent } from './wire.ts'

const clock: Clock = { now: () => Date.now(), monotonic: () => performance.now() }
const timers: Timers = {
  set: (delayMs, callback) => setTimeout(callback, delayMs),
  clear: (handle) => clearTimeout(handle as NodeJS.Timeout),
}

function tell(notice: WorkerNotice): void {
  parentPort?.postMessage(notice)
}

/** A Redis that is away keeps nobody from starting: velocity is missing until it is there. */
async function openVelocity(redis: WorkerStart['redis']): Promise<Velocity> {
  if (redis === null) return openEmbedded(options.velocityFile)
  const connection = await connectRedis({
    ...redis,
    commandTimeoutMs: REDIS_COMMAND_TIMEOUT_MS,
    connectTimeoutMs: REDIS_CONNECT_TIMEOUT_MS,
  })
  return createRedisVelocity({ connection, clock, timers })
}

async function openEmbedded(file: string | null): Promise<Velocity> {
  const velocity = createEmbeddedVelocity()
  const taken = file === null ? { kind: 'none' as const } : await takeSnapshot(file)
  const refused =
    taken.kind === 'taken'
      ? (velocity.restore(taken.bytes) ?? null)
      : taken.kind === 'none'
        ? null
        : taken.message
  tell({ kind: 'restored', velocity: { entities: velocity.entities, refused } })
  return {
    observe: (attempts, plan, deadlineMs) => velocity.observe(attempts, plan, deadlineMs),
    publish: (outcomes, deadlineMs) => velocity.publish(outcomes, deadlineMs),
    async close() {
      // Without it the next start counts from zero; that must not keep this one from ending.
      if (file !== null) await writeSnapshot(file, velocity.snapshot()).catch(() => undefined)
      await velocity.close()
    },
  }
}

const options = workerData as WorkerStart
const publishing = new Set<Promise<void>>()
let outcomesLost = 0
let released = false

const opening = openEditions()
// Before the first edition is prepared: an order that comes meanwhile is not missed.
const orders = new BroadcastChannel(options.channel)
orders.onmessage = (event) => void take((event as { data: WorkerOrder }).data)

async function openEditions(): Promise<{ velocity: Velocity; editions: Editions }> {
  const velocity = await openVelocity(options.redis)
  const turn = () => new Promise<void>((resolve) => setImmediate(resolve))
  return {
    velocity,
    editions: new Editions({ velocity, clock, entityKey: options.entityKey, turn }),
  }
}

async function take(order: WorkerOrder): Promise<void> {
  if (order.kind === 'prepare') {
    await prepare(order.edition)
  } else if (order.kind === 'retire') {
    await (await opening).editions.retire(order.edition)
  } else {
    await release()
    orders.close()
    tell({ kind: 'released', thread: threadId })
  }
}

async function prepare(edition: Edition): Promise<void> {
  const { velocity, editions } = await opening
  const isFirst = !editions.hasAny
  const prepared = await editions.prepare(edition)
  const of = { thread: threadId, edition: edition.number }
  if (!prepared.ok) {
    tell({ kind: 'refused', ...of, problems: prepared.problems })
    return
  }
  if (isFirst) await warmUpVelocity(velocity, prepared.info.aggregates, clock)
  tell({ kind: 'prepared', ...of, info: prepared.info })
}

/** Frees what the thread must not be ended with. At most once. */
async function release(): Promise<void> {
  if (released) return
  released = true
  const { velocity, editions } = await opening
  await Promise.all(publishing)
  await editions.close()
  await velocity.close()
}

// A bug: this thread ends, but not with its model loaded, which could end the process.
process.on('uncaughtException', async (error) => {
  const { name, message, stack = '' } = error
  tell({ kind: 'failed', thread: threadId, error: { name, message, stack } })
  await release().catch(() => undefined)
  process.exit(1)
})

const { editions } = await opening
await prepare(options.edition)

/**
 * Scores one batch (wire.ts) with the edition that it names. Outcome events are on their way to
 * velocity before the batch's own attempts, so that these see them; nobody waits for their answer.
 */
export async function scoreBatch(bytes: Uint8Array): Promise<Uint8Array> {
  const { edition, requests, outcomes, velocityDeadlineMs } = decodeBatch(bytes)
  const scoring = editions.scoring(edition)
  // Only a worker that was started while the edition changed; the pool sends it what it lacks.
  if (scoring === undefined) throw new Error(`this worker lacks edition ${edition}`)
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
