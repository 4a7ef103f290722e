// The risk model for a run without workers.

import { openModelFolder } from '../adapters/index.ts'
import { FEATURE_NAMES } from '../features.ts'
import { loadModel, type ModelResult } from '../onnx/index.ts'

/** Loads a model folder as a worker does, parity vectors included. The caller releases it. */
export function loadRiskModel(folder: string): Promise<ModelResult> {
  return loadModel(openModelFolder(folder), { featureNames: FEATURE_NAMES })
}
