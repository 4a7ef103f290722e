// Waiting longer after each failure, and never in step with others.
//
//   wait = half of min(maxMs, minMs * 2^failures), plus a random part of the other half
//
// ("equal jitter", Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015: spreads
// the crowd that one outage makes, and keeps a floor below which nobody hammers.)

import type { Random } from '../ports.ts'

export interface BackOff {
  readonly minMs: number
  readonly maxMs: number
}

const fourBytes = new Uint8Array(4)
const fourBytesView = new DataView(fourBytes.buffer)

/** Milliseconds to wait after `failures` failures in a row (0: the first). */
export function backOffMs(backOff: BackOff, failures: number, random: Random): number {
  const ceilingMs = Math.min(backOff.maxMs, backOff.minMs * 2 ** Math.min(failures, 30))
  random.fill(fourBytes)
  const fraction = fourBytesView.getUint32(0) / 4_294_967_296
  return Math.floor(ceilingMs / 2 + (fraction * ceilingMs) / 2)
}
