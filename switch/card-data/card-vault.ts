// What may be kept of a card: a keyed token, and its PAN and expiry sealed with AES-256-GCM.

import { createCipheriv, createDecipheriv, hash } from 'node:crypto'
import { KeyedHash } from '#scoring'
import { TOKEN_CACHE_MAX } from '../limits.ts'
import type { SealedCard } from '../store/index.ts'
import type { KeyRing } from './keys.ts'
import { Pan } from './pan.ts'

const TAG_BYTES = 16
const IV_PREFIX_BYTES = 8
const COUNTER_MAX = 2 ** 32 - 1

export interface OpenCard {
  readonly pan: Pan
  /** YYMM. */
  readonly expiry: string
}

/** What an operator must put right: a key file that lacks a key, or a store that lost bytes. */
export class CardUnreadable extends Error {
  override readonly name = 'CardUnreadable'
  readonly code = 'card_unreadable'
}

/**
 * Seals cards under the current key and names them by token. A sealed card's IV is 8 bytes of a
 * hash of `owner`, which the store made durable and never gives twice, and a 4-byte counter
 * (NIST SP 800-38D, 8.2.1: fixed field and invocation field), so that no IV comes twice.
 */
export class CardVault {
  readonly #keys: KeyRing
  readonly #ivPrefix: Uint8Array
  readonly #cardTokens: KeyedHash
  #counter = 0
  /** PAN digits to token: in memory only, so that a card seen again costs no HMAC. */
  readonly #tokens = new Map<string, string>()

  constructor(keys: KeyRing, owner: string) {
    this.#keys = keys
    this.#cardTokens = new KeyedHash(keys.cardTokenKey)
    this.#ivPrefix = hash('sha256', owner, 'buffer').subarray(0, IV_PREFIX_BYTES)
  }

  /** `tok_` and 22 characters: the first 128 bits of HMAC-SHA-256 over the PAN, base64url. */
  tokenOf(pan: Pan): string {
    const digits = pan.reveal()
    const known = this.#tokens.get(digits)
    if (known !== undefined) return known
    const token = `tok_${this.#cardTokens.token(digits)}`
    if (this.#tokens.size >= TOKEN_CACHE_MAX) this.#forgetOldest()
    this.#tokens.set(digits, token)
    return token
  }

  seal(card: OpenCard): SealedCard {
    return this.sealText(`${card.pan.reveal()}=${card.expiry}`)
  }

  /** Any secret, under the same key and the same IVs that never repeat. */
  sealText(text: string): SealedCard {
    const keyId = this.#keys.currentPanKeyId
    const key = this.#keys.panKeys.get(keyId)
    if (key === undefined) throw new Error('the current PAN key is not in the ring')
    if (this.#counter === COUNTER_MAX) throw new Error('the IV counter is used up: restart')
    const iv = new Uint8Array(IV_PREFIX_BYTES + 4)
    iv.set(this.#ivPrefix)
    new DataView(iv.buffer).setUint32(IV_PREFIX_BYTES, this.#counter++)
    const cipher = createCipheriv('aes-256-gcm', key, iv)
    const sealed = Buffer.concat([
      cipher.update(text, 'latin1'),
      cipher.final(),
      cipher.getAuthTag(),
    ])
    return { keyId, iv, sealed }
  }

  /** Opens a sealed card. Throws CardUnreadable: its key is not in the ring, a byte was changed. */
  unseal(card: SealedCard): OpenCard {
    const key = this.#keys.panKeys.get(card.keyId)
    if (key === undefined) throw new CardUnreadable(`PAN key ${card.keyId} is not in the key file`)
    const text = decipher(key, card)
    if (text === undefined) throw new CardUnreadable('a sealed card is damaged, or of another key')
    const [digits = '', expiry = ''] = text.split('=')
    const pan = Pan.parse(digits)
    if (pan === undefined) throw new Error('a sealed card does not hold a PAN')
    return { pan, expiry }
  }

  #forgetOldest(): void {
    for (const digits of this.#tokens.keys()) {
      this.#tokens.delete(digits)
      return
    }
  }
}

/** Undefined: the tag does not hold. Whatever is wrong with the bytes, that is what it comes to. */
function decipher(key: Uint8Array, { iv, sealed }: SealedCard): string | undefined {
  const body = sealed.subarray(0, -TAG_BYTES)
  try {
    const opened = createDecipheriv('aes-256-gcm', key, iv)
    opened.setAuthTag(sealed.subarray(-TAG_BYTES))
    return opened.update(body, undefined, 'latin1') + opened.final('latin1')
  } catch {
    return undefined
  }
}
