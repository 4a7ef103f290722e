// An operator's word that a dead letter is to be sent again.

import {
  type Delivery,
  isToldOfItself,
  type QueuedMessage,
  type Transaction,
  type TransactionStore,
} from './store/index.ts'

/** How many dead messages of a transaction were queued again, and how many were refused. */
export interface Requeued {
  readonly queued: number
  /** A later reversal of the payment took back what they tell: they may not come after it. */
  readonly takenBack: number
}

/** Why a dead message stays dead. */
export const TAKEN_BACK =
  'a later reversal takes it back, and the issuer must not hear it after that: settle it with them'

/**
 * Queues the dead messages of a transaction again, durably, and gives each to `take`. One that may
 * have been sent goes out as the repeat it is; one that a later reversal takes back stays dead.
 * Undefined: no such transaction. Rejects with StoreFault.
 */
export async function requeue(
  store: Pick<TransactionStore, 'read' | 'updateDelivery'>,
  transactionId: string,
  take: (delivery: Delivery) => void,
): Promise<Requeued | undefined> {
  const transaction = await store.read(transactionId)
  if (transaction === undefined) return undefined
  let queued = 0
  let takenBack = 0
  for (const { message } of transaction.deliveries) {
    const isTakenBack = isToldOfItself(message) && (await hasReversal(store, transaction, message))
    // Read anew each time: another requeue may have sent it meanwhile, and it may be acknowledged.
    const now = await store.read(transactionId)
    const dead = now?.deliveries.find((one) => one.message.step === message.step)
    if (dead?.state !== 'dead') continue
    if (isTakenBack) {
      takenBack++
      continue
    }
    const { sends, lastResponseCode } = dead
    const change = { state: 'queued', sends: Math.min(sends, 1), lastResponseCode } as const
    await store.updateDelivery(transactionId, message.step, change)
    take({ message, ...change })
    queued++
  }
  return { queued, takenBack }
}

/** Whether a step of its payment reverses what the message tells, in the message's own numbers. */
async function hasReversal(
  store: Pick<TransactionStore, 'read'>,
  { intent, steps }: Transaction,
  told: QueuedMessage,
): Promise<boolean> {
  const { paymentId } = intent.payment ?? {}
  const ids = paymentId === undefined ? steps : ((await store.read(paymentId))?.steps ?? [])
  for (const id of ids) {
    const original = (await store.read(id))?.outcome?.reversal?.original
    const { stan, transmittedAt, rrn } = original ?? {}
    if (stan === told.stan && transmittedAt === told.transmittedAt && rrn === told.rrn) return true
  }
  return false
}
