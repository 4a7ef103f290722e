// How a worker is started, and what it and the pool tell each other beside batches.

import type { AggregatePlan, RuleFile, RuleProblem } from '#rules'
import type { ModelFileResult, ModelFolder, ModelProblem, ScoreBand } from './onnx/index.ts'

/**
 * All that a worker is started with. Rules and model come as the bytes that the main thread read,
 * so every worker, and one that is started again later, has the same.
 */
export interface WorkerStart {
  readonly ruleFiles: readonly RuleFile[]
  readonly model: ModelSnapshot
  /** Null: embedded counters, in this one worker. */
  readonly redis: RedisOptions | null
  readonly entityKey: Uint8Array
  /** The BroadcastChannel on which the pool speaks to all of its workers. */
  readonly channel: string
}

export interface RedisOptions {
  /** `redis://[user:password@]host:port[/database]`, or `rediss://` for TLS. */
  readonly url: string
  readonly tls?: RedisTls
}

/** PEM texts, and the name to expect: what can be handed to another thread. */
export interface RedisTls {
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
  readonly servername?: string
}

/** The files of a model folder that make the model; `model-card.md` is for people. */
export const MODEL_FILES = ['manifest.json', 'model.onnx'] as const

/** A model folder, read. */
export interface ModelSnapshot {
  readonly path: string
  readonly files: Readonly<Record<string, ModelFileResult>>
}

/** The folder again, from what was read. */
export function snapshotFolder(snapshot: ModelSnapshot): ModelFolder {
  return {
    path: snapshot.path,
    async read(name, sizeBytesMax) {
      const file = snapshot.files[name]
      if (file === undefined) return { ok: false, cause: 'missing', message: `${name} is missing` }
      if (!file.ok || file.bytes.length <= sizeBytesMax) return file
      const message = `${name} has ${file.bytes.length} bytes, at most ${sizeBytesMax} are read`
      return { ok: false, cause: 'too_large', message }
    },
  }
}

/** What a worker that is ready works with. */
export interface ScoringInfo {
  /** Hash of the rule set. */
  readonly ruleSet: string
  readonly rules: number
  /** Name and version of the model. */
  readonly modelName: string
  readonly model: string
  readonly featureNames: readonly string[]
  readonly bands: readonly ScoreBand[]
  /** What `Decision.aggregates` holds, in order. */
  readonly aggregates: AggregatePlan
}

/** Why scoring can't start. */
export type ScoringProblem =
  | { readonly kind: 'rules'; readonly problem: RuleProblem }
  | { readonly kind: 'model'; readonly problem: ModelProblem }
  /** A worker did not come up: `message` says why. */
  | { readonly kind: 'worker'; readonly message: string }

/** From a worker to the pool. */
export type WorkerNotice =
  | { readonly kind: 'started'; readonly thread: number; readonly info: ScoringInfo }
  | { readonly kind: 'refused'; readonly thread: number; readonly problems: ScoringProblem[] }
  | { readonly kind: 'released'; readonly thread: number }
  /** A bug in the worker: it releases its model and ends; the pool starts another. */
  | { readonly kind: 'failed'; readonly thread: number; readonly message: string }

/** From the pool to all of its workers. */
export interface WorkerOrder {
  readonly kind: 'release'
}
