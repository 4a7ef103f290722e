// The door of the simulation of the whole switch.

export { INVARIANTS, type Invariant, type Violation } from './books.ts'
export type { Crash } from './crash-point.ts'
export { type EpisodeOptions, type EpisodeResult, runEpisode } from './episode.ts'
export type { Ground, Variation } from './life.ts'
export { LATE_ANSWER_WINDOW_MS } from './limits.ts'
export { drawPlan, type PlanEntry } from './plan.ts'
export { type Failure, type Progress, type SimulationReport, simulate } from './simulate.ts'
