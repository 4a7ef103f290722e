// Episodes of a simulation side by side, one a thread: they share nothing, so the sums are the same
// however many threads there are.

import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import { typeScriptInWorkers } from '#scoring'
import { type EpisodeReport, type SimulationReport, Totals } from '../simulation/episode/index.ts'

export type FromThread =
  | { readonly kind: 'ready' }
  | { readonly kind: 'report'; readonly report: EpisodeReport }

export interface ThreadedSimulation {
  readonly seed: number
  /** Virtual hours, at least. */
  readonly hours: number
  /** This episode alone. */
  readonly episode?: number
  /** At a time; at least 1. */
  readonly threads: number
  /** Episodes of this seed that were run before. */
  readonly known: ReadonlyMap<number, EpisodeReport>
  /** An episode has ended; not in their order. */
  readonly onEpisode: (report: EpisodeReport) => void
  /** The next one in the order was added. */
  readonly onSums: (report: SimulationReport) => void
}

/** Resolves with what all episodes up to the last that was needed came to. */
export async function simulateInThreads(options: ThreadedSimulation): Promise<SimulationReport> {
  const { threads, known, onEpisode, onSums } = options
  const totals = new Totals(options)
  const done = new Map(known)
  const workers = new Set<Worker>()
  let toAdd = options.episode ?? 0
  let toRun = toAdd
  const addAll = () => {
    for (let next = done.get(toAdd); next !== undefined && !totals.isEnough; ) {
      totals.add(next)
      onSums(totals.report)
      next = done.get(++toAdd)
    }
  }
  addAll()
  if (!totals.isEnough) {
    await new Promise<void>((resolve, reject) => {
      const order = (worker: Worker) => {
        while (done.has(toRun)) toRun++
        if (options.episode === undefined || toRun === options.episode) worker.postMessage(toRun++)
      }
      for (let i = 0; i < threads; i++) {
        const worker = startThread(options.seed)
        workers.add(worker)
        worker.on('error', reject)
        worker.on('message', (message: FromThread) => {
          if (message.kind === 'report') {
            done.set(message.report.episode, message.report)
            onEpisode(message.report)
            addAll()
          }
          if (totals.isEnough) resolve()
          else order(worker)
        })
      }
    }).finally(() => Promise.all([...workers].map((worker) => worker.terminate())))
  }
  return totals.report
}

function startThread(seed: number): Worker {
  const file = fileURLToPath(new URL('simulation-thread.ts', import.meta.url))
  return new Worker(file, {
    execArgv: typeScriptInWorkers(file),
    workerData: { seed },
    // Most of what a life makes is garbage with it.
    resourceLimits: { maxYoungGenerationSizeMb: 64 },
  })
}
