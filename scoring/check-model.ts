// Whether a model folder would be taken by a worker: for people and for `doctor`.

import { openModelFolder } from './adapters/index.ts'
import { FEATURE_NAMES } from './features.ts'
import type { Manifest, ModelProblemCode } from './onnx/index.ts'

export type ModelCheck =
  | {
      readonly ok: true
      readonly name: string
      readonly version: string
      readonly manifest: Manifest
    }
  | {
      readonly ok: false
      readonly code: ModelProblemCode
      /** Names the folder and what is wrong in it. */
      readonly problem: string
    }

/** Loads the model as a worker does, parity vectors included, and lets it go again. */
export async function checkModel(folder: string): Promise<ModelCheck> {
  // Loaded on demand: a running switch has the runtime in its workers only.
  const { loadModel } = await import('./onnx/index.ts')
  const loaded = await loadModel(openModelFolder(folder), { featureNames: FEATURE_NAMES })
  if (!loaded.ok) return { ok: false, code: loaded.problem.code, problem: loaded.problem.message }
  const { model, manifest } = loaded
  await model.release()
  return { ok: true, name: model.name, version: model.version, manifest }
}
