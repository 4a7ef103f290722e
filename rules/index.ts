export {
  type KeptEntry,
  type KeptSet,
  type KeptSetResult,
  keepSet,
  keptSetsFolder,
  listKeptSets,
  loadRules,
  readKeptSet,
  readRuleFiles,
  writeDurably,
  writeRuleFile,
} from './adapters/index.ts'
export * from './aggregate.ts'
export { passesLuhn } from './card-digits.ts'
export { isCardNumber } from './card-number.ts'
export {
  type CheckedRuleSet,
  checkRuleSet,
  type RuleChanges,
  ruleChanges,
} from './check-rule-set.ts'
export type { Confusion, OutcomeCounts } from './confusion.ts'
export type { Coverage, Unreached } from './coverage.ts'
export { CURRENCIES, type Currency, currencyByCode, currencyByNumeric } from './currency.ts'
export { outcomeOf } from './evaluate.ts'
export {
  type ClauseExplanation,
  type ExplainedRules,
  explainRules,
  type RuleExplanation,
  type TruthValue,
} from './explanation.ts'
export { FilesRead } from './files-read.ts'
export { generatedFiles } from './generated.ts'
export { ENTITY_PATHS, type FactName, factByPath, nearest } from './language/index.ts'
export {
  codeFrame,
  githubReport,
  type LintOptions,
  lintRuleFiles,
  type RingSizes,
  ringSizes,
  sarifReport,
} from './lint/index.ts'
export {
  addToList,
  BASE_CURRENCY,
  isReservedList,
  LIST_KEYS,
  type ListEdit,
  type ListEntry,
  type ListKind,
  type Lists,
  listNamePattern,
  type NamedList,
  newList,
  removeFromList,
  writtenList,
} from './lists/index.ts'
export {
  compileFallback,
  compileRuleSet,
  compileRuleSetInSlices,
  type Fallback,
} from './load.ts'
export { createLocalTime, type LocalTime } from './local-time.ts'
export * from './outcome.ts'
export type { RuleFile } from './problem.ts'
export { bundleRuleFiles, filesOfBundle, type RuleBundle } from './rule-bundle.ts'
export * from './rule-set.ts'
export { type PackTestReport, type PackTestResult, runPackTests } from './run-pack-tests.ts'
