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

/** A model that was read. */
export interface NamedModel {
  /** The folder that it came from, in MODEL_DIR. */
  readonly name: string
  readonly snapshot: ModelSnapshot
}

/** What decides now, and what is in shadow. */
export interface DecidingModels {
  readonly model: NamedModel
  readonly challengers: readonly NamedModel[]
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
  /** After the start. */
  readonly deciding: DecidingModels
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

/** What an order asks for; what is left out stays. */
interface Order {
  readonly model?: NamedModel | undefined
  readonly challengers?: readonly NamedModel[] | undefined
  readonly kind: 'use' | 'rollback' | 'release'
}

export class ModelSwaps {
  readonly #options: ModelSwapsOptions
  #record: ModelRecord
  #deciding: DecidingModels
  /** Whether the record names the model that decides: not after an order that was not undone. */
  #isRecorded = true
  #refusedAtStart: readonly string[]
  /** One order after the other. */
  #queue: Promise<unknown> = Promise.resolve()

  constructor(options: ModelSwapsOptions) {
    this.#options = options
    this.#record = options.record
    this.#deciding = options.deciding
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
    const { chosenSince } = this.#record
    const previous = this.#previous
    const report = pool.drift()
    return {
      model: this.#deciding.model.name,
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
      const previous = this.#previous
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

  /** What a rollback goes back to. */
  get #previous(): KeptModel | undefined {
    const { model, before } = this.#record
    return this.#isRecorded || model === null ? before.at(-1) : model
  }

  #inTurn(order: () => Promise<CommandAnswer>): Promise<CommandAnswer> {
    const done = this.#queue.then(order)
    this.#queue = done.catch(() => undefined)
    return done
  }

  async #named(name: string): Promise<NamedModel> {
    const { read, modelDir } = this.#options
    return { name, snapshot: await read(path.join(modelDir, name)) }
  }

  #allNamed(names: readonly string[]): Promise<readonly NamedModel[]> {
    return Promise.all(names.map((name) => this.#named(name)))
  }

  /** Rejects with the disk's error where it can't be recorded: then nothing has changed. */
  async #carryOut(order: Order): Promise<CommandAnswer> {
    const { pool, journal, clock } = this.#options
    const { model, challengers, kind } = order
    const changed = await pool.change(changeTo(order))
    if (!changed.ok) {
      const names = { model: model?.name, challengers: challengers?.map(({ name }) => name) }
      const problems = changed.problems.map(modelProblemText)
      journal.log.error({ ...names, problems }, 'the model was refused: the old one stays')
      return refused(422, problems.join('; '))
    }
    const before = this.#deciding
    this.#deciding = {
      model: model ?? before.model,
      challengers: challengers ?? before.challengers,
    }
    const now = {
      model: this.#deciding.model.name,
      version: changed.info.model,
      challengers: this.#deciding.challengers.map(({ name }) => name),
      before: before.model.name,
      chosenSince: kind === 'release' ? null : new Date(clock.now()).toISOString(),
    }
    journal.log.info(now, 'another model decides, or others are in shadow')
    try {
      await this.#remember(order, now.chosenSince)
    } catch (error) {
      return this.#undo(order, before, error as Error)
    }
    this.#refusedAtStart = []
    return { status: 200, body: { result: 'taken', ...now } }
  }

  /** Makes durable what decides. Rejects with the disk's error, the record here as it was. */
  async #remember(order: Order, chosenSince: string | null): Promise<void> {
    const { model, challengers, kind } = order
    const { pool, keeping } = this.#options
    const { info } = pool
    const keep = async ({ name, snapshot }: NamedModel, version = ''): Promise<KeptModel> => {
      return { name, version, key: await keeping.keep(snapshot) }
    }
    let record: ModelRecord = { ...this.#record, chosenSince }
    if (model !== undefined) {
      const kept = await keep(model, info.model)
      const isBack = kind === 'rollback' && this.#isRecorded
      record = isBack ? rolledBack(record, kept) : afterDeciding(record, kept)
    }
    if (challengers !== undefined) {
      const kept: KeptModel[] = []
      // One after the other: equal models are kept under one key, by way of one draft.
      for (const [i, each] of challengers.entries()) {
        kept.push(await keep(each, info.challengers[i]))
      }
      record = { ...record, challengers: kept }
    }
    await keeping.write(record)
    this.#record = record
    if (model !== undefined) this.#isRecorded = true
  }

  /** What decided before an order that was not recorded decides again; rejects with `error`. */
  async #undo(
    { model, challengers, kind }: Order,
    before: DecidingModels,
    error: Error,
  ): Promise<CommandAnswer> {
    const { pool, keeping, journal } = this.#options
    const undone = await pool.change(
      changeTo({
        kind,
        model: model && before.model,
        challengers: challengers && before.challengers,
      }),
    )
    // A write that failed late may be in force at the next start.
    await keeping.write(this.#record).catch(() => undefined)
    const why = { model: this.#deciding.model.name, error: error.message }
    if (undone.ok) {
      this.#deciding = before
      journal.log.error(
        { ...why, decides: before.model.name },
        'an order could not be recorded: what decided before decides again',
      )
      throw error
    }
    if (model !== undefined) this.#isRecorded = false
    const problems = undone.problems.map(modelProblemText)
    const said = 'the order holds until a restart: it could be neither recorded nor undone'
    journal.log.error({ ...why, problems }, said)
    return refused(503, `${said}: ${[error.message, ...problems].join('; ')}: send it again`)
  }
}

function changeTo({ model, challengers }: Order): ScoringChange {
  return {
    ...(model === undefined ? {} : { model: model.snapshot }),
    ...(challengers === undefined ? {} : { challengers: challengers.map(snapshotOf) }),
  }
}

/** The one that is gone back to is no longer before; a second rollback goes on from there. */
function rolledBack(record: ModelRecord, model: KeptModel): ModelRecord {
  return { ...record, model, before: record.before.slice(0, -1) }
}

const snapshotOf = ({ snapshot }: NamedModel): ModelSnapshot => snapshot

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
