// What the path tells the world: metrics under the contract's names, and log lines. Nothing of a
// card, a merchant or a key is in either.

import type { Logger } from 'pino'
import { collectDefaultMetrics, Registry } from 'prom-client'
import type { Decision } from '#scoring'
import type { AskResult, LineState } from '../issuers/index.ts'
import type { Intent, Outcome, StepKind } from '../store/index.ts'
import type { RunningAuthorization } from '../transaction.ts'
import { gauge, Histogram, Tally } from './histogram.ts'

const STEPS = ['claim', 'score', 'ask', 'record'] as const
export type Step = (typeof STEPS)[number]

/** Why new work was refused at the door. */
export type ShedCause =
  | 'in_flight'
  | 'scoring'
  | 'store'
  | 'draining'
  | 'trace_numbers'
  | 'stream'
  | 'iso'

/** What the gauges read at each scrape. */
export interface Gauges {
  queueDepths(): Readonly<Record<string, number>>
  storeAndForwardDepths(): Readonly<Record<string, number>>
  deadLetters(): Readonly<Record<string, number>>
  /** Of the store's files, and of the room that is left beside them; null where nobody can say. */
  storeBytes(): number
  storeFreeBytes(): number | null
  /** The state of each connection, by issuer. */
  issuerConnections(): Readonly<Record<string, readonly LineState[]>>
  /** Population stability index of the last 24 hours, by feature; empty before there is one. */
  featurePsi(): Readonly<Record<string, number>>
  /** Decisions behind it. */
  featurePsiSamples(): number
  modelAgeSeconds(): number
}

export interface JournalOptions {
  readonly log: Logger
  /** Of how many authorizations one canonical line is written; 0 for none. */
  readonly oneLineIn: number
  readonly version: string
}

export class Journal {
  readonly registry = new Registry()
  readonly log: Logger
  readonly #oneLineIn: number
  #untilLine = 1

  readonly #authorizations: Tally
  readonly #durations: Histogram
  readonly #duration: ReturnType<Histogram['series']>
  readonly #steps: Histogram
  readonly #stepSeries: Readonly<Record<Step, ReturnType<Histogram['series']>>>
  readonly #scores: Histogram
  readonly #score: ReturnType<Histogram['series']>
  readonly #flushes: Histogram
  readonly #flush: ReturnType<Histogram['series']>
  readonly #issuerDurations: Histogram
  readonly #issuerRequests: Tally
  readonly #degraded: Tally
  readonly #shed: Tally
  readonly #reversals: Tally
  readonly #paymentSteps: Tally
  readonly #replays: Tally
  readonly #ruleHits: Tally
  readonly #unknownRules: Tally
  readonly #bands: Tally
  readonly #saturated: Tally
  readonly #refusals: Tally
  readonly #linkEvents: Tally
  readonly #acquirerLinkEvents: Tally
  readonly #failOvers: Tally
  readonly #ruleReloads: Tally
  readonly #standIns: Tally
  readonly #standInRefusals: Tally

  constructor(options: JournalOptions) {
    this.log = options.log
    this.#oneLineIn = options.oneLineIn
    const { registry } = this
    collectDefaultMetrics({ register: registry, prefix: 'switchyard_' })
    const histogram = (name: string, help: string) =>
      new Histogram(registry, `switchyard_${name}`, help)
    const tally = (name: string, help: string, labels: string[]) =>
      new Tally(registry, `switchyard_${name}`, help, labels)
    this.#authorizations = tally('authorizations_total', 'Recorded authorizations', [
      'outcome',
      'channel',
    ])
    this.#durations = histogram('authorization_duration_seconds', 'Arrival to answer')
    this.#duration = this.#durations.series({})
    this.#steps = histogram('step_duration_seconds', 'Time of one step')
    this.#stepSeries = {
      claim: this.#steps.series({ step: 'claim' }),
      score: this.#steps.series({ step: 'score' }),
      ask: this.#steps.series({ step: 'ask' }),
      record: this.#steps.series({ step: 'record' }),
    }
    this.#scores = histogram('score_duration_seconds', 'Enqueued to decided')
    this.#score = this.#scores.series({})
    this.#flushes = histogram('store_flush_seconds', 'One group: append and fdatasync')
    this.#flush = this.#flushes.series({})
    this.#issuerDurations = histogram('issuer_duration_seconds', 'Asked to answered')
    this.#issuerRequests = tally('issuer_requests_total', 'Requests by answer', [
      'issuer',
      'response_code',
    ])
    this.#degraded = tally('degraded_total', 'Decisions made without a part', ['part'])
    this.#shed = tally('shed_total', 'Refused at the door', ['cause'])
    this.#reversals = tally('reversals_total', 'Reversals queued', ['cause'])
    this.#paymentSteps = tally(
      'payment_steps_total',
      'Captures, reversals, refunds, increments, advices',
      ['step', 'outcome'],
    )
    this.#replays = tally('idempotent_replays_total', 'First answers given again', [])
    this.#ruleHits = tally('rule_hits_total', 'Rules that fired', ['rule', 'mode'])
    this.#unknownRules = tally('rules_unknown_total', 'Rules that a missing value left unknown', [])
    this.#bands = tally('score_bucket_total', 'Scores by band', ['band'])
    this.#saturated = tally('velocity_saturated_total', 'Aggregates that were lower bounds only', [
      'entity',
    ])
    this.#refusals = tally('refusals_total', 'Requests refused, by error code', ['code'])
    this.#linkEvents = tally('issuer_link_events_total', 'What happened on issuer links', [
      'issuer',
      'event',
    ])
    this.#acquirerLinkEvents = tally(
      'acquirer_link_events_total',
      'What happened on ISO 8583 connections of acquirers',
      ['listener', 'event'],
    )
    this.#ruleReloads = tally('rules_reload_total', 'Other rules asked for', ['result'])
    this.#failOvers = tally('fail_overs_total', 'Asked at a further issuer', ['from', 'to'])
    this.#standIns = tally('stand_in_total', 'Approved in the place of the issuer', ['issuer'])
    this.#standInRefusals = tally(
      'stand_in_refusals_total',
      'Not approved in the place of an issuer that has a policy for it, by reason',
      ['issuer', 'reason'],
    )
    gauge(registry, 'switchyard_build_info', 'Version', ['version', 'node'], () => [
      [{ version: options.version, node: process.version }, 1],
    ])
  }

  /** Gauges over things that are made after the journal. */
  watch(
    gauges: Gauges,
    versions: () => { readonly ruleSet: string; readonly model: string },
  ): void {
    const { registry } = this
    const each = (label: string, read: () => Readonly<Record<string, number>>) => () =>
      Object.entries(read()).map(([name, value]) => [{ [label]: name }, value] as const)
    gauge(
      registry,
      'switchyard_queue_depth',
      'Waiting, by queue',
      ['queue'],
      each('queue', () => gauges.queueDepths()),
    )
    gauge(
      registry,
      'switchyard_store_and_forward_depth',
      'Queued messages',
      ['issuer'],
      each('issuer', () => gauges.storeAndForwardDepths()),
    )
    gauge(
      registry,
      'switchyard_dead_letters',
      'Messages that an issuer refused for good',
      ['issuer'],
      each('issuer', () => gauges.deadLetters()),
    )
    gauge(
      registry,
      'switchyard_issuer_connections',
      'Connections by state; open and half_open are those of the breaker',
      ['issuer', 'state'],
      () => connectionCounts(gauges.issuerConnections()),
    )
    gauge(registry, 'switchyard_store_bytes', "The store's size", [], () => [
      [{}, gauges.storeBytes()],
    ])
    gauge(registry, 'switchyard_store_free_bytes', "Room on the store's disk", [], () => {
      const freeBytes = gauges.storeFreeBytes()
      return freeBytes === null ? [] : [[{}, freeBytes]]
    })
    gauge(registry, 'switchyard_rules_info', 'Rule set in force', ['hash'], () => [
      [{ hash: versions().ruleSet }, 1],
    ])
    gauge(registry, 'switchyard_model_info', 'Model in force', ['version'], () => [
      [{ version: versions().model }, 1],
    ])
    gauge(
      registry,
      'switchyard_feature_psi',
      'How far inputs and score of the last day are from training; above 0.25 they drifted',
      ['feature'],
      each('feature', () => gauges.featurePsi()),
    )
    const unlabelled = (name: string, help: string, read: () => number) =>
      gauge(registry, `switchyard_${name}`, help, [], () => [[{}, read()]])
    unlabelled('feature_psi_samples', 'Decisions behind feature_psi', () =>
      gauges.featurePsiSamples(),
    )
    unlabelled('model_age_seconds', 'Since the model in force was made', () =>
      gauges.modelAgeSeconds(),
    )
  }

  /** 1 for each condition of /readyz that holds: an alert can name the one that doesn't. */
  watchReadiness(
    checks: () => readonly { readonly name: string; readonly isReady: boolean }[],
  ): void {
    const help = 'Conditions of /readyz'
    gauge(this.registry, 'switchyard_ready', help, ['check'], () =>
      checks().map(({ name, isReady }) => [{ check: name }, isReady ? 1 : 0] as const),
    )
  }

  /** Other rules were taken, were the same, or were refused. */
  rulesReloaded(result: 'taken' | 'unchanged' | 'refused'): void {
    this.#ruleReloads.add(result)
  }

  step(step: Step, durationMs: number): void {
    this.#steps.observe(this.#stepSeries[step], durationMs / 1000)
  }

  scored(decision: Decision, durationMs: number): void {
    this.step('score', durationMs)
    this.#scores.observe(this.#score, durationMs / 1000)
    for (const part of decision.degraded) this.#degraded.add(part)
    for (const hit of decision.hits) this.#ruleHits.add(hit.rule, hit.mode)
    for (const entity of decision.saturated) this.#saturated.add(entity)
    if (decision.band !== null) this.#bands.add(decision.band)
    if (decision.unknownRules.length > 0) {
      this.#unknownRules.add('', undefined, decision.unknownRules.length)
    }
  }

  asked(issuer: string, result: AskResult, durationMs: number): void {
    this.step('ask', durationMs)
    this.#issuerDurations.observe(this.#issuerDurations.series({ issuer }), durationMs / 1000)
    const code = result.kind === 'answered' ? result.answer.responseCode : result.kind
    this.#issuerRequests.add(issuer, code)
  }

  flushed(seconds: number): void {
    this.#flushes.observe(this.#flush, seconds)
  }

  shed(cause: ShedCause): void {
    this.#shed.add(cause)
  }

  replayed(): void {
    this.#replays.add('')
  }

  refused(code: string): void {
    this.#refusals.add(code)
  }

  failedOver(from: string, to: string): void {
    this.#failOvers.add(from, to)
  }

  reversalQueued(cause: string): void {
    this.#reversals.add(cause)
  }

  /** Its issuer gave no answer, and its policy did not allow to answer for it. */
  standInRefused(issuer: string, reason: string): void {
    this.#standInRefusals.add(issuer, reason)
  }

  /** The end of a step of a payment, or of an advice. */
  stepTaken(step: StepKind | 'advice', outcome: Outcome): void {
    this.#paymentSteps.add(step, outcome.outcome)
  }

  /** What a crash left open was ended at the start. */
  recovered({ kind, request }: Intent, outcome: Outcome): void {
    if (kind === 'financial' || kind === 'inquiry') {
      this.#authorizations.add(outcome.outcome, String(request.channel))
    } else this.#paymentSteps.add(kind, outcome.outcome)
    if (outcome.reversal !== null) this.reversalQueued(outcome.reversal.cause)
  }

  linkEvent(issuer: string, event: string): void {
    this.#linkEvents.add(issuer, event)
  }

  acquirerLinkEvent(listener: string, event: string): void {
    this.#acquirerLinkEvents.add(listener, event)
  }

  /** The end of an authorization: counters, and one canonical line of every Nth. */
  authorized(running: RunningAuthorization, outcome: Outcome, durationMs: number): void {
    this.#authorizations.add(outcome.outcome, running.request.channel)
    this.#durations.observe(this.#duration, durationMs / 1000)
    if (outcome.reversal !== null) this.reversalQueued(outcome.reversal.cause)
    if (outcome.cause === 'stand_in') this.#standIns.add(String(outcome.answer.issuer))
    if (this.#oneLineIn === 0 || --this.#untilLine > 0) return
    this.#untilLine = this.#oneLineIn
    this.log.info(
      {
        id: running.id,
        acquirer: running.acquirer.id,
        type: running.request.type,
        channel: running.request.channel,
        outcome: outcome.outcome,
        responseCode: outcome.responseCode,
        cause: outcome.cause,
        issuer: outcome.answer.issuer,
        risk: outcome.decision?.outcome,
        reasons: outcome.decision?.reasons,
        degraded: outcome.decision?.degraded,
        durationMs: Math.round(durationMs * 100) / 100,
        traceparent: running.traceparent,
      },
      'authorization',
    )
  }
}

const LINE_STATES: readonly LineState[] = ['up', 'down', 'open', 'half_open']

/** Every state of every issuer, those without a connection too: a graph needs its zeros. */
function connectionCounts(
  issuers: Readonly<Record<string, readonly LineState[]>>,
): (readonly [labels: { issuer: string; state: LineState }, value: number])[] {
  return Object.entries(issuers).flatMap(([issuer, states]) =>
    LINE_STATES.map((state) => {
      const count = states.filter((one) => one === state).length
      return [{ issuer, state }, count] as const
    }),
  )
}
