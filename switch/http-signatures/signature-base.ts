// What a signature of HTTP Message Signatures (RFC 9421) covers, on both sides: acquirers sign to
// us, we sign to issuers.
//
//   "@method": POST
//   "@target-uri": https://issuer.example/v1/authorizations
//   "content-digest": sha-256=:...:
//   "@signature-params": ("@method" "@target-uri" ...);created=...;nonce="...";keyid="..."

import { createHmac, hash, timingSafeEqual } from 'node:crypto'
import {
  type InnerList,
  type ListItem,
  type ParameterValue,
  readDictionary,
  writeInnerList,
  writeItem,
} from './structured-fields.ts'

export const ALGORITHM = 'hmac-sha256'

/** A request before its body, as far as a signature can cover it. */
export interface SignedHead {
  /** Upper case. */
  readonly method: string
  /** Without the query. */
  readonly path: string
  /** The raw query, without `?`; empty when absent. */
  readonly query: string
  /** Lower-case names. */
  readonly headers: ReadonlyMap<string, string>
}

/** RFC 9421, 2.5; undefined where a component is covered that the request does not have. */
export function signatureBase(
  head: SignedHead,
  scheme: 'http' | 'https',
  input: InnerList,
): string | undefined {
  let base = ''
  for (const item of input.items) {
    const value = componentValue(head, scheme, item.value)
    if (value === undefined) return undefined
    base += `${writeItem(item)}: ${value}\n`
  }
  return `${base}"@signature-params": ${writeInnerList(input)}`
}

/** RFC 9421, 2.1 and 2.2. */
function componentValue(
  head: SignedHead,
  scheme: 'http' | 'https',
  name: string,
): string | undefined {
  const authority = () => authorityOf(head, scheme)
  const query = head.query === '' ? '' : `?${head.query}`
  switch (name) {
    case '@method':
      return head.method
    case '@scheme':
      return scheme
    case '@authority':
      return authority()
    case '@path':
      return head.path
    case '@query':
      return `?${head.query}`
    case '@request-target':
      return `${head.path}${query}`
    case '@target-uri':
      return `${scheme}://${authority()}${head.path}${query}`
    default:
      return name.startsWith('@') ? undefined : head.headers.get(name)?.trim()
  }
}

/** RFC 9421, 2.2.3: lower case, without the scheme's own port. */
function authorityOf(head: SignedHead, scheme: 'http' | 'https'): string {
  const host = (head.headers.get('host') ?? '').toLowerCase()
  const usual = scheme === 'https' ? ':443' : ':80'
  return host.endsWith(usual) ? host.slice(0, -usual.length) : host
}

/** RFC 9530. Other algorithms may stand beside it; sha-256 must be there. */
export function fitsDigest(contentDigest: string, body: Uint8Array): boolean {
  const digest = readDictionary(contentDigest)?.get('sha-256')
  if (digest?.kind !== 'bytes') return false
  const expected = hash('sha256', body, 'buffer')
  return digest.bytes.length === expected.length && timingSafeEqual(digest.bytes, expected)
}

/** Content-Digest (RFC 9530) of a body. */
export function contentDigest(body: Uint8Array): string {
  return `sha-256=:${hash('sha256', body, 'base64')}:`
}

/** Who signs, and when. */
export interface Signing {
  readonly keyId: string
  readonly secret: Uint8Array
  /** Seconds since 1970. */
  readonly createdSeconds: number
  /** Never used before with that key. */
  readonly nonce: string
  /** Names of components, such as `@method` and `content-digest`; each must be there. */
  readonly covered: readonly string[]
}

const LABEL = 'sig1'

/** Values of Signature-Input and Signature. Throws where what is covered is not there. */
export function signRequest(
  head: SignedHead,
  scheme: 'http' | 'https',
  signing: Signing,
): { readonly signatureInput: string; readonly signature: string } {
  const { createdSeconds, nonce, keyId, secret, covered } = signing
  const items: ListItem[] = covered.map((value) => ({ value, parameters: new Map() }))
  const parameters = new Map<string, ParameterValue>([
    ['created', createdSeconds],
    ['nonce', nonce],
    ['keyid', keyId],
    ['alg', ALGORITHM],
  ])
  const input: InnerList = { kind: 'list', items, parameters }
  const base = signatureBase(head, scheme, input)
  if (base === undefined) throw new Error('a component is covered that is not there')
  const signature = createHmac('sha256', secret).update(base).digest('base64')
  return {
    signatureInput: `${LABEL}=${writeInnerList(input)}`,
    signature: `${LABEL}=:${signature}:`,
  }
}
