// The editions that a worker can score with. A change of rules or model comes in two steps, the
// same in every worker:
//
//   prepare n   compiled in slices beside the traffic, warmed, answered; batches still name n - 1
//   (batches)   the pool has heard of all workers: from one tick on its batches name n
//   retire n-1  the last batch that named it has come back; a model that nobody uses is released
//
// A batch is scored with the edition that it names, whole: no message sees a half.

import {
  aggregateKey,
  compileRuleSetInSlices,
  filesOfBundle,
  type RuleBundle,
  type RuleSetResult,
} from '#rules'
import { createEntityKeys, type EntityKeyMaker } from './entity-keys.ts'
import { FEATURE_NAMES } from './features.ts'
import { SLICE_MS } from './limits.ts'
import { loadModel, type Model } from './onnx/index.ts'
import type { Clock } from './ports.ts'
import { createScoring, type Scoring, type ScoringOptions } from './score.ts'
import {
  type Edition,
  type ModelSnapshot,
  type ScoringInfo,
  type ScoringProblem,
  snapshotFolder,
  WARM_UP_EDITION,
} from './start.ts'
import { createEmbeddedVelocity, supportsAggregate, type Velocity } from './velocity/index.ts'
import { warmUp } from './warm-up.ts'

export type Prepared =
  | { readonly ok: true; readonly info: ScoringInfo }
  | { readonly ok: false; readonly problems: readonly ScoringProblem[] }

export interface EditionsOptions {
  readonly velocity: Velocity
  readonly clock: Clock
  readonly entityKey: Uint8Array
  /** Lets the event loop turn, so that batches which wait are scored. */
  readonly turn: () => Promise<void>
}

type Compiled = Extract<RuleSetResult, { ok: true }>

interface Ready {
  readonly edition: Edition
  readonly rules: Compiled
  readonly model: Model
  readonly scoring: Scoring
  readonly info: ScoringInfo
}

export class Editions {
  readonly #options: EditionsOptions
  readonly #keysOf: EntityKeyMaker
  readonly #ready = new Map<number, Ready>()
  /** Scores the batches that warm a start up; gone with the first retirement. */
  #warmUp: Scoring | undefined
  /** One preparation after the other. */
  #last: Promise<unknown> = Promise.resolve()
  #sliceEndsMs = 0

  constructor(options: EditionsOptions) {
    this.#options = options
    this.#keysOf = createEntityKeys(options.entityKey)
  }

  /** Compiles, loads and warms an edition. The first takes no pauses: nobody waits yet. */
  prepare(edition: Edition): Promise<Prepared> {
    const prepared = this.#last.then(() => this.#prepare(edition))
    this.#last = prepared.catch(() => undefined)
    return prepared
  }

  /** False until the first edition is prepared. */
  get hasAny(): boolean {
    return this.#ready.size > 0
  }

  /** Undefined while the edition is not prepared. */
  scoring(edition: number): Scoring | undefined {
    return edition === WARM_UP_EDITION ? this.#warmUp : this.#ready.get(edition)?.scoring
  }

  /** Forgets an edition, after a preparation of it that is under way. */
  retire(edition: number): Promise<void> {
    const retired = this.#last.then(() => this.#retire(edition))
    this.#last = retired.catch(() => undefined)
    return retired
  }

  /** Releases every model; afterwards nothing can be scored. */
  async close(): Promise<void> {
    await this.#last
    for (const number of [...this.#ready.keys()]) await this.#retire(number)
  }

  async #prepare(edition: Edition): Promise<Prepared> {
    const known = this.#ready.get(edition.number)
    if (known !== undefined) return { ok: true, info: known.info }
    const isFirst = this.#ready.size === 0
    const pause = isFirst ? undefined : () => this.#pause()
    this.#sliceEndsMs = this.#options.clock.monotonic() + SLICE_MS
    const rules = await this.#compile(edition.rules, pause)
    if (!rules.ok) {
      return { ok: false, problems: rules.problems.map((problem) => ({ kind: 'rules', problem })) }
    }
    const unanswerable = unanswerableBy(rules)
    if (unanswerable.length > 0) return { ok: false, problems: unanswerable }
    const loaded = await this.#load(edition.model)
    if ('problems' in loaded) return { ok: false, problems: loaded.problems }
    const { model } = loaded
    const scoringOn = (velocity: Velocity) => this.#scoringOn(velocity, rules, model)
    await warmUp(scoringOn, pause)
    if (isFirst) this.#warmUp = scoringOn(createEmbeddedVelocity())
    const scoring = scoringOn(this.#options.velocity)
    const info = infoOf(rules, model, scoring)
    this.#ready.set(edition.number, { edition, rules, model, scoring, info })
    return { ok: true, info }
  }

  #scoringOn(velocity: Velocity, { ruleSet, lists }: Compiled, model: Model): Scoring {
    const { clock, entityKey } = this.#options
    const parts: ScoringOptions = { ruleSet, lists, model, velocity, clock, entityKey }
    return createScoring({ ...parts, keysOf: this.#keysOf })
  }

  /** What is compiled already stays: a change of the model does not touch the rules. */
  #compile(
    bundle: RuleBundle,
    pause: (() => Promise<void> | undefined) | undefined,
  ): Promise<RuleSetResult> | Compiled {
    for (const { edition, rules } of this.#ready.values()) {
      if (edition.rules.hash === bundle.hash) return rules
    }
    return compileRuleSetInSlices(filesOfBundle(bundle), bundle.hash, pause ?? (() => undefined))
  }

  async #load(
    snapshot: ModelSnapshot,
  ): Promise<{ readonly model: Model } | { readonly problems: readonly ScoringProblem[] }> {
    for (const { edition, model } of this.#ready.values()) {
      if (edition.model.revision === snapshot.revision) return { model }
    }
    const loaded = await loadModel(snapshotFolder(snapshot), { featureNames: FEATURE_NAMES })
    if (loaded.ok) return { model: loaded.model }
    return { problems: [{ kind: 'model', problem: loaded.problem }] }
  }

  #pause(): Promise<void> | undefined {
    if (this.#options.clock.monotonic() < this.#sliceEndsMs) return undefined
    return this.#options.turn().then(() => {
      this.#sliceEndsMs = this.#options.clock.monotonic() + SLICE_MS
    })
  }

  async #retire(edition: number): Promise<void> {
    this.#warmUp = undefined
    const retired = this.#ready.get(edition)
    if (retired === undefined) return
    this.#ready.delete(edition)
    const others = [...this.#ready.values()]
    if (others.every(({ model }) => model !== retired.model)) await retired.model.release()
  }
}

function infoOf({ ruleSet }: Compiled, model: Model, scoring: Scoring): ScoringInfo {
  return {
    ruleSet: ruleSet.hash,
    rules: ruleSet.rules.length,
    modelName: model.name,
    model: model.version,
    featureNames: model.featureNames,
    bands: model.bands,
    aggregates: scoring.plan,
  }
}

function unanswerableBy({ ruleSet }: Compiled): readonly ScoringProblem[] {
  return ruleSet.aggregates.flatMap((aggregate): ScoringProblem[] => {
    const reason = supportsAggregate(aggregate)
    if (reason === undefined) return []
    return [{ kind: 'worker', message: `no ${aggregateKey(aggregate)} by velocity: ${reason}` }]
  })
}
