// One flipped bit of a frame, as a bad line leaves it.
//
// Where nothing authenticates the bytes (no DE64, no TLS), a flip that turns one good message into
// another can't be told by anybody; those are left out. What stays is a frame that can't be read, a
// length that is wrong, or an answer whose numbers are nobody's.

import type { Dialect, IsoMessage } from '../../iso8583/index.ts'
import type { SeededRandom } from '../random.ts'

const LENGTH_BYTES = 2
const TRIES_MAX = 16

/** Fields by which an answer is matched, always. */
const MATCHED = [7, 11, 37, 41, 49] as const

/** Undefined: no flip was found that a receiver can tell. `frame`: two bytes of length, one message. */
export function spoilFrame(
  frame: Uint8Array,
  dialect: Dialect,
  random: SeededRandom,
): Uint8Array | undefined {
  const original = dialect.decode(frame.subarray(LENGTH_BYTES))
  if (!original.ok || original.message.mti.startsWith('08')) return undefined
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    // Not `slice`: of a Buffer that is a view, and the flips would add up in the frame itself.
    const spoiled = Uint8Array.from(frame)
    const at = random.below(frame.length)
    spoiled[at] = (spoiled[at] as number) ^ (1 << random.below(8))
    if (at < LENGTH_BYTES) return spoiled
    const read = dialect.decode(spoiled.subarray(LENGTH_BYTES))
    if (!read.ok || isNobodys(original.message, read.message)) return spoiled
  }
  return undefined
}

/** An answer with other numbers; a request with other numbers would be another request. */
function isNobodys(original: IsoMessage, read: IsoMessage): boolean {
  const isAnswer = Number(original.mti[2]) % 2 === 1
  if (!isAnswer || original.mti !== read.mti) return false
  return MATCHED.some((field) => text(original, field) !== text(read, field))
}

function text(message: IsoMessage, field: number): string {
  return String(message.fields[field] ?? '').trimEnd()
}
