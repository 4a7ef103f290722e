export {
  type KeptEntry,
  type KeptSet,
  type KeptSetResult,
  keepSet,
  keptSetsFolder,
  listKeptSets,
  readKeptSet,
  writeDurably,
} from './kept-sets.ts'
export { loadRules, readRuleFiles, writeRuleFile } from './rule-files.ts'
