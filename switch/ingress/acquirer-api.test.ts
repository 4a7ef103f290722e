// Every error of the acquirers' HTTP, produced: by the door of production on a real port, over
// steps, store and links on simulated disk and network. docs/errors.md says which refusals use up
// a key.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { request as httpRequest, type OutgoingHttpHeaders } from 'node:http'
import test, { after, before } from 'node:test'
import { readDialect } from '../adapters/dialect-files.ts'
import { listen } from '../adapters/http-server.ts'
import { createSystemRandom, systemClock, systemTimers } from '../adapters/system-clock.ts'
import { newKeyFile, parseKeyFile } from '../card-data/index.ts'
import { readConfig } from '../config/index.ts'
import { ERRORS, type ErrorCode, type ErrorKind } from '../errors.ts'
import { contentDigest, signRequest } from '../http-signatures/index.ts'
import type { IsoMessage } from '../iso8583/index.ts'
import {
  AMOUNT_MAX,
  AUTHORIZATION_VALID_MS,
  BODY_BYTES_MAX,
  IN_FLIGHT_MAX,
  PAYMENT_STEPS_MAX,
  WAITERS_PER_KEY_MAX,
} from '../limits.ts'
import { createSimulatedSwitch } from '../simulated-switch.ts'
import { answerOf } from '../simulation/index.ts'
import { createAcquirerApi } from './acquirer-api.ts'

const page = readFileSync(new URL('../docs/errors.md', import.meta.url), 'utf8')
const shipped = readFileSync(new URL('../config/default.yaml', import.meta.url), 'utf8')
const dialect = readDialect('iso8583-1987-ascii')
const configured = readConfig(shipped, {})
const random = createSystemRandom()
const keys = parseKeyFile(newKeyFile(random))
assert.ok(dialect.ok && configured.ok && keys.ok)
const parts = { config: configured.config, dialect: dialect.dialect, keys: keys.keys, random }

interface Answer {
  readonly status: number
  readonly contentType: string
  readonly retryAfter: string | undefined
  readonly body: Readonly<Record<string, unknown>>
  /** The idempotency key that it was asked with. */
  readonly key: string
}

/** An amount that its issuer takes a while for, and one that it declines. */
const SLOW = 7_700
const DECLINED = 5_100
const SLOW_MS = 250

async function createRig() {
  let aheadMs = 0
  let onAsked = () => {}
  const answer = (request: IsoMessage) => {
    onAsked()
    const amount = Number(request.fields[4])
    const isMeant = request.mti[2] === '0' && request.mti[1] !== '4'
    const code = isMeant && amount === DECLINED ? '51' : '00'
    const message = answerOf(request, code, { 38: 'A1B2C3' })
    return [{ afterMs: isMeant && amount === SLOW ? SLOW_MS : 0, message }]
  }
  const clock = { ...systemClock, now: () => systemClock.now() + aheadMs }
  const simulated = await createSimulatedSwitch({ ...parts, clock, timers: systemTimers, answer })
  const { world } = simulated
  const server = await listen({
    host: '127.0.0.1',
    port: 0,
    bodyBytesMax: BODY_BYTES_MAX,
    connectionsMax: 100,
    api: createAcquirerApi(world),
    onBug: (error) => {
      throw error
    },
  })
  const ask = (method: string, path: string, more: OutgoingHttpHeaders, body = '') =>
    exchange(server.port, method, path, more, body)
  const post = (path: string, body: unknown, more: OutgoingHttpHeaders = {}) =>
    ask('POST', path, { ...asJson, ...more }, JSON.stringify(body))
  const pay = async (changes: object = {}, expected = 'approved'): Promise<string> => {
    const { body } = await post('/v1/authorizations', { ...BODY, ...changes })
    assert.equal(body.outcome, expected, JSON.stringify(body))
    return String(body.id)
  }
  const step = (id: string, steps: string, body: object = {}) =>
    post(`/v1/authorizations/${id}/${steps}`, body)
  return {
    ...simulated,
    ask,
    post,
    pay,
    step,
    /** A step that the payment allows. */
    taken: async (id: string, steps: string, body: object = {}) => {
      const { status, body: answer } = await step(id, steps, body)
      assert.equal(status, 200, JSON.stringify(answer))
      return id
    },
    setAhead: (ms: number) => {
      aheadMs = ms
    },
    whenAsked: (run: () => void) => {
      onAsked = run
    },
    async close() {
      server.close()
      await simulated.close().catch(() => {})
    },
  }
}

type Rig = Awaited<ReturnType<typeof createRig>>

const BODY = {
  amount: 2599,
  currency: 'EUR',
  channel: 'pos',
  card: { pan: '4761739001010119', expiry: '2912' },
  merchant: { id: 'M-1001', mcc: '5411' },
}
const asJson = { authorization: 'Bearer demo-key', 'content-type': 'application/json' }
const PATH = '/v1/authorizations'
const NOBODY = 'auth_00000000000000000000000000'

let lastKey = 0

/** By node:http, which sends a header twice where it is asked to. Each POST has its own key. */
function exchange(
  port: number,
  method: string,
  path: string,
  more: OutgoingHttpHeaders,
  body: string,
): Promise<Answer> {
  const key = `key-${++lastKey}`
  const isPost = method === 'POST'
  const headers: OutgoingHttpHeaders = { ...(isPost ? { 'idempotency-key': key } : {}), ...more }
  for (const name of Object.keys(headers)) if (headers[name] === undefined) delete headers[name]
  if (isPost) headers['content-length'] = Buffer.byteLength(body)
  return new Promise((resolve, reject) => {
    const sent = httpRequest({ host: '127.0.0.1', port, method, path, headers }, (response) => {
      const pieces: Buffer[] = []
      response.on('data', (piece: Buffer) => pieces.push(piece))
      response.on('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          contentType: response.headers['content-type'] ?? '',
          retryAfter: response.headers['retry-after'],
          body: JSON.parse(Buffer.concat(pieces).toString('utf8')),
          key: String(headers['idempotency-key'] ?? ''),
        }),
      )
    })
    sent.on('error', reject)
    sent.end(body)
  })
}

let lastNonce = 0

/** A signed authorization, with something changed before or after it was signed. */
function sendSigned(
  { ask }: Rig,
  { ageSeconds = 0, secret = '', body = JSON.stringify(BODY), nonce = `n-${++lastNonce}` } = {},
): Promise<Answer> {
  const [key] = configured.ok ? (configured.config.acquirers[0]?.signatureKeys ?? []) : []
  assert.ok(key)
  const host = 'switch.example'
  const signed = {
    host,
    'content-digest': contentDigest(Buffer.from(JSON.stringify(BODY))),
    'idempotency-key': `signed-${++lastKey}`,
  }
  const head = { method: 'POST', path: PATH, query: '', headers: new Map(Object.entries(signed)) }
  const { signatureInput, signature } = signRequest(head, 'http', {
    keyId: key.keyId,
    secret: Buffer.from(secret || key.secret, 'base64'),
    createdSeconds: Math.floor(systemClock.now() / 1000) - ageSeconds,
    nonce,
    covered: ['@method', '@target-uri', 'content-digest', 'idempotency-key'],
  })
  const headers = { ...signed, 'signature-input': signatureInput, signature }
  return ask('POST', PATH, { ...headers, 'content-type': 'application/json' }, body)
}

/** An advice and a reversal by the acquirer's own numbers have paths of their own. */
const ADVICES = '/v1/advices'
const REVERSALS = '/v1/reversals'

const without = (name: keyof typeof BODY) => ({ ...BODY, [name]: undefined })

/** What makes each error, in the order of the codes. */
const CASES: Readonly<Record<ErrorCode, (rig: Rig) => Promise<Answer>>> = {
  unreadable_body: ({ ask }) => ask('POST', PATH, asJson, '{"amount":'),
  unsupported_content_type: ({ post }) => post(PATH, BODY, { 'content-type': 'text/plain' }),
  idempotency_key_required: ({ post }) => post(PATH, BODY, { 'idempotency-key': undefined }),
  idempotency_key_invalid: ({ post }) => post(PATH, BODY, { 'idempotency-key': 'k'.repeat(256) }),
  ambiguous_request: ({ post }) => post(PATH, BODY, { 'idempotency-key': ['a', 'b'] }),
  unauthorized: ({ post }) => post(PATH, BODY, { authorization: 'Bearer nobody' }),
  signature_invalid: (rig) => sendSigned(rig, { secret: 'b3RoZXI=' }),
  signature_expired: (rig) => sendSigned(rig, { ageSeconds: 400 }),
  signature_replayed: async (rig) => {
    assert.equal((await sendSigned(rig, { nonce: 'once' })).status, 200)
    return sendSigned(rig, { nonce: 'once' })
  },
  content_digest_mismatch: (rig) => sendSigned(rig, { body: '{}' }),
  not_found: ({ step }) => step(NOBODY, 'captures'),
  idempotency_key_in_progress: async ({ post }) => {
    const same = { 'idempotency-key': 'crowd' }
    const count = WAITERS_PER_KEY_MAX + 2
    const sent = Array.from({ length: count }, () => post(PATH, { ...BODY, amount: SLOW }, same))
    const refused = (await Promise.all(sent)).filter(({ status }) => status !== 200)
    assert.equal(refused.length, 1)
    return refused[0] as Answer
  },
  authorization_in_progress: async ({ ask, post, asked, until }) => {
    const before = asked('demo-a').length
    const paying = post(PATH, { ...BODY, amount: SLOW, rrn: 'INFLIGHT0001' })
    await until(() => asked('demo-a').length > before, 'the issuer was asked')
    const refused = await ask('GET', `${PATH}?rrn=INFLIGHT0001`, asJson)
    await paying
    return refused
  },
  payment_in_progress: async ({ pay, step, asked, until }) => {
    const id = await pay({ type: 'sale', amount: 2 * SLOW })
    const before = asked('demo-a').length
    const refunding = step(id, 'refunds', { amount: SLOW })
    await until(() => asked('demo-a').length > before, 'the issuer was asked')
    const refused = await step(id, 'refunds', { amount: 1 })
    assert.equal((await refunding).body.outcome, 'approved')
    return refused
  },
  payment_not_approved: async ({ pay, step }) =>
    step(await pay({ amount: DECLINED }, 'declined'), 'captures'),
  payment_is_inquiry: async ({ pay, step }) =>
    step(await pay({ type: 'balance_inquiry', amount: 0 }), 'reversals'),
  payment_captured: async ({ pay, taken, step }) =>
    step(await taken(await pay(), 'captures'), 'reversals'),
  payment_refunded: async ({ pay, taken, step }) =>
    step(await taken(await pay({ type: 'sale' }), 'refunds'), 'captures'),
  payment_reversed: async ({ pay, taken, step }) =>
    step(await taken(await pay(), 'reversals'), 'captures'),
  payment_expired: async ({ pay, step, setAhead }) => {
    const id = await pay()
    setAhead(AUTHORIZATION_VALID_MS + 1_000)
    const refused = await step(id, 'captures')
    setAhead(0)
    return refused
  },
  already_reversed: async ({ pay, taken, step }) =>
    step(await taken(await pay(), 'reversals'), 'reversals'),
  capture_not_needed: async ({ pay, step }) => step(await pay({ type: 'sale' }), 'captures'),
  nothing_captured: async ({ pay, step }) => step(await pay(), 'refunds'),
  refund_not_allowed: async ({ pay, step }) =>
    step(await pay({ type: 'cash_withdrawal' }), 'refunds'),
  increment_not_allowed: async ({ pay, step }) => step(await pay(), 'increments', { amount: 1 }),
  original_ambiguous: async ({ pay, post }) => {
    await pay({ rrn: 'TWICE0000001' })
    await pay({ rrn: 'TWICE0000001' })
    return post(REVERSALS, { original: { rrn: 'TWICE0000001' } })
  },
  too_many_steps: async ({ pay, taken, step }) => {
    const id = await pay()
    for (let i = 0; i < PAYMENT_STEPS_MAX; i++) await taken(id, 'captures', { amount: 1 })
    return step(id, 'captures', { amount: 1 })
  },
  body_too_large: ({ post }) => post(PATH, 'x'.repeat(BODY_BYTES_MAX)),
  missing_field: ({ post }) => post(PATH, without('merchant')),
  unknown_field: ({ post }) => post(PATH, { ...BODY, amuont: 1 }),
  invalid_field: ({ post }) => post(PATH, { ...BODY, channel: 'letter' }),
  invalid_amount: ({ post }) => post(PATH, { ...BODY, amount: 25.99 }),
  invalid_currency: ({ post }) => post(PATH, { ...BODY, currency: 'XXX' }),
  invalid_pan: ({ post }) =>
    post(PATH, { ...BODY, card: { ...BODY.card, pan: '4761739001010118' } }),
  invalid_expiry: ({ post }) => post(PATH, { ...BODY, card: { ...BODY.card, expiry: '2913' } }),
  capture_above_authorized: async ({ pay, step }) =>
    step(await pay(), 'captures', { amount: 2600 }),
  reversal_above_authorized: async ({ pay, step }) =>
    step(await pay(), 'reversals', { amount: 2600 }),
  refund_above_captured: async ({ pay, step }) =>
    step(await pay({ type: 'sale' }), 'refunds', { amount: 2600 }),
  increment_above_maximum: async ({ pay, step }) =>
    step(await pay({ type: 'preauthorization' }), 'increments', { amount: AMOUNT_MAX }),
  no_route: ({ post }) =>
    post(ADVICES, { ...BODY, card: { pan: '4111111111111111', expiry: '2912' } }),
  unknown_card_token: ({ post }) =>
    post(PATH, { ...BODY, card: { token: `tok_${'A'.repeat(22)}` } }),
  idempotency_key_reused: async ({ post }) => {
    const same = { 'idempotency-key': 'reused' }
    assert.equal((await post(PATH, BODY, same)).status, 200)
    return post(PATH, { ...BODY, amount: 2600 }, same)
  },
  overloaded: async ({ world, post }) => {
    const free = IN_FLIGHT_MAX - world.inFlight.size
    const places = Array.from({ length: free }, (_, i) => `full\n${i}`)
    for (const place of places) world.inFlight.enter(place, Buffer.alloc(32))
    const refused = await post(PATH, BODY)
    const { code } = refused.body
    const gone = { kind: 'refused', code: 'draining', detail: '' } as const
    for (const place of places) world.inFlight.leave(place, gone)
    assert.equal(code, 'overloaded')
    return refused
  },
  draining: async ({ world, post }) => {
    world.door.isOpen = false
    const refused = await post(PATH, BODY)
    world.door.isOpen = true
    return refused
  },
  // The last two: with this rig nothing is stored any more.
  store_unavailable: async (rig) => {
    await failDisk(rig)
    return rig.post(PATH, BODY)
  },
  outcome_unknown: (rig) => failDisk(rig),
}

/** The disk fails between claim and outcome. */
function failDisk({ disk, post, whenAsked }: Rig): Promise<Answer> {
  whenAsked(() => disk.failWith('EIO'))
  return post(PATH, BODY)
}

test('a card number as the key of a step, or of what it reverses, is refused and not kept', async () => {
  const { pay, post, disk } = shared
  const id = await pay()
  const pan = BODY.card.pan
  const original = { idempotencyKey: pan, transmittedAt: new Date().toISOString() }
  const named = await post('/v1/reversals', { amount: 1, currency: 'EUR', original })
  assert.deepEqual([named.status, named.body.param], [422, 'original.idempotencyKey'])
  const own = { 'idempotency-key': pan }
  for (const answer of [
    await post(`${PATH}/${id}/captures`, {}, own),
    await post('/v1/reversals', { original: { rrn: '632610000999' } }, own),
  ]) {
    assert.equal(answer.body.code, 'idempotency_key_invalid')
  }
  for (const name of await disk.list()) {
    const file = await disk.open(name)
    const bytes = Buffer.from(await file.read(0, file.sizeBytes))
    assert.equal(bytes.includes(pan), false, name)
  }
})

test('a wrong path is told the right ones, and nothing of a payment', async () => {
  const wrong = [
    ['POST', `${PATH}/${NOBODY}/capture`],
    ['PUT', PATH],
    ['GET', '/v1/reversals'],
    ['GET', '/authorizations'],
  ] as const
  for (const [method, path] of wrong) {
    const { status, body } = await shared.ask(method, path, asJson)
    assert.deepEqual([status, body.code, body.responseCode], [404, 'not_found', undefined], path)
    assert.match(String(body.detail), /POST to .*captures.* below \/v1\/authorizations\/\{id\}\//)
  }
  const { body } = await shared.ask('GET', `${PATH}/${NOBODY}`, asJson)
  assert.deepEqual([body.code, body.responseCode], ['not_found', '25'])
})

const ENDS_THE_STORE: ReadonlySet<string> = new Set(['store_unavailable', 'outcome_unknown'])

/** "consumes the key" of the page's first table: yes, no, or empty where there is none. */
function keyColumn(code: string): string | undefined {
  return new RegExp(`^\\| \`${code}\` \\| \\d+ \\| ([a-z]*) ?\\|`, 'm').exec(page)?.[1]
}

let shared: Rig
before(async () => {
  shared = await createRig()
})
after(() => shared?.close())

for (const code of Object.keys(ERRORS) as ErrorCode[]) {
  test(`${code}: as docs/errors.md has it`, async () => {
    const isLast = ENDS_THE_STORE.has(code)
    const rig = isLast ? await createRig() : shared
    const produce = CASES[code]
    assert.ok(produce !== undefined, 'no request here produces it')
    const answer = await produce(rig)
    const { status, title, responseCode }: ErrorKind = ERRORS[code]
    assert.equal(answer.body.code, code, JSON.stringify(answer.body))
    assert.deepEqual(
      [answer.status, answer.body.status, answer.body.title, answer.body.responseCode],
      [status, status, title, responseCode],
    )
    assert.match(answer.contentType, /^application\/problem\+json/)
    assert.match(String(answer.body.request_id), /^req_/)
    assert.notEqual(String(answer.body.detail), '')
    const asksForRetry = status === 503 || /_in_progress$/.test(code)
    assert.equal(answer.retryAfter !== undefined, asksForRetry, 'Retry-After')
    const said = keyColumn(code)
    const isKept = rig.world.store.findKey('demo', answer.key) !== undefined
    if (answer.key !== '') assert.equal(isKept, said === 'yes', `consumes the key: ${said}`)
    else assert.ok(said === '' || said === 'no', `asked without a key, and the page says ${said}`)
    if (isLast) await rig.close()
  })
}
