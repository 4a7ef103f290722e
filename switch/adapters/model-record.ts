// Which model decides, across restarts: `record.json` in the folder of kept models, beside a copy of
// each model that it names. A model is kept under the hash of its files, so a rollback brings back
// what decided, whatever has happened to its folder since.
//
//   DATA_DIR/models/record.json
//   DATA_DIR/models/3f09c1d27a4be865/manifest.json, model.onnx

import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, rm } from 'node:fs/promises'
import path from 'node:path'
import { writeDurably } from '#rules'
import { MODEL_FILES, type ModelSnapshot } from '#scoring'
import { type KeptModel, type ModelRecord, modelsOf } from '../operations/index.ts'

const RECORD = 'record.json'
const KEY = /^[0-9a-f]{16}$/
const EMPTY: ModelRecord = { chosenSince: null, model: null, challengers: [], before: [] }

/** Below DATA_DIR. */
export const keptModelsFolder = (dataDir: string): string => path.join(dataDir, 'models')

/** The folder of one kept model, as `readModelSnapshot` takes it. */
export const keptModelFolder = (folder: string, key: string): string => path.join(folder, key)

/**
 * Makes a model durable and returns its key. Rejects with the system's error. One at a time: equal
 * models are written by way of one draft.
 */
export async function keepModel(folder: string, { files }: ModelSnapshot): Promise<string> {
  const digest = createHash('sha256')
  const contents = MODEL_FILES.map((name) => {
    const file = files[name]
    if (file?.ok !== true) throw new Error(`a model without ${name} is not kept`)
    digest.update(`${file.bytes.length} `).update(file.bytes)
    return [name, file.bytes] as const
  })
  const key = digest.digest('hex').slice(0, 16)
  const kept = keptModelFolder(folder, key)
  await mkdir(kept, { recursive: true })
  for (const [name, bytes] of contents) await writeDurably(kept, path.join(kept, name), bytes)
  return key
}

/**
 * Empty where no model has decided here yet. Rejects where it can't be read, or is no record: its
 * keys become paths, and what it says decides what a start takes.
 */
export async function readModelRecord(folder: string): Promise<ModelRecord> {
  let text: string
  try {
    text = await readFile(path.join(folder, RECORD), 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return EMPTY
    throw error
  }
  const record: unknown = JSON.parse(text)
  if (!isRecord(record)) throw new Error(`${RECORD} is no record of models`)
  return record
}

function isRecord(value: unknown): value is ModelRecord {
  if (typeof value !== 'object' || value === null) return false
  const { chosenSince, model, challengers, before } = value as Record<string, unknown>
  const isSince = typeof chosenSince === 'string' && Date.parse(chosenSince) > 0
  return (
    (chosenSince === null || isSince) &&
    (model === null || isKept(model)) &&
    areKept(challengers) &&
    areKept(before)
  )
}

function areKept(value: unknown): boolean {
  return Array.isArray(value) && value.every(isKept)
}

function isKept(value: unknown): value is KeptModel {
  if (typeof value !== 'object' || value === null) return false
  const { name, version, key } = value as Record<string, unknown>
  const areWords = typeof name === 'string' && typeof version === 'string'
  return areWords && typeof key === 'string' && KEY.test(key)
}

/** Makes the record durable, then drops the kept models that it does not name. */
export async function writeModelRecord(folder: string, record: ModelRecord): Promise<void> {
  await mkdir(folder, { recursive: true })
  await writeDurably(folder, path.join(folder, RECORD), `${JSON.stringify(record)}\n`)
  // It is in force by now, and whoever is told of a failure must find the one before: what can't be
  // dropped is dropped by a later write.
  await dropUnnamed(folder, record).catch(() => undefined)
}

async function dropUnnamed(folder: string, record: ModelRecord): Promise<void> {
  const named = new Set(modelsOf(record).map(({ key }) => key))
  for (const name of await readdir(folder)) {
    if (!KEY.test(name) || named.has(name)) continue
    await rm(path.join(folder, name), { recursive: true, force: true })
  }
}
