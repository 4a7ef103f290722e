export { loadRules, readRuleFiles } from './rule-files.ts'
