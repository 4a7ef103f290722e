// Step: who is asking? An API key in `Authorization: Bearer`, known by its SHA-256 only.

import { hash, timingSafeEqual } from 'node:crypto'
import { type Refusal, refuse } from './errors.ts'
import type { Acquirer } from './world.ts'

interface KnownKey {
  readonly digest: Uint8Array
  readonly acquirer: Acquirer
}

/** API keys longer than this are not hashed at all. */
const API_KEY_CHARACTERS_MAX = 256

/** RFC 6750, 2.1: one key after the scheme, and nothing after it. */
const BEARER = /^bearer +([^ ]+)$/i

/** The acquirers' keys. Comparison takes the same time whether or not, and wherever, a key differs. */
export class Authenticator {
  readonly #known: readonly KnownKey[]

  constructor(acquirers: readonly Acquirer[]) {
    this.#known = acquirers.flatMap((acquirer) =>
      acquirer.apiKeySha256.map((hex) => ({ digest: Buffer.from(hex, 'hex'), acquirer })),
    )
  }

  /** `authorization` is the header's value, empty when absent. */
  authenticate(authorization: string): Acquirer | Refusal {
    const key = BEARER.exec(authorization)?.[1] ?? ''
    if (key === '' || key.length > API_KEY_CHARACTERS_MAX) {
      return refuse('unauthorized', 'send Authorization: Bearer <api key>, or a signature')
    }
    const digest = hash('sha256', key, 'buffer')
    let found: Acquirer | undefined
    // Every key is compared, so the time says nothing about which one was near.
    for (const known of this.#known) {
      if (timingSafeEqual(known.digest, digest)) found = known.acquirer
    }
    return found ?? refuse('unauthorized', 'the API key is not known here')
  }
}
