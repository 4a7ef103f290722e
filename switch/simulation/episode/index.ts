// The door of the simulation of the whole switch.

export { INVARIANTS, type Invariant, type Violation } from './books.ts'
export type { Crash } from './crash-point.ts'
export { type EpisodeOptions, type EpisodeResult, runEpisode } from './episode.ts'
export type { Ground, Variation } from './life.ts'
export { LATE_ANSWER_WINDOW_MS } from './limits.ts'
export { drawPlan, drawSweep, type PlanEntry } from './plan.ts'
export { ELSEWHERE, portCallSites, type SourceText } from './port-call-sites.ts'
export {
  type EndingsAt,
  type EpisodeReport,
  type Failure,
  type SimulationOptions,
  type SimulationReport,
  simulate,
  simulateEpisode,
  Totals,
} from './simulate.ts'
