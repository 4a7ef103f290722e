// An operator's word that a dead letter is to be sent again.

import type { Delivery, TransactionStore } from './store/index.ts'

/**
 * Queues the dead messages of a transaction again, durably, and gives each to `take`. One that may
 * have been sent goes out as the repeat it is. Resolves with how many; undefined: no such
 * transaction. Rejects with StoreFault.
 */
export async function requeue(
  store: Pick<TransactionStore, 'read' | 'updateDelivery'>,
  transactionId: string,
  take: (delivery: Delivery) => void,
): Promise<number | undefined> {
  const transaction = await store.read(transactionId)
  if (transaction === undefined) return undefined
  let queued = 0
  for (const { message } of transaction.deliveries) {
    // Read anew each time: another requeue may have sent it meanwhile, and it may be acknowledged.
    const now = await store.read(transactionId)
    const dead = now?.deliveries.find((one) => one.message.step === message.step)
    if (dead?.state !== 'dead') continue
    const { sends, lastResponseCode } = dead
    const change = { state: 'queued', sends: Math.min(sends, 1), lastResponseCode } as const
    await store.updateDelivery(transactionId, message.step, change)
    take({ message, ...change })
    queued++
  }
  return queued
}
