// Trace numbers toward one issuer link: DE11, DE7 and DE37 of our own.
//
//   DE11  STAN, 000001..999999, the next free one in a circle
//   DE7   MMDDhhmmss, UTC, the moment of drawing
//   DE37  YDDDhh + DE11: last digit of the year, day of the year, hour (UTC), as usual for
//         ISO 8583:1987 (twelve digits, unique for a STAN within the hour, for ten years)
//
// A number rests until its second of release:
//
//   drawn ──────────────> released: DRAWN_HOLD_MS after, when nobody asked with it
//     └ asked ──────────> its deadline and the late-answer window after it
//         ├ answered ───> ANSWERED_HOLD_MS
//         └ given up ───> the late-answer window
//   kept: until `keep` is taken back (a reversal that is queued, however long)
//
// `releaseSeconds` has one entry a STAN, in pages that are made when a number of theirs is drawn, and
// `expiring` counts the numbers of each coming second, so how many are free is known without
// looking. Four megabytes a link that has drawn them all, and no timer.

import type { Clock } from '../ports.ts'
import type { TraceNumbers, TracePurpose } from './issuer.ts'
import { DRAWN_HOLD_MS, HOLD_MAX_MS, STAN_END, STANS_RESERVED_FOR_REVERSALS } from './limits.ts'

/** No STAN was free: not a number that exists, so that what carries it is never sent. */
export const NO_STAN = '000000'

/** Numbers from `first` to `last`, both included: what one process draws. */
export interface TraceSlot {
  readonly first: number
  readonly last: number
}

const ALL_STANS: TraceSlot = { first: 1, last: STAN_END - 1 }

const KEPT = 0xffff_ffff
/** 16 kB a page: a link that is little used stays small, and a start makes none. */
const PAGE_STANS = 4_096
/** All zeros, and written by nobody. */
const NEVER_DRAWN = new Uint32Array(PAGE_STANS)
const COUNTED_SECONDS = HOLD_MAX_MS / 1_000 + 2

/** The numbers of one link; all on one thread. */
export class TraceBook {
  readonly #clock: Clock
  /** Drawn from first to last, in a circle. */
  readonly #slot: TraceSlot
  readonly #reserved: number
  readonly #releaseSeconds: Uint32Array[] = new Array(Math.ceil(STAN_END / PAGE_STANS)).fill(
    NEVER_DRAWN,
  )
  readonly #expiring = new Uint32Array(COUNTED_SECONDS)
  readonly #startMs: number
  /** Releases up to and with this second are counted as free. */
  #countedSecond = 0
  #resting = 0
  #last: number
  #stampedSecond = -1
  #transmittedAt = ''
  #rrnPrefix = ''

  /**
   * Goes on after `lastStan`, the high-water mark that survived the restart, by `skip` more: so
   * many draws may have been made durable in another order than they were drawn.
   */
  constructor(clock: Clock, lastStan: string, skip: number, slot: TraceSlot = ALL_STANS) {
    const { first, last } = slot
    const size = last - first + 1
    this.#clock = clock
    this.#slot = slot
    this.#reserved = Math.floor((STANS_RESERVED_FOR_REVERSALS * size) / (STAN_END - 1))
    this.#startMs = clock.monotonic()
    const isInSlot = Number(lastStan) >= first && Number(lastStan) <= last
    const from = isInSlot ? Number(lastStan) - first + 1 : 0
    this.#last = first - 1 + ((from + skip) % (size + 1))
  }

  /** How many numbers could be drawn now. */
  get free(): number {
    this.#countReleased(this.#nowSecond())
    return this.#slot.last - this.#slot.first + 1 - this.#resting
  }

  /** The next free numbers; the STAN is NO_STAN where none is free for that purpose. */
  draw(purpose: TracePurpose): TraceNumbers {
    this.#stamp()
    const floor = purpose === 'request' ? this.#reserved : 0
    if (this.free <= floor) {
      return { stan: NO_STAN, transmittedAt: this.#transmittedAt, rrn: this.#rrnPrefix + NO_STAN }
    }
    const second = this.#nowSecond()
    let stan = this.#last
    do {
      stan = stan >= this.#slot.last ? this.#slot.first : stan + 1
    } while (this.#releaseSecond(stan) > second)
    this.#last = stan
    this.rest(stan, DRAWN_HOLD_MS)
    const text = String(stan).padStart(6, '0')
    return { stan: text, transmittedAt: this.#transmittedAt, rrn: this.#rrnPrefix + text }
  }

  /** Lets a number rest for `holdMs` from now on, at least; ends `keep`. */
  rest(stan: number, holdMs: number): void {
    if (!this.#isOwn(stan)) return
    const second = this.#nowSecond()
    this.#countReleased(second)
    const holdSeconds = Math.ceil(Math.min(holdMs, HOLD_MAX_MS) / 1_000)
    this.#setRelease(stan, second, second + holdSeconds + 1)
  }

  /** Takes a number out of circulation until `rest` is called for it. */
  keep(stan: number): void {
    if (!this.#isOwn(stan)) return
    const second = this.#nowSecond()
    this.#countReleased(second)
    this.#setRelease(stan, second, KEPT)
  }

  /** Another process's numbers rest in its own book. */
  #isOwn(stan: number): boolean {
    return stan >= this.#slot.first && stan <= this.#slot.last
  }

  #setRelease(stan: number, nowSecond: number, release: number): void {
    const before = this.#releaseSecond(stan)
    if (before <= nowSecond) this.#resting++
    else if (before !== KEPT) this.#count(before, -1)
    if (release !== KEPT) this.#count(release, 1)
    const at = Math.floor(stan / PAGE_STANS)
    let page = this.#releaseSeconds[at] as Uint32Array
    if (page === NEVER_DRAWN) {
      page = new Uint32Array(PAGE_STANS)
      this.#releaseSeconds[at] = page
    }
    page[stan % PAGE_STANS] = release
  }

  #releaseSecond(stan: number): number {
    const page = this.#releaseSeconds[Math.floor(stan / PAGE_STANS)] as Uint32Array
    return page[stan % PAGE_STANS] as number
  }

  #count(second: number, by: number): void {
    const slot = second % COUNTED_SECONDS
    this.#expiring[slot] = (this.#expiring[slot] as number) + by
  }

  /** Moves the counting on; after a long silence once around is all there is to see. */
  #countReleased(nowSecond: number): void {
    const from = Math.max(this.#countedSecond, nowSecond - COUNTED_SECONDS) + 1
    for (let second = from; second <= nowSecond; second++) {
      const slot = second % COUNTED_SECONDS
      this.#resting -= this.#expiring[slot] as number
      this.#expiring[slot] = 0
    }
    if (nowSecond > this.#countedSecond) this.#countedSecond = nowSecond
  }

  /** Seconds since the start, from 1: release second 0 means never drawn. */
  #nowSecond(): number {
    return Math.floor((this.#clock.monotonic() - this.#startMs) / 1_000) + 1
  }

  #stamp(): void {
    const second = Math.floor(this.#clock.now() / 1_000)
    if (second === this.#stampedSecond) return
    this.#stampedSecond = second
    this.#transmittedAt = formatTransmittedAt(second * 1_000)
    this.#rrnPrefix = formatRrnPrefix(second * 1_000)
  }
}

/** DE7 (n 10) of a moment, milliseconds since 1970: MMDDhhmmss, UTC. */
export function formatTransmittedAt(atMs: number): string {
  const text = new Date(atMs).toISOString()
  return (
    text.slice(5, 7) +
    text.slice(8, 10) +
    text.slice(11, 13) +
    text.slice(14, 16) +
    text.slice(17, 19)
  )
}

/** The first six of our DE37: YDDDhh, UTC. */
export function formatRrnPrefix(atMs: number): string {
  const date = new Date(atMs)
  const startOfYearMs = Date.UTC(date.getUTCFullYear(), 0, 1)
  const dayOfYear = Math.floor((atMs - startOfYearMs) / 86_400_000) + 1
  const yearDigit = date.getUTCFullYear() % 10
  const hour = String(date.getUTCHours()).padStart(2, '0')
  return `${yearDigit}${String(dayOfYear).padStart(3, '0')}${hour}`
}
