// Which payment is meant, where it is named by the acquirer's own numbers and not by our id.

import { type Refusal, refuse } from '../errors.ts'
import type { Acquirer, World } from '../world.ts'

/** How an acquirer names its original: by the key that it sent it with, or by its RRN. */
export type OriginalName =
  | { readonly kind: 'key'; readonly idempotencyKey: string }
  | { readonly kind: 'rrn'; readonly rrn: string }

/** The authorization's id, or why there is none. Scoped to its acquirer. */
export async function matchOriginal(
  world: World,
  acquirer: Acquirer,
  name: OriginalName,
): Promise<{ readonly kind: 'found'; readonly id: string } | Refusal> {
  if (name.kind === 'key') {
    const entry = world.store.findKey(acquirer.id, name.idempotencyKey)
    return entry === undefined ? notFound() : { kind: 'found', id: entry.transactionId }
  }
  const [first, second] = await world.store.findByRrn(acquirer.id, name.rrn, 2)
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
