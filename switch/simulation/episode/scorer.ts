// Scoring in one thread and virtual time: production's smart batches, features, rules, decision and
// embedded velocity. The model alone is a given function, since its runtime is native code.

import type { Lists, RuleSet } from '#rules'
import {
  type BatchRunner,
  type Clock,
  createEmbeddedVelocity,
  createScoring,
  decideWithoutWorker,
  type ScoringOptions,
  SmartBatches,
  type Timers,
  type Velocity,
  VelocityError,
} from '#scoring'
import type { SeededRandom } from '../random.ts'

/** How velocity does: as Redis may. */
export type VelocityState = 'fine' | 'gone' | 'slow'

export interface SimulatedScorerOptions {
  readonly ruleSet: RuleSet
  readonly lists: Lists
  readonly entityKey: Uint8Array
  readonly clock: Clock
  readonly timers: Timers
  readonly random: SeededRandom
  readonly velocityState: () => VelocityState
  /** A batch passes a crash point. */
  readonly run: <Result>(work: () => Promise<Result>) => Promise<Result>
  readonly queueDepthMax: number
}

export interface SimulatedScorer {
  readonly batches: SmartBatches
  /** What a fail-over to an empty replica leaves. */
  forget(): void
}

/** The bands of the shipped model, and a probability that the features decide. */
const MODEL: ScoringOptions['model'] = {
  name: 'simulated',
  version: '1.0.0+00000000',
  featureNames: [],
  bands: [
    { name: 'low', from: 0 },
    { name: 'medium', from: 0.5 },
    { name: 'high', from: 0.9 },
  ],
  score: async (features, rows) => {
    const width = features.length / rows
    return Float32Array.from({ length: rows }, (_, row) => {
      const first = features[row * width] ?? 0
      return Number.isNaN(first) ? 0.1 : Math.abs(Math.sin(first)) * 0.4
    })
  },
  release: async () => {},
}

export function createSimulatedScorer(options: SimulatedScorerOptions): SimulatedScorer {
  const { ruleSet, lists, entityKey, clock, timers, random, run } = options
  let inner = createEmbeddedVelocity()
  const velocity: Velocity = {
    observe: (attempts, plan, deadlineMs) =>
      within(options, deadlineMs, () => inner.observe(attempts, plan, deadlineMs)),
    publish: (outcomes, deadlineMs) =>
      within(options, deadlineMs, () => inner.publish(outcomes, deadlineMs)),
    close: () => inner.close(),
  }
  const scoring = createScoring({ ruleSet, lists, model: MODEL, velocity, clock, entityKey })
  let outcomesLost = 0
  const runner: BatchRunner = {
    lanes: 2,
    run: (batch) =>
      run(async () => {
        const published = scoring.publish(batch.outcomes, 1_000).catch(() => {
          outcomesLost += batch.outcomes.length
        })
        await new Promise<void>((resolve) => timers.set(1 + random.below(3), resolve))
        const scored = await scoring.score(batch.requests, batch.velocityDeadlineMs)
        void published
        const decided = { ...scored, outcomesLost }
        outcomesLost = 0
        return decided
      }),
  }
  const batches = new SmartBatches({
    runner,
    decideWithoutWorker: ({ amount, currency, arrivedAtMs, channel }) =>
      decideWithoutWorker(ruleSet, channel, lists.baseAmount(amount, currency, arrivedAtMs)),
    clock,
    timers,
    queueDepthMax: options.queueDepthMax,
  })
  return {
    batches,
    forget: () => {
      inner = createEmbeddedVelocity()
    },
  }
}

/** As a store elsewhere: it answers, answers too late, or can't be reached. */
async function within<Result>(
  { velocityState, timers }: SimulatedScorerOptions,
  deadlineMs: number,
  work: () => Promise<Result>,
): Promise<Result> {
  const state = velocityState()
  if (state === 'gone') throw new VelocityError('velocity_unreachable', 'simulated: no connection')
  if (state === 'fine') return work()
  await new Promise<void>((resolve) => timers.set(deadlineMs, resolve))
  throw new VelocityError('velocity_timeout', 'simulated: no answer in time')
}
