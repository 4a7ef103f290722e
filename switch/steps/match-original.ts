// Which payment is meant, where it is named by the acquirer's own numbers and not by our id.

import { type Refusal, refuse } from '../errors.ts'
import { RRN_MATCHES_MAX } from '../limits.ts'
import { refuseUnreadable } from '../shed.ts'
import { isTombstone, type Transaction } from '../store/index.ts'
import type { Acquirer, World } from '../world.ts'

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
  /** The message names no terminal, and its original may have had one: how all its keys begin. */
  readonly prefix?: string | undefined
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
  if (name.prefix !== undefined) {
    const entries = await world.store.lookUpKeys(acquirer.id, name.prefix, RRN_MATCHES_MAX)
    // What came says more than that it was expected.
    const came = entries.filter((entry) => !isTombstone(entry))
    const [entry, another] = came.length === 0 ? entries : came
    if (another !== undefined) return ambiguous('it was sent at several terminals', '41')
    if (entry !== undefined) return { kind: 'found', id: entry.transactionId }
  }
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
    return ambiguous(detail, 'original.rrn')
  }
  return { kind: 'found', id: first.intent.id }
}

function ambiguous(detail: string, param: string): Refusal {
  return refuse('original_ambiguous', detail, param)
}

function notFound(): Refusal {
  return refuse('not_found', 'no such authorization of yours')
}
