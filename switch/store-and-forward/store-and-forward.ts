// Reversals that must reach their issuers: one lane an issuer, over the store's durable queue.

import { type Issuer, REVERSALS_IN_FLIGHT_MAX } from '../issuers/index.ts'
import type { Clock, Random, Timers } from '../ports.ts'
import {
  type Attempt,
  type Delivery,
  type QueuedMessage,
  StoreFault,
  type StoreSharing,
  type TransactionStore,
} from '../store/index.ts'
import {
  DeliveryLane,
  type LaneContext,
  type StoreAndForwardEvent,
  type UnsealCard,
} from './delivery-lane.ts'
import { STORE_AND_FORWARD_LIMITS, type StoreAndForwardLimits } from './limits.ts'

export interface StoreAndForwardOptions {
  readonly store: Pick<
    TransactionStore,
    'pendingDeliveries' | 'updateDelivery' | 'pendingLateApprovals' | 'deadLetters'
  >
  /**
   * By name, read when a lane is first used. A queued message of an issuer that is not here stays
   * queued, and is alarmed.
   */
  readonly issuers: ReadonlyMap<string, Issuer>
  /** Opens a sealed card; may throw where the key is missing. */
  readonly unseal: UnsealCard
  /** Messages of equal keys leave in order; without it those of one transaction do. */
  readonly cardKey?: (message: QueuedMessage) => string
  readonly clock: Clock
  readonly timers: Timers
  readonly random: Random
  readonly limits?: StoreAndForwardLimits
  /** Of a store of many processes: each lane belongs to one of them, which alone sends. */
  readonly sharing?: Pick<StoreSharing, 'ownsLane' | 'isUnheard'> | undefined
  /** Called on the message path: it must not throw. */
  readonly onEvent: (event: StoreAndForwardEvent) => void
}

export interface StoreAndForward {
  /**
   * Takes up what is queued in the store, for the lanes of this process or for those issuers' alone.
   * Rejects with StoreFault.
   */
  start(issuers?: readonly string[]): Promise<void>
  /**
   * Takes over a message that is durable already. A second time is nothing; nor is one for a lane
   * of another process, which finds it in the store.
   */
  enqueue(message: QueuedMessage): void
  /**
   * Keeps the place of a reversal whose request is still under way here: `enqueue` lets it go, or the
   * time by which that request must have ended. Where the overflow takes it, or another process's
   * lane, it has no place, and `enqueue` adds it.
   */
  reserve(message: QueuedMessage): void
  /**
   * An approval came after its attempt was given up: a reversal that was answered 25 is sent again
   * at once, and 25 does not end it any more. No reversal is added.
   */
  lateApproval(attempt: Attempt): void
  /**
   * Resolves with true once its issuer has heard all that is queued about that original, with false
   * after `timeoutMs`. A reversal answered 25 was heard, though it is repeated.
   */
  heard(original: Attempt, timeoutMs: number): Promise<boolean>
  /** Takes over what others queued, or left, for lanes of this process. What it has is nothing. */
  takeUp(deliveries: readonly Delivery[]): void
  /** Takes up a dead letter again that is durably queued again: its sends count from 0 or 1. */
  requeue(delivery: Delivery): void
  /** Neither acknowledged nor dead, of that issuer. */
  depth(issuer: string): number
  /** Dead and not queued again, of that issuer; those of earlier processes included. */
  deadLetters(issuer: string): number
  /**
   * Sends nothing more, also of what is taken over from now on; resolves when what is in flight has
   * ended and its result is stored. No timer is left; what is queued is in the store, for the next
   * start.
   */
  close(): Promise<void>
}

/** Throws where a lane would have more in flight than a link keeps room for. */
export function createStoreAndForward(options: StoreAndForwardOptions): StoreAndForward {
  const limits = options.limits ?? STORE_AND_FORWARD_LIMITS
  if (limits.inFlightMax > REVERSALS_IN_FLIGHT_MAX) {
    throw new RangeError(`a link takes ${REVERSALS_IN_FLIGHT_MAX} reversals in flight, not more`)
  }
  const lanes = new Map<string, DeliveryLane>()

  let isStopped = false
  const stopAll = async (): Promise<void> => {
    isStopped = true
    await Promise.all([...lanes.values()].map((lane) => lane.stop()))
  }
  let isHalted = false
  const context: LaneContext = {
    ...options,
    limits,
    cardKey: options.cardKey ?? ((message) => message.transactionId),
    onHalt(error) {
      if (isHalted) return
      isHalted = true
      options.onEvent({ kind: 'halted', error })
      void stopAll()
    },
  }
  const laneOf = (name: string): DeliveryLane => {
    const known = lanes.get(name)
    if (known !== undefined) return known
    const lane = new DeliveryLane(name, options.issuers.get(name), context)
    if (isStopped) void lane.stop()
    lanes.set(name, lane)
    return lane
  }

  const { sharing } = options
  const isOurs = (issuer: string) => sharing === undefined || sharing.ownsLane(issuer)
  const takeUp = (deliveries: readonly Delivery[]) => {
    for (const { message, sends, lastResponseCode } of deliveries) {
      if (isOurs(message.issuer)) laneOf(message.issuer).add(message, sends, lastResponseCode)
    }
  }
  return {
    async start(issuers) {
      const isMeant = (issuer: string) => isOurs(issuer) && (issuers?.includes(issuer) ?? true)
      for (const [issuer, count] of await options.store.deadLetters()) {
        if (isMeant(issuer)) laneOf(issuer).foundDead(count)
      }
      for (const { issuer, transactionId } of await options.store.pendingLateApprovals()) {
        if (isMeant(issuer)) laneOf(issuer).foundApproval(transactionId)
      }
      const pending = await options.store.pendingDeliveries()
      takeUp(pending.filter(({ message }) => isMeant(message.issuer)))
    },
    takeUp,
    enqueue(message) {
      if (!isOurs(message.issuer)) return
      const lane = laneOf(message.issuer)
      lane.add(message, 0, null)
      lane.letGo(message)
    },
    reserve(message) {
      if (isOurs(message.issuer)) laneOf(message.issuer).reserve(message)
    },
    requeue({ message, sends, lastResponseCode }) {
      if (!isOurs(message.issuer)) return
      laneOf(message.issuer).add(message, sends, lastResponseCode, true)
    },
    lateApproval: (attempt) => lanes.get(attempt.issuer)?.approvedLate(attempt),
    heard(original, timeoutMs) {
      if (sharing !== undefined && !isOurs(original.issuer)) {
        return heardElsewhere(options, sharing, original, timeoutMs)
      }
      return lanes.get(original.issuer)?.heard(original, timeoutMs) ?? Promise.resolve(true)
    },
    depth: (issuer) => lanes.get(issuer)?.depth ?? 0,
    deadLetters: (issuer) => lanes.get(issuer)?.deadLetters ?? 0,
    close: stopAll,
  }
}

/** Another process sends it: asked of the store now and then. */
async function heardElsewhere(
  { clock, timers, limits }: StoreAndForwardOptions,
  sharing: Pick<StoreSharing, 'isUnheard'>,
  original: Attempt,
  timeoutMs: number,
): Promise<boolean> {
  const endMs = clock.monotonic() + timeoutMs
  const { linkPollMs } = limits ?? STORE_AND_FORWARD_LIMITS
  for (;;) {
    // What can't be read is not known to be told.
    const isUnheard = await sharing.isUnheard(original).catch((error: unknown) => {
      if (error instanceof StoreFault) return true
      throw error
    })
    if (!isUnheard) return true
    if (clock.monotonic() >= endMs) return false
    await new Promise<void>((resolve) => {
      timers.set(linkPollMs, resolve)
    })
  }
}
