// The last STAN drawn toward each issuer from this process's slot of numbers, and the slot itself.

import { TRACE_SLOTS } from './limits.ts'

/** Six digits, 000001 to 999999. */
const STANS = 999_999

/** Numbers from `first` to `last`, both included. */
export interface TraceSlot {
  readonly first: number
  readonly last: number
}

/** Disjoint, of equal length: 124,999 of each slot, and 7 numbers that nobody draws. */
export function traceSlotOf(slot: number): TraceSlot {
  const length = Math.floor(STANS / TRACE_SLOTS)
  return { first: slot * length + 1, last: (slot + 1) * length }
}

export class TraceMarks {
  readonly slot: TraceSlot
  readonly #stans: Map<string, string>

  constructor(slot: TraceSlot, stans: Iterable<readonly [issuer: string, stan: string]>) {
    this.slot = slot
    this.#stans = new Map(stans)
  }

  /** '000000' where none was drawn. */
  last(issuer: string): string {
    return this.#stans.get(issuer) ?? '000000'
  }

  /** Keeps a STAN that is ahead of the last: up to half of the circle further. */
  note(issuer: string, stan: string): void {
    const last = this.#stans.get(issuer)
    if (last === undefined || isAhead(this.slot, Number(last), Number(stan))) {
      this.#stans.set(issuer, stan)
    }
  }
}

/** In the slot's own circle where both lie in it, otherwise in that of all numbers. */
function isAhead(slot: TraceSlot, last: number, stan: number): boolean {
  const isInSlot = (n: number) => n >= slot.first && n <= slot.last
  const circle = isInSlot(last) && isInSlot(stan) ? slot.last - slot.first + 1 : STANS
  const ahead = (stan - last + circle) % circle
  return ahead > 0 && ahead < circle / 2
}
