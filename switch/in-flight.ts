// The authorizations that are running, by acquirer and idempotency key, and who waits for them.

import { WAITERS_PER_KEY_MAX } from './limits.ts'
import type { Reply } from './respond.ts'

type Waiter = (reply: Reply) => void

interface Running {
  readonly fingerprint: Uint8Array
  readonly waiters: Set<Waiter>
  /** Of an authorization that is worked here: what its record is called, once claimed. */
  transactionId?: string
}

export class InFlight {
  readonly #running = new Map<string, Running>()
  readonly #capacity: number
  #onEmpty: (() => void) | undefined

  /** `capacity`: how many may run at once; `isFull` says when to refuse at the door. */
  constructor(capacity: number) {
    this.#capacity = capacity
  }

  get size(): number {
    return this.#running.size
  }

  get isFull(): boolean {
    return this.#running.size >= this.#capacity
  }

  /** The same with room that is kept for what must not be turned away. */
  isFullFor(reserved: number): boolean {
    return this.#running.size >= this.#capacity + reserved
  }

  find(key: string): { readonly fingerprint: Uint8Array } | undefined {
    return this.#running.get(key)
  }

  /** Says what a key that was entered claims. */
  name(key: string, transactionId: string): void {
    const running = this.#running.get(key)
    if (running === undefined) throw new Error('an idempotency key was named that never entered')
    running.transactionId = transactionId
  }

  /**
   * Whether this process itself works on that transaction. A retry may hold the same key here while
   * another process does.
   */
  isWorking(key: string, transactionId: string): boolean {
    return this.#running.get(key)?.transactionId === transactionId
  }

  /** Takes a key. Throws where it is taken: `find` comes first, in the same synchronous step. */
  enter(key: string, fingerprint: Uint8Array): void {
    if (this.#running.has(key)) throw new Error('an idempotency key was entered twice')
    this.#running.set(key, { fingerprint, waiters: new Set() })
  }

  /** Adds a waiter; undefined where the key isn't running or too many wait already. */
  wait(key: string, waiter: Waiter): { cancel(): void } | undefined {
    const running = this.#running.get(key)
    if (running === undefined || running.waiters.size >= WAITERS_PER_KEY_MAX) return undefined
    running.waiters.add(waiter)
    return { cancel: () => running.waiters.delete(waiter) }
  }

  /** Ends a run: all who wait get its reply. */
  leave(key: string, reply: Reply): void {
    const running = this.#running.get(key)
    if (running === undefined) throw new Error('an idempotency key left that never entered')
    this.#running.delete(key)
    for (const waiter of running.waiters) waiter(reply)
    if (this.#running.size === 0) this.#onEmpty?.()
  }

  /** Resolves when nothing runs. */
  whenEmpty(): Promise<void> {
    if (this.#running.size === 0) return Promise.resolve()
    return new Promise((resolve) => {
      this.#onEmpty = resolve
    })
  }
}
