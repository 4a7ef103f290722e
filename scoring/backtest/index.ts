export { COLUMNS, type Column } from './columns.ts'
export {
  type ComparedChange,
  type ComparedRule,
  type ComparedSet,
  type CompareOptions,
  type Comparison,
  compareRuleSets,
  type Example,
} from './compare.ts'
export { type CountPastOptions, countPast, type PastCounted } from './count-past.ts'
export { DEFAULT_GENERATE_OPTIONS, demoPayments, type GenerateOptions } from './demo.ts'
export { type CompiledRules, createEngine } from './engine.ts'
export { LABEL_COLUMNS, type LabelsRead, readLabels } from './labels.ts'
export { badLinesMax, badLinesNamedMax } from './limits.ts'
export { loadRiskModel } from './load-model.ts'
export { backtestPage } from './page.ts'
export { type BadLine, isFraud, type Label, type PastPayment } from './past-payment.ts'
export {
  createPaymentReader,
  type LayoutProblem,
  type PaymentLayout,
  type PaymentReader,
} from './read-payments.ts'
export * from './report.ts'
export { type BacktestOptions, type Period, runBacktest } from './run.ts'
export { type LabelSource, type Labels, labelOf, truthOf } from './truth.ts'
export { csvHead, csvLine } from './write-payments.ts'
