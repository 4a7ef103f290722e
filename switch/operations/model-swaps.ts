// Another model in a running switch, by an operator's order: every worker loads and checks it
// beside its traffic, one tick switches all of them over, and the one before stays known for a
// rollback. Whatever is refused leaves the old model deciding. A start takes the configured one.

import path from 'node:path'
import {
  type Clock,
  type DriftReport,
  drifted,
  type ModelSnapshot,
  type ScorerPool,
  type ScoringChange,
  type ScoringProblem,
} from '#scoring'
import type { CommandAnswer } from '../ingress/index.ts'
import { MODELS_REMEMBERED_MAX } from '../limits.ts'
import type { Journal } from '../observe/index.ts'

export interface ModelSwapsOptions {
  readonly pool: Pick<ScorerPool, 'info' | 'change' | 'drift'>
  /** Reads a folder whole; what is wrong with it shows when it is changed to. */
  readonly read: (folder: string) => Promise<ModelSnapshot>
  readonly modelDir: string
  readonly model: string
  readonly challengers: readonly string[]
  readonly maxAgeDays: number
  readonly journal: Pick<Journal, 'log'>
  readonly clock: Clock
}

/** What decides, for people: `model status`. */
export interface ModelStatus {
  readonly model: string
  readonly version: string
  readonly createdAt: string
  readonly ageDays: number
  readonly isStale: boolean
  readonly bands: ScorerPool['info']['bands']
  readonly challengers: readonly string[]
  /** Folder of the model that a rollback would take; null without one. */
  readonly previous: string | null
  readonly drift: (DriftReport & { readonly drifted: readonly string[] }) | null
}

/** As the manifest has names: nothing that could leave the folder of the models. */
const MODEL_NAME = /^[a-z0-9][a-z0-9-]{0,62}$/
const DAY_MS = 86_400_000

export class ModelSwaps {
  readonly #options: ModelSwapsOptions
  #model: string
  #challengers: readonly string[]
  /** Models that decided before, oldest first. */
  #before: readonly string[] = []

  constructor(options: ModelSwapsOptions) {
    this.#options = options
    this.#model = options.model
    this.#challengers = options.challengers
  }

  status(): ModelStatus {
    const { pool, clock, maxAgeDays } = this.#options
    const { model: version, modelCreatedAt, bands, challengers } = pool.info
    const ageDays = (clock.now() - Date.parse(modelCreatedAt)) / DAY_MS
    const report = pool.drift()
    return {
      model: this.#model,
      version,
      createdAt: modelCreatedAt,
      ageDays: Math.round(ageDays * 10) / 10,
      isStale: ageDays > maxAgeDays,
      bands,
      challengers,
      previous: this.#before.at(-1) ?? null,
      drift: report === undefined ? null : { ...report, drifted: drifted(report) },
    }
  }

  /** `{"model": NAME, "challengers": [NAME, ...]}`, either or both. */
  async use(body: unknown): Promise<CommandAnswer> {
    const { model, challengers } = (body ?? {}) as { model?: unknown; challengers?: unknown }
    if (model === undefined && challengers === undefined) {
      return refused(400, 'send {"model": NAME}, {"challengers": [NAME, ...]} or both')
    }
    if (model !== undefined && !isName(model)) return refused(400, 'model is no name of a model')
    if (challengers !== undefined && !areNames(challengers)) {
      return refused(400, 'challengers is no list of at most 4 names of models')
    }
    return this.#change(model, challengers)
  }

  /** The model that decided before the present one. */
  async rollback(): Promise<CommandAnswer> {
    const previous = this.#before.at(-1)
    if (previous === undefined) {
      return refused(409, 'no other model has decided since the start')
    }
    return this.#change(previous, undefined, true)
  }

  async #change(
    model: string | undefined,
    challengers: readonly string[] | undefined,
    isRollback = false,
  ): Promise<CommandAnswer> {
    const { pool, read, modelDir, journal } = this.#options
    const snapshot = (name: string) => read(path.join(modelDir, name))
    const before = this.#model
    const change: ScoringChange = {
      ...(model === undefined ? {} : { model: await snapshot(model) }),
      ...(challengers === undefined
        ? {}
        : { challengers: await Promise.all(challengers.map(snapshot)) }),
    }
    const changed = await pool.change(change)
    if (!changed.ok) {
      const problems = changed.problems.map(textOf)
      journal.log.error(
        { model, challengers, problems },
        'the model was refused: the old one stays',
      )
      return refused(422, problems.join('; '))
    }
    this.#challengers = challengers ?? this.#challengers
    if (model !== undefined) {
      this.#model = model
      this.#before = isRollback
        ? this.#before.slice(0, -1)
        : [...this.#before, before].slice(-MODELS_REMEMBERED_MAX)
    }
    const { model: version } = changed.info
    const now = { model: this.#model, version, challengers: this.#challengers, before }
    journal.log.info(now, 'another model decides, or others are in shadow')
    return { status: 200, body: { result: 'taken', ...now } }
  }
}

function isName(value: unknown): value is string {
  return typeof value === 'string' && MODEL_NAME.test(value)
}

function areNames(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.length <= 4 && value.every(isName)
}

function refused(status: number, message: string): CommandAnswer {
  return { status, body: { result: 'refused', message } }
}

function textOf(problem: ScoringProblem): string {
  if (problem.kind === 'worker') return problem.message
  return `${problem.problem.code} ${problem.problem.message}`
}
