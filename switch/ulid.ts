// Identifiers that sort by time: 48 bits of milliseconds, 80 random bits, in Crockford's base 32
// (github.com/ulid/spec). 26 characters.

import type { Clock } from '#scoring'
import type { Random } from './ports.ts'

const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'
const RANDOM_CHARACTERS = 16
/** Makes identifiers of one prefix, e.g. `auth_01KA...`. */
export class IdentifierSource {
  readonly #clock: Clock
  readonly #random: Random
  readonly #bytes = new Uint8Array(RANDOM_CHARACTERS)

  constructor(clock: Clock, random: Random) {
    this.#clock = clock
    this.#random = random
  }

  next(prefix: string): string {
    this.#random.fill(this.#bytes)
    let text = prefix + timeCharacters(this.#clock.now())
    // One random byte a character, 5 of its bits used: simpler than packing, as random.
    for (const byte of this.#bytes) text += ALPHABET[byte & 31]
    return text
  }
}

function timeCharacters(milliseconds: number): string {
  let rest = milliseconds
  let text = ''
  for (let i = 0; i < 10; i++) {
    text = ALPHABET[rest % 32] + text
    rest = Math.floor(rest / 32)
  }
  return text
}
