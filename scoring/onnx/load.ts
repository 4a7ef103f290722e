// From a folder to a model that answers, or to the reason why it is refused.

import { createHash } from 'node:crypto'
import { calibrated } from './calibration.ts'
import { createExplainer, type Explainer } from './contributions.ts'
import { type Graph, readGraph } from './graph.ts'
import {
  EXPLAINED_TOLERANCE,
  MANIFEST_BYTES_MAX,
  MODEL_BYTES_MAX,
  PARITY_TOLERANCE,
} from './limits.ts'
import { type Manifest, readManifest } from './manifest.ts'
import type { Model, ModelProblemCode, ModelResult } from './model.ts'
import { openSession, type Session, type SessionRun } from './session.ts'

/** Port: the files of one model folder. */
export interface ModelFolder {
  /** For messages. */
  readonly path: string
  /** Reads a whole file, refusing one of more than `sizeBytesMax` before reading it. */
  read(name: string, sizeBytesMax: number): Promise<ModelFileResult>
}

export type ModelFileResult =
  | { readonly ok: true; readonly bytes: Uint8Array }
  | {
      readonly ok: false
      readonly cause: 'missing' | 'too_large' | 'unreadable'
      readonly message: string
    }

export interface ExpectedModel {
  /** What the feature table fills, in its order. */
  readonly featureNames: readonly string[]
  /** Lets others in between the steps, some milliseconds each; absent: nobody waits. */
  readonly turn?: () => Promise<void>
}

/**
 * Loads and checks a model: manifest, size, hash, operators, feature order, then its parity vectors
 * through the runtime. A refused model leaves nothing open.
 */
export async function loadModel(
  folder: ModelFolder,
  expected: ExpectedModel,
): Promise<ModelResult> {
  const manifestFile = await folder.read('manifest.json', MANIFEST_BYTES_MAX)
  if (!manifestFile.ok) {
    const code = manifestFile.cause === 'missing' ? 'manifest_missing' : 'manifest_unreadable'
    return refuse(folder, code, manifestFile.message)
  }
  const read = readManifest(manifestFile.bytes)
  if (!read.ok) return refuse(folder, read.code, read.message)
  const { manifest } = read
  const order = orderProblem(manifest.featureNames, expected.featureNames)
  if (order !== undefined) return refuse(folder, 'feature_order', order)

  const modelFile = await folder.read('model.onnx', MODEL_BYTES_MAX)
  if (!modelFile.ok) return refuse(folder, MODEL_FILE_CODES[modelFile.cause], modelFile.message)
  const sha256 = createHash('sha256').update(modelFile.bytes).digest('hex')
  if (sha256 !== manifest.modelSha256) {
    const message = `model.onnx has SHA-256 ${sha256}, the manifest says ${manifest.modelSha256}`
    return refuse(folder, 'hash_mismatch', message)
  }
  await expected.turn?.()
  const checked = readGraph(modelFile.bytes, manifest.positiveClass)
  if (!checked.ok) return refuse(folder, checked.code, checked.message)
  await expected.turn?.()
  return openChecked(folder, manifest, checked.graph, expected.turn)
}

const MODEL_FILE_CODES = {
  missing: 'model_missing',
  too_large: 'model_too_large',
  unreadable: 'model_unreadable',
} as const

/** Opens the session, finds the positive column and scores the parity vectors. */
async function openChecked(
  folder: ModelFolder,
  manifest: Manifest,
  graph: Graph,
  turn: ExpectedModel['turn'],
): Promise<ModelResult> {
  const unfit = inputsProblem(graph, manifest.featureNames)
  if (unfit !== undefined) return refuse(folder, unfit.code, unfit.message)
  let session: Session
  try {
    session = await openSession(graph, manifest.featureNames)
  } catch (error) {
    return refuse(folder, 'runtime_refused', `ONNX Runtime: ${(error as Error).message}`)
  }
  await turn?.()
  const problem = await parityProblem(session, manifest, graph)
  if (problem !== undefined) {
    await session.release()
    return refuse(folder, problem.code, problem.message)
  }
  await turn?.()
  const explainer = agreeingExplainer(manifest, graph)
  return { ok: true, manifest, model: createModel(session, manifest, graph, explainer) }
}

interface Difference {
  readonly code: ModelProblemCode
  readonly message: string
}

/** Scores the manifest's vectors in one batch and compares. Undefined where all agree. */
async function parityProblem(
  session: Session,
  manifest: Manifest,
  graph: Graph,
): Promise<Difference | undefined> {
  const rows = manifest.parity.length
  const width = manifest.featureNames.length
  const inputs = new Float32Array(rows * width)
  manifest.parity.forEach((vector, row) => {
    inputs.set(
      Float32Array.from(vector.inputs, (value) => value ?? Number.NaN),
      row * width,
    )
  })
  let run: SessionRun
  try {
    run = await session.run(inputs, rows)
  } catch (error) {
    return { code: 'runtime_refused', message: `ONNX Runtime: ${(error as Error).message}` }
  }
  const column = positiveColumn(manifest.positiveClass, graph.classes, run.columns)
  if (column === undefined) {
    const classes = graph.classes.join(', ')
    const message = `output ${graph.outputName} has ${run.columns} columns and classes [${classes}]`
    return { code: 'output_refused', message: `${message}, none is ${manifest.positiveClass}` }
  }
  for (const [row, vector] of manifest.parity.entries()) {
    const score = run.values[row * run.columns + column] as number
    if (!Number.isFinite(score)) {
      return { code: 'not_finite', message: `parity vector ${vector.name} scores ${score}` }
    }
    const probability = calibrated(score, manifest.calibration)
    if (!(probability >= 0 && probability <= 1)) {
      const message = `parity vector ${vector.name} scores ${probability}, which is no probability`
      return { code: 'output_refused', message: `${message}: calibrate it in the manifest` }
    }
    // Written so that a NaN could not pass either.
    if (!(Math.abs(score - vector.score) <= PARITY_TOLERANCE)) {
      const message = `parity vector ${vector.name} scores ${score}, the manifest says ${vector.score}`
      return { code: 'parity', message }
    }
  }
  return undefined
}

/**
 * The explainer, held against the parity vectors, whose outputs are the runtime's own: where what
 * stands behind the trees changes their sum, contributions would be of another number.
 */
function agreeingExplainer(manifest: Manifest, graph: Graph): Explainer {
  const { featureNames, positiveClass, parity } = manifest
  const width = featureNames.length
  if (graph.inputs.length > 1) return { ok: false, reason: 'it has an input a column' }
  const explainer = createExplainer(graph.bytes, positiveClass, graph.classes, width)
  if (!explainer.ok) return explainer
  const into = new Float64Array(width)
  for (const { name, inputs, score } of parity) {
    const row = Float32Array.from(inputs, (value) => value ?? Number.NaN)
    const sum = explainer.output(explainer.explain(row, 0, into))
    if (!(Math.abs(sum - score) <= EXPLAINED_TOLERANCE)) {
      return { ok: false, reason: `its trees give ${sum} for parity vector ${name}, not ${score}` }
    }
  }
  return explainer
}

/** The output's column of the fraud class; undefined where the file does not say which. */
function positiveColumn(
  positiveClass: string | number,
  classes: readonly string[],
  columns: number,
): number | undefined {
  if (columns === 1) return 0
  const column = classes.indexOf(String(positiveClass))
  return column >= 0 && classes.length === columns ? column : undefined
}

function createModel(
  session: Session,
  manifest: Manifest,
  graph: Graph,
  explainer: Explainer,
): Model {
  return {
    explainer,
    name: manifest.name,
    version: `${manifest.version}+${manifest.modelSha256.slice(0, 8)}`,
    featureNames: manifest.featureNames,
    bands: manifest.bands,
    async score(features, rows) {
      const { values, columns } = await session.run(features, rows)
      const column = positiveColumn(manifest.positiveClass, graph.classes, columns)
      if (column === undefined) throw new Error(`${columns} columns of output ${graph.outputName}`)
      const scores = new Float32Array(rows)
      for (let row = 0; row < rows; row++) {
        const score = calibrated(values[row * columns + column] as number, manifest.calibration)
        // Also false for NaN: the runtime passes it on in silence.
        if (!(score >= 0 && score <= 1)) throw new Error(`row ${row} scores ${score}`)
        scores[row] = score
      }
      return scores
    },
    release: () => session.release(),
  }
}

/** One input takes all features; several take one each and have their names, in any order. */
function inputsProblem(graph: Graph, featureNames: readonly string[]): Difference | undefined {
  const { inputs } = graph
  const width = featureNames.length
  const wanted = inputs.length === 1 ? width : 1
  const other = inputs.find(({ columns }) => columns !== undefined && columns !== wanted)
  if (other !== undefined) {
    const message = `input ${other.name} has ${other.columns} columns, not ${wanted}`
    return { code: 'input_refused', message }
  }
  if (inputs.length === 1) return undefined
  const unknown = inputs.find(({ name }) => !featureNames.includes(name))
  if (unknown === undefined && inputs.length === width) return undefined
  const message =
    unknown === undefined
      ? `model.onnx has ${inputs.length} inputs for ${width} features`
      : `input ${unknown.name} is no feature of the manifest`
  return { code: 'feature_order', message }
}

/** Undefined where the manifest lists exactly the features that the table fills. */
function orderProblem(listed: readonly string[], filled: readonly string[]): string | undefined {
  const column = filled.findIndex((name, index) => listed[index] !== name)
  if (column >= 0) {
    const found = listed[column] ?? 'nothing'
    return `column ${column} is ${found} in the manifest and ${filled[column]} in the feature table`
  }
  return listed.length === filled.length
    ? undefined
    : `the manifest lists ${listed.length} features, the feature table has ${filled.length}`
}

function refuse(folder: ModelFolder, code: ModelProblemCode, message: string): ModelResult {
  return { ok: false, problem: { code, message: `${folder.path}: ${message}` } }
}
