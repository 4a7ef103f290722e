// Smart batching, no timers: while the lanes to the workers are busy, messages queue; when a lane
// is free it takes all that wait, up to 64. Light load makes batches of one without added delay,
// heavy load shares the cost of a batch among dozens.
//
//   score() ──> queue (bounded) ──> lane 1 ──> runner ──> decisions ──> resolve
//                  │                lane 2
//                  │ deadline, no room, no worker, a lost batch
//                  └──> policy for a missing worker ──> resolve; the late result is dropped
//
// The deadline is a race on this side: the work itself is never aborted, since ending a thread that
// runs the model can end the process. It stands on ports, so a simulation can drive it in virtual
// time.

import { BoundedQueue } from './bounded-queue.ts'
import { Deadlines } from './deadlines.ts'
import {
  AFTER_VELOCITY_RESERVE_MS,
  BATCH_MAX,
  EXPECTED_BATCH_MAX_MS,
  OUTCOME_QUEUE_MAX,
  OUTCOME_WAIT_MS,
  OUTCOMES_PER_BATCH_MAX,
  QUEUE_DEPTH_MAX,
  VELOCITY_DEADLINE_MAX_MS,
  VELOCITY_DEADLINE_MIN_MS,
} from './limits.ts'
import type { Clock, TimerHandle, Timers } from './ports.ts'
import type { Decision, Scorer, ScoringRequest, VelocityOutcome } from './request.ts'
import type { DecidedBatch, OutcomeEvent, ScoringBatch } from './wire.ts'

/** Port: where batches are scored. Threads in production, the same thread in a simulation. */
export interface BatchRunner {
  /** Batches it takes at the same time, now; 0 while no worker is ready. */
  readonly lanes: number
  /** Rejects when the batch is lost (the worker died). */
  run(batch: ScoringBatch): Promise<DecidedBatch>
}

export interface SmartBatchesOptions {
  readonly runner: BatchRunner
  /** Makes the decision for a message that no worker answered. */
  readonly decideWithoutWorker: (request: ScoringRequest) => Decision
  readonly clock: Clock
  readonly timers: Timers
  readonly queueDepthMax?: number
  readonly outcomeQueueMax?: number
  readonly velocityDeadlineMaxMs?: number
}

/** Counters since the start, and what is the case now. */
export interface SmartBatchesStats {
  /** Messages waiting for a lane. */
  queueDepth: number
  /** Outcome events waiting to ride along. */
  outcomeQueueDepth: number
  /** Batches under way, and for how long the oldest of them has been, in milliseconds. */
  batchesUnderWay: number
  oldestBatchMs: number
  batches: number
  messages: number
  /**
   * Decided without a worker, by cause: the deadline passed; it would have passed before the batch
   * came back; the queue was full; no worker was ready; the batch was lost.
   */
  deadlineMissed: number
  tooLate: number
  queueFull: number
  workerUnavailable: number
  batchLost: number
  /** Results that came after their message was decided without them; they were dropped. */
  lateResults: number
  /** Outcome events dropped because the queue was full (oldest first), or not taken by velocity. */
  outcomesDropped: number
  outcomesLost: number
  /**
   * Batches that velocity or the model failed, and why the last one did: velocity's code, or a
   * message.
   */
  velocityFaults: number
  modelFaults: number
  lastVelocityFault: string | null
  lastModelFault: string | null
  /** How many batches had each size, 0..BATCH_MAX. Size 0 is a batch of outcome events alone. */
  readonly batchSizes: Float64Array
}

/** One message on its way. `resolve` is called exactly once. */
interface Waiting {
  readonly request: ScoringRequest
  readonly deadlineAtMs: number
  readonly resolve: (decision: Decision) => void
  settled: boolean
}

export class SmartBatches implements Scorer {
  readonly #options: SmartBatchesOptions
  readonly #queue: BoundedQueue<Waiting>
  readonly #outcomes: BoundedQueue<OutcomeEvent>
  readonly #deadlines: Deadlines<Waiting>
  /** When each batch under way began, in order. */
  readonly #underWay = new Set<{ readonly sinceMs: number }>()
  readonly #stats: SmartBatchesStats = emptyStats()
  #pumpScheduled = false
  #outcomeTimer: TimerHandle
  #outcomeTimerSet = false
  #closing = false
  /** How long a batch takes to come back: a moving average of the last eight or so. */
  #expectedMs = 0
  #onIdle: (() => void) | undefined

  constructor(options: SmartBatchesOptions) {
    this.#options = options
    this.#queue = new BoundedQueue(options.queueDepthMax ?? QUEUE_DEPTH_MAX)
    this.#outcomes = new BoundedQueue(options.outcomeQueueMax ?? OUTCOME_QUEUE_MAX)
    this.#deadlines = new Deadlines(options.clock, options.timers, (waiting) => {
      this.#stats.deadlineMissed++
      this.#settleWithoutWorker(waiting)
    })
  }

  score(request: ScoringRequest, deadlineMs: number): Promise<Decision> {
    if (this.#closing || this.#options.runner.lanes === 0) {
      this.#stats.workerUnavailable++
      return Promise.resolve(this.#options.decideWithoutWorker(request))
    }
    // What expired while it waited does not take the room of what can still be scored.
    while (this.#queue.peek()?.settled === true) this.#queue.shift()
    return new Promise<Decision>((resolve) => {
      const deadlineAtMs = this.#options.clock.monotonic() + deadlineMs
      const waiting: Waiting = { request, deadlineAtMs, resolve, settled: false }
      if (!this.#queue.push(waiting)) {
        this.#stats.queueFull++
        this.#settleWithoutWorker(waiting)
        return
      }
      this.#deadlines.add(waiting)
      this.wake()
    })
  }

  publish(outcome: VelocityOutcome): void {
    if (this.#closing) {
      this.#stats.outcomesDropped++
      return
    }
    const isLabel = outcome.kind === 'fraud' || outcome.kind === 'cleared'
    const atMs = isLabel ? outcome.request.arrivedAtMs : this.#options.clock.now()
    const event = outcomeEvent(outcome, atMs)
    if (!this.#outcomes.push(event)) {
      this.#outcomes.shift()
      this.#stats.outcomesDropped++
      this.#outcomes.push(event)
    }
    this.wake()
  }

  /** Messages waiting for a lane: by this the switch sheds, before it claims. */
  get queueDepth(): number {
    return this.#queue.length
  }

  /** The same object at every call. */
  stats(): Readonly<SmartBatchesStats> {
    const stats = this.#stats
    stats.queueDepth = this.#queue.length
    stats.outcomeQueueDepth = this.#outcomes.length
    stats.batchesUnderWay = this.#underWay.size
    const [oldest] = this.#underWay
    stats.oldestBatchMs =
      oldest === undefined ? 0 : this.#options.clock.monotonic() - oldest.sinceMs
    return stats
  }

  /**
   * Looks again whether a batch can start: after this tick, so that the messages of one tick make
   * one batch. To be called when lanes appear or disappear.
   */
  wake(): void {
    if (this.#pumpScheduled) return
    this.#pumpScheduled = true
    queueMicrotask(() => this.#pump())
  }

  /**
   * Sends what waits and resolves when nothing is under way, after `timeoutMs` at the latest. From
   * the call on, every score is decided without a worker.
   */
  async drain(timeoutMs: number): Promise<void> {
    const { timers } = this.#options
    this.#closing = true
    if (this.#outcomeTimerSet) timers.clear(this.#outcomeTimer)
    let timeout: TimerHandle
    await new Promise<void>((resolve) => {
      this.#onIdle = resolve
      timeout = timers.set(timeoutMs, resolve)
      this.wake()
    })
    timers.clear(timeout)
    for (const waiting of this.#deadlines.clear()) {
      this.#stats.workerUnavailable++
      this.#settleWithoutWorker(waiting)
    }
  }

  #pump(): void {
    this.#pumpScheduled = false
    while (this.#laneIsFree()) {
      const batch = this.#takeMessages()
      if (batch.length === 0) break
      this.#start(batch)
    }
    if (this.#options.runner.lanes === 0) this.#abandonQueue()
    if (this.#closing) {
      while (this.#outcomes.length > 0 && this.#laneIsFree()) this.#start([])
      if (this.#underWay.size === 0) this.#onIdle?.()
    } else if (this.#outcomes.length > 0 && !this.#outcomeTimerSet) {
      this.#outcomeTimerSet = true
      this.#outcomeTimer = this.#options.timers.set(OUTCOME_WAIT_MS, () => this.#sendOutcomes())
    }
  }

  #laneIsFree(): boolean {
    return this.#underWay.size < this.#options.runner.lanes
  }

  /**
   * Up to a batch of messages that are not decided yet and can still be in time. Under overload
   * this is what keeps workers at work that counts. While no batch is under way every message goes,
   * so that what is expected is measured again.
   */
  #takeMessages(): Waiting[] {
    const batch: Waiting[] = []
    const idle = this.#underWay.size === 0
    const worthFromMs = this.#options.clock.monotonic() + this.#expectedMs
    while (batch.length < BATCH_MAX && this.#queue.length > 0) {
      const waiting = this.#queue.shift() as Waiting
      if (waiting.settled) continue
      if (idle || waiting.deadlineAtMs >= worthFromMs) batch.push(waiting)
      else {
        this.#stats.tooLate++
        this.#settleWithoutWorker(waiting)
      }
    }
    return batch
  }

  /** No worker is there to take the queue: to wait for the deadline would help no one. */
  #abandonQueue(): void {
    for (let waiting = this.#queue.shift(); waiting !== undefined; waiting = this.#queue.shift()) {
      if (waiting.settled) continue
      this.#stats.workerUnavailable++
      this.#settleWithoutWorker(waiting)
    }
  }

  /** Outcome events that found no messages to ride along with go alone. */
  #sendOutcomes(): void {
    this.#outcomeTimerSet = false
    if (this.#outcomes.length > 0 && this.#laneIsFree()) this.#start([])
    this.wake()
  }

  #start(batch: readonly Waiting[]): void {
    const nowMs = this.#options.clock.monotonic()
    const lane = { sinceMs: nowMs }
    this.#underWay.add(lane)
    this.#stats.batches++
    this.#stats.messages += batch.length
    this.#stats.batchSizes[batch.length] = (this.#stats.batchSizes[batch.length] ?? 0) + 1
    const outcomes = this.#outcomes.take(OUTCOMES_PER_BATCH_MAX)
    const requests = batch.map((waiting) => waiting.request)
    const deadlineMs = this.#velocityDeadlineMs(batch[0], nowMs)
    const free = () => {
      this.#underWay.delete(lane)
      const tookMs = Math.min(EXPECTED_BATCH_MAX_MS, this.#options.clock.monotonic() - nowMs)
      this.#expectedMs += (tookMs - this.#expectedMs) / 8
      // The next batch leaves before this one's messages go on: the worker is not kept waiting.
      this.#pump()
    }
    void this.#options.runner.run({ requests, outcomes, velocityDeadlineMs: deadlineMs }).then(
      (decided) => {
        free()
        this.#finish(batch, decided)
      },
      () => {
        free()
        this.#lose(batch, outcomes)
      },
    )
  }

  /**
   * How long velocity may take for a batch: what its oldest message has left, less what must come
   * after, in the bounds of limits.ts.
   */
  #velocityDeadlineMs(oldest: Waiting | undefined, nowMs: number): number {
    const maxMs = this.#options.velocityDeadlineMaxMs ?? VELOCITY_DEADLINE_MAX_MS
    if (oldest === undefined) return maxMs
    const leftMs = oldest.deadlineAtMs - nowMs - AFTER_VELOCITY_RESERVE_MS
    return Math.min(maxMs, Math.max(VELOCITY_DEADLINE_MIN_MS, leftMs))
  }

  #finish(batch: readonly Waiting[], decided: DecidedBatch): void {
    this.#countFaults(decided)
    for (let i = 0; i < batch.length; i++) {
      const waiting = batch[i] as Waiting
      if (waiting.settled) {
        this.#stats.lateResults++
        continue
      }
      waiting.settled = true
      waiting.resolve(decided.decisions[i] as Decision)
    }
  }

  #countFaults(decided: DecidedBatch): void {
    const { velocity, model } = decided.faults
    const stats = this.#stats
    stats.outcomesLost += decided.outcomesLost
    if (velocity !== null) {
      stats.velocityFaults++
      stats.lastVelocityFault = velocity
    }
    if (model !== null) {
      stats.modelFaults++
      stats.lastModelFault = model
    }
  }

  #lose(batch: readonly Waiting[], outcomes: readonly OutcomeEvent[]): void {
    this.#stats.outcomesLost += outcomes.length
    for (const waiting of batch) {
      if (waiting.settled) continue
      this.#stats.batchLost++
      this.#settleWithoutWorker(waiting)
    }
  }

  #settleWithoutWorker(waiting: Waiting): void {
    waiting.settled = true
    waiting.resolve(this.#options.decideWithoutWorker(waiting.request))
  }
}

/** Keeps of an outcome what entity keys need: a request may be large, and the queue is long. */
function outcomeEvent(outcome: VelocityOutcome, atMs: number): OutcomeEvent {
  const { eventHash, acquirer, card, merchant, terminal, device, customer } = outcome.request
  return {
    eventHash,
    atMs,
    kind: outcome.kind,
    responseCode: outcome.responseCode,
    acquirer,
    card,
    merchant,
    ...(terminal && { terminal }),
    ...(device && { device }),
    ...(customer && { customer }),
  }
}

function emptyStats(): SmartBatchesStats {
  return {
    queueDepth: 0,
    outcomeQueueDepth: 0,
    batchesUnderWay: 0,
    oldestBatchMs: 0,
    batches: 0,
    messages: 0,
    deadlineMissed: 0,
    tooLate: 0,
    queueFull: 0,
    workerUnavailable: 0,
    batchLost: 0,
    lateResults: 0,
    outcomesDropped: 0,
    outcomesLost: 0,
    velocityFaults: 0,
    modelFaults: 0,
    lastVelocityFault: null,
    lastModelFault: null,
    batchSizes: new Float64Array(BATCH_MAX + 1),
  }
}
