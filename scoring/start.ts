// How a worker is started, and what it and the pool tell each other beside batches.

import type { AggregatePlan, RuleBundle, RuleProblem } from '#rules'
import type {
  ModelFileResult,
  ModelFolder,
  ModelProblem,
  PsiBaseline,
  ScoreBand,
} from './onnx/index.ts'

/**
 * What a batch is scored with: one rule set and one model. Both come as the bytes that were read
 * and checked once, in shared memory, so every worker has the same and none copies them.
 */
export interface Edition {
  /** Only grows; each batch carries the number of its edition. */
  readonly number: number
  readonly rules: RuleBundle
  readonly model: ModelSnapshot
  /** Models in shadow: scored on the same batches, stored, without any effect. */
  readonly challengers: readonly ModelSnapshot[]
}

/** Names no rules and no model: batches that warm up a start, on counters that are thrown away. */
export const WARM_UP_EDITION = 0

/** All that a worker is started with; one that is started again later gets today's edition. */
export interface WorkerStart {
  readonly edition: Edition
  /** Null: embedded counters, in this one worker. */
  readonly redis: RedisOptions | null
  /** Where embedded counters outlive an orderly restart; null: nowhere. */
  readonly velocityFile: string | null
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
  /** Another number for other bytes: a worker keeps the model that it has where it stays. */
  readonly revision: number
  readonly files: Readonly<Record<string, ModelFileResult>>
}

/** The folder again, from what was read. */
export function snapshotFolder(snapshot: ModelSnapshot): ModelFolder {
  return {
    path: snapshot.path,
    async read(name, sizeBytesMax) {
      const file = snapshot.files[name]
      if (file === undefined) return { ok: false, cause: 'missing', message: `${name} is missing` }
      if (!file.ok) return file
      // A copy of its own: the runtime takes no shared memory.
      if (file.bytes.length <= sizeBytesMax) return { ok: true, bytes: Uint8Array.from(file.bytes) }
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
  /** What the model's inputs and scores looked like in training. */
  readonly psiBaseline: PsiBaseline
  /** When the model was made, ISO 8601. */
  readonly modelCreatedAt: string
  /** Versions of the models in shadow. */
  readonly challengers: readonly string[]
  /** What `Decision.aggregates` holds, in order. */
  readonly aggregates: AggregatePlan
}

/** Why scoring can't start. */
export type ScoringProblem =
  | { readonly kind: 'rules'; readonly problem: RuleProblem }
  | { readonly kind: 'model'; readonly problem: ModelProblem }
  /** A worker did not come up: `message` says why. */
  | { readonly kind: 'worker'; readonly message: string }

/** What embedded counters began with. */
export interface RestoredVelocity {
  readonly entities: number
  /** Why there are none although there was a file; null where all is well. */
  readonly refused: string | null
}

/** What is known of a bug in a worker. */
export interface WorkerFault {
  readonly name: string
  readonly message: string
  readonly stack?: string
}

/** From a worker to the pool. */
export type WorkerNotice =
  /** Before its first `prepared`, where counters are embedded. */
  | { readonly kind: 'restored'; readonly velocity: RestoredVelocity }
  /** The worker can score batches of this edition, and is warm. */
  | {
      readonly kind: 'prepared'
      readonly thread: number
      readonly edition: number
      readonly info: ScoringInfo
    }
  | {
      readonly kind: 'refused'
      readonly thread: number
      readonly edition: number
      readonly problems: readonly ScoringProblem[]
    }
  | { readonly kind: 'released'; readonly thread: number }
  /** A bug in the worker: it releases its model and ends; the pool starts another. */
  | { readonly kind: 'failed'; readonly thread: number; readonly error: WorkerFault }

/** From the pool to all of its workers. */
export type WorkerOrder =
  | { readonly kind: 'release' }
  /** Answered by `prepared` or `refused`. */
  | { readonly kind: 'prepare'; readonly edition: Edition }
  /** No batch of this edition will come any more. */
  | { readonly kind: 'retire'; readonly edition: number }
