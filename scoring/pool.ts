// The production scorer, main-thread side: reads rules and model once, checks them, starts the
// worker threads with them, and scores through smart batches. What no worker answers in time is
// decided here, by the analysts' policy for missing parts.

import { compileRuleSet, type Lists, type RuleFile, type RuleSet, readRuleFiles } from '#rules'
import { openModelFolder, ScoringThreads } from './adapters/index.ts'
import { decideWithoutWorker } from './decide.ts'
import {
  CLOSE_TIMEOUT_MS,
  MODEL_FILE_BYTES_MAX,
  QUEUE_DEPTH_MAX,
  VELOCITY_DEADLINE_MAX_MS,
} from './limits.ts'
import type { Clock, Timers } from './ports.ts'
import type { Decision, Scorer, ScoringRequest, VelocityOutcome } from './request.ts'
import { SmartBatches, type SmartBatchesStats } from './smart-batches.ts'
import {
  MODEL_FILES,
  type ModelSnapshot,
  type RedisOptions,
  type RedisTls,
  type ScoringInfo,
  type ScoringProblem,
} from './start.ts'

export interface ScorerPoolOptions {
  /** Holds `packs/` and `lists/`. */
  readonly rulesDir: string
  /** The folder of one model: `model.onnx` and `manifest.json`. */
  readonly modelFolder: string
  /** Absent: embedded counters, and exactly one worker, whatever `workers` says. */
  readonly redisUrl?: string
  /** Beside what the runtime trusts by itself. */
  readonly redisTls?: RedisTls
  /** For entity tokens: 16 bytes or more, derived for this purpose alone. */
  readonly entityKey: Uint8Array
  /** Threads; 1 or more. */
  readonly workers: number
  /** The part of a score's deadline that velocity may take; VELOCITY_DEADLINE_MAX_MS by default. */
  readonly velocityDeadlineMaxMs?: number
  readonly queueDepthMax?: number
  readonly clock: Clock
  readonly timers: Timers
}

/** What scoring works with, for logs, `rules_info`, `model_info` and /readyz. */
export interface ScorerPoolInfo extends ScoringInfo {
  readonly velocity: 'redis' | 'embedded'
  readonly workers: number
}

export interface ScorerPoolStats extends SmartBatchesStats {
  /** Workers with rules and model loaded; 0 means that every decision is made without them. */
  readonly workersReady: number
  readonly workerDeaths: number
  /** Why the last batch was lost or worker died; null when none was. */
  readonly lastFault: string | null
}

export interface ScorerPool extends Scorer {
  readonly info: ScorerPoolInfo
  readonly ruleSet: RuleSet
  /** Messages waiting for a worker: by this the switch sheds, before it claims. */
  readonly queueDepth: number
  stats(): ScorerPoolStats
  /** Answers what waits, publishes outcome events, releases the models, ends the threads. */
  close(): Promise<void>
}

export type ScorerPoolResult =
  | { readonly ok: true; readonly pool: ScorerPool }
  | { readonly ok: false; readonly problems: readonly ScoringProblem[] }

/**
 * Resolves when every worker has loaded rules and model and is warm, or with all that is wrong with
 * them: then nothing is left running.
 */
export async function createScorerPool(options: ScorerPoolOptions): Promise<ScorerPoolResult> {
  if (!(options.workers >= 1)) throw new RangeError('a pool has one worker at least')
  let ruleFiles: readonly RuleFile[]
  try {
    ruleFiles = await readRuleFiles(options.rulesDir)
  } catch (error) {
    return { ok: false, problems: [unreadableRules(options.rulesDir, error)] }
  }
  const rules = compileRuleSet(ruleFiles)
  if (!rules.ok) {
    const errors = rules.problems.filter((problem) => problem.severity === 'error')
    return { ok: false, problems: errors.map((problem) => ({ kind: 'rules', problem })) }
  }
  const workers = options.redisUrl === undefined ? 1 : options.workers
  let batches: SmartBatches | undefined
  const threads = new ScoringThreads({
    workers,
    ruleFiles,
    model: await readModel(options.modelFolder),
    redis: redisOptions(options),
    entityKey: options.entityKey,
    timers: options.timers,
    onLanes: () => batches?.wake(),
  })
  const started = await threads.started
  if (!started.ok) {
    await threads.close()
    return started
  }
  const { ruleSet, lists } = rules
  batches = new SmartBatches({
    runner: threads,
    clock: options.clock,
    timers: options.timers,
    queueDepthMax: options.queueDepthMax ?? QUEUE_DEPTH_MAX,
    velocityDeadlineMaxMs: options.velocityDeadlineMaxMs ?? VELOCITY_DEADLINE_MAX_MS,
    decideWithoutWorker: (request) => decideHere(request, ruleSet, lists),
  })
  const velocity = options.redisUrl === undefined ? 'embedded' : 'redis'
  const info: ScorerPoolInfo = { ...started.info, velocity, workers }
  return { ok: true, pool: new ThreadedPool(threads, batches, ruleSet, info) }
}

class ThreadedPool implements ScorerPool {
  readonly ruleSet: RuleSet
  readonly info: ScorerPoolInfo
  readonly #threads: ScoringThreads
  readonly #batches: SmartBatches

  constructor(
    threads: ScoringThreads,
    batches: SmartBatches,
    ruleSet: RuleSet,
    info: ScorerPoolInfo,
  ) {
    this.#threads = threads
    this.#batches = batches
    this.ruleSet = ruleSet
    this.info = info
  }

  get queueDepth(): number {
    return this.#batches.queueDepth
  }

  score(request: ScoringRequest, deadlineMs: number): Promise<Decision> {
    return this.#batches.score(request, deadlineMs)
  }

  publish(outcome: VelocityOutcome): void {
    this.#batches.publish(outcome)
  }

  stats(): ScorerPoolStats {
    return {
      ...this.#batches.stats(),
      workersReady: this.#threads.workersReady,
      workerDeaths: this.#threads.deaths,
      lastFault: this.#threads.lastFault,
    }
  }

  async close(): Promise<void> {
    await this.#batches.drain(CLOSE_TIMEOUT_MS)
    await this.#threads.close()
  }
}

function redisOptions({ redisUrl, redisTls }: ScorerPoolOptions): RedisOptions | null {
  if (redisUrl === undefined) return null
  return redisTls === undefined ? { url: redisUrl } : { url: redisUrl, tls: redisTls }
}

function unreadableRules(rulesDir: string, error: unknown): ScoringProblem {
  const message = `the rules can't be read: ${(error as Error).message}`
  const place = { file: rulesDir, line: 1, column: 1 }
  return {
    kind: 'rules',
    problem: { ...place, severity: 'error', code: 'rules_unreadable', message },
  }
}

function decideHere(request: ScoringRequest, ruleSet: RuleSet, lists: Lists): Decision {
  const { amount, currency, arrivedAtMs, channel } = request
  return decideWithoutWorker(ruleSet, channel, lists.baseAmount(amount, currency, arrivedAtMs))
}

/** Reads a model folder whole, so that all workers, later ones too, get the same bytes. */
async function readModel(path: string): Promise<ModelSnapshot> {
  const folder = openModelFolder(path)
  const files = await Promise.all(
    MODEL_FILES.map(async (name) => [name, await folder.read(name, MODEL_FILE_BYTES_MAX)] as const),
  )
  return { path, files: Object.fromEntries(files) }
}
