export { loadRules, readRuleFiles, writeRuleFile } from './rule-files.ts'
