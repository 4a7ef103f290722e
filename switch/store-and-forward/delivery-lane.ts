// The queue of one issuer: reversals and advices in the order in which they were queued, until
// acknowledged.
//
//                    ┌──────────── back-off over ─────────────┐
//                    v                                        │
//   add ──> ready ──> sending ── 91, 96, 25 early, none ──> waiting
//             ^          │  ├── 00, 21, 25 late ──> acknowledged
//             └ not sent ┘  └── 12, 30; an advice refused ──> dead, alarmed
//
// First sends leave in queue order on one connection, so none overtakes its request or another. One
// that has to be repeated waits by itself and holds up only what is about the same original: a
// partial reversal names what stands after it, so the issuer must hear them in order. While the
// link is down nothing is sent and nothing is counted.
//
// Order is kept a card, across repeats: a message waits, `held`, until the one before it of its
// card is acknowledged or dead. 25 lets it go too: the issuer has heard the reversal, and the
// repeats are for a request that may still be under way. Cards don't wait for each other. What an
// acquirer reverses while it is under way has its place from then on, and waits there.
//
// An advice, or a refund that is told, is an original itself: what follows it names its numbers,
// and waits for it.

import {
  backOffMs,
  type DeadlineEntry,
  Deadlines,
  type DeliveredCard,
  type Issuer,
  NO_STAN,
} from '../issuers/index.ts'
import type { Clock, Random, TimerHandle, Timers } from '../ports.ts'
import {
  type Attempt,
  type DeliveryState,
  isToldOfItself,
  type QueuedMessage,
  type SealedCard,
  type TransactionStore,
} from '../store/index.ts'
import type { StoreAndForwardLimits } from './limits.ts'
import { adviceVerdictOf, type Verdict, verdictOf } from './verdict.ts'

/** What others may want to know: metrics, logs, alarms. Holds no card data. */
export type StoreAndForwardEvent =
  | {
      readonly kind: 'acknowledged'
      readonly issuer: string
      readonly transactionId: string
      readonly cause: QueuedMessage['cause']
      readonly responseCode: string
      readonly sends: number
    }
  | {
      readonly kind: 'will_repeat'
      readonly issuer: string
      readonly transactionId: string
      /** DE39, or null where no answer came. */
      readonly responseCode: string | null
      readonly sends: number
    }
  /** An alarm: somebody has to look at it. */
  | {
      readonly kind: 'dead_letter'
      readonly issuer: string
      readonly transactionId: string
      readonly why: DeadLetterCause
      readonly responseCode: string | null
    }
  /** An alarm: the key file lacks the key of a queued card. It is tried again. */
  | { readonly kind: 'card_unreadable'; readonly issuer: string; readonly transactionId: string }
  /** An alarm: there is a reversal for an issuer that is not configured. */
  | { readonly kind: 'no_issuer'; readonly issuer: string; readonly transactionId: string }
  /** The store failed: nothing is sent any more, the next start resumes. */
  | { readonly kind: 'halted'; readonly error: Error }

export type DeadLetterCause =
  | 'refused_by_issuer'
  | 'card_erased'
  | 'no_trace_number'
  /** Sent as often as the limit allows, and never taken. */
  | 'too_many_sends'
  /** Queued for longer than the limit allows: what it says is of another time. */
  | 'too_old'

export type UnsealCard = (card: SealedCard) => DeliveredCard

/** What all lanes share. */
export interface LaneContext {
  readonly store: Pick<
    TransactionStore,
    'updateDelivery' | 'pendingDeliveries' | 'pendingLateApprovals'
  >
  readonly unseal: UnsealCard
  /** Names the card of a message for the order of its lane; may throw as `unseal` does. */
  readonly cardKey: (message: QueuedMessage) => string
  readonly clock: Clock
  readonly timers: Timers
  readonly random: Random
  readonly limits: StoreAndForwardLimits
  readonly onEvent: (event: StoreAndForwardEvent) => void
  /** The store failed: stop every lane. */
  readonly onHalt: (error: Error) => void
}

class Entry implements DeadlineEntry<Entry> {
  readonly message: QueuedMessage
  /** How often it was sent while the link was up. */
  sends: number
  /** The store knows that it may have been sent. */
  isSendStored: boolean
  lastResponseCode: string | null
  /** Monotonic. */
  readonly settlesAtMs: number
  failures = 0
  /** `held`: a message about the same original or card goes first, or the request that it undoes. */
  state: 'ready' | 'sending' | 'waiting' | 'held' = 'ready'
  readonly cardKey: string
  /** The next message of its card, which waits for this one to be answered. */
  next: Entry | null = null
  hasPassed = false
  isBehindOriginal = false
  isBehindCard = false
  /** Its own request is still under way here: it has its place, and waits there. */
  isBehindRequest = false
  /** Asked for by an operator: its age is known. */
  readonly isRequeued: boolean
  approvedLate = false
  deadlineMs = 0
  earlier: Entry | null = null
  later: Entry | null = null

  constructor(
    message: QueuedMessage,
    sends: number,
    lastResponseCode: string | null,
    settlesAtMs: number,
    cardKey: string,
    isRequeued: boolean,
  ) {
    this.message = message
    this.sends = sends
    this.isSendStored = sends > 0
    this.lastResponseCode = lastResponseCode
    this.settlesAtMs = settlesAtMs
    this.cardKey = cardKey
    this.isRequeued = isRequeued
  }
}

/** Names an original within its issuer: the numbers that we sent. */
function originalKey(attempt: Pick<Attempt, 'stan' | 'transmittedAt' | 'rrn'>): string {
  return `${attempt.stan}${attempt.transmittedAt}${attempt.rrn}`
}

/** The original that a message is about; an advice, or a told refund, is one itself. */
function originalOf(message: QueuedMessage): string {
  return originalKey(isToldOfItself(message) ? message : message.original)
}

function isHeld({ isBehindOriginal, isBehindCard, isBehindRequest }: Entry): boolean {
  return isBehindOriginal || isBehindCard || isBehindRequest
}

function deliveryKey({ transactionId, step }: QueuedMessage): string {
  return `${step} ${transactionId}`
}

/** What is queued about one original, in its order, and who waits until all of it is heard. */
interface OriginalQueue {
  readonly entries: Entry[]
  readonly waiters: Set<() => void>
}

function isHeard({ entries }: OriginalQueue): boolean {
  return entries.every(({ hasPassed }) => hasPassed)
}

function tellWaiters({ waiters }: OriginalQueue): void {
  for (const heard of waiters) heard()
  waiters.clear()
}

/** What undoes its own transaction's request; an approved one's may be undone several times. */
function undoesUnknown(message: QueuedMessage): boolean {
  return message.mti === '0420' && message.step !== 'reversal'
}

export class DeliveryLane {
  readonly issuerName: string
  readonly #issuer: Issuer | undefined
  readonly #context: LaneContext
  /** By transaction and step. */
  readonly #entries = new Map<string, Entry>()
  /** By original. */
  readonly #queues = new Map<string, OriginalQueue>()
  /** Transactions whose late approval was found in the store. */
  readonly #approvals = new Set<string>()
  /** The newest message of each card that others of the card wait for. */
  readonly #lastOfCard = new Map<string, Entry>()
  readonly #waiting: Deadlines<Entry>
  /** Behind their requests, until these must have ended. */
  readonly #reserved: Deadlines<Entry>
  #ready: Entry[] = []
  #readyHead = 0
  #inFlight = 0
  /** Queued in the store and not in memory. */
  #overflow = 0
  #isReloading = false
  #dead = 0
  /** Set by `stop`: resolves when the last one in flight has ended. */
  #stopped: Promise<void> | undefined
  #tokens: number
  #tokensAtMs: number
  #timer: TimerHandle | undefined
  #onIdle: (() => void) | undefined

  constructor(issuerName: string, issuer: Issuer | undefined, context: LaneContext) {
    this.issuerName = issuerName
    this.#issuer = issuer
    this.#context = context
    this.#tokens = context.limits.burstMax
    this.#tokensAtMs = context.clock.monotonic()
    this.#waiting = new Deadlines(context.clock, context.timers, (entry) => this.#wake(entry))
    this.#reserved = new Deadlines(context.clock, context.timers, (entry) =>
      this.#endRequest(entry),
    )
  }

  /** Queued and neither acknowledged nor dead. */
  get depth(): number {
    return this.#entries.size + this.#overflow
  }

  /** Dead letters, those of earlier processes included. */
  get deadLetters(): number {
    return this.#dead
  }

  /**
   * Keeps the place of a message that is durable already, and may not leave before the request that
   * it undoes has ended: `letGo` says so. A request that could not be recorded ends without that
   * word; its time being over is as good. Without room for it `add` takes it over later.
   */
  reserve(message: QueuedMessage): void {
    const { clock, limits } = this.#context
    const key = deliveryKey(message)
    if (this.#entries.size >= limits.queuedMax || this.#entries.has(key)) return
    this.#take(message, 0, null, false, true)
    const reserved = this.#entries.get(key)
    if (reserved === undefined || this.#stopped !== undefined) return
    const requestMs = (this.#issuer?.timeoutMs ?? 0) + limits.besideIssuerMs
    reserved.deadlineMs = clock.monotonic() + requestMs
    this.#reserved.add(reserved)
  }

  /** The request that a reserved message undoes has ended. */
  letGo(message: QueuedMessage): void {
    const reserved = this.#entries.get(deliveryKey(message))
    if (reserved?.isBehindRequest !== true) return
    if (this.#stopped === undefined) this.#reserved.remove(reserved)
    this.#endRequest(reserved)
  }

  #endRequest(reserved: Entry): void {
    reserved.isBehindRequest = false
    this.#release(reserved)
    this.#pump()
  }

  /** Takes over a message that is durable already. `sends` as stored. */
  add(
    message: QueuedMessage,
    sends: number,
    lastResponseCode: string | null,
    isRequeued = false,
  ): void {
    if (this.#entries.has(deliveryKey(message))) return
    this.#take(message, sends, lastResponseCode, isRequeued, false)
  }

  #take(
    message: QueuedMessage,
    sends: number,
    lastResponseCode: string | null,
    isRequeued: boolean,
    isBehindRequest: boolean,
  ): void {
    if (this.#issuer === undefined) {
      const { transactionId } = message
      this.#context.onEvent({ kind: 'no_issuer', issuer: this.issuerName, transactionId })
    }
    if (this.#entries.size >= this.#context.limits.queuedMax) {
      this.#overflow++
      return
    }
    const settlesAtMs = this.#settlesAtMs(this.#issuer, message)
    const cardKey = this.#cardKeyOf(message)
    const entry = new Entry(message, sends, lastResponseCode, settlesAtMs, cardKey, isRequeued)
    entry.isBehindRequest = isBehindRequest
    this.#entries.set(deliveryKey(message), entry)
    // Once told it is kept with the entry.
    entry.approvedLate = undoesUnknown(message) && this.#approvals.delete(message.transactionId)
    this.#issuer?.holdStan(message.stan)
    if (isRequeued && this.#dead > 0) this.#dead--
    this.#lineOriginal(entry)
    if (lastResponseCode === '25' && message.mti === '0420') entry.hasPassed = true
    else this.#lineCard(entry)
    if (isHeld(entry)) {
      entry.state = 'held'
      return
    }
    this.#ready.push(entry)
    this.#pump()
  }

  /** A card that can't be read now orders by its transaction alone. */
  #cardKeyOf(message: QueuedMessage): string {
    try {
      return this.#context.cardKey(message)
    } catch {
      return message.transactionId
    }
  }

  /** It was heard, or will never be: the next of its card may go. */
  #pass(entry: Entry): void {
    if (entry.hasPassed) return
    entry.hasPassed = true
    const queue = this.#queues.get(originalOf(entry.message))
    if (queue !== undefined && isHeard(queue)) tellWaiters(queue)
    if (this.#lastOfCard.get(entry.cardKey) === entry) this.#lastOfCard.delete(entry.cardKey)
    const { next } = entry
    if (next === null) return
    entry.next = null
    next.isBehindCard = false
    this.#release(next)
  }

  /** Puts an entry behind the newest of its card that is not answered yet. */
  #lineCard(entry: Entry): void {
    const before = this.#lastOfCard.get(entry.cardKey)
    this.#lastOfCard.set(entry.cardKey, entry)
    if (before === undefined) return
    before.next = entry
    entry.isBehindCard = true
  }

  /** Lets an entry go once nothing stands before it. */
  #release(entry: Entry): void {
    if (isHeld(entry)) return
    entry.state = 'ready'
    this.#ready.push(entry)
  }

  /** Dead letters that the store has from before. */
  foundDead(count: number): void {
    this.#dead += count
  }

  /** The store has a late approval of this transaction's request; said before `add`. */
  foundApproval(transactionId: string): void {
    this.#approvals.add(transactionId)
  }

  /** The original was approved after all: a 25 to its reversal is no last word any more. */
  approvedLate(original: Attempt): void {
    // Only the first can undo what its issuer had not answered; the others follow an approval.
    const entry = this.#queues.get(originalKey(original))?.entries[0]
    if (entry === undefined || !undoesUnknown(entry.message)) return
    entry.approvedLate = true
    if (entry.state !== 'waiting' || entry.lastResponseCode !== '25') return
    this.#waiting.remove(entry)
    this.#wake(entry)
  }

  /**
   * Resolves with true once its issuer has heard all that is queued about that original, with false
   * after `timeoutMs`. A reversal that was answered 25 was heard: it is repeated for a request that
   * may still be under way, and nobody has to wait minutes for that.
   */
  heard(original: Attempt, timeoutMs: number): Promise<boolean> {
    const queue = this.#queues.get(originalKey(original))
    if (queue === undefined || isHeard(queue)) return Promise.resolve(true)
    const { timers } = this.#context
    return new Promise((resolve) => {
      const heard = () => {
        timers.clear(timer)
        resolve(true)
      }
      const timer = timers.set(timeoutMs, () => {
        queue.waiters.delete(heard)
        resolve(false)
      })
      queue.waiters.add(heard)
    })
  }

  /** Puts an entry behind those about the same original. */
  #lineOriginal(entry: Entry): void {
    const key = originalOf(entry.message)
    const queue = this.#queues.get(key)
    if (queue === undefined) {
      this.#queues.set(key, { entries: [entry], waiters: new Set() })
      return
    }
    queue.entries.push(entry)
    entry.isBehindOriginal = true
  }

  /** Takes the first one out and lets the next one go. */
  #leaveLine(entry: Entry): void {
    const key = originalOf(entry.message)
    const queue = this.#queues.get(key)
    if (queue === undefined) return
    queue.entries.shift()
    const [next] = queue.entries
    if (next !== undefined) {
      next.isBehindOriginal = false
      this.#release(next)
      return
    }
    this.#queues.delete(key)
    tellWaiters(queue)
  }

  /** Starts nothing more. Resolves when nothing is in flight and its result is stored. */
  stop(): Promise<void> {
    if (this.#stopped !== undefined) return this.#stopped
    this.#disarm()
    for (const entry of this.#entries.values()) {
      if (entry.isBehindRequest) this.#reserved.remove(entry)
      if (entry.state !== 'waiting') continue
      this.#waiting.remove(entry)
      entry.state = 'ready'
    }
    this.#stopped = new Promise((resolve) => {
      if (this.#inFlight === 0) resolve()
      else this.#onIdle = resolve
    })
    return this.#stopped
  }

  #wake(entry: Entry): void {
    entry.state = 'ready'
    this.#ready.push(entry)
    this.#pump()
  }

  /** Sends what may be sent now; otherwise sees to it that it is called again. */
  #pump(): void {
    const issuer = this.#issuer
    if (issuer === undefined) return
    while (this.#stopped === undefined && this.#readyHead < this.#ready.length) {
      if (this.#inFlight >= this.#context.limits.inFlightMax) return
      const delayMs = issuer.isUp ? this.#paceMs() : this.#context.limits.linkPollMs
      if (delayMs > 0) {
        this.#arm(delayMs)
        return
      }
      this.#tokens--
      void this.#send(issuer, this.#takeFirst())
    }
  }

  /** 0: one may be sent now; otherwise in how many milliseconds. */
  #paceMs(): number {
    const { clock, limits } = this.#context
    const nowMs = clock.monotonic()
    const earned = ((nowMs - this.#tokensAtMs) * limits.sendsPerSecond) / 1_000
    this.#tokens = Math.min(limits.burstMax, this.#tokens + earned)
    this.#tokensAtMs = nowMs
    return this.#tokens >= 1 ? 0 : Math.ceil(((1 - this.#tokens) * 1_000) / limits.sendsPerSecond)
  }

  #takeFirst(): Entry {
    const entry = this.#ready[this.#readyHead++] as Entry
    if (this.#readyHead * 2 > this.#ready.length) {
      this.#ready = this.#ready.slice(this.#readyHead)
      this.#readyHead = 0
    }
    return entry
  }

  #putFirst(entry: Entry): void {
    entry.state = 'ready'
    if (this.#readyHead > 0) this.#ready[--this.#readyHead] = entry
    else this.#ready.unshift(entry)
  }

  #arm(delayMs: number): void {
    if (this.#timer !== undefined) return
    this.#timer = this.#context.timers.set(delayMs, () => {
      this.#timer = undefined
      this.#pump()
    })
  }

  #disarm(): void {
    if (this.#timer === undefined) return
    this.#context.timers.clear(this.#timer)
    this.#timer = undefined
  }

  async #send(issuer: Issuer, entry: Entry): Promise<void> {
    entry.state = 'sending'
    this.#inFlight++
    try {
      await this.#sendOnce(issuer, entry)
    } catch (error) {
      this.#context.onHalt(error as Error)
    }
    this.#inFlight--
    if (this.#inFlight === 0) this.#onIdle?.()
    this.#pump()
  }

  async #sendOnce(issuer: Issuer, entry: Entry): Promise<void> {
    const { message } = entry
    if (message.stan === NO_STAN) return this.#bury(entry, 'no_trace_number', null)
    const { card } = message.original
    if (card === null) return this.#bury(entry, 'card_erased', null)
    const spent = this.#limitReached(entry)
    if (spent !== null) return this.#bury(entry, spent, entry.lastResponseCode)
    const opened = this.#open(card)
    if (opened === undefined) return this.#cardUnreadable(entry)
    const isRepeat = entry.sends > 0
    if (!entry.isSendStored) {
      // Durable before its bytes leave, so that after a crash it goes out as the repeat it may be.
      await this.#store(entry, 'queued', 1)
      entry.isSendStored = true
    }
    const { answerTimeoutMs } = this.#context.limits
    const result = await issuer.deliver(message, opened, isRepeat, answerTimeoutMs)
    if (result.kind === 'not_sent') return this.#notSent(issuer, entry)
    entry.sends++
    if (result.kind === 'unknown') return this.#repeat(entry, null)
    entry.lastResponseCode = result.responseCode
    if (result.responseCode === '25') this.#pass(entry)
    switch (this.#verdictOf(entry, result.responseCode)) {
      case 'done':
        return this.#acknowledge(entry, result.responseCode)
      case 'dead':
        return this.#bury(entry, 'refused_by_issuer', result.responseCode)
      default:
        return this.#repeat(entry, result.responseCode)
    }
  }

  #verdictOf(entry: Entry, responseCode: string): Verdict {
    if (entry.message.mti !== '0420') return adviceVerdictOf(responseCode)
    return verdictOf(responseCode, this.#isSettled(entry))
  }

  /** Why it is sent no more; a requeued one has its sends again, and its age is known. */
  #limitReached({ message, sends, isRequeued }: Entry): DeadLetterCause | null {
    const { clock, limits } = this.#context
    if (sends >= limits.sendsMax) return 'too_many_sends'
    const ageMs = clock.now() - message.queuedAtMs
    return ageMs > limits.ageMaxMs && !isRequeued ? 'too_old' : null
  }

  #open(card: SealedCard): DeliveredCard | undefined {
    try {
      return this.#context.unseal(card)
    } catch {
      return undefined
    }
  }

  /**
   * A key file that lacks a key can be put right: the reversal waits for it and is not given up.
   */
  #cardUnreadable(entry: Entry): void {
    const { transactionId } = entry.message
    const issuer = this.issuerName
    this.#context.onEvent({ kind: 'card_unreadable', issuer, transactionId })
    this.#waitFor(entry)
  }

  /**
   * When a 25 becomes the last word: the link's window for the original began before its reversal
   * was queued, and a time-out's length after it is surely over. Measured on the monotonic clock,
   * which no operator sets, as far as this process has seen it.
   */
  #settlesAtMs(issuer: Issuer | undefined, message: QueuedMessage): number {
    if (issuer === undefined) return Number.POSITIVE_INFINITY
    const { clock } = this.#context
    const spanMs = issuer.lateAnswerWindowMs + issuer.timeoutMs
    const queuedForMs = Math.max(0, clock.now() - message.queuedAtMs)
    return clock.monotonic() + Math.max(0, spanMs - queuedForMs)
  }

  #isSettled(entry: Entry): boolean {
    return !entry.approvedLate && this.#context.clock.monotonic() >= entry.settlesAtMs
  }

  /** Did not leave: first again when the link is back; where the link is up, after a while. */
  #notSent(issuer: Issuer, entry: Entry): void {
    if (issuer.isUp) this.#waitFor(entry)
    else this.#putFirst(entry)
  }

  async #repeat(entry: Entry, responseCode: string | null): Promise<void> {
    const { transactionId } = entry.message
    // A late approval that came while a 25 was under way: it is worth a try at once.
    if (responseCode === '25' && entry.approvedLate) entry.failures = 0
    await this.#store(entry, 'queued', entry.sends)
    const { sends } = entry
    const issuer = this.issuerName
    this.#context.onEvent({ kind: 'will_repeat', issuer, transactionId, responseCode, sends })
    this.#waitFor(entry)
  }

  #waitFor(entry: Entry): void {
    if (this.#stopped !== undefined) {
      entry.state = 'ready'
      return
    }
    const { clock, limits, random } = this.#context
    entry.deadlineMs = clock.monotonic() + backOffMs(limits.retry, entry.failures++, random)
    entry.state = 'waiting'
    this.#waiting.add(entry)
  }

  async #acknowledge(entry: Entry, responseCode: string): Promise<void> {
    const { message, sends } = entry
    await this.#store(entry, 'acknowledged', sends)
    this.#forget(entry)
    const { transactionId, cause } = message
    const issuer = this.issuerName
    const kind = 'acknowledged'
    this.#context.onEvent({ kind, issuer, transactionId, cause, responseCode, sends })
  }

  async #bury(entry: Entry, why: DeadLetterCause, responseCode: string | null): Promise<void> {
    const { transactionId } = entry.message
    await this.#store(entry, 'dead', entry.sends)
    this.#forget(entry)
    this.#dead++
    const issuer = this.issuerName
    this.#context.onEvent({ kind: 'dead_letter', issuer, transactionId, why, responseCode })
  }

  #store(entry: Entry, state: DeliveryState, sends: number): Promise<void> {
    const { transactionId, step } = entry.message
    const { lastResponseCode } = entry
    return this.#context.store.updateDelivery(transactionId, step, {
      state,
      sends,
      lastResponseCode,
    })
  }

  #forget(entry: Entry): void {
    this.#entries.delete(deliveryKey(entry.message))
    this.#leaveLine(entry)
    this.#issuer?.releaseStan(entry.message.stan)
    this.#pass(entry)
    const isHalfDone = this.#entries.size * 2 <= this.#context.limits.queuedMax
    if (this.#overflow > 0 && isHalfDone) void this.#reload()
  }

  /** Takes from the store what did not fit in. */
  async #reload(): Promise<void> {
    if (this.#isReloading || this.#stopped !== undefined) return
    this.#isReloading = true
    const overflowBefore = this.#overflow
    try {
      const approvals = await this.#context.store.pendingLateApprovals()
      const deliveries = await this.#context.store.pendingDeliveries()
      for (const { issuer, transactionId } of approvals) {
        if (issuer === this.issuerName) this.foundApproval(transactionId)
      }
      this.#overflow -= overflowBefore
      for (const { message, sends, lastResponseCode } of deliveries) {
        if (message.issuer === this.issuerName) this.add(message, sends, lastResponseCode)
      }
      this.#approvals.clear()
    } catch (error) {
      this.#context.onHalt(error as Error)
    }
    this.#isReloading = false
  }
}
