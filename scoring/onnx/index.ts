export type { Explainer } from './contributions.ts'
export { type ExpectedModel, loadModel, type ModelFileResult, type ModelFolder } from './load.ts'
export type { Baseline, Manifest, PsiBaseline } from './manifest.ts'
export {
  bandOf,
  MODEL_PROBLEM_CODES,
  type Model,
  type ModelProblem,
  type ModelProblemCode,
  type ModelResult,
  type ScoreBand,
} from './model.ts'
