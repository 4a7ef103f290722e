// The wire between the main thread and the workers: one MessagePack buffer a batch, both ways.
// Shapes are known to both ends, so names never travel: every record is an array, its fields by
// position (half the bytes of JSON and a third of the encoding time of records with shared
// structures; docs/decisions/0007-scoring-pool.md). Both ends are one build of one program: the
// bytes never cross a trust boundary, so nothing here defends itself against foreign bytes.
//
//   batch    = [ edition, velocityDeadlineMs, requests, outcomes ]
//   request  = [ id, eventHash, arrivedAtMs, acquirer, type, amount, currency, channel,
//                card:     token, bin, country?, expiry?,
//                merchant: id, mcc, name?, city?, country?, latitude?, longitude?, timeZone?,
//                terminal: id?, entryMode?,
//                device:   id?, ip?, ipCountry?, userAgent?,
//                customer: id?, email?, country?,
//                threeDs:  version?, eci?, status? ]                       32 fields, absent is nil
//   outcome  = [ eventHash, atMs, kind, acquirer, card token, bin, merchant id,
//                terminal id?, device id?, ip?, customer id?, email?, responseCode? ]
//
//   decided  = [ ruleSet, model, stepMicros (4), features, aggregates, rows, outcomesLost,
//                velocity fault?, model fault? ]
// features, aggregates = binary: float32 and float64 matrices, a row a message, little-endian as in
//                memory; no features where the model was missing
//   row      = [ outcome, score?, band?, reasons, disclosedReasons, hits, degraded (bits),
//                unknownRules, saturated, lookedUp, lowerBounds, why?,
//                [ challenger, score? ] ...? ]
//   why      = [ raw?, base?, others, unexplained?, [ feature, meaning, value?, amount ] ... ]
//   hit      = [ rule, mode, outcome, reason, disclose, names, values ]

import { Packr, Unpackr } from 'msgpackr'
import type { Entity, RiskOutcome, RuleHit, RuleMode } from '#rules'
import type { EntitySource } from './entity-keys.ts'
import type { Decision, DegradedPart, ScoringRequest, Why } from './request.ts'
import type { ScoredBatch } from './score.ts'
import type { LabelEventKind, OutcomeKind } from './velocity/index.ts'

/** What became of an attempt, with no more of its request than entity keys need. */
export interface OutcomeEvent extends EntitySource {
  readonly eventHash: string
  /**
   * When it became known: the switch's clock, milliseconds since 1970. Of a label, when the attempt
   * had arrived.
   */
  readonly atMs: number
  readonly kind: OutcomeKind | LabelEventKind
  /** DE39 where declined. */
  readonly responseCode: string | undefined
}

/** What a worker gets at once. */
export interface ScoringBatch {
  readonly requests: readonly ScoringRequest[]
  readonly outcomes: readonly OutcomeEvent[]
  /** How long velocity may take for this batch. */
  readonly velocityDeadlineMs: number
}

/** A batch on its way, with the number of the edition that it is to be scored with. */
export interface SentBatch extends ScoringBatch {
  readonly edition: number
}

/** What a worker answers. */
export interface DecidedBatch extends ScoredBatch {
  /** Outcome events that velocity did not take since the last answer. */
  readonly outcomesLost: number
}

type Cell = string | number | undefined | null
type Row = readonly Cell[]

const packr = new Packr({ useRecords: false, encodeUndefinedAsNil: true })
const unpackr = new Unpackr({ useRecords: false, int64AsType: 'number' })

/** A buffer of its own, so that it can be moved to the other thread. */
function pack(value: unknown): Uint8Array<ArrayBuffer> {
  // msgpackr returns a slice of its pool, which can't be moved.
  return new Uint8Array(packr.pack(value))
}

export function encodeBatch(batch: ScoringBatch, edition: number): Uint8Array<ArrayBuffer> {
  return pack([
    edition,
    batch.velocityDeadlineMs,
    batch.requests.map(requestToRow),
    batch.outcomes.map(outcomeToRow),
  ])
}

export function decodeBatch(bytes: Uint8Array): SentBatch {
  const row = unpackr.unpack(bytes) as [number, number, Row[], Row[]]
  const [edition, velocityDeadlineMs, requests, outcomes] = row
  return {
    edition,
    velocityDeadlineMs,
    requests: requests.map(rowToRequest),
    outcomes: outcomes.map(rowToOutcome),
  }
}

function requestToRow(request: ScoringRequest): Row {
  const { card, merchant, terminal, device, customer, threeDs } = request
  return [
    request.id,
    request.eventHash,
    request.arrivedAtMs,
    request.acquirer,
    request.type,
    request.amount,
    request.currency,
    request.channel,
    card.token,
    card.bin,
    card.country,
    card.expiry,
    merchant.id,
    merchant.mcc,
    merchant.name,
    merchant.city,
    merchant.country,
    merchant.latitude,
    merchant.longitude,
    merchant.timeZone,
    terminal?.id,
    terminal?.entryMode,
    device?.id,
    device?.ip,
    device?.ipCountry,
    device?.userAgent,
    customer?.id,
    customer?.email,
    customer?.country,
    threeDs?.version,
    threeDs?.eci,
    threeDs?.status,
  ]
}

/** Every request gets one object shape: an absent field is a property that is undefined. */
function rowToRequest(row: Row): ScoringRequest {
  const request = {
    id: row[0],
    eventHash: row[1],
    arrivedAtMs: row[2],
    acquirer: row[3],
    type: row[4],
    amount: row[5],
    currency: row[6],
    channel: row[7],
    card: { token: row[8], bin: row[9], country: present(row[10]), expiry: present(row[11]) },
    merchant: {
      id: row[12],
      mcc: row[13],
      name: present(row[14]),
      city: present(row[15]),
      country: present(row[16]),
      latitude: present(row[17]),
      longitude: present(row[18]),
      timeZone: present(row[19]),
    },
    terminal: { id: present(row[20]), entryMode: present(row[21]) },
    device: {
      id: present(row[22]),
      ip: present(row[23]),
      ipCountry: present(row[24]),
      userAgent: present(row[25]),
    },
    customer: { id: present(row[26]), email: present(row[27]), country: present(row[28]) },
    threeDs: { version: present(row[29]), eci: present(row[30]), status: present(row[31]) },
  }
  return request as unknown as ScoringRequest
}

function outcomeToRow(outcome: OutcomeEvent): Row {
  const { card, merchant, terminal, device, customer } = outcome
  return [
    outcome.eventHash,
    outcome.atMs,
    outcome.kind,
    outcome.acquirer,
    card.token,
    card.bin,
    merchant.id,
    terminal?.id,
    device?.id,
    device?.ip,
    customer?.id,
    customer?.email,
    outcome.responseCode,
  ]
}

function rowToOutcome(row: Row): OutcomeEvent {
  const outcome = {
    eventHash: row[0],
    atMs: row[1],
    kind: row[2],
    acquirer: row[3],
    card: { token: row[4], bin: row[5] },
    merchant: { id: row[6] },
    terminal: { id: present(row[7]) },
    device: { id: present(row[8]), ip: present(row[9]) },
    customer: { id: present(row[10]), email: present(row[11]) },
    responseCode: present(row[12]),
  }
  return outcome as unknown as OutcomeEvent
}

function present(cell: Cell): string | number | undefined {
  return cell === null ? undefined : cell
}

const OUTCOME_CODES: Record<RiskOutcome, number> = {
  approve: 0,
  review: 1,
  challenge: 2,
  decline: 3,
}
const OUTCOMES: readonly RiskOutcome[] = ['approve', 'review', 'challenge', 'decline']
const PARTS: readonly DegradedPart[] = ['velocity', 'model', 'worker']

type HitRow = [string, RuleMode, number, string, boolean, string[], RuleHit['values'][string][]]
type DecisionRow = [
  number,
  number | null,
  string | null,
  readonly string[],
  readonly string[],
  HitRow[],
  number,
  readonly string[],
  readonly Entity[],
  Decision['lookedUp'],
  Decision['lowerBounds'],
  WhyRow | undefined | null,
  [string, number | null][] | undefined | null,
]
type WhyRow = [
  number | null,
  number | null,
  number,
  string | null,
  [string, string, number | null, number][],
]
type DecidedRow = [
  string | null,
  string | null,
  [number, number, number, number],
  Uint8Array,
  Uint8Array,
  DecisionRow[],
  number,
  string | null,
  string | null,
]

/**
 * All decisions of one batch come of one rule set, one model and one plan, so they share versions,
 * step times and the widths of the matrices.
 */
export function encodeDecided(decided: DecidedBatch): Uint8Array<ArrayBuffer> {
  const { decisions } = decided
  const first = decisions[0]
  const features = new Float32Array(decisions.length * (first?.features.length ?? 0))
  const aggregates = new Float64Array(decisions.length * (first?.aggregates.length ?? 0))
  const rows: DecisionRow[] = []
  for (let i = 0; i < decisions.length; i++) {
    const decision = decisions[i] as Decision
    features.set(decision.features, i * decision.features.length)
    aggregates.set(decision.aggregates, i * decision.aggregates.length)
    rows.push(decisionToRow(decision))
  }
  const micros = first?.stepMicros
  const row: DecidedRow = [
    first?.ruleSet ?? null,
    first?.model ?? null,
    [micros?.velocity ?? 0, micros?.features ?? 0, micros?.model ?? 0, micros?.rules ?? 0],
    new Uint8Array(features.buffer),
    new Uint8Array(aggregates.buffer),
    rows,
    decided.outcomesLost,
    decided.faults.velocity,
    decided.faults.model,
  ]
  return pack(row)
}

export function decodeDecided(bytes: Uint8Array): DecidedBatch {
  const row = unpackr.unpack(bytes) as DecidedRow
  const [ruleSet, model, steps, featureBytes, aggregateBytes, rows, outcomesLost] = row
  const faults = { velocity: row[7], model: row[8] }
  // Copied once: the views below need aligned memory.
  const features = new Float32Array(new Uint8Array(featureBytes).buffer)
  const aggregates = new Float64Array(new Uint8Array(aggregateBytes).buffer)
  const featureCount = rows.length === 0 ? 0 : features.length / rows.length
  const aggregateCount = rows.length === 0 ? 0 : aggregates.length / rows.length
  const [velocity, featureMicros, modelMicros, rules] = steps
  const stepMicros = { velocity, features: featureMicros, model: modelMicros, rules }
  const decisions = rows.map((cells, i): Decision => {
    const [outcome, score, band, reasons, disclosedReasons, hits, parts, unknownRules] = cells
    const lowerBounds = cells[10]
    return {
      outcome: OUTCOMES[outcome] as RiskOutcome,
      score,
      band,
      reasons,
      disclosedReasons,
      hits: hits.map(rowToHit),
      degraded: PARTS.filter((_, bit) => (parts & (1 << bit)) !== 0),
      ruleSet,
      model,
      // Own memory each, so that a decision kept does not keep its whole batch.
      features: features.slice(i * featureCount, (i + 1) * featureCount),
      aggregates: aggregates.slice(i * aggregateCount, (i + 1) * aggregateCount),
      unknownRules,
      saturated: cells[8],
      lookedUp: cells[9] ?? undefined,
      // Own memory too: what comes out of the buffer is a view of all of it.
      lowerBounds: lowerBounds == null ? undefined : new Uint8Array(lowerBounds),
      challengers: cells[12]?.map(([model, score]) => ({ model, score })),
      why: cells[11] == null ? undefined : rowToWhy(cells[11]),
      stepMicros,
    }
  })
  return { decisions, faults, outcomesLost }
}

function decisionToRow(decision: Decision): DecisionRow {
  let parts = 0
  for (const part of decision.degraded) parts |= 1 << PARTS.indexOf(part)
  return [
    OUTCOME_CODES[decision.outcome],
    decision.score,
    decision.band,
    decision.reasons,
    decision.disclosedReasons,
    decision.hits.map(hitToRow),
    parts,
    decision.unknownRules,
    decision.saturated,
    decision.lookedUp,
    decision.lowerBounds,
    decision.why === undefined ? undefined : whyToRow(decision.why),
    decision.challengers?.map(({ model, score }): [string, number | null] => [model, score]),
  ]
}

function whyToRow(why: Why): WhyRow {
  const { raw, base, others, unexplained, contributions } = why
  const rows = contributions.map(({ feature, meaning, value, amount }): WhyRow[4][number] => [
    feature,
    meaning,
    value,
    amount,
  ])
  return [raw, base, others, unexplained, rows]
}

function rowToWhy([raw, base, others, unexplained, rows]: WhyRow): Why {
  const contributions = rows.map(([feature, meaning, value, amount]) => ({
    feature,
    meaning,
    value,
    amount,
  }))
  return { raw, base, contributions, others, unexplained }
}

function hitToRow(hit: RuleHit): HitRow {
  return [
    hit.rule,
    hit.mode,
    OUTCOME_CODES[hit.outcome],
    hit.reason,
    hit.disclose,
    Object.keys(hit.values),
    Object.values(hit.values),
  ]
}

function rowToHit(row: HitRow): RuleHit {
  const [rule, mode, outcome, reason, disclose, names, values] = row
  return {
    rule,
    mode,
    outcome: OUTCOMES[outcome] as RiskOutcome,
    reason,
    disclose,
    values: Object.fromEntries(names.map((name, i) => [name, values[i] ?? null])),
  }
}
