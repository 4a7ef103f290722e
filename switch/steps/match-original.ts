// Which payment is meant, where it is named by the acquirer's own numbers and not by our id.

import { type Refusal, refuse } from '../errors.ts'
import { RRN_MATCHES_MAX } from '../limits.ts'
import type { Transaction } from '../store/index.ts'
import type { Acquirer, World } from '../world.ts'
import { refuseUnreadable } from './take-step.ts'

/** How an acquirer names its original: by the key that it sent it with, or by its RRN. */
export type OriginalName =
  | { readonly kind: 'key'; readonly idempotencyKey: string }
  | { readonly kind: 'rrn'; readonly rrn: string }
  | WireName

/** In the numbers of an ISO 8583 message. */
export interface WireName {
  readonly kind: 'wire'
  /** Keys that the original may have been sent with, the likeliest first. */
  readonly keys: readonly string[]
  /** The first key is made of whole original data elements: nothing else can be meant. */
  readonly isComplete: boolean
  /** Where no key is known any more: its RRN, and the trace number that it had. */
  readonly rrn: string | undefined
  readonly stan: string | undefined
  /** Of the message itself, which may have the same RRN. */
  readonly ownKey: string
}

/** The authorization's id, or why there is none. Scoped to its acquirer. Nothing is claimed yet. */
export async function matchOriginal(
  world: World,
  acquirer: Acquirer,
  name: OriginalName,
): Promise<Match> {
  try {
    return await match(world, acquirer, name)
  } catch (error) {
    return refuseUnreadable(world, error)
  }
}

async function match(world: World, acquirer: Acquirer, name: OriginalName): Promise<Match> {
  if (name.kind === 'key') {
    const entry = await world.store.lookUpKey(acquirer.id, name.idempotencyKey)
    return entry === undefined ? notFound() : { kind: 'found', id: entry.transactionId }
  }
  if (name.kind === 'wire') return matchNumbers(world, acquirer, name)
  return onlyOne(await world.store.findByRrn(acquirer.id, name.rrn, 2))
}

type Match = { readonly kind: 'found'; readonly id: string } | Refusal

async function matchNumbers(world: World, acquirer: Acquirer, name: WireName): Promise<Match> {
  for (const key of name.keys) {
    const entry = await world.store.lookUpKey(acquirer.id, key)
    if (entry !== undefined) return { kind: 'found', id: entry.transactionId }
  }
  if (name.rrn === undefined) return notFound()
  const found = await world.store.findByRrn(acquirer.id, name.rrn, RRN_MATCHES_MAX)
  const { ownKey, stan } = name
  const fitting = found.filter(
    ({ intent }) =>
      intent.idempotencyKey !== ownKey && (stan === undefined || intent.request.stan === stan),
  )
  return onlyOne(fitting)
}

function onlyOne([first, second]: readonly Transaction[]): Match {
  if (first === undefined) return notFound()
  if (second !== undefined) {
    const detail = 'more than one authorization has this RRN: name it by its key or its id'
    return refuse('original_ambiguous', detail, 'original.rrn')
  }
  return { kind: 'found', id: first.intent.id }
}

function notFound(): Refusal {
  return refuse('not_found', 'no such authorization of yours')
}
