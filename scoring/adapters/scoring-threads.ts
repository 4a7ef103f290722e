// The worker threads: Piscina, with the settings that scoring needs.
//
// - `atomics: 'disabled'`: the default parks a worker between tasks with its event loop standing
//   still, so Redis sockets, timers and reconnects in it would freeze.
// - Two tasks a worker: one waits for Redis while the other computes.
// - Never an AbortSignal: aborting a running task ends the thread, and with a model running in it
//   the process. For the same reason a thread is ended only after it has released its model.
// - A worker that dies is started again by Piscina, with the edition of that moment; until it is
//   ready its lanes are gone.

import { randomUUID } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { BroadcastChannel } from 'node:worker_threads'
import { Piscina } from 'piscina'
import {
  CLOSE_TIMEOUT_MS,
  CONCURRENT_BATCHES_PER_WORKER,
  FAULTS_TOLD_MAX,
  PREPARE_TIMEOUT_MS,
  WORKER_START_TIMEOUT_MS,
} from '../limits.ts'
import type { Timers } from '../ports.ts'
import type { BatchRunner } from '../smart-batches.ts'
import {
  type Edition,
  type RestoredVelocity,
  type ScoringInfo,
  type ScoringProblem,
  WARM_UP_EDITION,
  type WorkerFault,
  type WorkerNotice,
  type WorkerOrder,
  type WorkerStart,
} from '../start.ts'
import { type DecidedBatch, decodeDecided, encodeBatch, type ScoringBatch } from '../wire.ts'

export interface ScoringThreadsOptions extends Omit<WorkerStart, 'channel'> {
  readonly workers: number
  readonly timers: Timers
  /** Called when lanes have appeared or disappeared. */
  readonly onLanes: () => void
  /** Called with each fault that is another than those before. */
  readonly onFault?: (fault: WorkerFault) => void
}

/** Every worker can score with an edition, or the first says why it can't. */
export type EditionPrepared =
  | { readonly ok: true; readonly info: ScoringInfo }
  | { readonly ok: false; readonly problems: readonly ScoringProblem[] }

/** An edition that is being prepared: who has not answered yet. */
interface Preparation {
  readonly edition: Edition
  readonly threads: Set<number>
  info: ScoringInfo | undefined
  readonly settle: (prepared: EditionPrepared) => void
}

export class ScoringThreads implements BatchRunner {
  readonly #piscina: Piscina<Uint8Array, Uint8Array>
  readonly #channel: BroadcastChannel
  readonly #options: ScoringThreadsOptions
  /** What a thread is started with; its edition is the one in use. */
  readonly #start: { -readonly [Field in keyof WorkerStart]: WorkerStart[Field] }
  /** Threads that can score with the edition in use. */
  readonly #ready = new Set<number>()
  /** Batches under way, by their edition. */
  readonly #underWay = new Map<number, number>()
  #preparation: Preparation | undefined
  readonly #released = new Set<number>()
  #restored: RestoredVelocity | null = null
  #deaths = 0
  #lastFault: string | null = null
  readonly #faultsTold = new Set<string>()
  #closing = false
  #onReleased: (() => void) | undefined
  /** Resolves when every worker is ready, or the first says why it can't be. */
  readonly started: Promise<EditionPrepared>

  constructor(options: ScoringThreadsOptions) {
    const { workers, timers: _, onLanes: __, onFault: ___, ...start } = options
    this.#options = options
    const channel = `switchyard-scoring-${randomUUID()}`
    this.#channel = new BroadcastChannel(channel)
    this.#channel.unref()
    this.#start = { ...start, channel }
    this.started = this.#awaitAll(start.edition, [], WORKER_START_TIMEOUT_MS)
    const filename = fileURLToPath(new URL('../worker.ts', import.meta.url))
    this.#piscina = new Piscina({
      filename,
      name: 'scoreBatch',
      minThreads: workers,
      maxThreads: workers,
      idleTimeout: Number.POSITIVE_INFINITY,
      concurrentTasksPerWorker: CONCURRENT_BATCHES_PER_WORKER,
      maxQueue: workers * CONCURRENT_BATCHES_PER_WORKER,
      atomics: 'disabled',
      recordTiming: false,
      execArgv: typeScriptInWorkers(filename),
      // The same object for threads that are started later.
      workerData: this.#start,
    })
    this.#piscina.on('message', (notice: WorkerNotice) => this.#onNotice(notice))
    this.#piscina.on('workerDestroy', () => this.#onDeath())
    // A worker that dies between tasks: counted by `workerDestroy`, reported here while starting.
    this.#piscina.on('error', (error: Error) => {
      this.#onFault(error)
      this.#refuse(error.message)
    })
  }

  get lanes(): number {
    return this.#ready.size * CONCURRENT_BATCHES_PER_WORKER
  }

  get workersReady(): number {
    return this.#ready.size
  }

  /** Workers that died since the start. */
  get deaths(): number {
    return this.#deaths
  }

  /** What embedded counters began with, in the worker that was started last. */
  get restored(): RestoredVelocity | null {
    return this.#restored
  }

  /** Why the last batch was lost or worker died; null when none was. */
  get lastFault(): string | null {
    return this.#lastFault
  }

  run(batch: ScoringBatch): Promise<DecidedBatch> {
    return this.#run(batch, this.#start.edition.number)
  }

  /** Batches of a start that is not open yet: scored on counters that are thrown away. */
  readonly warmUp: BatchRunner = {
    lanes: CONCURRENT_BATCHES_PER_WORKER,
    run: (batch) => this.#run(batch, WARM_UP_EDITION),
  }

  async #run(batch: ScoringBatch, edition: number): Promise<DecidedBatch> {
    const bytes = encodeBatch(batch, edition)
    this.#underWay.set(edition, (this.#underWay.get(edition) ?? 0) + 1)
    try {
      return decodeDecided(await this.#piscina.run(bytes, { transferList: [bytes.buffer] }))
    } catch (error) {
      this.#onFault(error as Error)
      throw error
    } finally {
      const left = (this.#underWay.get(edition) as number) - 1
      this.#underWay.set(edition, left)
      const isOld = edition !== this.#start.edition.number && edition !== WARM_UP_EDITION
      if (left === 0 && isOld) this.#retire(edition)
    }
  }

  /**
   * Has every worker prepare an edition beside its traffic. Nothing is scored with it before `use`;
   * one that is refused is forgotten everywhere. One at a time.
   */
  async prepare(edition: Edition): Promise<EditionPrepared> {
    if (this.#preparation !== undefined) throw new Error('an edition is being prepared already')
    const prepared = this.#awaitAll(edition, this.#ready, PREPARE_TIMEOUT_MS)
    this.#order({ kind: 'prepare', edition })
    const result = await prepared
    if (!result.ok) this.#retire(edition.number)
    return result
  }

  /** From this tick on batches carry this edition, which every worker has prepared. */
  use(edition: Edition): void {
    const before = this.#start.edition.number
    this.#start.edition = edition
    if ((this.#underWay.get(before) ?? 0) === 0) this.#retire(before)
  }

  endWarmUp(): void {
    this.#retire(WARM_UP_EDITION)
  }

  #retire(edition: number): void {
    this.#underWay.delete(edition)
    if (!this.#closing) this.#order({ kind: 'retire', edition })
  }

  #order(order: WorkerOrder): void {
    this.#channel.postMessage(order)
  }

  /** Resolves when these threads (at a start: as many as there will be) have prepared it. */
  #awaitAll(
    edition: Edition,
    threads: Iterable<number>,
    timeoutMs: number,
  ): Promise<EditionPrepared> {
    const { timers } = this.#options
    return new Promise((resolve) => {
      const timeout = timers.set(timeoutMs, () => {
        this.#refuse(`not every worker was ready after ${timeoutMs} ms`)
      })
      const settle = (prepared: EditionPrepared) => {
        this.#preparation = undefined
        timers.clear(timeout)
        resolve(prepared)
      }
      this.#preparation = { edition, threads: new Set(threads), info: undefined, settle }
    })
  }

  /**
   * Releases every model, then ends the threads. A thread that does not release in time is left
   * alone: it doesn't keep the process alive, while to end it could take the process down.
   */
  async close(): Promise<void> {
    this.#closing = true
    const { timers } = this.#options
    const alive = this.#piscina.threads.length
    let inTime = true
    await new Promise<void>((resolve) => {
      const timeout = timers.set(CLOSE_TIMEOUT_MS, () => {
        inTime = false
        resolve()
      })
      this.#onReleased = () => {
        if (this.#released.size < alive) return
        timers.clear(timeout)
        resolve()
      }
      this.#order({ kind: 'release' })
      this.#onReleased()
    })
    this.#ready.clear()
    this.#refuse('the switch is ending')
    this.#channel.close()
    if (inTime) await this.#piscina.destroy()
  }

  #onNotice(notice: WorkerNotice): void {
    if (notice.kind === 'refused') {
      if (notice.edition === this.#preparation?.edition.number) {
        this.#preparation.settle({ ok: false, problems: notice.problems })
      }
    } else if (notice.kind === 'failed') {
      this.#onFault(notice.error)
      if (this.#ready.size === 0) this.#refuse(notice.error.message)
    } else if (notice.kind === 'released') {
      this.#released.add(notice.thread)
      this.#onReleased?.()
    } else if (notice.kind === 'restored') {
      this.#restored = notice.velocity
    } else {
      this.#onPrepared(notice.thread, notice.edition, notice.info)
    }
  }

  #onFault(fault: WorkerFault): void {
    const { name, message, stack = '' } = fault
    this.#lastFault = message
    const told = this.#faultsTold
    const known = stack === '' ? message : stack
    if (this.#closing || told.has(known) || told.size === FAULTS_TOLD_MAX) return
    told.add(known)
    this.#options.onFault?.({ name, message, stack })
  }

  #onPrepared(thread: number, number: number, info: ScoringInfo): void {
    const { edition } = this.#start
    const preparation = this.#preparation
    if (number === edition.number) {
      this.#ready.add(thread)
      this.#options.onLanes()
    }
    if (preparation !== undefined && number === preparation.edition.number) {
      preparation.info = info
      preparation.threads.delete(thread)
      this.#settleWhenAllPrepared()
    } else if (number !== edition.number) {
      // It was started before the edition in use was: what it lacks, and what it need not keep.
      this.#order({ kind: 'prepare', edition })
      this.#order({ kind: 'retire', edition: number })
    } else if (preparation !== undefined) {
      // Started while another edition is being prepared: it may have missed the order.
      preparation.threads.add(thread)
      this.#order({ kind: 'prepare', edition: preparation.edition })
    }
  }

  #settleWhenAllPrepared(): void {
    const preparation = this.#preparation
    if (preparation === undefined || preparation.info === undefined) return
    const isStart = preparation.edition === this.#start.edition
    if (isStart ? this.#ready.size < this.#options.workers : preparation.threads.size > 0) return
    preparation.settle({ ok: true, info: preparation.info })
  }

  #onDeath(): void {
    if (this.#closing) return
    this.#deaths++
    // Piscina takes the thread off its list when it has told us.
    queueMicrotask(() => {
      const alive = new Set(this.#piscina.threads.map((thread) => thread.threadId))
      for (const thread of this.#ready) if (!alive.has(thread)) this.#ready.delete(thread)
      // Maybe of what it prepared: then the others would die of it, too.
      const awaited = [...(this.#preparation?.threads ?? [])]
      if (awaited.some((thread) => !alive.has(thread))) {
        this.#refuse('a worker ended while it prepared')
      }
      this.#options.onLanes()
    })
  }

  #refuse(message: string): void {
    this.#preparation?.settle({ ok: false, problems: [{ kind: 'worker', message }] })
  }
}

/**
 * Arguments of a thread that runs `file`: they let it import TypeScript as ES modules, whatever the
 * working folder and however the main thread was started. `--import tsx` in a worker hooks `require`
 * only (Node.js 20): the worker's code would silently run as CommonJS, and fail at the first
 * top-level await. A compiled file needs none. A thread with arguments of its own does not inherit
 * those of a profile, so they are handed on.
 */
export function typeScriptInWorkers(file: string): string[] {
  const profile = process.execArgv.filter((argument) => argument.startsWith('--cpu-prof'))
  if (!file.endsWith('.ts')) return profile
  const tsx = JSON.stringify(import.meta.resolve('tsx/esm/api'))
  const code = `import { register } from ${tsx}; register()`
  return [...profile, '--import', `data:text/javascript,${encodeURIComponent(code)}`]
}
