// What the directory keeps of one transaction: enough for every compare-and-set, and where in the
// log its records lie. The records themselves stay in the log.

import { Packr } from 'msgpackr'
import type { Delivery, Intent, Label, PaymentStep, QueuedMessage } from './transaction-store.ts'

/** A position that is not there (yet). */
export const NOWHERE = -1

/** One queued message of a transaction. */
export interface DeliveryEntry {
  readonly transaction: DirectoryEntry
  readonly step: QueuedMessage['step']
  /** Of the outcome or queued record that holds the message; NOWHERE until it is durable. */
  messageAt: number
  state: Delivery['state']
  sends: number
  lastResponseCode: string | null
  /** Listed as pending in the index. */
  isListed: boolean
}

/**
 * `claiming` until the claim is durable, `recording` while an outcome is on its way to the disk:
 * from then on no other outcome can win, and until it is durable nobody is told of it.
 */
export type Phase = 'claiming' | 'open' | 'recording' | 'recorded'

export class DirectoryEntry {
  readonly id: string
  readonly acquirer: string
  readonly idempotencyKey: string
  readonly fingerprint: Uint8Array
  readonly createdAtMs: number
  readonly rrn: string
  readonly cardToken: string
  /** The claim holds a sealed card. */
  readonly hasCard: boolean
  /** The authorization that this is a step of; null where it is one. */
  readonly paymentId: string | null
  /** Steps that followed this authorization, in their order. */
  stepIds: string[] = []
  /** The same with those that are not durable yet: the payment's version. */
  stepCount = 0
  phase: Phase = 'claiming'
  claimAt = NOWHERE
  /** Of the attempts after the intent's own. */
  attemptAts: number[] = []
  /** Attempts with those that are not durable yet. */
  attemptCount: number
  notSent = false
  outcomeAt = NOWHERE
  lateAts: number[] = []
  /** What became known of it; there are few, so they are kept here and not in the log alone. */
  labels: Label[] = []
  /** The same with those that are not durable yet. */
  labelsTaken: Label[] = []
  deliveries: DeliveryEntry[] = []
  /** The newest record that was applied. */
  lastAt = NOWHERE
  /** `lastAt` when the index got it. */
  savedAt = NOWHERE
  /** The oldest record that the index lacks. */
  changedAt = NOWHERE
  isChanged = false
  /** Its key, RRN and card are in the index. */
  isIndexed = false
  /** Listed as open in the index. */
  isListed = false
  /** Listed in the index as one with a dead letter. */
  hasDeadListed = false
  isResident = false
  /** Its records leave the log. */
  isGone = false
  /** Records on their way to the disk. */
  inFlight = 0

  constructor(
    intent: Omit<Intent, 'request' | 'kind' | 'attempt' | 'payment'> & {
      readonly payment?: Pick<PaymentStep, 'paymentId'>
    },
    hasCard: boolean,
  ) {
    this.id = intent.id
    this.acquirer = intent.acquirer
    this.idempotencyKey = intent.idempotencyKey
    this.fingerprint = intent.fingerprint
    this.createdAtMs = intent.createdAtMs
    this.rrn = intent.rrn
    this.cardToken = intent.cardToken
    this.hasCard = hasCard
    this.paymentId = intent.payment?.paymentId ?? null
    this.attemptCount = 0
  }

  delivery(step: QueuedMessage['step']): DeliveryEntry | undefined {
    return this.deliveries.find((delivery) => delivery.step === step)
  }

  addDelivery(step: QueuedMessage['step']): DeliveryEntry {
    const delivery: DeliveryEntry = {
      transaction: this,
      step,
      messageAt: NOWHERE,
      state: 'queued',
      sends: 0,
      lastResponseCode: null,
      isListed: false,
    }
    this.deliveries.push(delivery)
    return delivery
  }

  /** Takes a label before it is durable; false where it is taken already. */
  takeLabel(label: Label): boolean {
    if (has(this.labelsTaken, label)) return false
    this.labelsTaken.push(label)
    return true
  }

  applyLabel(label: Label): void {
    if (!has(this.labels, label)) this.labels.push(label)
    this.takeLabel(label)
  }

  /** Nothing will happen to it unless somebody asks: it may leave memory once the index has it. */
  get isQuiet(): boolean {
    if (this.phase !== 'recorded' || this.inFlight > 0 || this.savedAt !== this.lastAt) return false
    for (const { state } of this.deliveries) if (state === 'queued') return false
    return true
  }
}

function has(labels: readonly Label[], { kind, knownAtMs }: Label): boolean {
  return labels.some((one) => one.kind === kind && one.knownAtMs === knownAtMs)
}

const packr = new Packr({ useRecords: false, moreTypes: true, copyBuffers: true })

type EntryRow = [
  id: string,
  acquirer: string,
  idempotencyKey: string,
  fingerprint: Uint8Array,
  createdAtMs: number,
  rrn: string,
  cardToken: string,
  hasCard: boolean,
  claimAt: number,
  attemptAts: number[],
  attemptCount: number,
  notSent: boolean,
  outcomeAt: number,
  lateAts: number[],
  lastAt: number,
  deliveries: [
    step: QueuedMessage['step'],
    messageAt: number,
    state: Delivery['state'],
    sends: number,
    lastResponseCode: string | null,
  ][],
  // Absent in what an older version wrote.
  paymentId?: string | null,
  stepIds?: string[],
  labels?: [kind: Label['kind'], knownAtMs: number, recordedAtMs: number][],
]

/** The entry as the index keeps it: what is durable of it. */
export function encodeEntry(entry: DirectoryEntry): Uint8Array {
  const row: EntryRow = [
    entry.id,
    entry.acquirer,
    entry.idempotencyKey,
    entry.fingerprint,
    entry.createdAtMs,
    entry.rrn,
    entry.cardToken,
    entry.hasCard,
    entry.claimAt,
    entry.attemptAts,
    entry.attemptCount,
    entry.notSent,
    entry.outcomeAt,
    entry.lateAts,
    entry.lastAt,
    entry.deliveries
      .filter(({ messageAt }) => messageAt !== NOWHERE)
      .map(({ step, messageAt, state, sends, lastResponseCode }) => [
        step,
        messageAt,
        state,
        sends,
        lastResponseCode,
      ]),
    entry.paymentId,
    entry.stepIds,
    entry.labels.map(({ kind, knownAtMs, recordedAtMs }) => [kind, knownAtMs, recordedAtMs]),
  ]
  return packr.pack(row)
}

/** Throws where the bytes are no entry: the index is then thrown away. */
export function decodeEntry(bytes: Uint8Array): DirectoryEntry {
  const row = packr.unpack(bytes) as EntryRow
  const [id, acquirer, idempotencyKey, fingerprint, createdAtMs, rrn, cardToken, hasCard] = row
  const paymentId = row[16] ?? null
  const payment = paymentId === null ? {} : { payment: { paymentId } }
  const entry = new DirectoryEntry(
    { id, acquirer, idempotencyKey, fingerprint, createdAtMs, rrn, cardToken, ...payment },
    hasCard,
  )
  entry.stepIds = row[17] ?? []
  entry.stepCount = entry.stepIds.length
  entry.labels = (row[18] ?? []).map(([kind, knownAtMs, recordedAtMs]) => {
    return { transactionId: id, kind, knownAtMs, recordedAtMs }
  })
  entry.labelsTaken = [...entry.labels]
  entry.claimAt = row[8]
  entry.attemptAts = row[9]
  entry.attemptCount = row[10]
  entry.notSent = row[11]
  entry.outcomeAt = row[12]
  entry.lateAts = row[13]
  entry.lastAt = row[14]
  entry.savedAt = row[14]
  entry.phase = entry.outcomeAt === NOWHERE ? 'open' : 'recorded'
  entry.isIndexed = true
  for (const [step, messageAt, state, sends, lastResponseCode] of row[15]) {
    Object.assign(entry.addDelivery(step), { messageAt, state, sends, lastResponseCode })
  }
  return entry
}
