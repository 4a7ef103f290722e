// Other rules in a running switch: by a change of the files, by a request, by a rollback. One after
// the other: tried in a thread of its own, kept, prepared in every worker, switched over in one
// tick, written into the history. Whatever fails leaves the old set and says why.

import type { RuleBundle, RuleChanges, RuleProblem } from '#rules'
import type { Clock, ScorerPool, ScoringProblem } from '#scoring'
import { RULE_CHANGES_LISTED_MAX } from '../limits.ts'
import type { Journal } from '../observe/index.ts'
import { type PinnedSet, previousSet, type RuleEvent } from './rule-history.ts'

export type CheckedRules =
  | {
      readonly ok: true
      readonly bundle: RuleBundle
      readonly rules: number
      /** Against the set that decides; null where that is the same, or is not kept. */
      readonly changes: RuleChanges | null
    }
  | { readonly ok: false; readonly problems: readonly RuleProblem[] }

/** What is to be tried. */
export interface RuleCheck {
  /** The hash of a kept set; undefined: what is in the rules folder. */
  readonly kept: string | undefined
  /** The set that decides now. */
  readonly live: string
  /** Kept sets that must stay. */
  readonly spared: readonly string[]
}

/** Port: tries a rule set without holding up who scores, and keeps it. */
export interface RuleTrial {
  /** One question at a time. Never rejects. */
  check(order: RuleCheck): Promise<CheckedRules>
}

/** What a reload, a rollback or a release came to. */
export type ReloadReport =
  | {
      readonly result: 'taken' | 'unchanged'
      /** The set that decides from now on. */
      readonly hash: string
      readonly before: string
      readonly rules: number
      readonly pinned: PinnedSet | null
      readonly tookMs: number
    }
  | {
      readonly result: 'refused'
      /** The set that goes on deciding. */
      readonly hash: string
      readonly pinned: PinnedSet | null
      readonly problems: readonly RuleProblem[]
    }

/** What decides, for people. */
export interface RulesStatus {
  readonly hash: string
  readonly rules: number
  /** Since when, ISO 8601. */
  readonly since: string
  readonly pinned: PinnedSet | null
  /** The last change that was asked for since the start; null before the first. */
  readonly last: (ReloadReport & { readonly at: string; readonly by: string }) | null
}

/** Where history and pin are kept. */
export interface RuleRecord {
  append(event: RuleEvent): Promise<void>
  history(): Promise<readonly RuleEvent[]>
  pin(pinned: PinnedSet): Promise<void>
  unpin(): Promise<void>
}

export interface RuleReloadsOptions {
  readonly pool: Pick<ScorerPool, 'info' | 'change'>
  readonly checker: RuleTrial
  readonly record: RuleRecord
  readonly journal: Pick<Journal, 'log' | 'rulesReloaded'>
  readonly clock: Clock
  /** For messages. */
  readonly rulesDir: string
  readonly pinned: PinnedSet | null
  /** What was wrong with the rules folder at the start, where a kept set decides instead. */
  readonly atStart: RulesStatus['last']
}

type Taken = Extract<RuleEvent['result'], 'taken' | 'rolled_back' | 'released'>

export class RuleReloads {
  readonly #options: RuleReloadsOptions
  #pinned: PinnedSet | null
  #since: string
  #last: RulesStatus['last']
  #queue: Promise<unknown> = Promise.resolve()

  constructor(options: RuleReloadsOptions) {
    this.#options = options
    this.#pinned = options.pinned
    this.#since = this.#now()
    this.#last = options.atStart
  }

  get status(): RulesStatus {
    const { ruleSet, rules } = this.#options.pool.info
    const [since, pinned, last] = [this.#since, this.#pinned, this.#last]
    return { hash: ruleSet, rules, since, pinned, last }
  }

  /** Takes what is in the rules folder. While a set is pinned this is refused. */
  reload(by: string): Promise<ReloadReport> {
    return this.#inTurn(by, async () => {
      if (this.#pinned !== null) return this.#refusedByPin(this.#pinned)
      return this.#change(by, undefined, 'taken')
    })
  }

  /**
   * Pins a kept set: it decides, whatever the rules folder says, also after a restart, until
   * `release`. Without a hash: the set that decided before.
   */
  rollBack(by: string, hash: string | undefined): Promise<ReloadReport> {
    return this.#inTurn(by, async () => {
      const { record, pool } = this.#options
      const live = pool.info.ruleSet
      const target = hash ?? previousSet(await record.history(), live)
      if (target === undefined) {
        return this.#refused('no_previous_set', 'no other set has decided here before')
      }
      const before = this.#pinned
      const pinned: PinnedSet = { hash: target, by, since: this.#now() }
      const checked = await this.#check(target)
      if (!checked.ok) return this.#refusedFor(checked.problems)
      // Durable first: a crash between the two starts with what was asked for.
      await record.pin(pinned)
      this.#pinned = pinned
      const report = await this.#take(by, checked, 'rolled_back')
      if (report.result !== 'refused') return report
      this.#pinned = before
      if (before === null) await record.unpin()
      else await record.pin(before)
      return { ...report, pinned: before }
    })
  }

  /** Ends the pin and takes what is in the rules folder; where that is refused, the pin stays. */
  release(by: string): Promise<ReloadReport> {
    return this.#inTurn(by, async () => {
      const checked = await this.#check(undefined)
      if (!checked.ok) return this.#refusedFor(checked.problems)
      const before = this.#pinned
      // Durable first, as for a rollback.
      await this.#options.record.unpin()
      this.#pinned = null
      const report = await this.#take(by, checked, 'released')
      if (report.result !== 'refused' || before === null) return report
      this.#pinned = before
      await this.#options.record.pin(before)
      return { ...report, pinned: before }
    })
  }

  /** Resolves when nothing is under way. */
  async idle(): Promise<void> {
    await this.#queue
  }

  #inTurn(by: string, work: () => Promise<ReloadReport>): Promise<ReloadReport> {
    const { journal, clock } = this.#options
    const turn = this.#queue.then(async () => {
      const startedMs = clock.monotonic()
      const report = await work().catch((error: Error) =>
        this.#refused(
          'not_recorded',
          `${error.message}: see that DATA_DIR has room and is writable`,
        ),
      )
      await this.#tell(by, report, clock.monotonic() - startedMs)
      return report
    })
    this.#queue = turn
    journal.log.debug({ by }, 'other rules are asked for')
    return turn
  }

  async #change(by: string, kept: string | undefined, result: Taken): Promise<ReloadReport> {
    const checked = await this.#check(kept)
    return checked.ok ? this.#take(by, checked, result) : this.#refusedFor(checked.problems)
  }

  #check(kept: string | undefined): Promise<CheckedRules> {
    const spared = this.#pinned === null ? [] : [this.#pinned.hash]
    return this.#options.checker.check({ kept, live: this.#options.pool.info.ruleSet, spared })
  }

  async #take(
    by: string,
    checked: Extract<CheckedRules, { ok: true }>,
    result: Taken,
  ): Promise<ReloadReport> {
    const { pool, clock } = this.#options
    const startedMs = clock.monotonic()
    const before = pool.info.ruleSet
    const { bundle, rules, changes } = checked
    const isSame = bundle.hash === before
    if (!isSame) {
      const changed = await pool.change({ rules: bundle })
      if (!changed.ok) return this.#refusedFor(changed.problems.map(ruleProblemOf))
      this.#since = this.#now()
    }
    if (!isSame || result !== 'taken') {
      const event: RuleEvent = { at: this.#now(), result, by, hash: bundle.hash, before }
      await this.#remember(changes === null ? event : { ...event, changes: bounded(changes) })
    }
    const tookMs = Math.round(clock.monotonic() - startedMs)
    const pinned = this.#pinned
    const named = isSame ? 'unchanged' : 'taken'
    return { result: named, hash: bundle.hash, before, rules, pinned, tookMs }
  }

  async #tell(by: string, report: ReloadReport, tookMs: number): Promise<void> {
    const { journal } = this.#options
    this.#last = { ...report, at: this.#now(), by }
    journal.rulesReloaded(report.result)
    const took = Math.round(tookMs)
    if (report.result !== 'refused') {
      const { result, hash, before, rules } = report
      journal.log.info({ by, result, hash, before, rules, tookMs: took }, 'rules')
      return
    }
    const problems = report.problems.map(lineOf)
    const [problem = ''] = problems
    const shown = problems.slice(0, RULE_CHANGES_LISTED_MAX)
    const { hash } = report
    journal.log.error({ by, hash, problems: shown }, 'other rules were refused: the old set stays')
    const event: RuleEvent = { at: this.#now(), result: 'refused', by, hash, before: hash, problem }
    await this.#remember(event)
  }

  /** What decides is decided by then: a history that lacks a line is said, and changes nothing. */
  async #remember(event: RuleEvent): Promise<void> {
    const { journal, record } = this.#options
    await record.append(event).catch((error: Error) => {
      journal.log.error({ error: error.message }, 'the history of the rules was not written')
    })
  }

  #refusedByPin({ hash, by, since }: PinnedSet): ReloadReport {
    const advice = 'release it by `switchyard rules release`, or change the files beforehand'
    return this.#refused('pinned', `set ${hash} is pinned by ${by} since ${since}: ${advice}`)
  }

  #refused(code: string, message: string): ReloadReport {
    const place = { file: this.#options.rulesDir, line: 0, column: 0 }
    return this.#refusedFor([{ ...place, severity: 'error', code, message }])
  }

  #refusedFor(problems: readonly RuleProblem[]): ReloadReport {
    const hash = this.#options.pool.info.ruleSet
    return { result: 'refused', hash, pinned: this.#pinned, problems }
  }

  #now(): string {
    return new Date(this.#options.clock.now()).toISOString()
  }
}

/** `packs/card-testing.yaml:6:11 unknown_name ...`: where, what, and what was probably meant. */
export function lineOf({ file, line, column, code, message }: RuleProblem): string {
  if (line === 0) return `${code} ${message}`
  return `${file}:${line}:${column} ${code} ${message}`
}

function ruleProblemOf(problem: ScoringProblem): RuleProblem {
  if (problem.kind === 'rules') return problem.problem
  const message = problem.kind === 'model' ? problem.problem.message : problem.message
  const place = { file: 'scoring', line: 0, column: 0, severity: 'error' as const }
  return { ...place, code: 'worker_refused', message }
}

/** A line of the history stays a line, whatever was changed. */
function bounded(changes: NonNullable<RuleEvent['changes']>): NonNullable<RuleEvent['changes']> {
  const cut = (names: readonly string[]) =>
    names.length <= RULE_CHANGES_LISTED_MAX
      ? names
      : [
          ...names.slice(0, RULE_CHANGES_LISTED_MAX),
          `${names.length - RULE_CHANGES_LISTED_MAX} more`,
        ]
  const { added, removed, changed, files } = changes
  return { added: cut(added), removed: cut(removed), changed: cut(changed), files: cut(files) }
}
