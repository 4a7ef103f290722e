export {
  type EvaluateOptions,
  type Evaluation,
  evaluateHandbook,
  type FoldMeasures,
  type HandbookRow,
} from './evaluate.ts'
export { averagePrecision, type Measures } from './measures.ts'
