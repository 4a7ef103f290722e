// Step: was this asked before? One synchronous look: running, recorded, or new. A new one takes its
// key before anything else can happen, so the same key never starts twice.

import { timingSafeEqual } from 'node:crypto'
import type { KeyedHash } from '#scoring'
import type { Pan } from './card-data/index.ts'
import { type Refusal, refuse, refuseForNow } from './errors.ts'
import { ACCEPTED_RESERVED, RETRY_AFTER_SECONDS, SCORING_QUEUE_MAX } from './limits.ts'
import type { StoredAuthorization } from './message.ts'
import type { Reply } from './respond.ts'
import { respondAgain } from './respond.ts'
import { noteUnreadable } from './shed.ts'
import { isTombstone, type Transaction } from './store/index.ts'
import type { World } from './world.ts'

/**
 * What is let in: an authorization, which is scored; a step that the issuer is asked for; or one
 * that is accepted, which has reserved capacity.
 */
export type Work = 'scored' | 'asked' | 'accepted'

export interface Admitted {
  readonly kind: 'admitted'
  /** The key's place in the in-flight table. */
  readonly place: string
}

/**
 * Keyed HMAC-SHA-256 over path and normalized fields: what "the same request" means. `normalized`:
 * the fields as JSON.
 */
export function fingerprintOf(keyed: KeyedHash, path: string, normalized: string): Uint8Array {
  return keyed.digest(`${path}\n${normalized}`)
}

/**
 * Admits a request, or says how its answer comes about: a replay, a wait for the first one, or a
 * refusal. No I/O and no await before the key is taken.
 */
export function admit(
  world: World,
  acquirer: string,
  idempotencyKey: string,
  fingerprint: Uint8Array,
  work: Work = 'scored',
): Admitted | Refusal | { readonly kind: 'later'; readonly reply: Promise<Reply> } {
  const place = `${acquirer}\n${idempotencyKey}`
  const running = world.inFlight.find(place)
  if (running !== undefined) {
    if (!timingSafeEqual(running.fingerprint, fingerprint)) return refuseReuse()
    return { kind: 'later', reply: awaitFirst(world, place) }
  }
  const recorded = world.store.findKey(acquirer, idempotencyKey)
  if (recorded !== undefined) {
    const isSame = timingSafeEqual(recorded.fingerprint, fingerprint) || isTombstone(recorded)
    if (!isSame) return refuseReuse()
    if (recorded.state === 'open') return refuseRunning()
    return { kind: 'later', reply: respondAgain(world, recorded.transactionId) }
  }
  const refusal = refuseAtTheDoor(world, work)
  if (refusal !== undefined) return refusal
  world.inFlight.enter(place, fingerprint)
  return { kind: 'admitted', place }
}

/**
 * Where the card behind a token is no longer known, a key that is says more: the first answer
 * again, or that it belongs to another request. `fingerprint` makes it of the card as the first one
 * had it. Anything else gets the refusal.
 */
export async function admitWithoutCard(
  world: World,
  acquirer: string,
  idempotencyKey: string,
  fingerprint: (card: Pick<Pan, 'masked' | 'bin'>) => Uint8Array,
  refusal: Refusal,
): Promise<Reply> {
  const known = world.store.findKey(acquirer, idempotencyKey)
  if (known === undefined) return refusal
  const first = await readFirst(world, known.transactionId)
  if (first === 'unreadable') return refusal
  const { card } = (first?.intent.request ?? {}) as Partial<StoredAuthorization>
  const again = fingerprint(card ?? { masked: '', bin: '' })
  const isStillKnown = world.store.findKey(acquirer, idempotencyKey) !== undefined
  const admission = isStillKnown ? admit(world, acquirer, idempotencyKey, again) : refusal
  if (admission.kind === 'admitted') throw new Error('a key that is known was admitted')
  return admission.kind === 'later' ? admission.reply : admission
}

/** A disk that does not read is no bug: nothing was claimed, and the refusal asks for a retry. */
async function readFirst(
  world: World,
  id: string,
): Promise<Transaction | undefined | 'unreadable'> {
  try {
    return await world.store.read(id)
  } catch (error) {
    noteUnreadable(world, error, { what: 'a first answer', transactionId: id })
    return 'unreadable'
  }
}

/** Over a limit: refused here, at once, before the claim; what is admitted keeps its latency. */
export function refuseAtTheDoor(world: World, work: Work): Refusal | undefined {
  if (!world.store.status.writable) {
    world.journal.shed('store')
    return refuseForNow(
      'store_unavailable',
      'nothing can be stored: retry later',
      RETRY_AFTER_SECONDS,
    )
  }
  if (!world.door.isOpen) {
    world.journal.shed('draining')
    return refuseForNow('draining', 'this process is shutting down: retry', RETRY_AFTER_SECONDS)
  }
  const isFull = world.inFlight.isFullFor(work === 'accepted' ? ACCEPTED_RESERVED : 0)
  const mustQueue = work === 'scored' && world.scorer.queueDepth >= SCORING_QUEUE_MAX
  if (isFull || mustQueue) {
    world.journal.shed(isFull ? 'in_flight' : 'scoring')
    return refuseForNow('overloaded', 'too much is in flight: retry', RETRY_AFTER_SECONDS)
  }
  return undefined
}

/** The first one's answer, within the acquirer's deadline. */
function awaitFirst(world: World, place: string): Promise<Reply> {
  return new Promise((resolve) => {
    const waiting = world.inFlight.wait(place, (reply) => {
      world.timers.clear(timer)
      if (reply.kind === 'answer') {
        world.journal.replayed()
        resolve({ ...reply, isReplay: true })
      } else resolve(reply)
    })
    const timer = world.timers.set(world.config.deadlines.acquirerMs, () => {
      waiting?.cancel()
      resolve(refuseRunning())
    })
    if (waiting === undefined) {
      world.timers.clear(timer)
      resolve(refuseRunning())
    }
  })
}

export function refuseReuse(): Refusal {
  return refuse(
    'idempotency_key_reused',
    'this Idempotency-Key belongs to another request: use a new one',
    'Idempotency-Key',
  )
}

export function refuseRunning(): Refusal {
  return refuseForNow(
    'idempotency_key_in_progress',
    'the first request with this key has no outcome yet: retry with the same key',
    RETRY_AFTER_SECONDS,
  )
}
