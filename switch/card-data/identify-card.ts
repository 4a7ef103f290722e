// Step: which card is it? A PAN as it came, or the sealed card behind a token of an earlier answer.

import { type Refusal, refuse } from '../errors.ts'
import type { RequestCard } from '../message.ts'
import { refuseUnreadable } from '../shed.ts'
import type { World } from '../world.ts'
import type { OpenCard } from './card-vault.ts'

/** The card by number: no I/O, so the usual path stays synchronous up to the claim. */
export function identifyCard(
  world: World,
  acquirer: string,
  card: RequestCard,
): OpenCard | Promise<OpenCard | Refusal> {
  if (card.kind === 'pan') return { pan: card.pan, expiry: card.expiry }
  return findCard(world, acquirer, card.token, card.expiry)
}

async function findCard(
  world: World,
  acquirer: string,
  token: string,
  expiry: string | undefined,
): Promise<OpenCard | Refusal> {
  try {
    const sealed = await world.store.findCard(acquirer, token)
    if (sealed === undefined) {
      return refuse('unknown_card_token', 'card.token is not one of your answers', 'card.token')
    }
    const card = world.vault.unseal(sealed)
    return expiry === undefined ? card : { pan: card.pan, expiry }
  } catch (error) {
    // A disk that does not read, or a key that the key file lacks: nothing was claimed yet.
    return refuseUnreadable(world, error, {
      what: 'a stored card',
      code: 'store_unavailable',
      detail: 'the card behind the token could not be read: retry, or send the card',
    })
  }
}
