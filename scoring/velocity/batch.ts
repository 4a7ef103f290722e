// A batch of attempts or outcomes, sorted for the store: every event encoded once, every entity
// once with the events that go to it. Rings come before tiles, so that a resent event, which the
// card's ring still knows, is kept out of tiles whose log has forgotten it.

import { createHash } from 'node:crypto'
import { ENTITIES, type Entity } from '#rules'
import { encodeAttempt, encodeOutcome } from './event.ts'
import { alignedBytes } from './event-log.ts'
import { ATTEMPT_BYTES, BATCH_MAX, KEY_TOKEN_MAX, OUTCOME_BYTES } from './limits.ts'
import { IS_TILE, LABELLED_ENTITIES } from './plan.ts'
import {
  type EntityKeys,
  isLabel,
  type OutcomeKind,
  type VelocityAttempt,
  type VelocityLabel,
  type VelocityOutcomeEvent,
} from './velocity.ts'

/**
 * Outcomes that stores keep unless told otherwise. Approvals are 95% of all outcomes and are read
 * by no aggregate; `switch/docs/decisions/0008-velocity-tiles.md` has what they would cost.
 */
export const RECORDED_KINDS: readonly OutcomeKind[] = ['declined', 'reversed', 'refunded']

/** One entity of a batch, and the events (by index in the batch) that go to it, in order. */
export interface BatchEntity {
  /** Index into `ENTITIES`. */
  readonly entity: number
  /** The key in the store. */
  readonly key: string
  readonly events: number[]
}

export interface Batch {
  /** Events of `eventBytes` each, one after the other. */
  readonly bytes: Buffer
  /** The same memory. */
  readonly words: Uint32Array
  readonly eventBytes: number
  readonly count: number
  /** Rings first, then tiles. */
  readonly entities: readonly BatchEntity[]
}

/** One letter an entity in keys. Part of the layout: never reused for another entity. */
const LETTER_BY_ENTITY: Readonly<Record<Entity, string>> = {
  card: 'c',
  customer: 'u',
  device: 'd',
  ip: 'i',
  email: 'e',
  terminal: 't',
  merchant: 'm',
  bin: 'b',
}
const LETTERS = ENTITIES.map((entity) => LETTER_BY_ENTITY[entity])

/** Printable ASCII without braces, which would move the hash tag. */
const PLAIN_TOKEN = /^[!-z|~]+$/

/**
 * The key of an entity: `<prefix>1.{<letter>.<token>}`, where 1 is the version of the layout and
 * the braces are the hash tag of Redis Cluster: all keys of an entity stand in one slot. Tokens
 * that are long or not plain are hashed.
 */
export function entityKey(prefix: string, entity: number, token: string): string {
  const plain = token.length <= KEY_TOKEN_MAX && PLAIN_TOKEN.test(token)
  const name = plain ? token : `#${createHash('sha256').update(token).digest('base64url')}`
  return `${prefix}1.{${LETTERS[entity]}.${name}}`
}

function sortByEntity(events: readonly { readonly keys: EntityKeys }[], prefix: string) {
  const rings: BatchEntity[] = []
  const tiles: BatchEntity[] = []
  const known = new Map<string, BatchEntity>()
  for (let i = 0; i < events.length; i++) {
    const keys = (events[i] as { readonly keys: EntityKeys }).keys
    for (let entity = 0; entity < ENTITIES.length; entity++) {
      const token = keys[ENTITIES[entity] as Entity]
      if (token === undefined) continue
      const key = entityKey(prefix, entity, token)
      const existing = known.get(key)
      if (existing !== undefined) {
        existing.events.push(i)
        continue
      }
      const added: BatchEntity = { entity, key, events: [i] }
      known.set(key, added)
      if (IS_TILE[entity]) tiles.push(added)
      else rings.push(added)
    }
  }
  return rings.concat(tiles)
}

/** Labels of one terminal or merchant, and where its daily counts stand. */
export interface EntityLabels {
  readonly entity: number
  /** The key of the entity itself; in Redis its labels have one of their own, `labelKey`. */
  readonly key: string
  readonly labels: VelocityLabel[]
}

/** In the same slot of a cluster as the entity. */
export function labelKey(key: string): string {
  return `${key}l`
}

/** Throws for more than `BATCH_MAX`: a bug of the caller. */
export function labelsByEntity(
  labels: readonly VelocityLabel[],
  prefix: string,
): readonly EntityLabels[] {
  checkCount(labels.length)
  const sorted = new Map<string, EntityLabels>()
  for (const label of labels) {
    for (const name of LABELLED_ENTITIES) {
      const token = label.keys[name]
      if (token === undefined) continue
      const entity = ENTITIES.indexOf(name)
      const key = entityKey(prefix, entity, token)
      const known = sorted.get(key)
      if (known === undefined) sorted.set(key, { entity, key, labels: [label] })
      else known.labels.push(label)
    }
  }
  return [...sorted.values()]
}

/** What `publish` takes, apart: labels, and the outcomes that are kept. */
export function sortPublished(
  events: readonly (VelocityOutcomeEvent | VelocityLabel)[],
  recordedKinds: readonly OutcomeKind[],
): {
  readonly labels: readonly VelocityLabel[]
  readonly outcomes: readonly VelocityOutcomeEvent[]
} {
  const labels: VelocityLabel[] = []
  const outcomes: VelocityOutcomeEvent[] = []
  for (const event of events) {
    if (isLabel(event)) labels.push(event)
    else if (recordedKinds.includes(event.kind)) outcomes.push(event)
  }
  return { labels, outcomes }
}

function checkCount(count: number): void {
  if (count > BATCH_MAX) throw new RangeError(`a batch has at most ${BATCH_MAX} events: ${count}`)
}

/** Throws for more than `BATCH_MAX` attempts, a malformed hash or time: bugs of the caller. */
export function batchAttempts(attempts: readonly VelocityAttempt[], prefix: string): Batch {
  checkCount(attempts.length)
  const { bytes, words } = alignedBytes(attempts.length * ATTEMPT_BYTES)
  for (let i = 0; i < attempts.length; i++) {
    encodeAttempt(bytes, i * ATTEMPT_BYTES, attempts[i] as VelocityAttempt)
  }
  const entities = sortByEntity(attempts, prefix)
  return { bytes, words, eventBytes: ATTEMPT_BYTES, count: attempts.length, entities }
}

/** Throws like `batchAttempts`. */
export function batchOutcomes(outcomes: readonly VelocityOutcomeEvent[], prefix: string): Batch {
  checkCount(outcomes.length)
  const { bytes, words } = alignedBytes(outcomes.length * OUTCOME_BYTES)
  for (let i = 0; i < outcomes.length; i++) {
    encodeOutcome(bytes, i * OUTCOME_BYTES, outcomes[i] as VelocityOutcomeEvent)
  }
  const entities = sortByEntity(outcomes, prefix)
  return { bytes, words, eventBytes: OUTCOME_BYTES, count: outcomes.length, entities }
}
