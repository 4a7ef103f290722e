// Another model in a running switch, by an operator's order: every worker loads and checks it
// beside its traffic, one tick switches all of them over, and the one before stays kept for a
// rollback. Whatever is refused leaves the old model deciding. What was chosen decides after a
// restart, too, whatever the configuration says, until `release`.

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

/** A model of which a copy is kept. */
export interface KeptModel {
  /** The folder that it came from, in MODEL_DIR. */
  readonly name: string
  readonly version: string
  /** Of the copy: the hash of its files. */
  readonly key: string
}

/** What is durable. */
export interface ModelRecord {
  /** Since when an order holds, also after restarts, ISO 8601; null: as configured. */
  readonly chosenSince: string | null
  /** What decides, or did when the process ended: a start whose own model is refused takes it. */
  readonly model: KeptModel | null
  /** What is in shadow. */
  readonly challengers: readonly KeptModel[]
  /** Models that decided before, oldest first. */
  readonly before: readonly KeptModel[]
}

/** Every kept model that a record names. */
export function modelsOf({ model, challengers, before }: ModelRecord): readonly KeptModel[] {
  return [...(model === null ? [] : [model]), ...challengers, ...before]
}

/** The record once `model` decides: what decided until then can be rolled back to. */
export function afterDeciding(record: ModelRecord, model: KeptModel): ModelRecord {
  const last = record.model
  if (last === null || last.key === model.key) return { ...record, model }
  const before = [...record.before.filter(({ key }) => key !== model.key), last]
  return { ...record, model, before: before.slice(-MODELS_REMEMBERED_MAX) }
}

/** Port: where models and their record are kept. Each rejects with the disk's error. */
export interface ModelKeeping {
  /** Returns the key of the copy. */
  keep(snapshot: ModelSnapshot): Promise<string>
  read(key: string): Promise<ModelSnapshot>
  write(record: ModelRecord): Promise<void>
}

export interface ModelSwapsOptions {
  readonly pool: Pick<ScorerPool, 'info' | 'change' | 'drift'>
  /** Reads a folder whole; what is wrong with it shows when it is changed to. */
  readonly read: (folder: string) => Promise<ModelSnapshot>
  readonly keeping: ModelKeeping
  readonly modelDir: string
  /** What the configuration names. */
  readonly configured: { readonly model: string; readonly challengers: readonly string[] }
  /** As it is after the start. */
  readonly record: ModelRecord
  /** The folder's name of the model that decides after the start. */
  readonly model: string
  /** Why the start did not take what it should have; none where it did. */
  readonly refusedAtStart: readonly string[]
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
  /** Versions of the models in shadow. */
  readonly challengers: readonly string[]
  /** Since when an order holds, ISO 8601: it outlives restarts; null: the configuration decides. */
  readonly chosenSince: string | null
  /** What `release` goes back to. */
  readonly configured: string
  /** The model that a rollback would take; null without one. */
  readonly previous: { readonly model: string; readonly version: string } | null
  /** Why another model than the wanted one decides since the start; empty where all is well. */
  readonly refusedAtStart: readonly string[]
  readonly drift: (DriftReport & { readonly drifted: readonly string[] }) | null
}

/** As the manifest has names: nothing that could leave the folder of the models. */
const MODEL_NAME = /^[a-z0-9][a-z0-9-]{0,62}$/
const CHALLENGERS_MAX = 4
const DAY_MS = 86_400_000

interface Named {
  readonly name: string
  readonly snapshot: ModelSnapshot
}

/** What an order asks for; what is left out stays. */
interface Order {
  readonly model?: Named
  readonly challengers?: readonly Named[]
  readonly kind: 'use' | 'rollback' | 'release'
}

export class ModelSwaps {
  readonly #options: ModelSwapsOptions
  #record: ModelRecord
  #model: string
  #refusedAtStart: readonly string[]
  /** One order after the other. */
  #queue: Promise<unknown> = Promise.resolve()

  constructor(options: ModelSwapsOptions) {
    this.#options = options
    this.#record = options.record
    this.#model = options.model
    this.#refusedAtStart = options.refusedAtStart
  }

  /** The version for `/readyz`, whether it was chosen, and what was refused at the start. */
  get line(): string {
    const { chosenSince } = this.#record
    const chosen = chosenSince === null ? '' : `, chosen since ${chosenSince}`
    const refused = this.#refusedAtStart.map((problem) => `; refused at the start: ${problem}`)
    return `${this.#options.pool.info.model}${chosen}${refused.join('')}`
  }

  get status(): ModelStatus {
    const { pool, clock, maxAgeDays, configured } = this.#options
    const { model: version, modelCreatedAt, bands, challengers } = pool.info
    const ageDays = (clock.now() - Date.parse(modelCreatedAt)) / DAY_MS
    const { chosenSince, before } = this.#record
    const previous = before.at(-1)
    const report = pool.drift()
    return {
      model: this.#model,
      version,
      createdAt: modelCreatedAt,
      ageDays: Math.round(ageDays * 10) / 10,
      isStale: ageDays > maxAgeDays,
      bands,
      challengers,
      chosenSince,
      configured: configured.model,
      previous: previous === undefined ? null : { model: previous.name, version: previous.version },
      refusedAtStart: this.#refusedAtStart,
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
      const message = `challengers is no list of at most ${CHALLENGERS_MAX} models, each once`
      return refused(400, message)
    }
    return this.#inTurn(async () =>
      this.#carryOut({
        kind: 'use',
        ...(model === undefined ? {} : { model: await this.#named(model) }),
        ...(challengers === undefined ? {} : { challengers: await this.#allNamed(challengers) }),
      }),
    )
  }

  /** The model that decided before the present one, as it was then. Challengers stay. */
  rollback(): Promise<CommandAnswer> {
    return this.#inTurn(async () => {
      const previous = this.#record.before.at(-1)
      if (previous === undefined) return refused(409, 'no other model has decided here before')
      const snapshot = await this.#options.keeping.read(previous.key)
      return this.#carryOut({ kind: 'rollback', model: { name: previous.name, snapshot } })
    })
  }

  /** What the configuration names decides again. */
  release(): Promise<CommandAnswer> {
    return this.#inTurn(async () => {
      const { model, challengers } = this.#options.configured
      return this.#carryOut({
        kind: 'release',
        model: await this.#named(model),
        challengers: await this.#allNamed(challengers),
      })
    })
  }

  #inTurn(order: () => Promise<CommandAnswer>): Promise<CommandAnswer> {
    const done = this.#queue.then(order)
    this.#queue = done.catch(() => undefined)
    return done
  }

  async #named(name: string): Promise<Named> {
    const { read, modelDir } = this.#options
    return { name, snapshot: await read(path.join(modelDir, name)) }
  }

  #allNamed(names: readonly string[]): Promise<readonly Named[]> {
    return Promise.all(names.map((name) => this.#named(name)))
  }

  async #carryOut(order: Order): Promise<CommandAnswer> {
    const { pool, journal } = this.#options
    const { model, challengers } = order
    const change: ScoringChange = {
      ...(model === undefined ? {} : { model: model.snapshot }),
      ...(challengers === undefined ? {} : { challengers: challengers.map(snapshotOf) }),
    }
    const changed = await pool.change(change)
    const names = { model: model?.name, challengers: challengers?.map(({ name }) => name) }
    if (!changed.ok) {
      const problems = changed.problems.map(modelProblemText)
      journal.log.error({ ...names, problems }, 'the model was refused: the old one stays')
      return refused(422, problems.join('; '))
    }
    this.#refusedAtStart = []
    const before = this.#model
    this.#model = model?.name ?? before
    await this.#remember(order)
    const now = {
      model: this.#model,
      version: changed.info.model,
      challengers: this.#record.challengers.map(({ name }) => name),
      before,
      chosenSince: this.#record.chosenSince,
    }
    journal.log.info(now, 'another model decides, or others are in shadow')
    return { status: 200, body: { result: 'taken', ...now } }
  }

  /**
   * Makes durable what decides since this tick. Rejects with the disk's error: the order may be
   * sent again, and until then a restart goes back to what was recorded before.
   */
  async #remember({ kind, model, challengers }: Order): Promise<void> {
    const { pool, keeping, clock } = this.#options
    const { info } = pool
    const keep = async ({ name, snapshot }: Named, version = ''): Promise<KeptModel> => {
      return { name, version, key: await keeping.keep(snapshot) }
    }
    let record = this.#record
    if (model !== undefined) {
      const kept = await keep(model, info.model)
      record = kind === 'rollback' ? rolledBack(record, kept) : afterDeciding(record, kept)
    }
    if (challengers !== undefined) {
      const kept: KeptModel[] = []
      // One after the other: equal models are kept under one key, by way of one draft.
      for (const [i, each] of challengers.entries()) {
        kept.push(await keep(each, info.challengers[i]))
      }
      record = { ...record, challengers: kept }
    }
    const since = new Date(clock.now()).toISOString()
    record = { ...record, chosenSince: kind === 'release' ? null : since }
    await keeping.write(record)
    this.#record = record
  }
}

/** The one that is gone back to is no longer before; a second rollback goes on from there. */
function rolledBack(record: ModelRecord, model: KeptModel): ModelRecord {
  return { ...record, model, before: record.before.slice(0, -1) }
}

const snapshotOf = ({ snapshot }: Named): ModelSnapshot => snapshot

function isName(value: unknown): value is string {
  return typeof value === 'string' && MODEL_NAME.test(value)
}

function areNames(value: unknown): value is readonly string[] {
  if (!Array.isArray(value) || value.length > CHALLENGERS_MAX) return false
  return value.every(isName) && new Set(value).size === value.length
}

function refused(status: number, message: string): CommandAnswer {
  return { status, body: { result: 'refused', message } }
}

/** What is wrong with a model that is not taken, with its code. */
export function modelProblemText(problem: ScoringProblem): string {
  if (problem.kind === 'worker') return problem.message
  return `${problem.problem.code} ${problem.problem.message}`
}
