export { type Case, caseImplies, casesOf, keyOf } from './cases.ts'
export {
  type CheckedCondition,
  type Clause,
  type ConditionChecker,
  type ConditionProblem,
  type ConditionResult,
  createConditionChecker,
} from './check.ts'
export {
  type CompiledConditions,
  compileConditions,
  type Findings,
  type ListMembership,
} from './compile.ts'
export type { CallValues } from './environment.ts'
export { celEnvironment } from './environment.ts'
export { compileExplanations, type Explain, type ReadingValues } from './explain.ts'
export { children, type Expression, type Reading } from './expression.ts'
export { didYouMean, nearest } from './nearest.ts'
export { SHARE_PARTS, shareOf, shareSalt } from './share.ts'
export {
  AGGREGATE_FUNCTIONS,
  ENTITY_PATHS,
  FACT_NAMES,
  type FactName,
  factByPath,
  PLAIN_FUNCTIONS,
} from './vocabulary.ts'
export { windowSeconds, windowText } from './window.ts'
