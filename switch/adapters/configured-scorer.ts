// Adapter: the scoring pool that the configuration names, over the rules that decide at a start.

import path from 'node:path'
import { keptSetsFolder } from '#rules'
import {
  createScorerPool,
  type ScorerPool,
  type ScorerPoolResult,
  type ScoringProblem,
} from '#scoring'
import type { KeyRing } from '../card-data/index.ts'
import type { Config } from '../config/index.ts'
import { SCORING_QUEUE_CAPACITY } from '../limits.ts'
import { lineOf, modelProblemText } from '../operations/index.ts'
import {
  type ModelsAtStart,
  type ModelsRead,
  modelsToTry,
  readConfiguredRecord,
  readModels,
} from './configured-models.ts'
import type { LogOutput } from './log-output.ts'
import { type RulesAtStart, rulesAtStart } from './rules-at-start.ts'
import { systemClock, systemTimers } from './system-clock.ts'

export type OpenedConfiguredScorer =
  | {
      readonly ok: true
      readonly pool: ScorerPool
      readonly rules: RulesAtStart
      readonly models: ModelsAtStart
    }
  | { readonly ok: false; readonly problems: readonly string[] }

/**
 * Starts the workers. What is refused of rules and models is logged, where what decided last goes
 * on instead.
 */
export async function openConfiguredScorer(
  config: Config,
  keys: KeyRing,
  log: LogOutput['log'],
): Promise<OpenedConfiguredScorer> {
  const started = await rulesAtStart(config.rulesDir, keptSetsFolder(config.dataDir), systemClock)
  if (!started.ok) return { ok: false, problems: started.problems.map(lineOf) }
  const { rules } = started
  if (rules.refused?.result === 'refused') {
    const problems = rules.refused.problems.map(lineOf)
    log.error({ problems }, 'the rules folder was refused: the set that decided last decides')
  }
  const recorded = await readConfiguredRecord(config)
  if (!recorded.ok) return recorded
  const { record } = recorded
  const refused: string[] = []
  for (const toTry of modelsToTry(config, record)) {
    const models = await readModels(toTry)
    const result = await openPool(config, keys, rules, models, log)
    if (result.ok) {
      const { pool } = result
      if (refused.length > 0) {
        const decides = { model: models.names[0], version: pool.info.model, problems: refused }
        log.error(decides, 'a model was refused: another one decides')
      }
      return { ok: true, pool, rules, models: { record, models, refused } }
    }
    for (const problem of result.problems.map(scoringProblem)) {
      if (!refused.includes(problem)) refused.push(problem)
    }
    if (result.problems.some(({ kind }) => kind !== 'model')) break
  }
  return { ok: false, problems: refused }
}

function openPool(
  config: Config,
  keys: KeyRing,
  rules: RulesAtStart,
  { snapshots }: ModelsRead,
  log: LogOutput['log'],
): Promise<ScorerPoolResult> {
  return createScorerPool({
    rulesDir: config.rulesDir,
    ruleFiles: rules.files,
    ...(rules.compiled === undefined ? {} : { compiledRules: rules.compiled }),
    modelFolder: snapshots[0].path,
    models: snapshots,
    entityKey: keys.entityKey,
    workers: config.scoring.workers,
    velocityDeadlineMaxMs: config.deadlines.velocityMs,
    queueDepthMax: SCORING_QUEUE_CAPACITY,
    clock: systemClock,
    timers: systemTimers,
    onFault: (error) => log.error({ error }, 'a fault in a scoring worker'),
    velocityFile: path.join(config.dataDir, 'velocity.snapshot'),
    ...(config.redisUrl === undefined ? {} : { redisUrl: config.redisUrl }),
  })
}

function scoringProblem(problem: ScoringProblem): string {
  switch (problem.kind) {
    case 'rules':
      return lineOf(problem.problem)
    case 'model':
      return `the model was refused: ${modelProblemText(problem)}`
    case 'worker':
      return `a scoring worker did not start: ${problem.message}`
  }
}
