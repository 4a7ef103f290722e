// Port: where claims, outcomes and queued messages are kept. Every method that promises durability
// resolves only after the bytes are on stable storage. One conformance suite for all adapters.

import type { Decision } from '#scoring'

/** A PAN with its expiry, AES-256-GCM. Erased (null in the attempt) after `panRetentionDays`. */
export interface SealedCard {
  readonly keyId: number
  readonly iv: Uint8Array
  /** Ciphertext, then the 16-byte tag. */
  readonly sealed: Uint8Array
}

/** One try at one issuer, in the numbers that we use toward it. All strings as on the wire. */
export interface Attempt {
  readonly issuer: string
  /** 0100 or 0200. */
  readonly mti: string
  readonly processingCode: string
  /** DE11, six digits. */
  readonly stan: string
  /** DE7, MMDDhhmmss (UTC). */
  readonly transmittedAt: string
  /** DE37, twelve characters. */
  readonly rrn: string
  /** DE32. */
  readonly acquiringInstitution: string
  readonly amount: number
  /** ISO 4217 numeric, three digits (DE49). */
  readonly currencyNumeric: string
  readonly terminalId: string
  readonly merchantId: string
  readonly merchantNameLocation: string
  readonly mcc: string
  readonly entryMode: string
  /** DE14 stays sealed with the PAN. */
  readonly card: SealedCard | null
  /** DE90 (n 42): the authorization that a refund or an increment belongs to. */
  readonly originalDataElements?: string
  /** DE25 of ISO 8583:1987 by the channel alone; older records have none. */
  readonly conditionCode?: string
  /** DE25 06 in 1987, DE24 101 from 1993 on. */
  readonly isPreauthorization?: true
  /** The first of its series, as its scheme names it: in DE48 or DE62 where there is a place. */
  readonly initialReference?: string
}

/** The request as it may be kept: no PAN, no CVV, no track; tokens and masks instead. */
export type StoredRequest = Readonly<Record<string, unknown>>

/** What an acquirer may do to a payment after its authorization. */
export const STEP_KINDS = ['capture', 'reversal', 'refund', 'increment'] as const
export type StepKind = (typeof STEP_KINDS)[number]

/** The kinds of work a claim can stand for; recovery (`switch/recover.ts`) treats each its way. */
export type IntentKind = 'financial' | 'inquiry' | 'advice' | StepKind

/** Which step of which payment a transaction is. */
export interface PaymentStep {
  /** The authorization's id. */
  readonly paymentId: string
  /** 1 for the first step after the authorization: compared and set when the step is claimed. */
  readonly version: number
}

export interface Intent {
  /** `auth_` (or `adv_`, `cap_`, `rev_`, `ref_`, `inc_`) and a ULID: sorts by time. */
  readonly id: string
  readonly kind: IntentKind
  readonly acquirer: string
  readonly idempotencyKey: string
  /** Keyed HMAC-SHA-256 of path and normalized fields, 32 bytes. */
  readonly fingerprint: Uint8Array
  /** Milliseconds since 1970. */
  readonly createdAtMs: number
  /** The acquirer's RRN, or ours where it sent none: GET ?rrn= finds it. */
  readonly rrn: string
  readonly cardToken: string
  readonly request: StoredRequest
  /** `request` as JSON, where its maker has it: written as it is. What is read back lacks it. */
  readonly requestText?: string
  /** Null where nothing is asked: no route exists, or the step needs no issuer's word. */
  readonly attempt: Attempt | null
  /** Absent for an authorization, which begins its payment. */
  readonly payment?: PaymentStep
}

/** Who owns an open claim. Filled in by the store. */
export interface Ownership {
  readonly owner: string
  readonly leaseEpoch: number
}

/** Why an outcome is what it is. */
export type OutcomeCause =
  | 'issuer'
  | 'risk'
  | 'no_route'
  | 'issuer_timeout'
  /** The link broke with the request on its way or out. */
  | 'connection_lost'
  | 'issuer_unreachable'
  | 'issuer_fault'
  | 'recovery'
  | 'partial_not_supported'
  /** The acquirer reversed it before the issuer had answered. */
  | 'acquirer_reversal'
  /** A capture, a reversal or an advice: the issuer is told, not asked. */
  | 'accepted'
  /** The switch answered for its issuer, within the issuer's policy. */
  | 'stand_in'

/** An advice or reversal that must reach an issuer; its wire numbers never change once queued. */
export interface QueuedMessage {
  /** `(transaction, step)`: at most one entry for each. */
  readonly transactionId: string
  /**
   * `fail_over` reverses the attempt that followed a reversed one; `advice` tells what was decided
   * without the issuer.
   */
  readonly step: 'authorization' | 'fail_over' | 'advice' | StepKind
  readonly issuer: string
  /**
   * 0420 reversal, 0220 capture, told refund or financial advice, 0120 authorization advice;
   * repeats go out as 0421, 0221 and 0121.
   */
  readonly mti: '0420' | '0220' | '0120'
  readonly stan: string
  readonly transmittedAt: string
  readonly rrn: string
  /**
   * What is reversed or captured, in the numbers we sent (DE90 is made of it). Of an `advice`: what
   * it tells; the advice has numbers of its own, and what follows names those.
   */
  readonly original: Attempt
  readonly cause:
    | 'timeout'
    | 'recovery'
    | 'late_approval'
    | 'partial_not_supported'
    | 'acquirer'
    | 'capture'
    | 'refund'
    | 'stand_in'
    | 'advice'
  readonly queuedAtMs: number
  /** DE4 where it is not the original's: what is captured or given back, or all that is held. */
  readonly amount?: number
  /** DE95 of a partial reversal: what stands after it. */
  readonly replacementAmount?: number
  /** DE38 of the authorization that is captured or told. */
  readonly approvalCode?: string
  /** DE39 of an `advice`: what was answered without the issuer. */
  readonly responseCode?: string
  /** Why an `advice` was not a request: a message reason code of ISO 8583:1993, four digits. */
  readonly reasonCode?: string
  /** DE3 where it is not the original's: of a refund that is told. */
  readonly processingCode?: string
}

export type DeliveryState = 'queued' | 'acknowledged' | 'dead'

/** A queued message with how its delivery stands. */
export interface Delivery {
  readonly message: QueuedMessage
  readonly state: DeliveryState
  /** Times it was sent while the link was up. */
  readonly sends: number
  /** DE39 of the last answer. */
  readonly lastResponseCode: string | null
}

/** The end of an authorization: durable before it is answered, and never changed. */
export interface Outcome {
  readonly id: string
  readonly recordedAtMs: number
  readonly outcome: 'approved' | 'declined' | 'challenged'
  readonly responseCode: string
  readonly cause: OutcomeCause
  readonly issuerResponseCode: string | null
  /** The body of the answer to the acquirer, kept so that every retry gets the same bytes. */
  readonly answer: Readonly<Record<string, unknown>>
  readonly decision: Decision | null
  /** Queued in the same store transaction. */
  readonly reversal: QueuedMessage | null
  /** An advice, queued in the same store transaction, behind the reversal where there is one. */
  readonly advice?: QueuedMessage
  /** Moved in the same store transaction; `recordStandIn` only. */
  readonly standIn?: readonly StandInMove[]
}

/**
 * Whether a message is an original itself, whose own numbers later ones name: an advice, or a
 * refund that is told. A capture and a reversal are about another one.
 */
export function isToldOfItself({ step, mti }: Pick<QueuedMessage, 'step' | 'mti'>): boolean {
  return step === 'advice' || (step === 'refund' && mti === '0220')
}

/** What an outcome has the issuer told, in the order in which it must hear it. */
export function queuedBy({ reversal, advice }: Outcome): readonly QueuedMessage[] {
  const messages: QueuedMessage[] = []
  if (reversal !== null) messages.push(reversal)
  if (advice !== undefined) messages.push(advice)
  return messages
}

/**
 * What one stood-in approval adds to one counter: 1 to its count and `amount` to its sum. A counter
 * belongs to its window; one that has none in this window begins at zero.
 */
export interface StandInMove {
  /** Names issuer, kind and token or BIN; never a PAN. */
  readonly counter: string
  /** Milliseconds since 1970: windows that end at different times count apart. */
  readonly windowEndMs: number
  /** Integer minor units. */
  readonly amount: number
  /** Neither count nor sum may pass its limit by the move. */
  readonly countMax: number
  readonly sumMax: number
}

/** An issuer's answer after the outcome: recorded, changes nothing. */
export interface LateAnswer {
  readonly transactionId: string
  readonly at: number
  readonly issuer: string
  readonly responseCode: string
  readonly approved: boolean
}

/**
 * What a transaction turned out to be. `chargeback` and `confirmed_fraud` are fraud; `dispute` (a
 * chargeback about the goods, not about who paid) and `genuine` are not.
 */
export const LABEL_KINDS = ['chargeback', 'confirmed_fraud', 'dispute', 'genuine'] as const
export type LabelKind = (typeof LABEL_KINDS)[number]

/** The truth about a transaction, which arrives later. The one that was known last counts. */
export interface Label {
  readonly transactionId: string
  readonly kind: LabelKind
  /** When it became known, milliseconds since 1970: a backtest may not know it earlier. */
  readonly knownAtMs: number
  readonly recordedAtMs: number
}

/**
 * `known`: one of this kind and time was there; `unknown`: no such transaction; `too_many`: it has
 * as many as a transaction may have. Only `recorded` stored anything.
 */
export type LabelResult = 'recorded' | 'known' | 'unknown' | 'too_many'

export interface Transaction {
  readonly intent: Intent
  readonly ownership: Ownership
  /** The intent's own attempt first, then those of fail-over. */
  readonly attempts: readonly Attempt[]
  /** The record says that the (last) attempt's write was refused: certainly not sent. */
  readonly notSent: boolean
  readonly outcome: Outcome | null
  readonly deliveries: readonly Delivery[]
  readonly lateAnswers: readonly LateAnswer[]
  /** Ids of the steps that followed an authorization, in their order; empty for a step itself. */
  readonly steps: readonly string[]
  /** In the order in which they were recorded. */
  readonly labels: readonly Label[]
}

/** What is known of an idempotency key. */
export interface KeyEntry {
  readonly transactionId: string
  readonly fingerprint: Uint8Array
  readonly state: 'open' | 'recorded'
}

/**
 * Whether a key was taken by a reversal that came before its original: whatever comes with it is
 * answered from that tombstone. No request's fingerprint, a keyed HMAC, is all zeros.
 */
export function isTombstone({ fingerprint }: Pick<KeyEntry, 'fingerprint'>): boolean {
  return fingerprint.every((byte) => byte === 0)
}

export type ClaimResult =
  | { readonly kind: 'claimed' }
  /** Another claim holds the key: nothing was stored. */
  | { readonly kind: 'existing'; readonly entry: KeyEntry }
  /** Another step of the payment came first or still runs: read it again. Nothing was stored. */
  | { readonly kind: 'stale' }

export interface StoreStatus {
  /** False after the first failed or late flush, for ever: stop after drain, never retry. */
  readonly writable: boolean
  /** Why not writable, for /readyz and the log. */
  readonly fault: string | null
  readonly openClaims: number
  readonly queuedDeliveries: number
  readonly bytes: number
  readonly segments: number
  /** Room on the disk; null or absent where nobody can say. */
  readonly freeBytes?: number | null
  /** So little of it is left that nothing more should be let in. */
  readonly isRoomLow?: boolean
}

/** A write could not be made durable; whether it is on disk is unknown. */
export class StoreFault extends Error {
  override readonly name = 'StoreFault'
  readonly code = 'store_fault'
}

/**
 * Whether what was thrown is the world's fault (a disk, a database, a key file) and not a bug: the
 * system's own errors and ours have a `code`. Anything else goes up and ends the process.
 */
export function isOperatingError(error: unknown): error is Error & { readonly code: string } {
  return error instanceof Error && typeof (error as NodeJS.ErrnoException).code === 'string'
}

/** What other processes on the same store have to do with this one. */
export interface StoreSharing {
  /** STANs toward every issuer that only this process draws: both included. */
  readonly traceSlot: { readonly first: number; readonly last: number }
  /**
   * Whether this process's lease outlives so many milliseconds from now, by the monotonic clock:
   * nothing may be sent to an issuer whose answer is awaited for longer.
   */
  leaseOutlives(durationMs: number): boolean
  /** Whether it is this process that sends what is queued for the issuer. */
  ownsLane(issuer: string): boolean
  /**
   * Whether anything about that original is queued, by any process, that its issuer has not heard:
   * a reversal answered 25 was. Rejects as reads do.
   */
  isUnheard(original: Attempt): Promise<boolean>
  /** Says from now on what comes over from others. Once. */
  watch(events: SharingEvents): void
}

export interface SharingEvents {
  /** Open claims of a process that has ended: this one's now, to be recovered. */
  onAdopted(transactions: readonly Transaction[]): void
  /** Nobody else sends what is queued for these issuers any more. */
  onLanesTaken(issuers: readonly string[]): void
  /** Queued for a lane of this process, by any process; some come twice. */
  onQueued(deliveries: readonly Delivery[]): void
}

/**
 * What reads (`read`, `findByRrn`, `findCard` and the lists of recovery) reject with has a `code`:
 * the disk's own error (EIO), LogDamage, or StoreFault: it took too long, or `close` was called.
 */
export interface TransactionStore {
  /**
   * Synchronous: what this process knows of a key that is younger than `keyRetentionMs`. Throws
   * StoreFault once `close` was called.
   */
  findKey(acquirer: string, idempotencyKey: string): KeyEntry | undefined
  /** The same of what any process knows. Rejects as reads do. */
  lookUpKey(acquirer: string, idempotencyKey: string): Promise<KeyEntry | undefined>
  /**
   * The same of keys that begin with `prefix` and go on for at most KEY_TAIL_CHARACTERS_MAX further
   * characters; `limit` at most. Of keys with a space in them, and by KEY_HEAD_CHARACTERS at least.
   */
  lookUpKeys(acquirer: string, prefix: string, limit: number): Promise<readonly KeyEntry[]>
  /**
   * Makes the intent durable. The key is taken before this returns, so that a second claim of it in
   * the same tick is `existing`. Rejects with StoreFault.
   */
  claim(intent: Intent): Promise<ClaimResult>
  /**
   * Claim and outcome in one record: a step that needs nobody's answer is never open. Resolves
   * once durable. The key and the payment's version are taken before this returns.
   */
  accept(intent: Intent, outcome: Outcome): Promise<ClaimResult>
  /**
   * A further attempt, durable before its bytes may leave. False: the outcome is being recorded or
   * recorded already, so nothing was stored and no bytes may leave.
   */
  addAttempt(transactionId: string, attempt: Attempt): Promise<boolean>
  /**
   * Says that the last attempt's bytes certainly did not leave. Changes nothing where the outcome
   * is being recorded or recorded already.
   */
  markNotSent(transactionId: string): Promise<void>
  /**
   * Compare-and-set from open. Resolves with what is recorded once durable: this outcome, or the
   * one that was there first (then this one, its reversal included, is dropped). Rejects with
   * StoreFault.
   */
  record(outcome: Outcome): Promise<Outcome>
  /**
   * `record` for an approval in the issuer's place: its counters (`outcome.standIn`) are checked and
   * moved in the same store transaction, one after another among all processes. `over_limit`: one of
   * them would pass its limit, so nothing was stored or moved, and the transaction is open as
   * before. Where another outcome came first nothing is moved either.
   */
  recordStandIn(outcome: Outcome): Promise<Outcome | 'over_limit'>
  recordLateAnswer(answer: LateAnswer): Promise<void>
  /**
   * What became known of a transaction; durable when resolved, also where it is `known`. Calls of
   * one tick share a flush. Rejects with StoreFault.
   */
  recordLabel(label: Label): Promise<LabelResult>
  /** A reversal on its own (a late approval recorded without one). False: it was there already. */
  queue(message: QueuedMessage): Promise<boolean>
  /** How a delivery went on. Durable when resolved. */
  updateDelivery(
    transactionId: string,
    step: QueuedMessage['step'],
    change: {
      readonly state: DeliveryState
      readonly sends: number
      readonly lastResponseCode: string | null
    },
  ): Promise<void>
  read(transactionId: string): Promise<Transaction | undefined>
  /** Newest first, at most `limit`. */
  findByRrn(acquirer: string, rrn: string, limit: number): Promise<readonly Transaction[]>
  /** The newest sealed card behind a token of this acquirer. */
  findCard(acquirer: string, cardToken: string): Promise<SealedCard | undefined>
  /** Claims without outcome that no other process works on, oldest first; for recovery at start. */
  openTransactions(): Promise<readonly Transaction[]>
  /** Deliveries not yet acknowledged or dead, oldest first. */
  pendingDeliveries(): Promise<readonly Delivery[]>
  /** Approvals among the late answers to transactions that have a pending delivery. */
  pendingLateApprovals(): Promise<readonly LateAnswer[]>
  /** Dead deliveries by issuer; issuers without one are absent. */
  deadLetters(): Promise<ReadonlyMap<string, number>>
  /** The last STAN drawn toward an issuer, by its newest attempt or queued message, or '000000'. */
  lastStan(issuer: string): string
  readonly ownership: Ownership
  readonly status: StoreStatus
  /** Absent where the store is for one process. */
  readonly sharing?: StoreSharing
  /** Flushes, waits for the reads under way and closes. Afterwards all that is asked rejects. */
  close(): Promise<void>
}
