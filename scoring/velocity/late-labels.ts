// Labels that wait for the moment at which they were known: for backtests and training, where time
// is that of the events.

import type { VelocityLabel } from './velocity.ts'

interface Waiting {
  readonly knownAtMs: number
  readonly label: VelocityLabel
}

/** A heap by the time at which each was known. */
export class LateLabels {
  readonly #heap: Waiting[] = []

  /** When the next one is known; Infinity without any. */
  get nextMs(): number {
    return this.#heap[0]?.knownAtMs ?? Number.POSITIVE_INFINITY
  }

  /** NaN: it never is. */
  add(label: VelocityLabel, knownAtMs: number): void {
    if (Number.isNaN(knownAtMs)) return
    const heap = this.#heap
    let at = heap.push({ knownAtMs, label }) - 1
    while (at > 0) {
      const parent = (at - 1) >>> 1
      if ((heap[parent] as Waiting).knownAtMs <= knownAtMs) return
      this.#swap(at, parent)
      at = parent
    }
  }

  /** Takes out, in the order of their time, what is known at `atMs`. */
  *until(atMs: number): Generator<VelocityLabel> {
    for (;;) {
      const [first] = this.#heap
      if (first === undefined || first.knownAtMs > atMs) return
      this.#removeFirst()
      yield first.label
    }
  }

  #removeFirst(): void {
    const heap = this.#heap
    const last = heap.pop() as Waiting
    if (heap.length === 0) return
    heap[0] = last
    for (let at = 0; ; ) {
      let least = at
      for (const child of [2 * at + 1, 2 * at + 2]) {
        const { knownAtMs = Number.POSITIVE_INFINITY } = heap[child] ?? {}
        if (knownAtMs < (heap[least] as Waiting).knownAtMs) least = child
      }
      if (least === at) return
      this.#swap(at, least)
      at = least
    }
  }

  #swap(one: number, other: number): void {
    const heap = this.#heap
    const moved = heap[one] as Waiting
    heap[one] = heap[other] as Waiting
    heap[other] = moved
  }
}
