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
  FilesRead,
  filesOfBundle,
  type RuleBundle,
  type RuleSetResult,
} from '#rules'
import { createEntityKeys, type EntityKeyMaker } from './entity-keys.ts'
import { FEATURE_NAMES } from './features.ts'
import { SLICE_MS } from './limits.ts'
import { loadModel, type Manifest, type Model } from './onnx/index.ts'
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

/** A model in memory, by the number of the bytes that it was made of. */
interface Loaded {
  readonly revision: number
  readonly model: Model
  readonly manifest: Manifest
}

interface Ready {
  readonly edition: Edition
  readonly rules: Compiled
  readonly model: Loaded
  readonly challengers: readonly Loaded[]
  readonly scoring: Scoring
  readonly info: ScoringInfo
}

export class Editions {
  readonly #options: EditionsOptions
  readonly #keysOf: EntityKeyMaker
  readonly #ready = new Map<number, Ready>()
  /** Of the edition before: of a change only the files that changed are read. */
  readonly #filesRead = new FilesRead()
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
    const loaded = await this.#loadAll([edition.model, ...edition.challengers])
    if (!loaded.ok) return loaded
    const [model, ...challengers] = loaded.models as [Loaded, ...Loaded[]]
    const scoringOn = (velocity: Velocity) => this.#scoringOn(velocity, rules, model, challengers)
    await warmUp(scoringOn, pause)
    if (isFirst) this.#warmUp = scoringOn(createEmbeddedVelocity())
    const scoring = scoringOn(this.#options.velocity)
    const info = infoOf(rules, model, challengers, scoring)
    this.#ready.set(edition.number, { edition, rules, model, challengers, scoring, info })
    return { ok: true, info }
  }

  #scoringOn(
    velocity: Velocity,
    { ruleSet, lists }: Compiled,
    { model }: Loaded,
    challengers: readonly Loaded[],
  ): Scoring {
    const { clock, entityKey } = this.#options
    const parts: ScoringOptions = {
      ...{ ruleSet, lists, model, velocity, clock, entityKey },
      challengers: challengers.map((each) => each.model),
    }
    return createScoring({ ...parts, keysOf: this.#keysOf })
  }

  /** What is compiled already stays: a change of the model does not touch the rules. */
  async #compile(
    bundle: RuleBundle,
    pause: (() => Promise<void> | undefined) | undefined,
  ): Promise<RuleSetResult> {
    for (const { edition, rules } of this.#ready.values()) {
      if (edition.rules.hash === bundle.hash) return rules
    }
    const files = filesOfBundle(bundle)
    const noPause = () => undefined
    const { hash } = bundle
    const compiled = await compileRuleSetInSlices(files, hash, pause ?? noPause, this.#filesRead)
    this.#filesRead.forgetUnused()
    return compiled
  }

  /** Champion and challengers, or what is wrong: then nothing new stays in memory. */
  async #loadAll(
    snapshots: readonly ModelSnapshot[],
  ): Promise<
    | { readonly ok: true; readonly models: readonly Loaded[] }
    | { readonly ok: false; readonly problems: readonly ScoringProblem[] }
  > {
    const models: Loaded[] = []
    const made: Loaded[] = []
    for (const snapshot of snapshots) {
      const known = this.#loaded().find(({ revision }) => revision === snapshot.revision)
      if (known !== undefined) {
        models.push(known)
        continue
      }
      const { turn } = this.#options
      const expected = { featureNames: FEATURE_NAMES, turn }
      const loaded = await loadModel(snapshotFolder(snapshot), expected)
      if (!loaded.ok) {
        for (const { model } of made) await model.release()
        return { ok: false, problems: [{ kind: 'model', problem: loaded.problem }] }
      }
      const { model, manifest } = loaded
      made.push({ revision: snapshot.revision, model, manifest })
      models.push(made.at(-1) as Loaded)
    }
    return { ok: true, models }
  }

  /** Every model that some edition holds. */
  #loaded(): readonly Loaded[] {
    return [...this.#ready.values()].flatMap(({ model, challengers }) => [model, ...challengers])
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
    const used = this.#loaded()
    for (const loaded of [retired.model, ...retired.challengers]) {
      if (!used.includes(loaded)) await loaded.model.release()
    }
  }
}

function infoOf(
  { ruleSet }: Compiled,
  { model, manifest }: Loaded,
  challengers: readonly Loaded[],
  scoring: Scoring,
): ScoringInfo {
  return {
    ruleSet: ruleSet.hash,
    rules: ruleSet.rules.length,
    modelName: model.name,
    model: model.version,
    featureNames: model.featureNames,
    bands: model.bands,
    psiBaseline: manifest.psiBaseline,
    modelCreatedAt: manifest.createdAt,
    challengers: challengers.map((each) => each.model.version),
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
