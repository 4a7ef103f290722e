// The nonces that an acquirer has used, kept for as long as its signatures are taken at all.
//
//   created    ... | 12:00 | 12:01 | 12:02 | ...      one set a minute of `created`
//                     └─ dropped whole, once no signature from that minute is taken any more

import { hash } from 'node:crypto'
import { NONCES_PER_ACQUIRER_MAX, SIGNATURE_SKEW_SECONDS } from './limits.ts'

const BUCKET_SECONDS = 60

/**
 * Over the limit the oldest minute is given up, and with it every signature of that minute and
 * before: fewer are taken, but none twice.
 */
export class Nonces {
  readonly #capacity: number
  readonly #minutes = new Map<number, Set<number>>()
  #size = 0
  /** Signatures created in this minute or before are not taken. */
  #floorMinute = Number.NEGATIVE_INFINITY

  constructor(capacity: number = NONCES_PER_ACQUIRER_MAX) {
    this.#capacity = capacity
  }

  get size(): number {
    return this.#size
  }

  /** Seconds since 1970. Says whether it is the first time; then it is remembered. */
  use(nonce: string, createdSeconds: number, nowSeconds: number): 'new' | 'used' | 'too_old' {
    const minute = Math.floor(createdSeconds / BUCKET_SECONDS)
    this.#forgetBefore(Math.floor((nowSeconds - SIGNATURE_SKEW_SECONDS) / BUCKET_SECONDS))
    if (minute <= this.#floorMinute) return 'too_old'
    // 48 bits of a hash: 6 bytes a nonce instead of a string; two of half a million collide once in
    // 2,000 full memories, and then a client signs again.
    const mark = hash('sha256', nonce, 'buffer').readUIntBE(0, 6)
    for (const marks of this.#minutes.values()) if (marks.has(mark)) return 'used'
    if (this.#size >= this.#capacity) this.#giveUpOldest()
    if (minute <= this.#floorMinute) return 'too_old'
    const marks = this.#minutes.get(minute)
    if (marks === undefined) this.#minutes.set(minute, new Set([mark]))
    else marks.add(mark)
    this.#size++
    return 'new'
  }

  #forgetBefore(minute: number): void {
    for (const old of this.#minutes.keys()) if (old < minute) this.#drop(old)
  }

  #giveUpOldest(): void {
    const oldest = Math.min(...this.#minutes.keys())
    this.#drop(oldest)
    this.#floorMinute = Math.max(this.#floorMinute, oldest)
  }

  #drop(minute: number): void {
    this.#size -= this.#minutes.get(minute)?.size ?? 0
    this.#minutes.delete(minute)
  }
}
