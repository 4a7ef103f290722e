// The store of one process: the segment log is the truth, the directory knows where everything lies
// in it. A write is encoded once, waits for its group's flush, and only then changes what anybody
// can read; what it takes (a key, the right to record an outcome) is taken at once.

import type { Clock, Disk, Random, TimerHandle, Timers } from '../ports.ts'
import { Directory } from './directory.ts'
import { type DeliveryEntry, DirectoryEntry, NOWHERE } from './directory-entry.ts'
import { type Flush, GroupCommit } from './group-commit.ts'
import { STORE_LIMITS, type StoreLimits } from './limits.ts'
import { decodeRecord, encodeRecord, type LogRecord, messagesOf } from './log-record.ts'
import type { RecordIndex } from './record-index.ts'
import { type CutTail, type LogProblem, SegmentLog } from './segment-log.ts'
import {
  type Attempt,
  type ClaimResult,
  type Delivery,
  type Intent,
  isOperatingError,
  type KeyEntry,
  type Label,
  type LabelResult,
  type LateAnswer,
  type Outcome,
  type Ownership,
  type QueuedMessage,
  queuedBy,
  type SealedCard,
  StoreFault,
  type StoreStatus,
  type Transaction,
  type TransactionStore,
} from './transaction-store.ts'
import { Upkeep, type UpkeepOptions, type UpkeepParts } from './upkeep.ts'

export interface EmbeddedStoreOptions {
  /** The folder of the log; the caller holds its lock. */
  readonly disk: Disk
  /** Opened by the caller; closed by the store, or by the caller where the store was refused. */
  readonly index: RecordIndex
  readonly clock: Clock
  readonly timers: Timers
  readonly random: Random
  /** Who claims: an instance's name. */
  readonly owner: string
  /** Keys of recorded transactions are found for this long. */
  readonly keyRetentionMs: number
  readonly limits?: Partial<StoreLimits>
  /** Absent: everything is kept for ever, and nobody looks at the room on the disk. */
  readonly upkeep?: UpkeepOptions
  /** After each flush, for `store_flush_seconds`. */
  readonly onFlush?: (flush: Flush) => void
  /** Last of all at `close`: gives the folder free. */
  readonly release?: () => Promise<void>
  /** Once, when writing has ended for ever. */
  readonly onFault?: (reason: string) => void
}

/** What a start found. */
export interface OpenReport {
  readonly replayedRecords: number
  /** Records of transactions whose claim is no longer in the log; they change nothing. */
  readonly orphanRecords: number
  readonly cutTail: CutTail | null
  /** The index was new, another log's or unreadable: the whole log was read. */
  readonly isIndexRebuilt: boolean
  readonly openClaims: number
  readonly pendingDeliveries: number
}

export type StoreProblem =
  | LogProblem
  | { readonly code: 'disk_failed' | 'index_failed'; readonly message: string }

export type OpenedStore =
  | {
      readonly ok: true
      readonly store: TransactionStore
      readonly report: OpenReport
      /** Does all that is due of compaction, erasure and keys; nothing where there is no upkeep. */
      readonly tend: () => Promise<void>
    }
  | { readonly ok: false; readonly problem: StoreProblem }

/**
 * Opens the store: checks the log, replays what the index lacks, and makes a new lease durable.
 * Refuses, with nothing written, a log that is damaged or newer than this version.
 */
export async function openEmbeddedStore(options: EmbeddedStoreOptions): Promise<OpenedStore> {
  const limits = { ...STORE_LIMITS, ...options.limits }
  let log: SegmentLog | undefined
  try {
    const opened = await SegmentLog.open({ ...limits, disk: options.disk, random: options.random })
    if (!opened.ok) return opened
    log = opened.log
    const { directory, readFrom, isRebuilt } = await Directory.load(options.index, limits, log)
    const replay = await replayLog(log, directory, readFrom, limits)
    if (!replay.ok) {
      await log.close()
      return replay
    }
    const ownership = { owner: options.owner, leaseEpoch: directory.leaseEpoch + 1 }
    const store = new EmbeddedStore(options, limits, log, directory, ownership)
    await store.takeLease()
    await store.startUpkeep()
    const report: OpenReport = {
      replayedRecords: replay.records,
      orphanRecords: replay.orphans,
      cutTail: opened.cutTail,
      isIndexRebuilt: isRebuilt,
      openClaims: directory.openCount,
      pendingDeliveries: directory.pendingCount,
    }
    return { ok: true, store, report, tend: () => store.tend() }
  } catch (error) {
    if (!isOperatingError(error)) throw error
    return { ok: false, problem: { code: 'disk_failed', message: messageOf(error) } }
  }
}

type Replay =
  | { readonly ok: true; readonly records: number; readonly orphans: number }
  | { readonly ok: false; readonly problem: StoreProblem }

async function replayLog(
  log: SegmentLog,
  directory: Directory,
  readFrom: number,
  limits: StoreLimits,
): Promise<Replay> {
  let records = 0
  let orphans = 0
  const problem = await log.scan(readFrom, (position, payload) => {
    records++
    if (!directory.apply(decodeRecord(payload), position)) orphans++
    return directory.changedCount > limits.indexLagTransactions ? directory.writeBatch() : undefined
  })
  return problem === undefined ? { ok: true, records, orphans } : { ok: false, problem }
}

const CLAIMED: ClaimResult = { kind: 'claimed' }
const STALE: ClaimResult = { kind: 'stale' }
const CLOSED = 'the store is closed'

class EmbeddedStore implements TransactionStore {
  readonly ownership: Ownership
  readonly #options: EmbeddedStoreOptions
  readonly #limits: StoreLimits
  readonly #log: SegmentLog
  readonly #directory: Directory
  readonly #commit: GroupCommit
  readonly #upkeep: Upkeep | null
  #indexing: Promise<void> | null = null
  #closing: Promise<void> | null = null
  /** Whole answers that are being read: one is several reads of log and index. */
  #reads = 0
  #onReadsEnded: (() => void) | undefined

  constructor(
    options: EmbeddedStoreOptions,
    limits: StoreLimits,
    log: SegmentLog,
    directory: Directory,
    ownership: Ownership,
  ) {
    this.ownership = ownership
    this.#options = options
    this.#limits = limits
    this.#log = log
    this.#directory = directory
    this.#commit = new GroupCommit({
      ...limits,
      log,
      clock: options.clock,
      timers: options.timers,
      hold: () => this.#keepIndexNear(),
      ...(options.onFlush === undefined ? {} : { onFlush: options.onFlush }),
      ...(options.onFault === undefined ? {} : { onFault: options.onFault }),
    })
    const { upkeep } = options
    this.#upkeep = upkeep === undefined ? null : new Upkeep(upkeep, this.#upkeepParts())
  }

  #upkeepParts(): UpkeepParts {
    return {
      log: this.#log,
      directory: this.#directory,
      clock: this.#options.clock,
      timers: this.#options.timers,
      segmentBytes: this.#limits.segmentBytes,
      between: (work) => this.#commit.between(work),
      forgotten: () => this.#forgotten(),
      isWritable: () => this.#commit.isWritable,
    }
  }

  async startUpkeep(): Promise<void> {
    await this.#upkeep?.start()
  }

  async tend(): Promise<void> {
    await this.#upkeep?.tend()
  }

  /** Resolves when the index has forgotten what the directory has. */
  async #forgotten(): Promise<void> {
    while (this.#directory.goneCount > 0) {
      if (this.#commit.fault !== null) throw this.#notWritable()
      this.#indexing ??= this.#writeIndex(0)
      await this.#indexing
    }
  }

  /** Makes this process's lease durable, before anything else is written. */
  takeLease(): Promise<void> {
    const openedAtMs = this.#options.clock.now()
    return this.#write({ kind: 'lease', ownership: this.ownership, openedAtMs }, null, undefined)
  }

  get status(): StoreStatus {
    return {
      writable: this.#commit.isWritable,
      fault: this.#commit.fault,
      openClaims: this.#directory.openCount,
      queuedDeliveries: this.#directory.pendingCount,
      bytes: this.#log.bytes,
      segments: this.#log.segments,
      freeBytes: this.#upkeep?.freeBytes ?? null,
      isRoomLow: this.#upkeep?.isRoomLow ?? false,
    }
  }

  findKey(acquirer: string, idempotencyKey: string): KeyEntry | undefined {
    if (this.#closing !== null) throw new StoreFault(CLOSED)
    const entry = this.#directory.findByKey(acquirer, idempotencyKey)
    return entry === undefined ? undefined : this.#keyEntryOf(entry)
  }

  /** Undefined: it is too old to be known. */
  #keyEntryOf(entry: DirectoryEntry): KeyEntry | undefined {
    const isOpen = entry.phase !== 'recorded'
    const ageMs = this.#options.clock.now() - entry.createdAtMs
    // An open claim is found at any age: its issuer may still approve it.
    if (!isOpen && ageMs > this.#options.keyRetentionMs) return undefined
    return {
      transactionId: entry.id,
      fingerprint: entry.fingerprint,
      state: isOpen ? 'open' : 'recorded',
    }
  }

  async lookUpKey(acquirer: string, idempotencyKey: string): Promise<KeyEntry | undefined> {
    return this.findKey(acquirer, idempotencyKey)
  }

  async lookUpKeys(acquirer: string, prefix: string, limit: number): Promise<readonly KeyEntry[]> {
    if (this.#closing !== null) throw new StoreFault(CLOSED)
    const entries = this.#directory.findByKeyPrefix(acquirer, prefix, limit)
    return entries.flatMap((entry) => this.#keyEntryOf(entry) ?? [])
  }

  async claim(intent: Intent): Promise<ClaimResult> {
    if (!this.#commit.isWritable) throw this.#notWritable()
    const taken = this.#takeClaim(intent)
    if (!(taken instanceof DirectoryEntry)) return this.#notTaken(taken)
    if (intent.attempt !== null) {
      taken.attemptCount = 1
      this.#directory.noteStan(intent.attempt.issuer, intent.attempt.stan)
    }
    const record: LogRecord = { kind: 'claim', intent, ownership: this.ownership }
    return this.#writeStep(record, taken, intent)
  }

  async accept(intent: Intent, outcome: Outcome): Promise<ClaimResult> {
    if (!this.#commit.isWritable) throw this.#notWritable()
    const messages = queuedBy(outcome)
    const isOwn = messages.every(({ transactionId }) => transactionId === intent.id)
    if (!isOwn || outcome.id !== intent.id) {
      throw new Error(`what ${intent.id} is accepted with names another transaction`)
    }
    const taken = this.#takeClaim(intent)
    if (!(taken instanceof DirectoryEntry)) return this.#notTaken(taken)
    taken.phase = 'recording'
    if (intent.attempt !== null) {
      taken.attemptCount = 1
      this.#directory.noteStan(intent.attempt.issuer, intent.attempt.stan)
    }
    for (const message of messages) this.#take(taken, message)
    const { ownership } = this
    return this.#writeStep({ kind: 'accepted', intent, ownership, outcome }, taken, intent)
  }

  /** Takes the key, and the payment's version where it is a step; all in one tick. */
  #takeClaim(intent: Intent): DirectoryEntry | ClaimResult {
    const existing = this.findKey(intent.acquirer, intent.idempotencyKey)
    if (existing !== undefined) return { kind: 'existing', entry: existing }
    if (intent.payment === undefined) return this.#directory.take(intent)
    const { paymentId, version } = intent.payment
    const payment = this.#directory.find(paymentId)
    // Past its retention since it was read.
    if (payment === undefined) return STALE
    if (this.#directory.isBusy(payment) || payment.stepCount !== version - 1) return STALE
    payment.stepCount++
    return this.#directory.take(intent)
  }

  /** What came first is durable when this resolves, so that whoever lost can read it. */
  async #notTaken(result: ClaimResult): Promise<ClaimResult> {
    if (result.kind === 'stale') await this.#settled()
    return result
  }

  /** Keeps the payment in memory until its step is durable: the index lacks the new version. */
  async #writeStep(record: LogRecord, entry: DirectoryEntry, intent: Intent): Promise<ClaimResult> {
    const payment =
      intent.payment === undefined ? undefined : this.#directory.find(intent.payment.paymentId)
    if (payment === undefined) return this.#write(record, entry, CLAIMED)
    payment.inFlight++
    const result = await this.#write(record, entry, CLAIMED)
    payment.inFlight--
    return result
  }

  async addAttempt(transactionId: string, attempt: Attempt): Promise<boolean> {
    const entry = this.#known(transactionId)
    if (entry.phase === 'recording' || entry.phase === 'recorded') return false
    if (entry.attemptCount >= this.#limits.attemptsMax) {
      throw new Error(`${transactionId} has ${entry.attemptCount} attempts already`)
    }
    entry.attemptCount++
    this.#directory.noteStan(attempt.issuer, attempt.stan)
    return this.#write({ kind: 'attempt', transactionId, attempt }, entry, true)
  }

  async markNotSent(transactionId: string): Promise<void> {
    const entry = this.#known(transactionId)
    if (entry.attemptCount === 0) throw new Error(`${transactionId} has no attempt`)
    if (entry.phase === 'recording' || entry.phase === 'recorded') return
    return this.#write({ kind: 'not_sent', transactionId }, entry, undefined)
  }

  async record(outcome: Outcome): Promise<Outcome> {
    if (outcome.standIn !== undefined) throw new Error(`${outcome.id} stands in: recordStandIn`)
    return this.#recordFirst(outcome)
  }

  async recordStandIn(outcome: Outcome): Promise<Outcome | 'over_limit'> {
    const moves = outcome.standIn
    if (moves === undefined) throw new Error(`${outcome.id} moves no stand-in counter`)
    const { phase } = this.#known(outcome.id)
    const isFirst = phase !== 'recording' && phase !== 'recorded'
    if (isFirst && !this.#directory.takeStandIn(moves, this.#options.clock.now())) {
      return 'over_limit'
    }
    return this.#recordFirst(outcome)
  }

  async #recordFirst(outcome: Outcome): Promise<Outcome> {
    const entry = this.#known(outcome.id)
    if (entry.phase === 'recording' || entry.phase === 'recorded') {
      await this.#settled()
      return this.#readWinner(entry)
    }
    const { reversal } = outcome
    for (const { transactionId, step } of queuedBy(outcome)) {
      if (transactionId === outcome.id) continue
      throw new Error(`the ${step} message of ${outcome.id} names ${transactionId}`)
    }
    entry.phase = 'recording'
    // One entry by (transaction, step): what is queued already reaches the issuer.
    const isQueued = reversal !== null && entry.delivery(reversal.step) !== undefined
    const recorded = isQueued ? { ...outcome, reversal: null } : outcome
    for (const message of queuedBy(recorded)) this.#take(entry, message)
    return this.#write({ kind: 'outcome', outcome: recorded }, entry, recorded)
  }

  async recordLateAnswer(answer: LateAnswer): Promise<void> {
    const entry = this.#known(answer.transactionId)
    return this.#write({ kind: 'late_answer', answer }, entry, undefined)
  }

  async recordLabel(label: Label): Promise<LabelResult> {
    if (!this.#commit.isWritable) throw this.#notWritable()
    const entry = this.#directory.find(label.transactionId)
    if (entry === undefined || entry.claimAt === NOWHERE) return 'unknown'
    const isFull = entry.labelsTaken.length >= this.#limits.labelsMax
    const { length } = entry.labelsTaken
    if (!entry.takeLabel(label)) {
      await this.#settled()
      return 'known'
    }
    if (isFull) {
      entry.labelsTaken.length = length
      return 'too_many'
    }
    return this.#write<LabelResult>({ kind: 'label', label }, entry, 'recorded')
  }

  async queue(message: QueuedMessage): Promise<boolean> {
    const entry = this.#known(message.transactionId)
    if (entry.delivery(message.step) !== undefined) {
      await this.#settled()
      return false
    }
    this.#take(entry, message)
    return this.#write({ kind: 'queued', message }, entry, true)
  }

  async updateDelivery(
    transactionId: string,
    step: QueuedMessage['step'],
    change: Pick<Delivery, 'state' | 'sends' | 'lastResponseCode'>,
  ): Promise<void> {
    const entry = this.#known(transactionId)
    const delivery = entry.delivery(step)
    if (delivery === undefined) throw new Error(`${transactionId} has no ${step} delivery`)
    if (delivery.state === 'acknowledged' && change.state !== 'acknowledged') {
      throw new Error(`the ${step} delivery of ${transactionId} is acknowledged`)
    }
    const { state, sends, lastResponseCode } = change
    // Nobody waits for an answer but the operator who queues a dead letter again.
    const isPatient = delivery.state !== 'dead'
    return this.#write(
      { kind: 'delivery', transactionId, step, state, sends, lastResponseCode },
      entry,
      undefined,
      isPatient,
    )
  }

  read(transactionId: string): Promise<Transaction | undefined> {
    return this.#whileOpen(async () => {
      const entry = this.#directory.find(transactionId)
      if (entry === undefined || entry.claimAt === NOWHERE) return undefined
      return this.#readTransaction(entry)
    })
  }

  findByRrn(acquirer: string, rrn: string, limit: number): Promise<readonly Transaction[]> {
    return this.#whileOpen(async () => {
      const entries = this.#directory.findByRrn(acquirer, rrn, limit)
      return this.#readAll(entries, (entry) => this.#readTransaction(entry))
    })
  }

  findCard(acquirer: string, cardToken: string): Promise<SealedCard | undefined> {
    return this.#whileOpen(async () => {
      const position = this.#directory.findCard(acquirer, cardToken)
      if (position === undefined) return undefined
      const { intent } = await this.#readRecord(position, ['claim', 'accepted'])
      return intent.attempt?.card ?? undefined
    })
  }

  /** What is read is not closed below it; once closing, nothing is read any more. */
  async #whileOpen<T>(read: () => Promise<T>): Promise<T> {
    if (this.#closing !== null) throw new StoreFault(CLOSED)
    this.#reads++
    try {
      return await read()
    } finally {
      this.#reads--
      if (this.#reads === 0) this.#onReadsEnded?.()
    }
  }

  #readsEnded(): Promise<void> {
    if (this.#reads === 0) return Promise.resolve()
    return new Promise((resolve) => {
      this.#onReadsEnded = resolve
    })
  }

  openTransactions(): Promise<readonly Transaction[]> {
    return this.#whileOpen(() =>
      this.#readAll(this.#directory.openEntries(), (entry) => this.#readTransaction(entry)),
    )
  }

  pendingDeliveries(): Promise<readonly Delivery[]> {
    return this.#whileOpen(() =>
      this.#readAll(this.#directory.pendingDeliveries(), (entry) => this.#readDelivery(entry)),
    )
  }

  pendingLateApprovals(): Promise<readonly LateAnswer[]> {
    return this.#whileOpen(async () => {
      const positions = this.#directory.pendingAnsweredLate().flatMap(({ lateAts }) => lateAts)
      const records = await this.#readAll(positions, (at) => this.#readRecord(at, ['late_answer']))
      return records.map(({ answer }) => answer).filter(({ approved }) => approved)
    })
  }

  deadLetters(): Promise<ReadonlyMap<string, number>> {
    return this.#whileOpen(async () => {
      const counts = new Map<string, number>()
      for (const delivery of this.#directory.deadLetters()) {
        const { issuer } = (await this.#readDelivery(delivery)).message
        counts.set(issuer, (counts.get(issuer) ?? 0) + 1)
      }
      return counts
    })
  }

  lastStan(issuer: string): string {
    return this.#directory.lastStan(issuer)
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    await this.#withinDeadline(this.#upkeep?.stop() ?? Promise.resolve())
    await this.#commit.close()
    while (this.#commit.fault === null && this.#directory.changedCount > 0) {
      await (this.#indexing ?? this.#writeIndex(0))
    }
    await this.#withinDeadline(this.#readsEnded())
    await this.#withinDeadline(this.#options.index.close())
    await this.#withinDeadline(this.#log.close())
    await this.#options.release?.()
  }

  #notWritable(): StoreFault {
    return new StoreFault(this.#commit.fault ?? CLOSED)
  }

  #known(transactionId: string): DirectoryEntry {
    if (!this.#commit.isWritable) throw this.#notWritable()
    const entry = this.#directory.find(transactionId)
    if (entry === undefined) throw new Error(`transaction ${transactionId} was never claimed`)
    return entry
  }

  #take(entry: DirectoryEntry, message: QueuedMessage): void {
    entry.addDelivery(message.step)
    this.#directory.noteStan(message.issuer, message.stan)
  }

  /** Resolves with `result` once the record is durable and the directory knows of it. */
  #write<T>(
    record: LogRecord,
    entry: DirectoryEntry | null,
    result: T,
    isPatient = false,
  ): Promise<T> {
    const payload = encodeRecord(record)
    if (entry !== null) entry.inFlight++
    return new Promise<T>((resolve, reject) => {
      const waiter = {
        durable: (position: number) => {
          if (entry !== null) entry.inFlight--
          this.#directory.apply(record, position)
          resolve(result)
        },
        failed: reject,
      }
      this.#commit.append(payload, waiter, isPatient)
    })
  }

  /** Resolves when everything that was written before is durable. */
  #settled(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#commit.afterAppended({ durable: () => resolve(), failed: reject })
    })
  }

  /** A disk that does not answer must not keep whoever asks waiting. */
  #readAt(position: number): Promise<Uint8Array> {
    const { timers } = this.#options
    const { readDeadlineMs } = this.#limits
    return new Promise((resolve, reject) => {
      const deadline = timers.set(readDeadlineMs, () => {
        reject(new StoreFault(`a read took longer than ${readDeadlineMs} ms`))
      })
      this.#log
        .read(position)
        .finally(() => timers.clear(deadline))
        .then(resolve, reject)
    })
  }

  async #readRecord<K extends LogRecord['kind']>(
    position: number,
    kinds: readonly K[],
  ): Promise<Extract<LogRecord, { kind: K }>> {
    const record = decodeRecord(await this.#readAt(position))
    if (!(kinds as readonly string[]).includes(record.kind)) {
      throw new Error(`record ${position} is ${record.kind}, not ${kinds.join(' or ')}`)
    }
    return record as Extract<LogRecord, { kind: K }>
  }

  /** Durable, and not to be read now: whoever lost does not know the outcome. */
  async #readWinner(entry: DirectoryEntry): Promise<Outcome> {
    try {
      return await this.#readOutcome(entry.outcomeAt)
    } catch (error) {
      if (!isOperatingError(error)) throw error
      throw new StoreFault(`the outcome that came first does not read: ${messageOf(error)}`)
    }
  }

  async #readOutcome(position: number): Promise<Outcome> {
    return (await this.#readRecord(position, ['outcome', 'accepted'])).outcome
  }

  /** As the entry is now: what becomes durable while this reads is not in it. */
  async #readTransaction(entry: DirectoryEntry): Promise<Transaction> {
    const { notSent, outcomeAt } = entry
    const steps = [...entry.stepIds]
    const labels = [...entry.labels]
    const deliveries = entry.deliveries.filter(({ messageAt }) => messageAt !== NOWHERE)
    const [claim, attempts, outcome, queued, late] = await Promise.all([
      this.#readRecord(entry.claimAt, ['claim', 'accepted']),
      this.#readAll([...entry.attemptAts], (at) => this.#readRecord(at, ['attempt'])),
      outcomeAt === NOWHERE ? null : this.#readOutcome(outcomeAt),
      this.#readAll(deliveries, (delivery) => this.#readDelivery(delivery)),
      this.#readAll([...entry.lateAts], (at) => this.#readRecord(at, ['late_answer'])),
    ])
    const { intent, ownership } = claim
    const further = attempts.map(({ attempt }) => attempt)
    return {
      intent,
      ownership,
      attempts: intent.attempt === null ? further : [intent.attempt, ...further],
      notSent,
      outcome,
      deliveries: queued,
      lateAnswers: late.map(({ answer }) => answer),
      steps,
      labels,
    }
  }

  async #readDelivery(delivery: DeliveryEntry): Promise<Delivery> {
    const { state, sends, lastResponseCode, messageAt } = delivery
    const record = decodeRecord(await this.#readAt(messageAt))
    const message = messagesOf(record).find(({ step }) => step === delivery.step)
    if (message === undefined) throw new Error(`record ${messageAt} holds no message`)
    return { message, state, sends, lastResponseCode }
  }

  /** One after another: a long list must not fill the thread pool that the flushes need. */
  async #readAll<From, To>(list: From[], read: (item: From) => Promise<To>): Promise<To[]> {
    const all: To[] = []
    for (const item of list) all.push(await read(item))
    return all
  }

  /** Keeps the index near the log's end; holds commits back where it fell too far behind. */
  #keepIndexNear(): Promise<void> | undefined {
    const lag = this.#directory.changedCount
    if (lag <= this.#limits.indexLagTransactions) return undefined
    this.#indexing ??= this.#writeIndex(this.#limits.indexLagTransactions)
    return lag > this.#limits.indexLagTransactionsMax ? this.#indexing : undefined
  }

  /** Never rejects: an index that fails ends writing, or memory would grow without bound. */
  async #writeIndex(untilLag: number): Promise<void> {
    const { changedCount, goneCount } = this.#directory
    let batches = goneCount > 0 && changedCount <= untilLag ? 1 : 0
    while (
      this.#commit.fault === null &&
      (this.#directory.changedCount > untilLag || batches-- > 0)
    ) {
      await this.#withinDeadline(this.#directory.writeBatch())
    }
    this.#indexing = null
  }

  async #withinDeadline(work: Promise<void>): Promise<void> {
    const { timers } = this.#options
    const { indexDeadlineMs } = this.#limits
    let deadline: TimerHandle
    const late = new Promise<never>((_, reject) => {
      const error = new Error(`took longer than ${indexDeadlineMs} ms`)
      deadline = timers.set(indexDeadlineMs, () => reject(error))
    })
    try {
      await Promise.race([work, late])
    } catch (error) {
      this.#commit.fail(`the index failed: ${messageOf(error)}`)
    } finally {
      timers.clear(deadline)
    }
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
