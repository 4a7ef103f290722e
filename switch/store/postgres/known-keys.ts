// The idempotency keys that this process took: open ones for as long as they are open, of the
// recorded ones the newest. A key that is not here may be another process's.

import type { Intent, KeyEntry } from '../transaction-store.ts'

interface Known {
  readonly entry: KeyEntry
  readonly createdAtMs: number
}

export class KnownKeys {
  readonly #capacity: number
  readonly #open = new Map<string, Known>()
  /** Newest last. */
  readonly #recorded = new Map<string, Known>()
  /** By transaction, of the open ones. */
  readonly #places = new Map<string, string>()

  constructor(capacity: number) {
    this.#capacity = capacity
  }

  find(acquirer: string, idempotencyKey: string): Known | undefined {
    const place = placeOf(acquirer, idempotencyKey)
    return this.#open.get(place) ?? this.#recorded.get(place)
  }

  take(intent: Intent): void {
    const { id: transactionId, fingerprint, createdAtMs } = intent
    const place = placeOf(intent.acquirer, intent.idempotencyKey)
    this.#recorded.delete(place)
    this.#open.set(place, { entry: { transactionId, fingerprint, state: 'open' }, createdAtMs })
    this.#places.set(transactionId, place)
  }

  /** Its outcome is durable. Nothing where the key is not one of ours. */
  recorded(transactionId: string): void {
    const place = this.#places.get(transactionId)
    const known = place === undefined ? undefined : this.#open.get(place)
    if (place === undefined || known === undefined) return
    this.forget(transactionId)
    this.#recorded.set(place, { ...known, entry: { ...known.entry, state: 'recorded' } })
    if (this.#recorded.size <= this.#capacity) return
    for (const oldest of this.#recorded.keys()) {
      this.#recorded.delete(oldest)
      return
    }
  }

  /** It was not taken after all. */
  forget(transactionId: string): void {
    const place = this.#places.get(transactionId)
    if (place === undefined) return
    this.#places.delete(transactionId)
    this.#open.delete(place)
  }
}

/** One text for a key of an acquirer. */
export function placeOf(acquirer: string, idempotencyKey: string): string {
  return `${acquirer}\n${idempotencyKey}`
}
