// Notes what the store promises, and in which order, on its way through.

import type { QueuedMessage, TransactionStore } from '../../store/index.ts'
import { queuedBy } from '../../store/index.ts'
import type { Books } from './books.ts'

type Method = (...given: never[]) => unknown

/** The same store; what it makes durable for an issuer is noted in the books. */
export function watchStore(
  store: TransactionStore,
  books: Books,
  cardOf: (message: QueuedMessage) => string,
): TransactionStore {
  const messages = new Map<string, QueuedMessage>()
  const note = (queued: readonly QueuedMessage[]) => {
    for (const message of queued) {
      messages.set(`${message.transactionId} ${message.step}`, message)
      if (message.mti === '0420') books.durable(message.original, true)
      books.queued(message, cardOf(message))
    }
  }
  const watched: Partial<TransactionStore> = {
    async claim(intent) {
      const result = await store.claim(intent)
      if (result.kind === 'claimed' && intent.attempt !== null) books.durable(intent.attempt, false)
      return result
    },
    async addAttempt(transactionId, attempt) {
      const isAdded = await store.addAttempt(transactionId, attempt)
      if (isAdded) books.durable(attempt, false)
      return isAdded
    },
    async accept(intent, outcome) {
      const result = await store.accept(intent, outcome)
      if (result.kind === 'claimed') note(queuedBy(outcome))
      return result
    },
    async record(outcome) {
      const recorded = await store.record(outcome)
      note(queuedBy(recorded))
      return recorded
    },
    async recordStandIn(outcome) {
      const recorded = await store.recordStandIn(outcome)
      if (recorded !== 'over_limit') note(queuedBy(recorded))
      return recorded
    },
    async queue(message) {
      const isNew = await store.queue(message)
      if (isNew) note([message])
      return isNew
    },
    async pendingDeliveries() {
      const pending = await store.pendingDeliveries()
      for (const { message } of pending) {
        if (message.mti === '0420') books.durable(message.original, true)
        messages.set(`${message.transactionId} ${message.step}`, message)
      }
      books.queueRead(pending.map(({ message }) => ({ message, card: cardOf(message) })))
      return pending
    },
    async updateDelivery(transactionId, step, change) {
      await store.updateDelivery(transactionId, step, change)
      const message = messages.get(`${transactionId} ${step}`)
      if (message === undefined || change.state === 'queued') return
      messages.delete(`${transactionId} ${step}`)
      books.unqueued(message)
    },
  }
  const bound = new Map<PropertyKey, Method>()
  return new Proxy(store, {
    get(target, name) {
      const own = watched[name as keyof TransactionStore]
      if (own !== undefined) return own
      const value: unknown = Reflect.get(target, name, target)
      if (typeof value !== 'function') return value
      const known = bound.get(name) ?? (value.bind(target) as Method)
      bound.set(name, known)
      return known
    },
  })
}
