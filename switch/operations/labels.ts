// Labels come in: what transactions turned out to be, from whoever knows (chargebacks, the fraud
// desk). By id, or by RRN and acquirer; each item is answered by itself, and may be sent again.

import type { Clock } from '#scoring'
import {
  LABEL_KINDS,
  type LabelKind,
  type LabelResult,
  type TransactionStore,
} from '../store/index.ts'

/** One label as it is sent. */
export interface LabelItem {
  /** `auth_...`; or, where it is not known, the acquirer's id and its RRN. */
  readonly transaction:
    | { readonly id: string }
    | { readonly acquirer: string; readonly rrn: string }
  readonly kind: LabelKind
  /** When it became known, milliseconds since 1970; undefined: now. */
  readonly knownAtMs: number | undefined
}

export type LabelItemResult =
  | { readonly ok: true; readonly item: LabelItem }
  /** `problem` names the field and what it should be. */
  | { readonly ok: false; readonly problem: string }

/** What one item came to. Only `recorded` changed anything; `known` and `recorded` are both fine. */
export interface LabelAnswer {
  readonly result: LabelResult | 'ambiguous' | 'invalid'
  readonly id?: string
  readonly problem?: string
}

/** Items of one request: 200 of 150 bytes are half of what a body may have. */
export const LABELS_PER_REQUEST_MAX = 200

const FIELDS = ['id', 'acquirer', 'rrn', 'kind', 'knownAt']
const CHARACTERS_MAX = 64
/** As ids, acquirers and RRNs are. A NUL would make PostgreSQL refuse a whole batch. */
const TEXT = /^[ -~]+$/
/** Clocks differ; a label from further ahead is a mistake. */
const AHEAD_MS_MAX = 86_400_000

/**
 * Reads one item: `{id | acquirer + rrn, kind, knownAt?}`. `knownAt` is a date or a time as
 * 2026-11-22T10:00:00Z, up to a day ahead of `nowMs`.
 */
export function readLabelItem(value: unknown, nowMs: number): LabelItemResult {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return refuse('a label is an object: {"id": "auth_...", "kind": "chargeback"}')
  }
  const fields = value as Readonly<Record<string, unknown>>
  const unknown = Object.keys(fields).find((name) => !FIELDS.includes(name))
  if (unknown !== undefined) return refuse(`"${unknown}": a label has ${FIELDS.join(', ')}`)
  for (const [name, part] of Object.entries(fields)) {
    if (typeof part === 'string' && part.length <= CHARACTERS_MAX && TEXT.test(part)) continue
    return refuse(`"${name}" is a text of 1 to ${CHARACTERS_MAX} visible ASCII characters`)
  }
  const { id, acquirer, rrn, kind, knownAt } = fields as Readonly<Record<string, string>>
  const known = LABEL_KINDS.find((one) => one === kind)
  if (known === undefined) return refuse(`"kind" is one of ${LABEL_KINDS.join(', ')}`)
  const knownAtMs = knownAt === undefined ? undefined : timeOf(knownAt)
  if (Number.isNaN(knownAtMs)) {
    return refuse('"knownAt" is a date or a time: 2026-11-22 or 2026-11-22T10:00:00Z')
  }
  if ((knownAtMs ?? 0) > nowMs + AHEAD_MS_MAX) return refuse('"knownAt" is in the future')
  if (id !== undefined && rrn === undefined && acquirer === undefined) {
    return { ok: true, item: { transaction: { id }, kind: known, knownAtMs } }
  }
  if (id === undefined && rrn !== undefined && acquirer !== undefined) {
    return { ok: true, item: { transaction: { acquirer, rrn }, kind: known, knownAtMs } }
  }
  return refuse('a label names its transaction by "id", or by "acquirer" and "rrn"')
}

function refuse(problem: string): LabelItemResult {
  return { ok: false, problem }
}

/** A time with its zone, or a date (its midnight UTC). NaN where it is neither, or no such day. */
function timeOf(text: string): number {
  const date = /^(\d{4}-\d{2}-\d{2})(T\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:\d{2}))?$/.exec(
    text,
  )
  if (date === null) return Number.NaN
  const midnight = Date.parse(`${date[1]}T00:00:00Z`)
  // 30 February is read as 2 March.
  const isDay = new Date(midnight || 0).toISOString().slice(0, 10) === date[1]
  return isDay ? Date.parse(text) : Number.NaN
}

type LabelStore = Pick<TransactionStore, 'read' | 'findByRrn' | 'recordLabel'>

/** Records items; one answer each, in their order, all durable. Rejects with StoreFault. */
export function recordLabels(
  store: LabelStore,
  clock: Clock,
  items: readonly LabelItem[],
): Promise<readonly LabelAnswer[]> {
  // All at once, so that they share a flush.
  return Promise.all(items.map((item) => recordOne(store, clock.now(), item)))
}

async function recordOne(
  store: LabelStore,
  nowMs: number,
  { transaction, kind, knownAtMs }: LabelItem,
): Promise<LabelAnswer> {
  let id: string
  if ('id' in transaction) id = transaction.id
  else {
    const [found, second] = await store.findByRrn(transaction.acquirer, transaction.rrn, 2)
    if (found === undefined) return { result: 'unknown' }
    if (second !== undefined) {
      return { result: 'ambiguous', problem: 'several transactions have this RRN: name the id' }
    }
    id = found.intent.id
  }
  if (knownAtMs === undefined) {
    // Without a time the same again can only be told by its kind.
    const newest = (await store.read(id))?.labels.reduce(later, undefined)
    if (newest?.kind === kind) return { result: 'known', id }
  }
  const label = { transactionId: id, kind, knownAtMs: knownAtMs ?? nowMs, recordedAtMs: nowMs }
  return { result: await store.recordLabel(label), id }
}

type Newest = { readonly kind: LabelKind; readonly knownAtMs: number } | undefined

function later(newest: Newest, label: NonNullable<Newest>): NonNullable<Newest> {
  return newest === undefined || label.knownAtMs >= newest.knownAtMs ? label : newest
}
