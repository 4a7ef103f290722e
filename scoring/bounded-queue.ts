// A first-in, first-out queue that never grows beyond its capacity.
//
//      head                tail = (head + length) % capacity
//        v                   v
//   [ .  a  b  c  d  e  f  g  .  . ]

/** A ring over one array, allocated once. */
export class BoundedQueue<T> {
  readonly #slots: (T | undefined)[]
  #head = 0
  #length = 0

  /** `capacity`: 1 or more. */
  constructor(capacity: number) {
    this.#slots = new Array<T | undefined>(capacity).fill(undefined)
  }

  get length(): number {
    return this.#length
  }

  /** False where the queue is full: nothing was added. */
  push(item: T): boolean {
    const capacity = this.#slots.length
    if (this.#length === capacity) return false
    this.#slots[(this.#head + this.#length) % capacity] = item
    this.#length++
    return true
  }

  /** The oldest, which stays. */
  peek(): T | undefined {
    return this.#length === 0 ? undefined : this.#slots[this.#head]
  }

  /** Takes the oldest out. */
  shift(): T | undefined {
    if (this.#length === 0) return undefined
    const item = this.#slots[this.#head]
    this.#slots[this.#head] = undefined
    this.#head = (this.#head + 1) % this.#slots.length
    this.#length--
    return item
  }

  /** Takes up to `count` of the oldest out, in their order. */
  take(count: number): T[] {
    const taken: T[] = []
    while (taken.length < count && this.#length > 0) taken.push(this.shift() as T)
    return taken
  }
}
