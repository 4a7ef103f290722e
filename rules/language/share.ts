// Which cards a rule that is rolled out in part already sees.

/** Parts that a share is counted in: a hundredth of a percent. */
export const SHARE_PARTS = 10_000

/** FNV-1a over UTF-16 code units: where a rule's shares start, so that rules differ in their cards. */
export function shareSalt(ruleId: string): number {
  return fnv1a(ruleId, 0x811c9dc5)
}

/**
 * 0 to 9,999, always the same for a token and a salt: a card that is in a rule's first 5% is in its
 * first 10% too. Source: FNV-1a (Fowler, Noll, Vo) with the finalizer of MurmurHash3, which spreads
 * its low bits.
 */
export function shareOf(token: string, salt: number): number {
  let hash = fnv1a(token, salt)
  hash ^= hash >>> 16
  hash = Math.imul(hash, 0x85ebca6b)
  hash ^= hash >>> 13
  hash = Math.imul(hash, 0xc2b2ae35)
  hash ^= hash >>> 16
  return (hash >>> 0) % SHARE_PARTS
}

function fnv1a(text: string, start: number): number {
  let hash = start
  for (let index = 0; index < text.length; index++) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193)
  }
  return hash | 0
}
