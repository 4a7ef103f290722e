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
  const dead = transaction.deliveries.filter(({ state }) => state === 'dead')
  for (const { message, sends, lastResponseCode } of dead) {
    const change = { state: 'queued', sends: Math.min(sends, 1), lastResponseCode } as const
    await store.updateDelivery(transactionId, message.step, change)
    take({ message, ...change })
  }
  return dead.length
}
