// Rings as they stand in the store, made without asking it: what fills a store with a history, for
// measurements, at the speed of plain writes.

import { ENTITIES, type Entity } from '#rules'
import { entityKey } from './batch.ts'
import { encodeAttempt } from './event.ts'
import { ATTEMPT_BYTES, ENTITY_TTL_SECONDS, RING_ATTEMPTS } from './limits.ts'
import { DEFAULT_KEY_PREFIX } from './redis.ts'
import type { VelocityAttempt } from './velocity.ts'

/** How long a written ring lives: as one that was appended to now. */
export const RING_TTL_SECONDS = ENTITY_TTL_SECONDS

/** The key under which an entity stands, for a `token` as entity keys have it. */
export function ringKey(entity: Entity, token: string): string {
  return entityKey(DEFAULT_KEY_PREFIX, ENTITIES.indexOf(entity), token)
}

/**
 * Writes the ring of these attempts, oldest first, to `target`; the number of bytes written. Throws
 * for more attempts than a ring keeps: a bug of the caller.
 */
export function writeRing(target: Uint8Array, attempts: readonly VelocityAttempt[]): number {
  if (attempts.length > RING_ATTEMPTS) {
    throw new RangeError(`a ring keeps ${RING_ATTEMPTS} attempts: ${attempts.length}`)
  }
  for (let i = 0; i < attempts.length; i++) {
    encodeAttempt(target, i * ATTEMPT_BYTES, attempts[i] as VelocityAttempt)
  }
  return attempts.length * ATTEMPT_BYTES
}
