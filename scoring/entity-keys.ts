// Who an attempt is counted for: one key an entity, safe to stand in Redis. Card, customer, device,
// ip and e-mail are keyed tokens, so that a copy of the counters names nobody; terminal, merchant
// and bin are no secrets and stay readable for whoever looks into Redis.
//
//   card      the request's card token (already keyed)
//   customer  token of (acquirer, customer id): each acquirer numbers its own customers
//   device    token of the device id: the same device at two acquirers is one device
//   ip        token of the address, lower case
//   email     token of the address, lower case, without space around it
//   terminal  acquirer/merchant/terminal: DE41 is unique inside a merchant only
//   merchant  acquirer/merchant: DE42 is unique inside an acquirer only
//   bin       the digits
//
// A token is the first 16 bytes of HMAC-SHA-256(key, entity NUL parts joined by NUL) in base64url,
// 22
// characters: 2^64 values are needed before two are expected to meet.

import type { Entity } from '#rules'
import { KeyedHash } from './keyed-hash.ts'
import { TOKEN_CACHE_ENTRIES_MAX, TOKEN_CACHE_TEXT_MAX } from './limits.ts'
import type { EntityKeys } from './velocity/index.ts'

/** What entity keys are made of; every `ScoringRequest` has it. */
export interface EntitySource {
  readonly acquirer: string
  readonly card: { readonly token: string; readonly bin: string }
  readonly merchant: { readonly id: string }
  readonly terminal?: { readonly id?: string }
  readonly device?: { readonly id?: string; readonly ip?: string }
  readonly customer?: { readonly id?: string; readonly email?: string }
}

/** Makes the entity keys of one attempt; keeps a bounded cache of tokens. */
export type EntityKeyMaker = (source: EntitySource) => EntityKeys

/**
 * `key`: at least 16 bytes, derived for this purpose alone, so that who learns it can't compute
 * card tokens. Throws where it is shorter: a bug. `cacheEntriesMax`: tokens kept for each entity,
 * in each of two generations.
 */
export function createEntityKeys(
  key: Uint8Array,
  cacheEntriesMax = TOKEN_CACHE_ENTRIES_MAX,
): EntityKeyMaker {
  if (key.length < 16) throw new RangeError('the entity key has fewer than 16 bytes')
  const keyed = new KeyedHash(key)
  const tokensOf = (entity: Entity) => createTokens(keyed, entity, cacheEntriesMax)
  const customers = tokensOf('customer')
  const devices = tokensOf('device')
  const ips = tokensOf('ip')
  const emails = tokensOf('email')
  const merchants = tokensOf('merchant')
  const terminals = tokensOf('terminal')

  return (source) => {
    const { acquirer, card, merchant, terminal, device, customer } = source
    const merchantKey = readable(merchants, acquirer, merchant.id)
    // One object shape for all attempts: an absent entity is undefined, which readers can't tell
    // from a missing property.
    const keys: { [E in Entity]: string | undefined } = {
      card: card.token,
      customer: customer?.id === undefined ? undefined : customers(`${acquirer}\0${customer.id}`),
      device: device?.id === undefined ? undefined : devices(device.id),
      ip: device?.ip === undefined ? undefined : ips(device.ip.toLowerCase()),
      email:
        customer?.email === undefined ? undefined : emails(customer.email.trim().toLowerCase()),
      terminal:
        terminal?.id === undefined ? undefined : readable(terminals, merchantKey, terminal.id),
      merchant: merchantKey,
      bin: card.bin,
    }
    return keys as EntityKeys
  }
}

/** Identifiers as acquirers really use them: short and plain. */
const PLAIN = /^[A-Za-z0-9._-]{1,40}$/
const PLAIN_OWNER = /^[A-Za-z0-9._/-]{1,81}$/

/**
 * `owner/id` where both are plain; anything else (separators, braces that Redis Cluster would take
 * as a hash tag, spaces) becomes a token, marked by `~`, so that no two pairs share a key.
 */
function readable(tokens: (text: string) => string, owner: string, id: string): string {
  if (PLAIN.test(id) && PLAIN_OWNER.test(owner)) return `${owner}/${id}`
  return `~${tokens(`${owner}\0${id}`)}`
}

/**
 * Tokens of one entity, with two generations of cache: the young one fills up, becomes the old one,
 * and what is still in use moves over when it is asked for. Never more than twice the limit.
 */
function createTokens(
  keyed: KeyedHash,
  entity: Entity,
  entriesMax: number,
): (text: string) => string {
  let young = new Map<string, string>()
  let old = new Map<string, string>()
  return (text) => {
    let token = young.get(text)
    if (token !== undefined) return token
    token = old.get(text)
    if (token === undefined) {
      token = keyed.token(`${entity}\0${text}`)
    }
    if (text.length > TOKEN_CACHE_TEXT_MAX) return token
    if (young.size >= entriesMax) {
      old = young
      young = new Map()
    }
    young.set(text, token)
    return token
  }
}
