// The worker threads: Piscina, with the settings that scoring needs.
//
// - `atomics: 'disabled'`: the default parks a worker between tasks with its event loop standing
//   still, so Redis sockets, timers and reconnects in it would freeze.
// - Two tasks a worker: one waits for Redis while the other computes.
// - Never an AbortSignal: aborting a running task ends the thread, and with a model running in it
//   the process. For the same reason a thread is ended only after it has released its model.
// - A worker that dies is started again by Piscina; until it is ready its lanes are gone.

import { randomUUID } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { BroadcastChannel } from 'node:worker_threads'
import { Piscina } from 'piscina'
import {
  CLOSE_TIMEOUT_MS,
  CONCURRENT_BATCHES_PER_WORKER,
  WORKER_START_TIMEOUT_MS,
} from '../limits.ts'
import type { Timers } from '../ports.ts'
import type { BatchRunner } from '../smart-batches.ts'
import type {
  ScoringInfo,
  ScoringProblem,
  WorkerNotice,
  WorkerOrder,
  WorkerStart,
} from '../start.ts'
import { type DecidedBatch, decodeDecided, encodeBatch, type ScoringBatch } from '../wire.ts'

export interface ScoringThreadsOptions extends Omit<WorkerStart, 'channel'> {
  readonly workers: number
  readonly timers: Timers
  /** Called when lanes have appeared or disappeared. */
  readonly onLanes: () => void
}

export type ThreadsStarted =
  | { readonly ok: true; readonly info: ScoringInfo }
  | { readonly ok: false; readonly problems: readonly ScoringProblem[] }

export class ScoringThreads implements BatchRunner {
  readonly #piscina: Piscina<Uint8Array, Uint8Array>
  readonly #channel: BroadcastChannel
  readonly #options: ScoringThreadsOptions
  /** Threads that have loaded rules and model. */
  readonly #ready = new Set<number>()
  readonly #released = new Set<number>()
  #deaths = 0
  #lastFault: string | null = null
  #closing = false
  #onStarted: ((started: ThreadsStarted) => void) | undefined
  #onReleased: (() => void) | undefined
  /** Resolves when every worker is ready, or the first says why it can't be. */
  readonly started: Promise<ThreadsStarted>

  constructor(options: ScoringThreadsOptions) {
    const { workers, timers, onLanes: _, ...start } = options
    this.#options = options
    const channel = `switchyard-scoring-${randomUUID()}`
    this.#channel = new BroadcastChannel(channel)
    this.#channel.unref()
    const timeout = timers.set(WORKER_START_TIMEOUT_MS, () => {
      this.#refuse(`${workers} workers were not ready after ${WORKER_START_TIMEOUT_MS} ms`)
    })
    this.started = new Promise<ThreadsStarted>((resolve) => {
      this.#onStarted = (started) => {
        this.#onStarted = undefined
        timers.clear(timeout)
        resolve(started)
      }
    })
    const workerData: WorkerStart = { ...start, channel }
    this.#piscina = new Piscina({
      filename: fileURLToPath(new URL('../worker.ts', import.meta.url)),
      name: 'scoreBatch',
      minThreads: workers,
      maxThreads: workers,
      idleTimeout: Number.POSITIVE_INFINITY,
      concurrentTasksPerWorker: CONCURRENT_BATCHES_PER_WORKER,
      maxQueue: workers * CONCURRENT_BATCHES_PER_WORKER,
      atomics: 'disabled',
      recordTiming: false,
      execArgv: ['--import', typeScriptInWorkers()],
      workerData,
    })
    this.#piscina.on('message', (notice: WorkerNotice) => this.#onNotice(notice))
    this.#piscina.on('workerDestroy', () => this.#onDeath())
    // A worker that dies between tasks: counted by `workerDestroy`, reported here while starting.
    this.#piscina.on('error', (error: Error) => {
      this.#lastFault = error.message
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

  /** Why the last batch was lost or worker died; null when none was. */
  get lastFault(): string | null {
    return this.#lastFault
  }

  async run(batch: ScoringBatch): Promise<DecidedBatch> {
    const bytes = encodeBatch(batch)
    try {
      return decodeDecided(await this.#piscina.run(bytes, { transferList: [bytes.buffer] }))
    } catch (error) {
      this.#lastFault = (error as Error).message
      throw error
    }
  }

  /**
   * Releases every model, then ends the threads. A thread that does not release in time is left
   * alone: it doesn't keep the process alive, while to end it could take the process down.
   */
  async close(): Promise<void> {
    this.#closing = true
    const { timers } = this.#options
    const alive = this.#piscina.threads.length
    const order: WorkerOrder = { kind: 'release' }
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
      this.#channel.postMessage(order)
      this.#onReleased()
    })
    this.#ready.clear()
    this.#channel.close()
    if (inTime) await this.#piscina.destroy()
  }

  #onNotice(notice: WorkerNotice): void {
    if (notice.kind === 'refused') {
      this.#onStarted?.({ ok: false, problems: notice.problems })
    } else if (notice.kind === 'failed') {
      this.#lastFault = notice.message
      this.#refuse(notice.message)
    } else if (notice.kind === 'released') {
      this.#released.add(notice.thread)
      this.#onReleased?.()
    } else {
      this.#ready.add(notice.thread)
      if (this.#ready.size >= this.#options.workers) {
        this.#onStarted?.({ ok: true, info: notice.info })
      }
      this.#options.onLanes()
    }
  }

  #onDeath(): void {
    if (this.#closing) return
    this.#deaths++
    // Piscina takes the thread off its list when it has told us.
    queueMicrotask(() => {
      const alive = new Set(this.#piscina.threads.map((thread) => thread.threadId))
      for (const thread of this.#ready) if (!alive.has(thread)) this.#ready.delete(thread)
      this.#options.onLanes()
    })
  }

  #refuse(message: string): void {
    this.#onStarted?.({ ok: false, problems: [{ kind: 'worker', message }] })
  }
}

/**
 * A module that lets a worker import TypeScript as ES modules, whatever the working folder and
 * however the main thread was started. `--import tsx` in a worker hooks `require` only (Node.js
 * 20): the worker's code would silently run as CommonJS, and fail at the first top-level await.
 */
function typeScriptInWorkers(): string {
  const tsx = JSON.stringify(import.meta.resolve('tsx/esm/api'))
  const code = `import { register } from ${tsx}; register()`
  return `data:text/javascript,${encodeURIComponent(code)}`
}
