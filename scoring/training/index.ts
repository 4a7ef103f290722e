export { type DriftOptions, generatedDrift } from './drift.ts'
export { exportMatrix } from './export.ts'
export { featureTable } from './feature-table.ts'
export { DEFAULT_GENERATE_OPTIONS, type GenerateOptions, generateTransactions } from './generate.ts'
export { type Evaluation, evaluateHandbook } from './handbook/index.ts'
export type { MatrixInfo } from './matrix.ts'
export {
  FRAUD_KINDS,
  type FraudKind,
  type GeneratedTransaction,
  type TransactionKind,
} from './purchase.ts'
export { createRandom } from './random.ts'
export { type TrainOptions, trainModel } from './train.ts'
