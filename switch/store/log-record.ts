// What a record of the log says. A record is one MessagePack array:
//
//   record      = [kind, body]
//   lease    1  = [owner, epoch, opened at]
//   claim    2  = [intent, owner, epoch]
//   attempt  3  = [transaction, attempt]
//   not sent 4  = [transaction]
//   outcome  5  = [outcome]     its reversal, advice and counters are inside: one record, one truth
//   late     6  = [late answer]
//   queued   7  = [queued message]
//   delivery 8  = [transaction, step, state, sends, last response code]
//   accepted 9  = [intent, owner, epoch, outcome]  a step that needed nobody's answer; format 2
//   label    10 = [transaction, kind, known at, recorded at]                        format 3
//
// Intents, attempts, outcomes and the like are rows: their fields in the order of the tables below,
// without names, which makes them a quarter smaller and a third cheaper than maps (714 bytes and
// 4 µs instead of 977 and 6). A field is added at the end of its table, never moved or removed, and
// older records then lack it, as do rows whose last fields are absent. `request` and `answer` are JSON
// texts and a `decision` is a row (maps before format 4), and `standIn` is a list of rows.
// What an older version could misread needs a new format version in `segment.ts`.

import { Packr } from 'msgpackr'
import type { Decision } from '#scoring'
import {
  type Attempt,
  type Delivery,
  type Intent,
  type Label,
  type LateAnswer,
  type Outcome,
  type Ownership,
  type PaymentStep,
  type QueuedMessage,
  queuedBy,
  type SealedCard,
  type StandInMove,
} from './transaction-store.ts'

export type LogRecord =
  | { readonly kind: 'lease'; readonly ownership: Ownership; readonly openedAtMs: number }
  | { readonly kind: 'claim'; readonly intent: Intent; readonly ownership: Ownership }
  | { readonly kind: 'attempt'; readonly transactionId: string; readonly attempt: Attempt }
  | { readonly kind: 'not_sent'; readonly transactionId: string }
  | { readonly kind: 'outcome'; readonly outcome: Outcome }
  | { readonly kind: 'late_answer'; readonly answer: LateAnswer }
  | { readonly kind: 'queued'; readonly message: QueuedMessage }
  | DeliveryRecord
  | AcceptedRecord
  | { readonly kind: 'label'; readonly label: Label }

export interface AcceptedRecord {
  readonly kind: 'accepted'
  readonly intent: Intent
  readonly ownership: Ownership
  readonly outcome: Outcome
}

export interface DeliveryRecord {
  readonly kind: 'delivery'
  readonly transactionId: string
  readonly step: QueuedMessage['step']
  readonly state: Delivery['state']
  readonly sends: number
  readonly lastResponseCode: string | null
}

const KINDS = [
  'lease',
  'claim',
  'attempt',
  'not_sent',
  'outcome',
  'late_answer',
  'queued',
  'delivery',
  'accepted',
  'label',
] as const satisfies readonly LogRecord['kind'][]

/** What a record queues, in the order in which the issuer must hear it. */
export function messagesOf(record: LogRecord): readonly QueuedMessage[] {
  if (record.kind === 'queued') return [record.message]
  return 'outcome' in record ? queuedBy(record.outcome) : []
}

/** When a record was written; undefined where it does not say. Milliseconds since 1970. */
export function timeOfRecord(record: LogRecord): number | undefined {
  switch (record.kind) {
    case 'lease':
      return record.openedAtMs
    case 'claim':
    case 'accepted':
      return record.intent.createdAtMs
    case 'outcome':
      return record.outcome.recordedAtMs
    case 'late_answer':
      return record.answer.at
    case 'queued':
      return record.message.queuedAtMs
    case 'label':
      return record.label.recordedAtMs
    default:
      return undefined
  }
}

/** The transaction that a record belongs to; null for a lease. */
export function transactionOf(record: LogRecord): string | null {
  switch (record.kind) {
    case 'lease':
      return null
    case 'claim':
    case 'accepted':
      return record.intent.id
    case 'outcome':
      return record.outcome.id
    case 'late_answer':
      return record.answer.transactionId
    case 'queued':
      return record.message.transactionId
    case 'label':
      return record.label.transactionId
    default:
      return record.transactionId
  }
}

type CardChange = (card: SealedCard) => SealedCard | null

/** The record with each of its sealed cards changed; the same object where none changed. */
export function changeCards(record: LogRecord, change: CardChange): LogRecord {
  switch (record.kind) {
    case 'claim': {
      const intent = changeIntent(record.intent, change)
      return intent === record.intent ? record : { ...record, intent }
    }
    case 'accepted': {
      const intent = changeIntent(record.intent, change)
      const outcome = changeOutcome(record.outcome, change)
      const isSame = intent === record.intent && outcome === record.outcome
      return isSame ? record : { ...record, intent, outcome }
    }
    case 'attempt': {
      const attempt = changeAttempt(record.attempt, change)
      return attempt === record.attempt ? record : { ...record, attempt }
    }
    case 'outcome': {
      const outcome = changeOutcome(record.outcome, change)
      return outcome === record.outcome ? record : { ...record, outcome }
    }
    case 'queued': {
      const message = changeMessage(record.message, change)
      return message === record.message ? record : { ...record, message }
    }
    default:
      return record
  }
}

function changeAttempt(attempt: Attempt, change: CardChange): Attempt {
  if (attempt.card === null) return attempt
  const card = change(attempt.card)
  return card === attempt.card ? attempt : { ...attempt, card }
}

function changeIntent(intent: Intent, change: CardChange): Intent {
  if (intent.attempt === null) return intent
  const attempt = changeAttempt(intent.attempt, change)
  return attempt === intent.attempt ? intent : { ...intent, attempt }
}

function changeMessage(message: QueuedMessage, change: CardChange): QueuedMessage {
  const original = changeAttempt(message.original, change)
  return original === message.original ? message : { ...message, original }
}

function changeOutcome(outcome: Outcome, change: CardChange): Outcome {
  const { reversal, advice } = outcome
  const newReversal = reversal === null ? null : changeMessage(reversal, change)
  const newAdvice = advice === undefined ? undefined : changeMessage(advice, change)
  if (newReversal === reversal && newAdvice === advice) return outcome
  const changed = { ...outcome, reversal: newReversal }
  return newAdvice === undefined ? changed : { ...changed, advice: newAdvice }
}

/** Fails to compile where a table lacks a field of its type: it would not be stored. */
type Complete<T, Fields extends readonly (keyof T)[]> =
  Exclude<keyof T, Fields[number]> extends never ? Fields : never

function table<T>() {
  return <const Fields extends readonly (keyof T & string)[]>(
    ...fields: Complete<T, Fields>
  ): readonly (keyof T & string)[] => fields
}

const CARD = table<SealedCard>()('keyId', 'iv', 'sealed')

const ATTEMPT = table<Attempt>()(
  'issuer',
  'mti',
  'processingCode',
  'stan',
  'transmittedAt',
  'rrn',
  'acquiringInstitution',
  'amount',
  'currencyNumeric',
  'terminalId',
  'merchantId',
  'merchantNameLocation',
  'mcc',
  'entryMode',
  'card',
  'originalDataElements',
  'conditionCode',
  'isPreauthorization',
  'initialReference',
)

const PAYMENT_STEP = table<PaymentStep>()('paymentId', 'version')

const INTENT = table<Omit<Intent, 'requestText'>>()(
  'id',
  'kind',
  'acquirer',
  'idempotencyKey',
  'fingerprint',
  'createdAtMs',
  'rrn',
  'cardToken',
  'request',
  'attempt',
  'payment',
)

const MESSAGE = table<QueuedMessage>()(
  'transactionId',
  'step',
  'issuer',
  'mti',
  'stan',
  'transmittedAt',
  'rrn',
  'original',
  'cause',
  'queuedAtMs',
  'amount',
  'replacementAmount',
  'approvalCode',
  'responseCode',
  'reasonCode',
  'processingCode',
)

const STAND_IN_MOVE = table<StandInMove>()('counter', 'windowEndMs', 'amount', 'countMax', 'sumMax')

const OUTCOME = table<Outcome>()(
  'id',
  'recordedAtMs',
  'outcome',
  'responseCode',
  'cause',
  'issuerResponseCode',
  'answer',
  'decision',
  'reversal',
  'advice',
  'standIn',
)

const LATE_ANSWER = table<LateAnswer>()('transactionId', 'at', 'issuer', 'responseCode', 'approved')

const STEP_MICROS = table<Decision['stepMicros']>()('velocity', 'features', 'model', 'rules')

const DECISION = table<Decision>()(
  'outcome',
  'score',
  'band',
  'reasons',
  'disclosedReasons',
  'hits',
  'degraded',
  'ruleSet',
  'model',
  'features',
  'aggregates',
  'unknownRules',
  'saturated',
  'stepMicros',
  'lookedUp',
  'lowerBounds',
  'challengers',
  'why',
)

/** Fields that are rows themselves, or lists of rows. */
const NESTED: Readonly<Record<string, readonly string[]>> = {
  card: CARD,
  attempt: ATTEMPT,
  original: ATTEMPT,
  reversal: MESSAGE,
  advice: MESSAGE,
  standIn: STAND_IN_MOVE,
  payment: PAYMENT_STEP,
  decision: DECISION,
  stepMicros: STEP_MICROS,
}

/** The one field that is a list of rows. */
const LIST = 'standIn'

/**
 * Fields of many small parts that are read rarely and whole: as a text they cost a third of what a
 * map costs, in both ways.
 */
const TEXTS: ReadonlySet<string> = new Set(['request', 'answer'])

type Row = unknown[]
type Fields = Readonly<Record<string, unknown>>

// `moreTypes` keeps typed arrays as what they are (a decision's features and aggregates); without
// `copyBuffers` a decoded value would be a view of the scan's window.
const packr = new Packr({
  useRecords: false,
  moreTypes: true,
  copyBuffers: true,
  int64AsType: 'number',
})

/** One record's payload. The bytes are the caller's to keep. */
export function encodeRecord(record: LogRecord): Uint8Array {
  return packr.pack([KINDS.indexOf(record.kind) + 1, encodeBody(record)])
}

/** The kind of a record without decoding it; undefined for a payload that is none. */
export function kindOfRecord(payload: Uint8Array): LogRecord['kind'] | undefined {
  // An array of two, the first a small integer.
  return payload[0] === 0x92 ? KINDS[(payload[1] ?? 0) - 1] : undefined
}

/** Throws where the payload is no record of this format: its CRC held, so that is a bug. */
export function decodeRecord(payload: Uint8Array): LogRecord {
  const [number, body] = packr.unpack(payload) as [number, Row]
  const kind = KINDS[number - 1]
  if (kind === undefined || !Array.isArray(body)) {
    throw new Error(`record kind ${number} is not known to this version`)
  }
  return decodeBody(kind, body)
}

function encodeBody(record: LogRecord): Row {
  switch (record.kind) {
    case 'lease':
      return [record.ownership.owner, record.ownership.leaseEpoch, record.openedAtMs]
    case 'claim': {
      const { owner, leaseEpoch } = record.ownership
      return [toRow(INTENT, record.intent), owner, leaseEpoch]
    }
    case 'attempt':
      return [record.transactionId, toRow(ATTEMPT, record.attempt)]
    case 'not_sent':
      return [record.transactionId]
    case 'outcome':
      return [toRow(OUTCOME, record.outcome)]
    case 'late_answer':
      return [toRow(LATE_ANSWER, record.answer)]
    case 'queued':
      return [toRow(MESSAGE, record.message)]
    case 'delivery':
      return [
        record.transactionId,
        record.step,
        record.state,
        record.sends,
        record.lastResponseCode,
      ]
    case 'label': {
      const { transactionId, kind, knownAtMs, recordedAtMs } = record.label
      return [transactionId, kind, knownAtMs, recordedAtMs]
    }
    case 'accepted': {
      const { owner, leaseEpoch } = record.ownership
      return [toRow(INTENT, record.intent), owner, leaseEpoch, toRow(OUTCOME, record.outcome)]
    }
  }
}

function decodeBody(kind: LogRecord['kind'], body: Row): LogRecord {
  switch (kind) {
    case 'lease': {
      const [owner, leaseEpoch, openedAtMs] = body as [string, number, number]
      return { kind, ownership: { owner, leaseEpoch }, openedAtMs }
    }
    case 'claim': {
      const [intent, owner, leaseEpoch] = body as [Row, string, number]
      return { kind, intent: fromRow<Intent>(INTENT, intent), ownership: { owner, leaseEpoch } }
    }
    case 'attempt': {
      const [transactionId, attempt] = body as [string, Row]
      return { kind, transactionId, attempt: fromRow<Attempt>(ATTEMPT, attempt) }
    }
    case 'not_sent':
      return { kind, transactionId: body[0] as string }
    case 'outcome':
      return { kind, outcome: fromRow<Outcome>(OUTCOME, body[0] as Row) }
    case 'late_answer':
      return { kind, answer: fromRow<LateAnswer>(LATE_ANSWER, body[0] as Row) }
    case 'queued':
      return { kind, message: fromRow<QueuedMessage>(MESSAGE, body[0] as Row) }
    case 'delivery': {
      const [transactionId, step, state, sends, lastResponseCode] = body as [
        string,
        QueuedMessage['step'],
        Delivery['state'],
        number,
        string | null,
      ]
      return { kind, transactionId, step, state, sends, lastResponseCode }
    }
    case 'label': {
      const row = body as [string, Label['kind'], number, number]
      const [transactionId, labelKind, knownAtMs, recordedAtMs] = row
      return { kind, label: { transactionId, kind: labelKind, knownAtMs, recordedAtMs } }
    }
    case 'accepted': {
      const [intent, owner, leaseEpoch, outcome] = body as [Row, string, number, Row]
      return {
        kind,
        intent: fromRow<Intent>(INTENT, intent),
        ownership: { owner, leaseEpoch },
        outcome: fromRow<Outcome>(OUTCOME, outcome),
      }
    }
  }
}

function toRow(fields: readonly string[], value: object): Row {
  // Absent fields at the end are left out, so that a plain authorization pays nothing for them.
  let length = fields.length
  while (length > 0 && (value as Fields)[fields[length - 1] as string] === undefined) length--
  const row: Row = new Array(length)
  for (let i = 0; i < length; i++) row[i] = toCell(fields[i] as string, value as Fields)
  return row
}

function toCell(field: string, value: Fields): unknown {
  const part = value[field]
  if (typeof part !== 'object' || part === null) return part
  if (TEXTS.has(field)) return textOf(field, part, value)
  const nested = NESTED[field]
  return nested === undefined ? part : toRows(field, nested, part)
}

/** The text that its maker may have made already. */
function textOf(field: string, part: object, value: Fields): string {
  const made = field === 'request' ? value.requestText : undefined
  return typeof made === 'string' ? made : JSON.stringify(part)
}

function fromRow<T extends object>(fields: readonly string[], row: Row): T {
  const value: Record<string, unknown> = {}
  for (let i = 0; i < fields.length && i < row.length; i++) {
    const part = row[i]
    if (part !== undefined) value[fields[i] as string] = fromCell(fields[i] as string, part)
  }
  return value as T
}

/** A map is what an older version wrote. */
function fromCell(field: string, part: unknown): unknown {
  if (typeof part === 'string' && TEXTS.has(field)) return JSON.parse(part)
  const nested = NESTED[field]
  return nested === undefined || !Array.isArray(part) ? part : fromRows(field, nested, part as Row)
}

function toRows(field: string, nested: readonly string[], part: unknown): Row {
  if (field !== LIST) return toRow(nested, part as object)
  return (part as readonly object[]).map((one) => toRow(nested, one))
}

function fromRows(field: string, nested: readonly string[], part: Row): unknown {
  return field === LIST ? part.map((row) => fromRow(nested, row as Row)) : fromRow(nested, part)
}
