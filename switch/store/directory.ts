// Where everything lies: the newest transactions in memory, the older ones in the index. It learns
// of a record only once that record is durable, in log order, and the same way at a start, when the
// records that the index lacks are read again; a record that it knows already changes nothing.
//
//   index key                                  value
//   meta                                       [version, log id, covered position, epoch, STANs]
//   k acquirer key                             transaction id
//   t id                                       entry (directory-entry.ts)
//   r acquirer rrn claim's position            transaction id
//   c acquirer token                           position of the newest claim with a sealed card
//   o id                                       empty: open
//   d id                                       empty: has a delivery that is pending
//   x id                                       empty: has a dead letter
//   s counter                                  stand-in: window's end, count, sum, last position
//
// Everything before the covered position is in the index; it is moved in the same write.

import { Packr } from 'msgpackr'
import {
  type DeliveryEntry,
  DirectoryEntry,
  decodeEntry,
  encodeEntry,
  NOWHERE,
} from './directory-entry.ts'
import { Fifo } from './fifo.ts'
import { KeyHeads } from './key-heads.ts'
import { KEY_TAIL_CHARACTERS_MAX, type StoreLimits } from './limits.ts'
import type { DeliveryRecord, LogRecord } from './log-record.ts'
import type { IndexPut, RecordIndex } from './record-index.ts'
import { StandInCounters } from './stand-in-counters.ts'
import {
  type Attempt,
  type Intent,
  type Outcome,
  type QueuedMessage,
  queuedBy,
  type StandInMove,
} from './transaction-store.ts'

const INDEX_VERSION = 1
const META = 'meta'
const EMPTY = new Uint8Array(0)
const STAN_SPACE = 1_000_000

type Gone = Pick<
  DirectoryEntry,
  'id' | 'acquirer' | 'idempotencyKey' | 'rrn' | 'cardToken' | 'claimAt'
>

type Meta = [
  version: number,
  logId: Uint8Array,
  covered: number,
  leaseEpoch: number,
  stans: (readonly [issuer: string, stan: string])[],
]

const packr = new Packr({ useRecords: false, moreTypes: true, copyBuffers: true })

/** The part of the log that the directory may believe the index about. */
export interface LogExtent {
  readonly logId: Uint8Array
  readonly firstPosition: number
  readonly endPosition: number
}

export class Directory {
  readonly #index: RecordIndex
  readonly #limits: StoreLimits
  readonly #logId: Uint8Array
  readonly #byId = new Map<string, DirectoryEntry>()
  readonly #byKey = new Map<string, DirectoryEntry>()
  /** The same entries by how their keys begin. */
  readonly #keyHeads = new KeyHeads<DirectoryEntry>()
  readonly #byRrn = new Map<string, DirectoryEntry[]>()
  readonly #byCard = new Map<string, DirectoryEntry>()
  readonly #open = new Set<DirectoryEntry>()
  readonly #pending = new Set<DeliveryEntry>()
  readonly #dead = new Set<DeliveryEntry>()
  readonly #standIn: StandInCounters
  readonly #stans = new Map<string, string>()
  /** Entries that the index lacks or has an older state of, by `changedAt`. */
  readonly #changed = new Fifo<DirectoryEntry>()
  /** Entries that the index is to lose. */
  readonly #gone = new Fifo<DirectoryEntry>()
  /** Quiet entries, longest there first. */
  readonly #residents = new Fifo<DirectoryEntry>()
  #appliedAt: number
  #leaseEpoch = 0
  /** The key that was looked for last and is not in the index; whatever is taken ends it. */
  #absentKey: string | undefined

  private constructor(index: RecordIndex, limits: StoreLimits, extent: LogExtent) {
    this.#index = index
    this.#limits = limits
    this.#logId = extent.logId
    this.#appliedAt = extent.firstPosition
    this.#standIn = new StandInCounters(limits.standInCountersMax)
  }

  /**
   * A directory with what the index holds, and the position from which the log must be read. An
   * index that is another log's, another version's, or does not read back is cleared.
   */
  static async load(
    index: RecordIndex,
    limits: StoreLimits,
    extent: LogExtent,
  ): Promise<{ directory: Directory; readFrom: number; isRebuilt: boolean }> {
    const directory = new Directory(index, limits, extent)
    const covered = directory.#restore(extent)
    if (covered !== undefined) return { directory, readFrom: covered, isRebuilt: false }
    await index.clear()
    const empty = new Directory(index, limits, extent)
    return { directory: empty, readFrom: extent.firstPosition, isRebuilt: true }
  }

  get leaseEpoch(): number {
    return this.#leaseEpoch
  }

  get openCount(): number {
    return this.#open.size
  }

  get pendingCount(): number {
    return this.#pending.size
  }

  get residentCount(): number {
    return this.#byId.size
  }

  /** Transactions that the index lacks or has an older state of. */
  get changedCount(): number {
    return this.#changed.length
  }

  /** Claims without outcome, oldest first. */
  openEntries(): DirectoryEntry[] {
    return [...this.#open].sort((a, b) => a.claimAt - b.claimAt)
  }

  /** Deliveries that are neither acknowledged nor dead, oldest first. */
  pendingDeliveries(): DeliveryEntry[] {
    return [...this.#pending].sort((a, b) => a.messageAt - b.messageAt)
  }

  /** Transactions with a pending delivery and a late answer. */
  pendingAnsweredLate(): DirectoryEntry[] {
    const entries = this.pendingDeliveries().map(({ transaction }) => transaction)
    return [...new Set(entries)].filter(({ lateAts }) => lateAts.length > 0)
  }

  deadLetters(): DeliveryEntry[] {
    return [...this.#dead]
  }

  /** Takes what a stood-in approval needs of its counters. False: nothing is taken. */
  takeStandIn(moves: readonly StandInMove[], nowMs: number): boolean {
    return this.#standIn.take(moves, nowMs)
  }

  lastStan(issuer: string): string {
    return this.#stans.get(issuer) ?? '000000'
  }

  /** Takes a claim's key, before the claim is durable. */
  take(intent: Intent): DirectoryEntry {
    const entry = new DirectoryEntry(intent, (intent.attempt?.card ?? null) !== null)
    if (this.#byId.has(entry.id)) throw new Error(`transaction ${entry.id} exists already`)
    this.#byId.set(entry.id, entry)
    this.#holdKey(entry)
    this.#absentKey = undefined
    return entry
  }

  #holdKey(entry: DirectoryEntry): void {
    const key = joinKey('k', entry.acquirer, entry.idempotencyKey)
    const before = this.#byKey.get(key)
    if (before !== undefined) this.#keyHeads.remove(before)
    this.#byKey.set(key, entry)
    this.#keyHeads.add(entry)
  }

  find(id: string): DirectoryEntry | undefined {
    const known = this.#byId.get(id)
    if (known !== undefined) return known
    const bytes = this.#index.get(joinKey('t', id))
    if (bytes === undefined) return undefined
    const entry = decodeEntry(bytes)
    this.#byId.set(id, entry)
    this.#settle(entry)
    return entry
  }

  findByKey(acquirer: string, idempotencyKey: string): DirectoryEntry | undefined {
    const key = joinKey('k', acquirer, idempotencyKey)
    const known = this.#byKey.get(key)
    if (known !== undefined) return known
    // Admission has just looked: the claim that follows need not read the index again.
    if (key === this.#absentKey) return undefined
    const id = this.#index.get(key)
    if (id === undefined) this.#absentKey = key
    return id === undefined ? undefined : this.find(textOf(id))
  }

  /** Whose key begins with `prefix`, with at most KEY_TAIL_CHARACTERS_MAX characters behind it. */
  findByKeyPrefix(acquirer: string, prefix: string, limit: number): DirectoryEntry[] {
    const charactersMax = prefix.length + KEY_TAIL_CHARACTERS_MAX
    const found = new Set(this.#keyHeads.find(acquirer, prefix, charactersMax))
    // The index has each key behind its length.
    for (let length = prefix.length; length <= charactersMax; length++) {
      const key = `${joinKey('k', acquirer)}${length}:${prefix}`
      for (const { value } of this.#index.list(key, limit, 'ascending')) {
        const entry = this.find(textOf(value))
        if (entry !== undefined) found.add(entry)
      }
    }
    return [...found].slice(0, limit)
  }

  /** Newest first, at most `limit`. */
  findByRrn(acquirer: string, rrn: string, limit: number): DirectoryEntry[] {
    const key = joinKey('r', acquirer, rrn)
    const found = new Set(this.#byRrn.get(key)?.slice(-limit))
    for (const { value } of this.#index.list(key, limit, 'descending')) {
      const entry = this.find(textOf(value))
      if (entry !== undefined) found.add(entry)
    }
    return [...found].sort((a, b) => b.claimAt - a.claimAt).slice(0, limit)
  }

  /** Position of the newest claim with a sealed card behind this token. */
  findCard(acquirer: string, cardToken: string): number | undefined {
    const key = joinKey('c', acquirer, cardToken)
    const known = this.#byCard.get(key)
    if (known !== undefined) return known.claimAt
    const bytes = this.#index.get(key)
    return bytes === undefined ? undefined : Number(textOf(bytes))
  }

  /** Whether a step of the payment has no outcome yet, or is on its way to the disk. */
  isBusy(payment: DirectoryEntry): boolean {
    if (payment.phase !== 'recorded' || payment.stepCount > payment.stepIds.length) return true
    const last = payment.stepIds.at(-1)
    return last !== undefined && this.find(last)?.phase !== 'recorded'
  }

  /** What is known of a transaction, read without keeping it in memory. */
  peek(id: string): DirectoryEntry | undefined {
    const known = this.#byId.get(id)
    if (known !== undefined) return known
    const bytes = this.#index.get(joinKey('t', id))
    return bytes === undefined ? undefined : decodeEntry(bytes)
  }

  /**
   * Ids of the transactions that something is still to happen to, and of all of their payments:
   * without outcome, with a message that waits, or (`dead` too) with one that was given up.
   */
  awaited(which: 'waiting' | 'waiting or dead'): Set<string> {
    const entries = new Set(this.#open)
    for (const { transaction } of this.#pending) entries.add(transaction)
    if (which !== 'waiting') for (const { transaction } of this.#dead) entries.add(transaction)
    const ids = new Set<string>()
    for (const { id, paymentId } of entries) {
      const root = this.peek(paymentId ?? id)
      for (const one of [id, paymentId ?? id, ...(root?.stepIds ?? [])]) ids.add(one)
    }
    return ids
  }

  /** Forgets transactions whose records are about to leave the log; nobody waits for them. */
  forget(ids: readonly string[]): void {
    for (const id of ids) {
      const entry = this.peek(id)
      if (entry === undefined || !this.#mayLeave(entry)) continue
      entry.isGone = true
      this.#forget(entry)
      this.#gone.push(entry)
    }
  }

  /** Forgotten transactions that the index still has. */
  get goneCount(): number {
    return this.#gone.length
  }

  #mayLeave(entry: DirectoryEntry): boolean {
    if (entry.phase !== 'recorded' || entry.inFlight > 0) return false
    return entry.deliveries.every(({ state }) => state === 'acknowledged')
  }

  /** What the index must lose of a transaction; a key that others have taken since stays theirs. */
  #putGone(
    puts: IndexPut[],
    { id, acquirer, idempotencyKey, rrn, cardToken, claimAt }: Gone,
  ): void {
    puts.push({ key: joinKey('t', id), value: null })
    const key = joinKey('k', acquirer, idempotencyKey)
    const holder = this.#index.get(key)
    if (holder !== undefined && textOf(holder) === id) puts.push({ key, value: null })
    const position = String(claimAt)
    const rrnKey = joinKey('r', acquirer, rrn) + position.padStart(16, '0')
    puts.push({ key: rrnKey, value: null })
    const cardKey = joinKey('c', acquirer, cardToken)
    const newest = this.#index.get(cardKey)
    if (newest !== undefined && textOf(newest) === position)
      puts.push({ key: cardKey, value: null })
  }

  /** Keeps an issuer's STAN where it is ahead of the last: up to half the number space further. */
  noteStan(issuer: string, stan: string): void {
    const last = this.#stans.get(issuer)
    const ahead = (Number(stan) - Number(last ?? stan) + STAN_SPACE) % STAN_SPACE
    if (last === undefined || (ahead > 0 && ahead < STAN_SPACE / 2)) this.#stans.set(issuer, stan)
  }

  /** Learns of a durable record. False: it belongs to a transaction that is not known. */
  apply(record: LogRecord, position: number): boolean {
    this.#appliedAt = position
    switch (record.kind) {
      case 'lease':
        this.#leaseEpoch = Math.max(this.#leaseEpoch, record.ownership.leaseEpoch)
        return true
      case 'claim':
        return this.#applyClaim(record.intent, position)
      case 'attempt':
        return this.#applyAttempt(record.transactionId, record.attempt, position)
      case 'not_sent':
        return this.#change(record.transactionId, position, (entry) => {
          entry.notSent = true
        })
      case 'outcome':
        this.#noteOutcome(record.outcome, position)
        return this.#change(record.outcome.id, position, (entry) => {
          this.#applyOutcome(entry, record.outcome, position)
        })
      case 'accepted':
        this.#noteOutcome(record.outcome, position)
        return this.#applyClaim(record.intent, position, (entry) => {
          this.#applyOutcome(entry, record.outcome, position)
        })
      case 'late_answer':
        return this.#change(record.answer.transactionId, position, (entry) => {
          if (entry.lateAts.length < this.#limits.lateAnswersMax) entry.lateAts.push(position)
        })
      case 'label':
        return this.#change(record.label.transactionId, position, (entry) => {
          entry.applyLabel(record.label)
        })
      case 'queued':
        this.#noteMessage(record.message)
        return this.#change(record.message.transactionId, position, (entry) => {
          this.#applyMessage(entry, record.message, position)
        })
      case 'delivery':
        return this.#applyDelivery(record, position)
    }
  }

  /** Writes the oldest changes to the index, one batch. Rejects with the index's error. */
  async writeBatch(): Promise<void> {
    const puts: IndexPut[] = []
    const batch: DirectoryEntry[] = []
    const savedAts: number[] = []
    while (this.#gone.length > 0 && puts.length < this.#limits.indexBatchTransactions * 4) {
      this.#putGone(puts, this.#gone.shift() as DirectoryEntry)
    }
    while (batch.length < this.#limits.indexBatchTransactions) {
      const entry = this.#changed.shift()
      if (entry === undefined) break
      entry.isChanged = false
      if (entry.isGone) continue
      batch.push(entry)
      savedAts.push(entry.lastAt)
      putEntry(puts, entry)
    }
    this.#standIn.putChanged(puts)
    puts.push({ key: META, value: packr.pack(this.#meta()) })
    await this.#index.write(puts)
    for (let i = 0; i < batch.length; i++) {
      const entry = batch[i] as DirectoryEntry
      entry.savedAt = savedAts[i] as number
      this.#settle(entry)
    }
  }

  #noteOutcome(outcome: Outcome, position: number): void {
    for (const message of queuedBy(outcome)) this.#noteMessage(message)
    if (outcome.standIn !== undefined) this.#standIn.apply(outcome.standIn, position)
  }

  #applyOutcome(entry: DirectoryEntry, outcome: Outcome, position: number): void {
    entry.outcomeAt = position
    entry.phase = 'recorded'
    this.#open.delete(entry)
    for (const message of queuedBy(outcome)) this.#applyMessage(entry, message, position)
  }

  /** `further`: what else the claim's own record says. */
  #applyClaim(
    intent: Intent,
    position: number,
    further?: (entry: DirectoryEntry) => void,
  ): boolean {
    const { attempt } = intent
    if (attempt !== null) this.noteStan(attempt.issuer, attempt.stan)
    const entry = this.find(intent.id) ?? this.take(intent)
    if (entry.lastAt >= position) return true
    entry.claimAt = position
    if (entry.phase === 'claiming') entry.phase = 'open'
    if (attempt !== null && entry.attemptCount === 0) entry.attemptCount = 1
    this.#open.add(entry)
    if (entry.paymentId === null) this.#listByRrn(entry)
    else this.#addStep(entry.paymentId, entry.id, position)
    if (entry.hasCard) this.#byCard.set(joinKey('c', entry.acquirer, entry.cardToken), entry)
    further?.(entry)
    this.#touch(entry, position)
    return true
  }

  #listByRrn(entry: DirectoryEntry): void {
    const rrnKey = joinKey('r', entry.acquirer, entry.rrn)
    const same = this.#byRrn.get(rrnKey)
    if (same === undefined) this.#byRrn.set(rrnKey, [entry])
    else same.push(entry)
  }

  #addStep(paymentId: string, stepId: string, position: number): void {
    this.#change(paymentId, position, (payment) => {
      payment.stepIds.push(stepId)
      payment.stepCount = Math.max(payment.stepCount, payment.stepIds.length)
    })
  }

  #applyAttempt(transactionId: string, attempt: Attempt, position: number): boolean {
    this.noteStan(attempt.issuer, attempt.stan)
    return this.#change(transactionId, position, (entry) => {
      entry.attemptAts.push(position)
      entry.attemptCount = Math.max(entry.attemptCount, entry.attemptAts.length)
      entry.notSent = false
    })
  }

  #noteMessage(message: QueuedMessage): void {
    this.noteStan(message.issuer, message.stan)
  }

  #applyMessage(entry: DirectoryEntry, message: QueuedMessage, position: number): void {
    const delivery = entry.delivery(message.step) ?? entry.addDelivery(message.step)
    delivery.messageAt = position
    this.#pending.add(delivery)
  }

  #applyDelivery(record: DeliveryRecord, position: number): boolean {
    return this.#change(record.transactionId, position, (entry) => {
      const delivery = entry.delivery(record.step)
      if (delivery === undefined) return
      delivery.state = record.state
      delivery.sends = record.sends
      delivery.lastResponseCode = record.lastResponseCode
      if (record.state === 'queued') this.#pending.add(delivery)
      else this.#pending.delete(delivery)
      if (record.state === 'dead') this.#dead.add(delivery)
      else this.#dead.delete(delivery)
    })
  }

  #change(id: string, position: number, apply: (entry: DirectoryEntry) => void): boolean {
    const entry = this.find(id)
    if (entry === undefined) return false
    if (entry.lastAt >= position) return true
    apply(entry)
    this.#touch(entry, position)
    return true
  }

  #touch(entry: DirectoryEntry, position: number): void {
    entry.lastAt = position
    if (entry.isChanged) return
    entry.isChanged = true
    entry.changedAt = position
    this.#changed.push(entry)
  }

  /** Puts a quiet entry in line for leaving memory, and lets those over the limit leave. */
  #settle(entry: DirectoryEntry): void {
    if (!entry.isResident && entry.isQuiet) {
      entry.isResident = true
      this.#residents.push(entry)
    }
    while (this.#residents.length > this.#limits.residentTransactionsMax) {
      const oldest = this.#residents.shift() as DirectoryEntry
      oldest.isResident = false
      if (oldest.isQuiet) this.#forget(oldest)
    }
  }

  #forget(entry: DirectoryEntry): void {
    this.#byId.delete(entry.id)
    const key = joinKey('k', entry.acquirer, entry.idempotencyKey)
    if (this.#byKey.get(key) === entry) {
      this.#byKey.delete(key)
      this.#keyHeads.remove(entry)
    }
    const cardKey = joinKey('c', entry.acquirer, entry.cardToken)
    if (this.#byCard.get(cardKey) === entry) this.#byCard.delete(cardKey)
    const rrnKey = joinKey('r', entry.acquirer, entry.rrn)
    const rest = this.#byRrn.get(rrnKey)?.filter((other) => other !== entry) ?? []
    if (rest.length === 0) this.#byRrn.delete(rrnKey)
    else this.#byRrn.set(rrnKey, rest)
  }

  #meta(): Meta {
    const covered = this.#changed.first?.changedAt ?? this.#appliedAt
    return [INDEX_VERSION, this.#logId, covered, this.#leaseEpoch, [...this.#stans]]
  }

  /** Takes over what the index holds. Undefined: it is of no use. */
  #restore(extent: LogExtent): number | undefined {
    try {
      const bytes = this.#index.get(META)
      if (bytes === undefined) return undefined
      const [version, logId, covered, leaseEpoch, stans] = packr.unpack(bytes) as Meta
      const isOfThisLog = Buffer.from(logId).equals(extent.logId)
      if (version !== INDEX_VERSION || !isOfThisLog || covered > extent.endPosition) {
        return undefined
      }
      this.#leaseEpoch = leaseEpoch
      this.#appliedAt = covered
      for (const [issuer, stan] of stans) this.#stans.set(issuer, stan)
      for (const entry of this.#listed('o')) {
        entry.isListed = true
        if (entry.phase === 'open') this.#open.add(entry)
        this.#holdKey(entry)
      }
      for (const entry of this.#listed('d')) {
        for (const delivery of entry.deliveries) {
          if (delivery.state !== 'queued') continue
          delivery.isListed = true
          this.#pending.add(delivery)
        }
      }
      for (const entry of this.#listed('x')) {
        entry.hasDeadListed = true
        for (const delivery of entry.deliveries) {
          if (delivery.state === 'dead') this.#dead.add(delivery)
        }
      }
      this.#standIn.restore(this.#index)
      return Math.max(covered, extent.firstPosition)
    } catch {
      return undefined
    }
  }

  *#listed(list: List): Generator<DirectoryEntry> {
    const all = this.#index.list(listKey(list, ''), Number.MAX_SAFE_INTEGER, 'ascending')
    for (const { key } of all) {
      const entry = this.find(key.slice(listKey(list, '').length))
      if (entry === undefined) throw new Error('the index lists a transaction that it lacks')
      yield entry
    }
  }
}

/** What one entry's state is in the index. */
function putEntry(puts: IndexPut[], entry: DirectoryEntry): void {
  const { id, acquirer } = entry
  const isOpen = entry.outcomeAt === NOWHERE
  if (isOpen !== entry.isListed) {
    puts.push({ key: listKey('o', id), value: isOpen ? EMPTY : null })
    entry.isListed = isOpen
  }
  const wasPending = entry.deliveries.some(({ isListed }) => isListed)
  let isPending = false
  for (const delivery of entry.deliveries) {
    delivery.isListed = delivery.state === 'queued' && delivery.messageAt !== NOWHERE
    isPending ||= delivery.isListed
  }
  if (isPending !== wasPending) {
    puts.push({ key: listKey('d', id), value: isPending ? EMPTY : null })
  }
  const hasDead = entry.deliveries.some(({ state }) => state === 'dead')
  if (hasDead !== entry.hasDeadListed) {
    puts.push({ key: listKey('x', id), value: hasDead ? EMPTY : null })
    entry.hasDeadListed = hasDead
  }
  puts.push({ key: joinKey('t', id), value: encodeEntry(entry) })
  if (entry.isIndexed) return
  entry.isIndexed = true
  const claimAt = String(entry.claimAt)
  puts.push({ key: joinKey('k', acquirer, entry.idempotencyKey), value: bytesOf(id) })
  if (entry.paymentId === null) {
    const rrnKey = joinKey('r', acquirer, entry.rrn) + claimAt.padStart(16, '0')
    puts.push({ key: rrnKey, value: bytesOf(id) })
  }
  if (entry.hasCard) {
    puts.push({ key: joinKey('c', acquirer, entry.cardToken), value: bytesOf(claimAt) })
  }
}

/** Each part with its length before it, so that no two lists of parts give one key. */
function joinKey(kind: string, first: string, second?: string): string {
  const head = `${kind}${first.length}:${first}`
  return second === undefined ? head : `${head}${second.length}:${second}:`
}

/** Open transactions, those with a pending delivery, those with a dead letter. */
type List = 'o' | 'd' | 'x'

function listKey(list: List, id: string): string {
  return `${list}:${id}`
}

function bytesOf(text: string): Uint8Array {
  return Buffer.from(text, 'utf8')
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8')
}
