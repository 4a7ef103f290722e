// The store of many processes: PostgreSQL is the truth. A write goes into the next batch and is
// decided by the database, where other processes write too; what this process knows by itself are
// the keys that it took, so that a second request for one of them does not even leave.

import type { Clock, Timers } from '../../ports.ts'
import type { Flush } from '../group-commit.ts'
import {
  type Attempt,
  type ClaimResult,
  type Delivery,
  type Intent,
  type KeyEntry,
  type Label,
  type LabelResult,
  type LateAnswer,
  type Outcome,
  type Ownership,
  type QueuedMessage,
  queuedBy,
  type SealedCard,
  type SharingEvents,
  StoreFault,
  type StoreSharing,
  type StoreStatus,
  type Transaction,
  type TransactionStore,
} from '../transaction-store.ts'
import { type Batch, EXCEPTION, type Exceptions, originalOf, RULE } from './batch.ts'
import { BatchCommit, STAGE, type Write } from './batch-commit.ts'
import { type Database, DatabaseError } from './database.ts'
import { KnownKeys, placeOf } from './known-keys.ts'
import { LanePoll } from './lane-poll.ts'
import { type Kept, Lease } from './lease.ts'
import type { PostgresLimits } from './limits.ts'
import type { Reader } from './reader.ts'
import type { SteadySession } from './steady-session.ts'
import type { TraceMarks } from './trace-marks.ts'
import { type SharedRetention, Upkeep, type UpkeepDone } from './upkeep.ts'

export interface PostgresStoreOptions {
  readonly database: Database
  readonly clock: Clock
  readonly timers: Timers
  /** Who claims: a name that no process had before. */
  readonly owner: string
  readonly keyRetentionMs: number
  /** Issuers that this process has links to: it takes their lanes where nobody has them. */
  readonly issuers: readonly string[]
  readonly limits?: Partial<PostgresLimits>
  /** Asked before anything is written: what the database keeps of its first keys. */
  readonly checkKeys?: (
    known: string | undefined,
  ) => { readonly ok: true; readonly note: string | null } | KeyProblem
  /** What is kept, and for how long; absent: everything, for ever. */
  readonly retention?: SharedRetention
  readonly onTended?: (done: UpkeepDone) => void
  /** It is tried again an hour later. */
  readonly onTendFailed?: (reason: string) => void
  readonly onFlush?: (flush: Flush) => void
  /** Once, when writing has ended for ever. */
  readonly onFault?: (reason: string) => void
}

export interface KeyProblem {
  readonly ok: false
  readonly problem: string
}

/** What `openPostgresStore` made before there was a store. */
export interface PostgresParts {
  readonly options: PostgresStoreOptions
  readonly limits: PostgresLimits
  readonly commitSession: SteadySession
  readonly keeper: Reader
  /** For the upkeep: its statements may take longer than a lease should wait. */
  readonly tender: Reader
  readonly sessions: readonly SteadySession[]
  readonly reader: Reader
  readonly ownership: Ownership
  readonly slot: number
  readonly marks: TraceMarks
}

const CLAIMED: ClaimResult = { kind: 'claimed' }
const STALE: ClaimResult = { kind: 'stale' }
const CLOSED = 'the store is closed'

export class PostgresStore implements TransactionStore {
  readonly ownership: Ownership
  readonly sharing: StoreSharing
  readonly #parts: PostgresParts
  readonly #commit: BatchCommit
  readonly #reader: Reader
  readonly #lease: Lease
  readonly #lanes: LanePoll
  readonly #upkeep: Upkeep
  readonly #keys: KnownKeys
  readonly #marks: TraceMarks
  /** Claims of this process without outcome, taken over ones too. */
  readonly #open = new Set<string>()
  /** Claims that the database has not decided, by their keys. */
  readonly #claims = new Map<string, Promise<void>>()
  /** Queued messages that this process knows of, by transaction and step. */
  readonly #queued = new Set<string>()
  /** Deliveries that are being ended, and those that ended since the last look at the lanes. */
  readonly #settling = new Set<string>()
  readonly #settled = new Set<string>()
  #events: SharingEvents | undefined
  #mustCompare = false
  #closing: Promise<void> | undefined

  constructor(parts: PostgresParts) {
    const { options, limits, ownership } = parts
    const { clock, timers, owner, keyRetentionMs } = options
    const { leaseEpoch } = ownership
    this.ownership = ownership
    this.#parts = parts
    this.#reader = parts.reader
    this.#marks = parts.marks
    this.#keys = new KnownKeys(limits.knownKeysMax)
    const onFault = (reason: string) => options.onFault?.(reason)
    this.#commit = new BatchCommit({
      ...{ session: parts.commitSession, owner, leaseEpoch, slot: parts.slot },
      ...{ keyRetentionMs, clock, timers, limits, onFault },
      ...(options.onFlush === undefined ? {} : { onFlush: options.onFlush }),
    })
    this.#lease = new Lease({
      ...{ reader: parts.keeper, owner, leaseEpoch, clock, timers, limits },
      issuers: options.issuers,
      onKept: (kept) => void this.#afterRenewal(kept),
      onLost: (reason) => this.#commit.fail(reason),
    })
    this.#lanes = new LanePoll({
      ...{ reader: parts.keeper, lease: this.#lease, timers, limits },
      onLook: () => this.#settled.clear(),
      onQueued: (deliveries) => this.#tellQueued(deliveries),
    })
    this.#upkeep = new Upkeep({
      ...{ reader: parts.tender, lease: [owner, leaseEpoch], clock, timers, limits },
      ...{ keyRetentionMs, retention: options.retention },
      onDone: (done) => options.onTended?.(done),
      onFailed: (reason) => options.onTendFailed?.(reason),
    })
    this.sharing = {
      traceSlot: parts.marks.slot,
      leaseOutlives: (durationMs) => this.#commit.isOpen && this.#lease.outlives(durationMs),
      ownsLane: (issuer) => this.#lease.ownsLane(issuer),
      isUnheard: (original) =>
        this.#read((reader) => reader.isUnheard(original.issuer, originalOf({ original }))),
      watch: (events) => this.#watch(events),
    }
  }

  /** Takes what ended processes left; before anything is written. Rejects with DatabaseError. */
  async begin(): Promise<void> {
    await this.#lease.renew()
    for (const id of await this.#reader.openIdsOf(this.ownership.owner)) this.#open.add(id)
    await this.#lanes.begin()
    for (const { message } of await this.#reader.pending()) this.#queued.add(deliveryKey(message))
    this.#lease.keep()
    this.#upkeep.start()
  }

  /** Drops, erases and seals anew what is due, at once. Rejects with DatabaseError. */
  tend(): Promise<void> {
    return this.#upkeep.run()
  }

  get status(): StoreStatus {
    const { fault, interruption, isOpen } = this.#commit
    const isLeaseShort = !this.#lease.isValid
    const shortness = isLeaseShort ? (this.#lease.problem ?? 'the lease ran out') : null
    // The lanes are looked at far more often than the lease is renewed.
    const problem = interruption ?? this.#lanes.problem ?? shortness
    const why = fault?.message ?? (problem === null ? null : `no database: ${problem}`)
    return {
      writable: isOpen && why === null,
      fault: why,
      openClaims: this.#open.size,
      queuedDeliveries: this.#queued.size,
      bytes: 0,
      segments: 0,
    }
  }

  findKey(acquirer: string, idempotencyKey: string): KeyEntry | undefined {
    if (this.#closing !== undefined) throw new StoreFault(CLOSED)
    const known = this.#keys.find(acquirer, idempotencyKey)
    if (known === undefined) return undefined
    return this.#isKept(known.entry, known.createdAtMs) ? known.entry : undefined
  }

  async lookUpKey(acquirer: string, idempotencyKey: string): Promise<KeyEntry | undefined> {
    // A claim of ours that another process was faster than names a transaction that never was.
    const place = placeOf(acquirer, idempotencyKey)
    for (let claim = this.#claims.get(place); claim; claim = this.#claims.get(place)) await claim
    const known = this.findKey(acquirer, idempotencyKey)
    if (known !== undefined) return known
    const found = await this.#read((reader) => reader.findKey(acquirer, idempotencyKey))
    if (found === undefined) return undefined
    return this.#isKept(found.entry, found.createdAtMs) ? found.entry : undefined
  }

  async lookUpKeys(acquirer: string, prefix: string, limit: number): Promise<readonly KeyEntry[]> {
    const found = await this.#read((reader) => reader.findKeys(acquirer, prefix, limit))
    return found.flatMap(({ entry, createdAtMs }) =>
      this.#isKept(entry, createdAtMs) ? [entry] : [],
    )
  }

  /** An open claim is found at any age: its issuer may still approve it. */
  #isKept({ state }: KeyEntry, createdAtMs: number): boolean {
    const { clock, keyRetentionMs } = this.#parts.options
    return state === 'open' || clock.now() - createdAtMs <= keyRetentionMs
  }

  claim(intent: Intent): Promise<ClaimResult> {
    return this.#take(intent, null)
  }

  async accept(intent: Intent, outcome: Outcome): Promise<ClaimResult> {
    const isOwn = queuedBy(outcome).every(({ transactionId }) => transactionId === intent.id)
    if (!isOwn || outcome.id !== intent.id)
      throw new Error(`what ${intent.id} is accepted with names another transaction`)
    return this.#take(intent, outcome)
  }

  async #take(intent: Intent, outcome: Outcome | null): Promise<ClaimResult> {
    this.#mustBeOpen()
    const { acquirer, idempotencyKey } = intent
    const place = placeOf(acquirer, idempotencyKey)
    const before = this.#claims.get(place)
    if (before !== undefined) {
      await before
      return this.#take(intent, outcome)
    }
    const known = this.findKey(acquirer, idempotencyKey)
    if (known !== undefined) return { kind: 'existing', entry: known }
    this.#keys.take(intent)
    if (outcome === null) this.#open.add(intent.id)
    try {
      const code = await this.#decide(place, intent, outcome)
      if (code === undefined) {
        if (outcome !== null) {
          this.#keys.recorded(intent.id)
          for (const message of queuedBy(outcome)) this.#queued.add(deliveryKey(message))
        }
        return CLAIMED
      }
      this.#open.delete(intent.id)
      if (code === EXCEPTION.stale) return STALE
    } catch (error) {
      this.#open.delete(intent.id)
      throw error
    }
    const found = await this.#read((reader) => reader.findKey(acquirer, idempotencyKey))
    // The claim that was in the way may have been too old a moment later.
    if (found === undefined) return this.#take(intent, outcome)
    return { kind: 'existing', entry: found.entry }
  }

  /** Writes the claim; until the database has decided, nobody is told who has the key. */
  async #decide(
    place: string,
    intent: Intent,
    outcome: Outcome | null,
  ): Promise<number | undefined> {
    const written = this.#write({
      subjects: subjectsOf(intent),
      stage: STAGE.claim,
      add: (batch) => this.#addClaim(batch, intent, outcome),
    })
    // Decided only once the key is forgotten where it was lost, which whoever awaits this does.
    const isDecided = written.then(
      (code) => {
        if (code !== undefined) this.#keys.forget(intent.id)
      },
      () => undefined,
    )
    this.#claims.set(place, isDecided)
    try {
      return await written
    } finally {
      this.#claims.delete(place)
    }
  }

  #addClaim(batch: Batch, intent: Intent, outcome: Outcome | null): number {
    const op = batch.claim(intent, this.ownership, outcome === null)
    if (intent.attempt !== null) this.#note(batch, intent.attempt)
    if (outcome === null) return op
    batch.record(intent.id, RULE.accepted, { kind: 'outcome', outcome }, op)
    for (const message of queuedBy(outcome)) {
      batch.message(message, op)
      this.#note(batch, message)
    }
    return op
  }

  async addAttempt(transactionId: string, attempt: Attempt): Promise<boolean> {
    this.#mustBeOpen()
    const code = await this.#write({
      subjects: [transactionId],
      stage: STAGE.attempt,
      add: (batch) => {
        this.#note(batch, attempt)
        return batch.record(transactionId, RULE.open, { kind: 'attempt', transactionId, attempt })
      },
    })
    if (code === EXCEPTION.unknown) throw neverClaimed(transactionId)
    return code === undefined
  }

  async markNotSent(transactionId: string): Promise<void> {
    this.#mustBeOpen()
    const code = await this.#write({
      subjects: [transactionId],
      stage: STAGE.notSent,
      add: (batch) => {
        return batch.record(transactionId, RULE.open, { kind: 'not_sent', transactionId })
      },
    })
    if (code === EXCEPTION.unknown) throw neverClaimed(transactionId)
  }

  async record(outcome: Outcome): Promise<Outcome> {
    if (outcome.standIn !== undefined) throw new Error(`${outcome.id} stands in: recordStandIn`)
    return (await this.#recordFirst(outcome)) as Outcome
  }

  async recordStandIn(outcome: Outcome): Promise<Outcome | 'over_limit'> {
    if (outcome.standIn === undefined) throw new Error(`${outcome.id} moves no stand-in counter`)
    return this.#recordFirst(outcome)
  }

  async #recordFirst(outcome: Outcome): Promise<Outcome | 'over_limit'> {
    this.#mustBeOpen()
    const { id, reversal } = outcome
    for (const { transactionId, step } of queuedBy(outcome)) {
      if (transactionId === id) continue
      throw new Error(`the ${step} message of ${id} names ${transactionId}`)
    }
    let queuedAt: readonly number[] = []
    let isQueuedBefore = false
    const write = {
      subjects: [id],
      stage: STAGE.outcome,
      add: (batch: Batch) => {
        const op = batch.record(id, RULE.outcome, { kind: 'outcome', outcome })
        queuedAt = queuedBy(outcome).map((message) => {
          this.#note(batch, message)
          return batch.message(message, op)
        })
        for (const move of outcome.standIn ?? []) batch.move(move, op)
        return op
      },
    }
    const code = await this.#write(write, (exceptions) => {
      const [first] = queuedAt
      isQueuedBefore = first !== undefined && exceptions.get(first) === EXCEPTION.queued
    })
    if (code === EXCEPTION.overLimit) return 'over_limit'
    if (code === EXCEPTION.unknown) throw neverClaimed(id)
    this.#open.delete(id)
    this.#keys.recorded(id)
    if (code === EXCEPTION.decided) return this.#recordedOf(id)
    for (const message of queuedBy(outcome)) this.#queued.add(deliveryKey(message))
    return reversal !== null && isQueuedBefore ? { ...outcome, reversal: null } : outcome
  }

  async #recordedOf(id: string): Promise<Outcome> {
    const outcome = (await this.#read((reader) => reader.read(id)))?.outcome
    if (!outcome) throw new Error(`${id} is closed and has no outcome`)
    return outcome
  }

  async recordLateAnswer(answer: LateAnswer): Promise<void> {
    this.#mustBeOpen()
    const { transactionId } = answer
    const code = await this.#write({
      subjects: [transactionId],
      stage: STAGE.late,
      add: (batch) => batch.record(transactionId, RULE.known, { kind: 'late_answer', answer }),
    })
    if (code === EXCEPTION.unknown) throw neverClaimed(transactionId)
  }

  async recordLabel(label: Label): Promise<LabelResult> {
    this.#mustBeOpen()
    const code = await this.#write({
      subjects: [label.transactionId],
      stage: STAGE.label,
      add: (batch) => batch.label(label),
    })
    if (code === EXCEPTION.known) return 'known'
    if (code === EXCEPTION.tooMany) return 'too_many'
    return code === EXCEPTION.unknown ? 'unknown' : 'recorded'
  }

  async queue(message: QueuedMessage): Promise<boolean> {
    this.#mustBeOpen()
    const code = await this.#write({
      subjects: [message.transactionId],
      stage: STAGE.queue,
      add: (batch) => {
        this.#note(batch, message)
        return batch.message(message)
      },
    })
    if (code === EXCEPTION.unknown) throw neverClaimed(message.transactionId)
    if (code === undefined) this.#queued.add(deliveryKey(message))
    return code === undefined
  }

  async updateDelivery(
    transactionId: string,
    step: QueuedMessage['step'],
    change: Pick<Delivery, 'state' | 'sends' | 'lastResponseCode'>,
  ): Promise<void> {
    this.#mustBeOpen()
    const key = deliveryKey({ transactionId, step })
    const isEnd = change.state !== 'queued'
    if (isEnd) this.#settling.add(key)
    const code = await this.#write({
      subjects: [transactionId],
      stage: STAGE.delivery,
      add: (batch) => batch.updateDelivery(transactionId, step, change),
    })
    if (isEnd) {
      this.#settling.delete(key)
      this.#settled.add(key)
    }
    if (code === EXCEPTION.unknown) throw new Error(`${transactionId} has no ${step} delivery`)
    if (code === EXCEPTION.acknowledged) {
      throw new Error(`the ${step} delivery of ${transactionId} is acknowledged`)
    }
    if (change.state === 'queued') this.#queued.add(key)
    else this.#queued.delete(key)
  }

  async read(transactionId: string): Promise<Transaction | undefined> {
    return this.#read((reader) => reader.read(transactionId))
  }

  async findByRrn(acquirer: string, rrn: string, limit: number): Promise<readonly Transaction[]> {
    return this.#read((reader) => reader.findByRrn(acquirer, rrn, limit))
  }

  async findCard(acquirer: string, cardToken: string): Promise<SealedCard | undefined> {
    return this.#read((reader) => reader.findCard(acquirer, cardToken))
  }

  async openTransactions(): Promise<readonly Transaction[]> {
    return this.#read(async (reader) =>
      reader.readAll(await reader.openIdsOf(this.ownership.owner)),
    )
  }

  async pendingDeliveries(): Promise<readonly Delivery[]> {
    return this.#read((reader) => reader.pending())
  }

  async pendingLateApprovals(): Promise<readonly LateAnswer[]> {
    return this.#read((reader) => reader.pendingLateApprovals())
  }

  async deadLetters(): Promise<ReadonlyMap<string, number>> {
    return this.#read((reader) => reader.deadLetters())
  }

  lastStan(issuer: string): string {
    return this.#marks.last(issuer)
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.#lanes.stop()
    this.#upkeep.stop()
    await this.#commit.close()
    await this.#lease.stop()
    if (this.#commit.fault === null) await this.#release()
    await Promise.all(this.#parts.sessions.map((session) => session.close()))
  }

  /** Others take over at once; where that fails, when the lease has run out. */
  async #release(): Promise<void> {
    const { owner, leaseEpoch } = this.ownership
    await this.#parts.keeper.query(END_LEASE, [owner, leaseEpoch]).catch(() => {})
  }

  #watch(events: SharingEvents): void {
    this.#events = events
    this.#lanes.start()
  }

  /** A look that began before a delivery ended may still show it as queued. */
  #tellQueued(deliveries: readonly Delivery[]): void {
    const queued = deliveries.filter(({ message }) => {
      const key = deliveryKey(message)
      return !this.#settling.has(key) && !this.#settled.has(key)
    })
    for (const { message } of queued) this.#queued.add(deliveryKey(message))
    this.#events?.onQueued(queued)
  }

  async #afterRenewal({ mayHaveAdopted, lanesTaken }: Kept): Promise<void> {
    if (lanesTaken.length > 0) this.#events?.onLanesTaken(lanesTaken)
    try {
      if (mayHaveAdopted || this.#mustCompare) await this.#adopt()
      this.#mustCompare = false
    } catch (error) {
      if (!(error instanceof DatabaseError)) throw error
      // Adopted, and not read: the next renewal looks again.
      this.#mustCompare = true
    }
  }

  /** What the database says is ours, and nobody here works on: left by an ended process. */
  async #adopt(): Promise<void> {
    const ids = (await this.#reader.openIdsOf(this.ownership.owner)).filter(
      (id) => !this.#open.has(id),
    )
    const orphans = (await this.#reader.readAll(ids)).filter(({ outcome }) => outcome === null)
    for (const { intent } of orphans) this.#open.add(intent.id)
    if (orphans.length > 0) this.#events?.onAdopted(orphans)
  }

  #mustBeOpen(): void {
    if (this.#commit.isOpen && this.#closing === undefined) return
    throw this.#commit.fault ?? new StoreFault(CLOSED)
  }

  /** A read that the database does not answer is a fault of the store, as of a disk. */
  async #read<T>(ask: (reader: Reader) => Promise<T>): Promise<T> {
    if (this.#closing !== undefined) throw new StoreFault(CLOSED)
    try {
      return await ask(this.#reader)
    } catch (error) {
      if (!(error instanceof DatabaseError)) throw error
      throw new StoreFault(`the database was not read: ${error.message}`, { cause: error })
    }
  }

  #note(batch: Batch, { issuer, stan }: Pick<Attempt, 'issuer' | 'stan'>): void {
    this.#marks.note(issuer, stan)
    batch.noteStan(issuer, this.#marks.last(issuer))
  }

  /** Resolves with the write's exception, or undefined. Rejects with StoreFault. */
  #write(
    write: Omit<Write, 'decided' | 'failed'>,
    see?: (exceptions: Exceptions) => void,
  ): Promise<number | undefined> {
    return new Promise((resolve, reject) => {
      this.#commit.append({
        ...write,
        decided(code, exceptions) {
          see?.(exceptions)
          resolve(code)
        },
        failed: reject,
      })
    })
  }
}

const END_LEASE = {
  name: 'end_lease_1',
  text: `UPDATE switchyard.owner SET ended_at = now()
    WHERE owner = $1 AND lease_epoch = $2 AND ended_at IS NULL`,
}

/** A payment too: one step of it a batch. */
function subjectsOf({ id, payment }: Intent): readonly string[] {
  return payment === undefined ? [id] : [id, `payment ${payment.paymentId}`]
}

function deliveryKey({
  transactionId,
  step,
}: Pick<QueuedMessage, 'transactionId' | 'step'>): string {
  return `${step} ${transactionId}`
}

function neverClaimed(transactionId: string): Error {
  return new Error(`transaction ${transactionId} was never claimed`)
}
