// The headers of what we send to an issuer by HTTP: signed over method, target, body and key.

import { contentDigest, signRequest } from '../http-signatures/index.ts'
import type { Random } from '../ports.ts'

/** Our key with an issuer. */
export interface HttpSigning {
  readonly keyId: string
  readonly secret: Uint8Array
}

const COVERED = ['@method', '@target-uri', 'content-digest', 'idempotency-key'] as const
const NONCE_BYTES = 16

export interface SigningParts {
  readonly scheme: 'http' | 'https'
  /** As it stands in the Host header. */
  readonly host: string
  readonly path: string
  readonly idempotencyKey: string
  readonly body: Uint8Array
  readonly signing: HttpSigning
  /** Milliseconds since 1970. */
  readonly nowMs: number
}

/** All headers but content-length. */
export function signedHeaders(parts: SigningParts, random: Random): Record<string, string> {
  const { scheme, host, path, idempotencyKey, body, signing, nowMs } = parts
  const headers = {
    host,
    'content-type': 'application/json',
    accept: 'application/json',
    'content-digest': contentDigest(body),
    'idempotency-key': idempotencyKey,
  }
  const head = { method: 'POST', path, query: '', headers: new Map(Object.entries(headers)) }
  const nonce = Buffer.from(random.fill(new Uint8Array(NONCE_BYTES))).toString('hex')
  const createdSeconds = Math.floor(nowMs / 1_000)
  const signed = signRequest(head, scheme, { ...signing, createdSeconds, nonce, covered: COVERED })
  return { ...headers, 'signature-input': signed.signatureInput, signature: signed.signature }
}
