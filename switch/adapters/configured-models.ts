// Adapter: the models that a start decides by, and what changes them afterwards.

import path from 'node:path'
import { type ModelSnapshot, readModelSnapshot, type ScorerPool } from '#scoring'
import type { Config } from '../config/index.ts'
import { MODEL_MAX_AGE_DAYS } from '../limits.ts'
import type { Journal } from '../observe/index.ts'
import {
  afterDeciding,
  type DecidingModels,
  type KeptModel,
  type ModelRecord,
  ModelSwaps,
  type NamedModel,
} from '../operations/index.ts'
import {
  keepModel,
  keptModelFolder,
  keptModelsFolder,
  readModelRecord,
  writeModelRecord,
} from './model-record.ts'
import { systemClock } from './system-clock.ts'

/** A model by the name of its folder, and where to read it. */
interface Place {
  readonly name: string
  readonly folder: string
}

/** What a start may decide by. */
export interface ModelsToTry {
  readonly model: Place
  readonly challengers: readonly Place[]
}

/** Models that were read. */
export interface ModelsRead {
  readonly names: readonly string[]
  /** The model, then its challengers. */
  readonly snapshots: readonly [ModelSnapshot, ...ModelSnapshot[]]
}

/**
 * What a start tries, in this order: what was chosen by an order, else what the configuration
 * names; the same without challengers; then what the configuration names, and what decided last.
 */
export function modelsToTry(config: Config, record: ModelRecord): readonly ModelsToTry[] {
  const configured: ModelsToTry = {
    model: placeOf(config, config.scoring.model),
    challengers: (config.scoring.challengers ?? []).map((name) => placeOf(config, name)),
  }
  const last = record.model === null ? undefined : keptPlace(config, record.model)
  const isChosen = record.chosenSince !== null && last !== undefined
  const challengers = record.challengers.map((kept) => keptPlace(config, kept))
  const wanted = isChosen ? { model: last, challengers } : configured
  const alone = (model: Place): ModelsToTry => ({ model, challengers: [] })
  return [
    wanted,
    ...(wanted.challengers.length > 0 ? [alone(wanted.model)] : []),
    ...(isChosen ? [alone(configured.model)] : []),
    ...(isChosen || last === undefined ? [] : [alone(last)]),
  ]
}

function placeOf({ modelDir }: Config, name: string): Place {
  return { name, folder: path.join(modelDir, name) }
}

function keptPlace({ dataDir }: Config, { name, key }: KeptModel): Place {
  return { name, folder: keptModelFolder(keptModelsFolder(dataDir), key) }
}

export async function readModels({ model, challengers }: ModelsToTry): Promise<ModelsRead> {
  const [first, ...rest] = await Promise.all(
    [model, ...challengers].map(({ folder }) => readModelSnapshot(folder)),
  )
  const names = [model, ...challengers].map(({ name }) => name)
  return { names, snapshots: [first as ModelSnapshot, ...rest] }
}

/** What decided here before, or why that can't be read. */
export async function readConfiguredRecord({
  dataDir,
}: Config): Promise<
  | { readonly ok: true; readonly record: ModelRecord }
  | { readonly ok: false; readonly problems: readonly string[] }
> {
  const folder = keptModelsFolder(dataDir)
  try {
    return { ok: true, record: await readModelRecord(folder) }
  } catch (error) {
    const advice = 'let it be read, or remove it: then the configured model decides'
    return { ok: false, problems: [`${folder}: ${(error as Error).message}: ${advice}`] }
  }
}

/** What a start came to. */
export interface ModelsAtStart {
  /** As it was before. */
  readonly record: ModelRecord
  readonly models: ModelsRead
  /** Why what should have come first was not taken; empty where it was. */
  readonly refused: readonly string[]
}

export interface ConfiguredModelsOptions {
  readonly config: Config
  readonly scorer: ScorerPool
  readonly journal: Pick<Journal, 'log'>
  readonly models: ModelsAtStart
}

export type OpenedConfiguredModels =
  | { readonly ok: true; readonly swaps: ModelSwaps }
  | { readonly ok: false; readonly problems: readonly string[] }

/** Keeps the models that decide, and takes others from now on. */
export async function openConfiguredModels(
  options: ConfiguredModelsOptions,
): Promise<OpenedConfiguredModels> {
  const { config, scorer, journal, models } = options
  const { model, challengers = [], modelMaxAgeDays = MODEL_MAX_AGE_DAYS } = config.scoring
  const folder = keptModelsFolder(config.dataDir)
  let record: ModelRecord
  try {
    record = await keepStart(folder, models, scorer.info)
  } catch (error) {
    const { message } = error as Error
    return { ok: false, problems: [`${folder}: ${message}: make room, or let it be written`] }
  }
  const swaps = new ModelSwaps({
    ...{ pool: scorer, journal, record, clock: systemClock, modelDir: config.modelDir },
    deciding: decidingOf(models.models),
    read: readModelSnapshot,
    keeping: {
      keep: (snapshot) => keepModel(folder, snapshot),
      read: (key) => readModelSnapshot(keptModelFolder(folder, key)),
      write: (changed) => writeModelRecord(folder, changed),
    },
    configured: { model, challengers },
    refusedAtStart: models.refused,
    maxAgeDays: modelMaxAgeDays,
  })
  return { ok: true, swaps }
}

function decidingOf({ names, snapshots }: ModelsRead): DecidingModels {
  const [model, ...challengers] = snapshots.map((snapshot, i) => {
    return { name: names[i] as string, snapshot }
  })
  return { model: model as NamedModel, challengers }
}

/** Makes durable what a start decides by. An order that could not be followed is kept. */
async function keepStart(
  folder: string,
  { record, models, refused }: ModelsAtStart,
  { model: version, challengers: versions }: ScorerPool['info'],
): Promise<ModelRecord> {
  if (refused.length > 0) return record
  const kept: KeptModel[] = []
  for (const [i, snapshot] of models.snapshots.entries()) {
    const name = models.names[i] as string
    const key = await keepModel(folder, snapshot)
    kept.push({ name, version: (i === 0 ? version : versions[i - 1]) ?? '', key })
  }
  const [model, ...challengers] = kept as [KeptModel, ...KeptModel[]]
  const after = { ...afterDeciding(record, model), challengers }
  await writeModelRecord(folder, after)
  return after
}
