import assert from 'node:assert/strict'
import { createHash, createHmac } from 'node:crypto'
import test from 'node:test'
import fc from 'fast-check'
import {
  type InnerList,
  readDictionary,
  signatureBase,
  signRequest,
} from '../http-signatures/index.ts'
import type { Acquirer } from '../world.ts'
import type { HttpHead } from './http.ts'
import { SignatureChecker } from './http-signature.ts'

const SECRET = Buffer.alloc(32, 7)
const NOW_SECONDS = 1_795_342_800
const acquirer: Acquirer = {
  id: 'shop',
  institution: '100001',
  apiKeySha256: [],
  signatureKeys: [{ keyId: 'shop-1', secret: SECRET.toString('base64') }],
  discloseRisk: true,
  acceptsPartialApproval: true,
  stepUpCode: '65',
}
const body = Buffer.from('{"amount":2599}')

interface Signing {
  readonly components?: readonly string[]
  readonly parameters?: string
  readonly method?: string
  readonly path?: string
  readonly query?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly secret?: Uint8Array
}

const DIGEST = `sha-256=:${createHash('sha256').update(body).digest('base64')}:`
const COVERED = ['@method', '@target-uri', 'content-digest', 'idempotency-key']

function created(offsetSeconds = 0, nonce = 'n-1'): string {
  return `;created=${NOW_SECONDS + offsetSeconds};nonce="${nonce}";keyid="shop-1"`
}

/** Signs as a client would, without the code under test. */
function sign(signing: Signing = {}): HttpHead {
  const { method = 'POST', path = '/v1/authorizations', query = '' } = signing
  const headers: Record<string, string> = {
    host: 'switch.example',
    ...(method === 'POST' ? { 'content-digest': DIGEST, 'idempotency-key': 'order-1' } : {}),
    ...signing.headers,
  }
  const target = `${path}${query === '' ? '' : `?${query}`}`
  const values: Record<string, string | undefined> = {
    ...headers,
    '@method': method,
    '@authority': headers.host,
    '@path': path,
    '@query': `?${query}`,
    '@target-uri': `http://${headers.host}${target}`,
  }
  const components = signing.components ?? COVERED
  const list = components.map((name) => `"${name}"`).join(' ')
  const input = `(${list})${signing.parameters ?? created()}`
  const lines = components.map((name) => `"${name}": ${values[name]}\n`).join('')
  const signature = createHmac('sha256', signing.secret ?? SECRET)
    .update(`${lines}"@signature-params": ${input}`)
    .digest('base64')
  headers['signature-input'] = `sig1=${input}`
  headers.signature = `sig1=:${signature}:`
  return { method, path, query, headers: new Map(Object.entries(headers)) }
}

function changed(head: HttpHead, headers: Readonly<Record<string, string>>): HttpHead {
  return { ...head, headers: new Map([...head.headers, ...Object.entries(headers)]) }
}

function createChecker(nowSeconds = NOW_SECONDS): SignatureChecker {
  return new SignatureChecker([acquirer], 'http', () => nowSeconds * 1000)
}

function check(head: HttpHead, sent: Uint8Array = body, checker = createChecker()): string {
  const signed = checker.checkHead(head)
  if ('kind' in signed) return signed.code
  return checker.admit(head, sent, signed)?.code ?? signed.acquirer.id
}

test('the vector of RFC 9421, B.2.5, gives its signature base and its signature', () => {
  const input = readDictionary(
    'sig-b25=("date" "@authority" "content-type");created=1618884473;keyid="test-shared-secret"',
  )?.get('sig-b25') as InnerList
  const head: HttpHead = {
    method: 'POST',
    path: '/foo',
    query: 'param=Value&Pet=dog',
    headers: new Map([
      ['host', 'example.com'],
      ['date', 'Tue, 20 Apr 2021 02:07:55 GMT'],
      ['content-type', 'application/json'],
    ]),
  }
  const base = signatureBase(head, 'https', input)
  assert.equal(
    base,
    [
      '"date": Tue, 20 Apr 2021 02:07:55 GMT',
      '"@authority": example.com',
      '"content-type": application/json',
      '"@signature-params": ("date" "@authority" "content-type")' +
        ';created=1618884473;keyid="test-shared-secret"',
    ].join('\n'),
  )
  const secret = Buffer.from(
    'uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ==',
    'base64',
  )
  assert.equal(
    createHmac('sha256', secret)
      .update(base ?? '')
      .digest('base64'),
    'pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=',
  )
})

test('a signed request is its acquirer’s, by target URI or by its parts', () => {
  assert.equal(check(sign()), 'shop')
  const parts = ['@method', '@authority', '@path', 'content-digest', 'idempotency-key']
  assert.equal(check(sign({ components: parts })), 'shop')
  const query = { query: 'rrn=632610000123', method: 'GET', path: '/v1/authorizations' }
  assert.equal(
    check(sign({ ...query, components: ['@method', '@target-uri'] }), Buffer.alloc(0)),
    'shop',
  )
  const byParts = ['@method', '@authority', '@path', '@query']
  assert.equal(check(sign({ ...query, components: byParts }), Buffer.alloc(0)), 'shop')
  const withPort = sign({ headers: { host: 'switch.example:8080' } })
  assert.equal(check(withPort), 'shop')
})

test('a signature that covers too little is refused, and says what is missing', () => {
  for (const missing of COVERED) {
    const head = sign({ components: COVERED.filter((name) => name !== missing) })
    const refusal = createChecker().checkHead(head)
    assert.ok('kind' in refusal)
    assert.equal(refusal.code, 'signature_invalid')
    assert.ok(refusal.detail.includes(missing), refusal.detail)
  }
  for (const lacking of [
    `;nonce="n";keyid="shop-1"`,
    `;created=${NOW_SECONDS};keyid="shop-1"`,
    `;created=${NOW_SECONDS};nonce="n"`,
    `;created=${NOW_SECONDS};nonce="n";keyid="other"`,
    `;created=${NOW_SECONDS};nonce="n";keyid="shop-1";alg="rsa-pss-sha512"`,
    `;created=${NOW_SECONDS};nonce="${'n'.repeat(65)}";keyid="shop-1"`,
  ]) {
    assert.equal(check(sign({ parameters: lacking })), 'signature_invalid', lacking)
  }
  const query = { query: 'a=1', method: 'GET', components: ['@method', '@authority', '@path'] }
  assert.equal(check(sign(query), Buffer.alloc(0)), 'signature_invalid', 'the query is uncovered')
})

test('whatever is changed on the way, the signature no longer fits', () => {
  const head = sign()
  assert.equal(check({ ...head, method: 'PUT' }), 'signature_invalid')
  assert.equal(check({ ...head, path: '/v1/authorizations/x/reversals' }), 'signature_invalid')
  assert.equal(check({ ...head, query: 'x=1' }), 'signature_invalid')
  assert.equal(check(changed(head, { host: 'other.example' })), 'signature_invalid')
  assert.equal(check(changed(head, { 'idempotency-key': 'order-2' })), 'signature_invalid')
  assert.equal(check(changed(head, { 'content-digest': 'sha-256=:AAAA:' })), 'signature_invalid')
  assert.equal(check(sign({ secret: Buffer.alloc(32, 8) })), 'signature_invalid')
  const input = head.headers.get('signature-input') ?? ''
  const younger = input.replace(`created=${NOW_SECONDS}`, `created=${NOW_SECONDS + 1}`)
  assert.equal(check(changed(head, { 'signature-input': younger })), 'signature_invalid')
})

test('a body that is not the one that was signed is refused, and does not spend the nonce', () => {
  const checker = createChecker()
  const head = sign()
  assert.equal(check(head, Buffer.from('{"amount":1}'), checker), 'content_digest_mismatch')
  assert.equal(check(head, body, checker), 'shop')
  for (const digest of ['md5=:AAAA:', 'sha-256=:AAAA:', 'sha-256', '']) {
    const other = sign({ headers: { 'content-digest': digest }, parameters: created(0, 'n-2') })
    assert.equal(check(other, body, checker), 'content_digest_mismatch', digest)
  }
})

test('a request that comes again is a replay; one that is signed again is not', () => {
  const checker = createChecker()
  assert.equal(check(sign(), body, checker), 'shop')
  assert.equal(check(sign(), body, checker), 'signature_replayed')
  assert.equal(check(sign({ parameters: created(1) }), body, checker), 'signature_replayed')
  assert.equal(check(sign({ parameters: created(1, 'n-2') }), body, checker), 'shop')
})

test('300 s of skew to either side, not one more, and expires before it', () => {
  for (const [offset, expected] of [
    [-300, 'shop'],
    [300, 'shop'],
    [-301, 'signature_expired'],
    [301, 'signature_expired'],
  ] as const) {
    assert.equal(check(sign({ parameters: created(offset) })), expected, String(offset))
  }
  const expires = `${created(-10)};expires=${NOW_SECONDS - 1}`
  assert.equal(check(sign({ parameters: expires })), 'signature_expired')
})

test('a signature of a proxy beside ours is left alone', () => {
  const head = sign()
  const inputs = `proxy=("@method");created=1;keyid="px", ${head.headers.get('signature-input')}`
  const signatures = `proxy=:AAAA:, ${head.headers.get('signature')}`
  assert.equal(check(changed(head, { 'signature-input': inputs, signature: signatures })), 'shop')
})

test('no header’s value makes it throw', () => {
  fc.assert(
    fc.property(fc.string(), fc.string(), (input, signature) => {
      const head = changed(sign(), { 'signature-input': input, signature })
      assert.equal(check(head), 'signature_invalid')
    }),
  )
})

test('what our own side signs, the other takes, and only unchanged', () => {
  const checker = new SignatureChecker([acquirer], 'http', () => NOW_SECONDS * 1_000)
  const headers = { host: 'switch.example:8080', 'content-digest': DIGEST, 'idempotency-key': 'a' }
  const head = { method: 'POST', path: '/v1/authorizations', query: '' }
  const signed = signRequest({ ...head, headers: new Map(Object.entries(headers)) }, 'http', {
    keyId: 'shop-1',
    secret: SECRET,
    createdSeconds: NOW_SECONDS,
    nonce: 'n-9',
    covered: COVERED,
  })
  const sent = new Map(
    Object.entries({
      ...headers,
      'signature-input': signed.signatureInput,
      signature: signed.signature,
    }),
  )
  const result = checker.checkHead({ ...head, headers: sent })
  assert.ok('nonce' in result && result.nonce === 'n-9')
  assert.ok('kind' in checker.checkHead({ ...head, path: '/v1/reversals', headers: sent }))
})
