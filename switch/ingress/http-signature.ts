// HTTP Message Signatures (RFC 9421), with hmac-sha256: is this request its acquirer's,
// whole, fresh and new?
//
//   head   signature over the components, `created` within the skew       before the body is read
//   body   Content-Digest (RFC 9530) against the bytes, then the nonce   before anything is decided
//
// The nonce is used up last: a request whose body was changed on the way must not spend it.

import { createHmac, timingSafeEqual } from 'node:crypto'
import { type Refusal, refuse } from '../errors.ts'
import {
  ALGORITHM,
  type Dictionary,
  fitsDigest,
  type InnerList,
  readDictionary,
  signatureBase,
} from '../http-signatures/index.ts'
import type { Acquirer } from '../world.ts'
import type { HttpHead } from './http.ts'
import {
  COMPONENTS_MAX,
  NONCE_CHARACTERS_MAX,
  SIGNATURE_SKEW_SECONDS,
  SIGNATURES_MAX,
} from './limits.ts'
import { Nonces } from './nonces.ts'

/** A signature that fits its head. `admit` settles the rest, once the body is there. */
export interface SignedHead {
  readonly acquirer: Acquirer
  readonly nonce: string
  readonly createdSeconds: number
  /** What the acquirer used before. */
  readonly nonces: Nonces
}

interface SigningKey {
  readonly acquirer: Acquirer
  readonly secret: Uint8Array
  readonly nonces: Nonces
}

/** The acquirers' signing keys and the nonces that they have used. */
export class SignatureChecker {
  readonly #keys = new Map<string, SigningKey>()
  readonly #scheme: 'http' | 'https'
  /** Milliseconds since 1970. */
  readonly #now: () => number

  constructor(acquirers: readonly Acquirer[], scheme: 'http' | 'https', now: () => number) {
    this.#scheme = scheme
    this.#now = now
    for (const acquirer of acquirers) {
      const nonces = new Nonces()
      for (const { keyId, secret } of acquirer.signatureKeys ?? []) {
        this.#keys.set(keyId, { acquirer, secret: Buffer.from(secret, 'base64'), nonces })
      }
    }
  }

  /** Checks everything that does not need the body. */
  checkHead(head: HttpHead): SignedHead | Refusal {
    const inputs = readDictionary(head.headers.get('signature-input') ?? '')
    const signatures = readDictionary(head.headers.get('signature') ?? '')
    if (inputs === undefined || signatures === undefined) {
      return refuseSignature('Signature-Input and Signature must both be there, as RFC 9421 has it')
    }
    const found = this.#findKey(inputs)
    if (found === undefined) return refuseSignature('no signature is by a keyid that is known here')
    const { label, input, key } = found
    const signature = signatures.get(label)
    if (signature?.kind !== 'bytes') return refuseSignature(`Signature has no ${label}`)
    const lacking = findLacking(head, input)
    if (lacking !== undefined) return refuseSignature(lacking)
    const base = signatureBase(head, this.#scheme, input)
    if (base === undefined) return refuseSignature('a component is covered that is not there')
    const expected = createHmac('sha256', key.secret).update(base).digest()
    if (signature.bytes.length !== expected.length || !timingSafeEqual(signature.bytes, expected)) {
      return refuseSignature('the signature does not fit the request')
    }
    const createdSeconds = Number(input.parameters.get('created'))
    const expires = input.parameters.get('expires')
    const nowSeconds = this.#now() / 1000
    const isExpired = typeof expires === 'number' && nowSeconds > expires
    if (Math.abs(nowSeconds - createdSeconds) > SIGNATURE_SKEW_SECONDS || isExpired) {
      return refuseAge()
    }
    const nonce = String(input.parameters.get('nonce'))
    return { acquirer: key.acquirer, nonce, createdSeconds, nonces: key.nonces }
  }

  /** Checks the body against its digest, and uses up the nonce. Undefined: all is well. */
  admit(head: HttpHead, body: Uint8Array, signed: SignedHead): Refusal | undefined {
    const digests = head.headers.get('content-digest')
    if (digests === undefined ? body.length > 0 : !fitsDigest(digests, body)) {
      return refuse(
        'content_digest_mismatch',
        'Content-Digest must hold the sha-256 of the body that was sent',
        'Content-Digest',
      )
    }
    const use = signed.nonces.use(signed.nonce, signed.createdSeconds, this.#now() / 1000)
    if (use === 'new') return undefined
    if (use === 'too_old') return refuseAge()
    return refuse('signature_replayed', 'this nonce was used: sign again, with a new one')
  }

  /** The first signature by a key of ours; a proxy's beside it is not ours to judge. */
  #findKey(inputs: Dictionary) {
    let looked = 0
    for (const [label, input] of inputs) {
      if (++looked > SIGNATURES_MAX) return undefined
      if (input.kind !== 'list') continue
      const keyId = input.parameters.get('keyid')
      const key = typeof keyId === 'string' ? this.#keys.get(keyId) : undefined
      if (key !== undefined) return { label, input, key }
    }
    return undefined
  }
}

/** What a signature must say and cover before it means anything; undefined when it does. */
function findLacking(head: HttpHead, input: InnerList): string | undefined {
  const { parameters, items } = input
  const algorithm = parameters.get('alg')
  if (algorithm !== undefined && algorithm !== ALGORITHM) return `alg must be ${ALGORITHM}`
  if (typeof parameters.get('created') !== 'number') return 'created is required'
  const nonce = parameters.get('nonce')
  if (typeof nonce !== 'string' || nonce === '' || nonce.length > NONCE_CHARACTERS_MAX) {
    return `nonce is required, up to ${NONCE_CHARACTERS_MAX} characters`
  }
  const covered = new Set(items.map((item) => item.value))
  if (covered.size < items.length || items.length > COMPONENTS_MAX) {
    return `each component once, ${COMPONENTS_MAX} at most`
  }
  if (items.some((item) => item.parameters.size > 0)) return 'components take no parameters here'
  const has = (...names: readonly string[]) => names.every((name) => covered.has(name))
  if (!has('@method')) return '@method must be covered'
  const isTargetCovered =
    has('@target-uri') || has('@authority', '@path', ...(head.query === '' ? [] : ['@query']))
  if (!isTargetCovered) return '@target-uri must be covered, or @authority, @path and @query'
  if (head.method === 'GET') return undefined
  return has('content-digest', 'idempotency-key')
    ? undefined
    : 'content-digest and idempotency-key must be covered'
}

function refuseSignature(detail: string): Refusal {
  return refuse('signature_invalid', detail)
}

function refuseAge(): Refusal {
  const detail = `created must be within ${SIGNATURE_SKEW_SECONDS} s of now, and expires after it`
  return refuse('signature_expired', detail)
}
