// The production scorer, main-thread side: reads rules and model once, checks them, starts the
// worker threads with them, and scores through smart batches. What no worker answers in time is
// decided here, by the analysts' policy for missing parts.

import {
  bundleRuleFiles,
  compileFallback,
  compileRuleSet,
  type Fallback,
  type RuleBundle,
  type RuleFile,
  type RuleSetResult,
  readRuleFiles,
} from '#rules'
import { openModelFolder, ScoringThreads } from './adapters/index.ts'
import { decideWithoutWorker } from './decide.ts'
import { type DriftReport, DriftWatch } from './drift.ts'
import {
  CLOSE_TIMEOUT_MS,
  MODEL_FILE_BYTES_MAX,
  QUEUE_DEPTH_MAX,
  SLICE_MS,
  VELOCITY_DEADLINE_MAX_MS,
} from './limits.ts'
import type { Clock, Timers } from './ports.ts'
import type { Decision, Scorer, ScoringRequest, VelocityOutcome } from './request.ts'
import { type BatchRunner, SmartBatches, type SmartBatchesStats } from './smart-batches.ts'
import {
  type Edition,
  MODEL_FILES,
  type ModelSnapshot,
  type RedisOptions,
  type RedisTls,
  type RestoredVelocity,
  type ScoringInfo,
  type ScoringProblem,
  type WorkerFault,
} from './start.ts'
import { warmUpCaller } from './warm-up.ts'

export interface ScorerPoolOptions {
  /** Holds `packs/` and `lists/`. */
  readonly rulesDir: string
  /** What is read instead of that folder, where it is given: a set that was kept. */
  readonly ruleFiles?: readonly RuleFile[]
  /** What `ruleFiles` compile to, where the caller has it. */
  readonly compiledRules?: Extract<RuleSetResult, { readonly ok: true }>
  /** The folder of one model: `model.onnx` and `manifest.json`. */
  readonly modelFolder: string
  /** What decides instead, and then what is in shadow: folders that were read before. */
  readonly models?: readonly [ModelSnapshot, ...ModelSnapshot[]]
  /** Absent: embedded counters, and exactly one worker, whatever `workers` says. */
  readonly redisUrl?: string
  /** Where embedded counters outlive an orderly restart; absent: they end with the pool. */
  readonly velocityFile?: string
  /** Beside what the runtime trusts by itself. */
  readonly redisTls?: RedisTls
  /** Folders of models in shadow. */
  readonly challengerFolders?: readonly string[]
  /** For entity tokens: 16 bytes or more, derived for this purpose alone. */
  readonly entityKey: Uint8Array
  /** Threads; 1 or more. */
  readonly workers: number
  /** The part of a score's deadline that velocity may take; VELOCITY_DEADLINE_MAX_MS by default. */
  readonly velocityDeadlineMaxMs?: number
  readonly queueDepthMax?: number
  readonly clock: Clock
  readonly timers: Timers
  /** Called when a batch was lost or a worker died of another fault than those before. */
  readonly onFault?: (fault: WorkerFault) => void
}

/** What scoring works with, for logs, `rules_info`, `model_info` and /readyz. */
export interface ScorerPoolInfo extends ScoringInfo {
  readonly velocity: 'redis' | 'embedded'
  /** What embedded counters began with; null on Redis. */
  readonly restored: RestoredVelocity | null
  readonly workers: number
}

export interface ScorerPoolStats extends SmartBatchesStats {
  /** Workers with rules and model loaded; 0 means that every decision is made without them. */
  readonly workersReady: number
  readonly workerDeaths: number
  /** Why the last batch was lost or worker died; null when none was. */
  readonly lastFault: string | null
}

/** Other rules, another model, or both at once; what is left out stays. */
export interface ScoringChange {
  /** Compiled, tested and bundled before: `checkRules`. */
  readonly rules?: RuleBundle
  readonly model?: ModelSnapshot
  /** All of them: those that are not named leave. */
  readonly challengers?: readonly ModelSnapshot[]
}

export type ScoringChanged =
  | { readonly ok: true; readonly info: ScorerPoolInfo }
  /** Everything is as it was. */
  | { readonly ok: false; readonly problems: readonly ScoringProblem[] }

export interface ScorerPool extends Scorer {
  /** What decides now. */
  readonly info: ScorerPoolInfo
  /** Messages waiting for a worker: by this the switch sheds, before it claims. */
  readonly queueDepth: number
  stats(): ScorerPoolStats
  /** How far inputs and scores of the last day are from the model's training, by the hour. */
  drift(): DriftReport | undefined
  /**
   * Has every worker prepare the change beside its traffic, then switches all of them over in one
   * tick: a message is scored with the old or with the new, never with a part of each. Changes are
   * made one after the other.
   */
  change(change: ScoringChange): Promise<ScoringChanged>
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
    ruleFiles = options.ruleFiles ?? (await readRuleFiles(options.rulesDir))
  } catch (error) {
    return { ok: false, problems: [unreadableRules(options.rulesDir, error)] }
  }
  const compiled = options.compiledRules ?? compileRuleSet(ruleFiles)
  if (!compiled.ok) {
    const errors = compiled.problems.filter((problem) => problem.severity === 'error')
    return { ok: false, problems: errors.map((problem) => ({ kind: 'rules', problem })) }
  }
  const { ruleSet, lists } = compiled
  const rules = bundleRuleFiles(ruleFiles, ruleSet.hash)
  const [model, ...challengers] =
    options.models ??
    (await Promise.all(
      [options.modelFolder, ...(options.challengerFolders ?? [])].map(readModelSnapshot),
    ))
  const edition: Edition = {
    number: 1,
    rules,
    model: model as ModelSnapshot,
    challengers: numbered(challengers, 1),
  }
  const { hash, outcomeWhenMissing } = ruleSet
  const pool = new ThreadedPool(options, edition, {
    hash,
    outcomeWhenMissing,
    baseAmount: lists.baseAmount,
  })
  const problems = await pool.start()
  return problems.length === 0 ? { ok: true, pool } : { ok: false, problems }
}

class ThreadedPool implements ScorerPool {
  readonly #options: ScorerPoolOptions
  readonly #threads: ScoringThreads
  readonly #batches: SmartBatches
  #edition: Edition
  #fallback: Fallback
  #info: ScorerPoolInfo | undefined
  #drift: DriftWatch | undefined
  #changes: Promise<unknown> = Promise.resolve()
  #closed: Promise<void> | undefined

  constructor(options: ScorerPoolOptions, edition: Edition, fallback: Fallback) {
    this.#options = options
    this.#edition = edition
    this.#fallback = fallback
    this.#threads = new ScoringThreads({
      workers: workersOf(options),
      edition,
      redis: redisOptions(options),
      velocityFile: options.velocityFile ?? null,
      entityKey: options.entityKey,
      timers: options.timers,
      onLanes: () => this.#batches?.wake(),
      ...(options.onFault === undefined ? {} : { onFault: options.onFault }),
    })
    this.#batches = this.#batchesOn(this.#threads)
  }

  /** Resolves once all workers are warm, with nothing; or with what is wrong, all of it ended. */
  async start(): Promise<readonly ScoringProblem[]> {
    const started = await this.#threads.started
    if (!started.ok) {
      await this.#threads.close()
      return started.problems
    }
    this.#watch(started.info)
    this.#info = this.#describe(started.info)
    const warming = this.#batchesOn(this.#threads.warmUp)
    await warmUpCaller((request, deadlineMs) => warming.score(request, deadlineMs))
    await warming.drain(CLOSE_TIMEOUT_MS)
    this.#threads.endWarmUp()
    return []
  }

  get info(): ScorerPoolInfo {
    return this.#info as ScorerPoolInfo
  }

  get queueDepth(): number {
    return this.#batches.queueDepth
  }

  async score(request: ScoringRequest, deadlineMs: number): Promise<Decision> {
    const decision = await this.#batches.score(request, deadlineMs)
    // One of the model before a change is not held against the new one's baseline.
    if (decision.model === this.#info?.model) {
      this.#drift?.observe(decision, this.#options.clock.now())
    }
    return decision
  }

  drift(): DriftReport | undefined {
    return this.#drift?.report(this.#options.clock.now())
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

  change(change: ScoringChange): Promise<ScoringChanged> {
    const changed = this.#changes.then(() => this.#change(change))
    this.#changes = changed.catch(() => undefined)
    return changed
  }

  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<void> {
    await this.#batches.drain(CLOSE_TIMEOUT_MS)
    await this.#threads.close()
  }

  async #change({ rules, model, challengers }: ScoringChange): Promise<ScoringChanged> {
    if (this.#closed !== undefined) {
      return { ok: false, problems: [{ kind: 'worker', message: 'the switch is ending' }] }
    }
    const before = this.#edition
    const edition: Edition = {
      number: before.number + 1,
      rules: rules ?? before.rules,
      // Numbered here, so that no two snapshots share a number.
      model: model === undefined ? before.model : revised(model, before.number + 1, 0),
      challengers:
        challengers === undefined ? before.challengers : numbered(challengers, before.number + 1),
    }
    // A number is never used twice, not even by what is refused.
    this.#edition = { ...before, number: edition.number }
    const fallback =
      rules === undefined ? this.#fallback : await compileFallback(rules, this.#slices())
    const prepared = await this.#threads.prepare(edition)
    if (!prepared.ok) return prepared
    // The switch-over, in the tick in which the last worker was heard of: no batch is made between
    // these lines, and no worker has come or gone since.
    this.#threads.use(edition)
    this.#edition = edition
    this.#fallback = fallback
    this.#watch(prepared.info)
    this.#info = this.#describe(prepared.info)
    return { ok: true, info: this.#info }
  }

  /** Another model starts another count. */
  #watch(info: ScoringInfo): void {
    if (this.#info?.model === info.model) return
    this.#drift = new DriftWatch(info.psiBaseline, this.#options.clock.now())
  }

  #describe(info: ScoringInfo): ScorerPoolInfo {
    const velocity = this.#options.redisUrl === undefined ? 'embedded' : 'redis'
    const { restored } = this.#threads
    return { ...info, velocity, restored, workers: workersOf(this.#options) }
  }

  #batchesOn(runner: BatchRunner): SmartBatches {
    const { clock, timers, queueDepthMax, velocityDeadlineMaxMs } = this.#options
    return new SmartBatches({
      runner,
      clock,
      timers,
      queueDepthMax: queueDepthMax ?? QUEUE_DEPTH_MAX,
      velocityDeadlineMaxMs: velocityDeadlineMaxMs ?? VELOCITY_DEADLINE_MAX_MS,
      decideWithoutWorker: (request) => decideHere(request, this.#fallback),
    })
  }

  /** What must be done on this thread may not hold the sockets up. */
  #slices(): () => Promise<void> | undefined {
    const { clock, timers } = this.#options
    let endsMs = clock.monotonic() + SLICE_MS
    return () => {
      if (clock.monotonic() < endsMs) return undefined
      return new Promise((resolve) => {
        timers.set(0, () => {
          endsMs = clock.monotonic() + SLICE_MS
          resolve()
        })
      })
    }
  }
}

function workersOf({ redisUrl, workers }: ScorerPoolOptions): number {
  return redisUrl === undefined ? 1 : workers
}

function redisOptions({ redisUrl, redisTls }: ScorerPoolOptions): RedisOptions | null {
  if (redisUrl === undefined) return null
  return redisTls === undefined ? { url: redisUrl } : { url: redisUrl, tls: redisTls }
}

function unreadableRules(rulesDir: string, error: unknown): ScoringProblem {
  const message = `the rules can't be read: ${(error as Error).message}`
  const place = { file: rulesDir, line: 0, column: 0 }
  return {
    kind: 'rules',
    problem: { ...place, severity: 'error', code: 'rules_unreadable', message },
  }
}

function decideHere(request: ScoringRequest, fallback: Fallback): Decision {
  const { amount, currency, arrivedAtMs, channel } = request
  const baseAmount = fallback.baseAmount(amount, currency, arrivedAtMs)
  return decideWithoutWorker(fallback, channel, baseAmount)
}

/** Revisions that no other snapshot has: of an edition at most 100 models are new. */
function revised(snapshot: ModelSnapshot, edition: number, place: number): ModelSnapshot {
  return { ...snapshot, revision: edition * 100 + place }
}

function numbered(snapshots: readonly ModelSnapshot[], edition: number): readonly ModelSnapshot[] {
  return snapshots.map((snapshot, place) => revised(snapshot, edition, place + 1))
}

/**
 * Reads a model folder whole, so that all workers, later ones too, get the same bytes. The pool
 * gives it its revision when it is changed to.
 */
export async function readModelSnapshot(path: string): Promise<ModelSnapshot> {
  const folder = openModelFolder(path)
  const files = await Promise.all(
    MODEL_FILES.map(async (name) => {
      const file = await folder.read(name, MODEL_FILE_BYTES_MAX)
      return [name, file.ok ? { ok: true as const, bytes: shared(file.bytes) } : file] as const
    }),
  )
  return { path, revision: 1, files: Object.fromEntries(files) }
}

/** The bytes where every thread can read them. */
function shared(bytes: Uint8Array): Uint8Array {
  const copy = new Uint8Array(new SharedArrayBuffer(bytes.length))
  copy.set(bytes)
  return copy
}
