// Adapter: the scoring pool that the configuration names, over the rules that decide at a start.

import path from 'node:path'
import { keptSetsFolder } from '#rules'
import { createScorerPool, type ScorerPool, type ScoringProblem } from '#scoring'
import type { KeyRing } from '../card-data/index.ts'
import type { Config } from '../config/index.ts'
import { SCORING_QUEUE_CAPACITY } from '../limits.ts'
import { lineOf } from '../operations/index.ts'
import type { LogOutput } from './log-output.ts'
import { type RulesAtStart, rulesAtStart } from './rules-at-start.ts'
import { systemClock, systemTimers } from './system-clock.ts'

export type OpenedConfiguredScorer =
  | { readonly ok: true; readonly pool: ScorerPool; readonly rules: RulesAtStart }
  | { readonly ok: false; readonly problems: readonly string[] }

/** Starts the workers. A refused rules folder is logged where the set that decided last goes on. */
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
  const result = await createScorerPool({
    rulesDir: config.rulesDir,
    ruleFiles: rules.files,
    modelFolder: path.join(config.modelDir, config.scoring.model),
    challengerFolders: (config.scoring.challengers ?? []).map((name) =>
      path.join(config.modelDir, name),
    ),
    entityKey: keys.entityKey,
    workers: config.scoring.workers,
    velocityDeadlineMaxMs: config.deadlines.velocityMs,
    queueDepthMax: SCORING_QUEUE_CAPACITY,
    clock: systemClock,
    timers: systemTimers,
    velocityFile: path.join(config.dataDir, 'velocity.snapshot'),
    ...(config.redisUrl === undefined ? {} : { redisUrl: config.redisUrl }),
  })
  if (result.ok) return { ok: true, pool: result.pool, rules }
  return { ok: false, problems: result.problems.map(scoringProblem) }
}

function scoringProblem(problem: ScoringProblem): string {
  switch (problem.kind) {
    case 'rules':
      return lineOf(problem.problem)
    case 'model':
      return `the model was refused: ${problem.problem.code} ${problem.problem.message}`
    case 'worker':
      return `a scoring worker did not start: ${problem.message}`
  }
}
