import assert from 'node:assert/strict'
import test from 'node:test'
import { readDialect } from '../../switch/adapters/dialect-files.ts'
import { contentDigest, signRequest } from '../../switch/http-signatures/index.ts'
import { type Behaviour, wellBehaved } from './behaviour.ts'
import { listenForHttp } from './http-listener.ts'
import { Ledger, type LedgerEntry } from './ledger.ts'
import { Simulator } from './simulator.ts'

const secret = Buffer.alloc(32, 4)
const body = {
  messageType: '0100',
  stan: '000123',
  transmittedAt: '1122100000',
  rrn: '632610000123',
  processingCode: '000000',
  amount: 2_599,
  currency: '978',
  acquiringInstitution: '100001',
  terminalId: 'T-0001',
  card: { pan: '4761739001010119', expiry: '2912' },
}

async function withIssuer(
  change: Partial<Behaviour>,
  run: (
    post: (path: string, body: object, nonce: string, key?: Uint8Array) => Promise<Response>,
    entries: () => LedgerEntry[],
  ) => Promise<void>,
): Promise<void> {
  const tokenKey = new Uint8Array(32)
  const ledger = new Ledger({ append: () => undefined, tokenKey, approvalCodeStart: 1 })
  const read = readDialect('iso8583-1987-ascii')
  assert.ok(read.ok)
  const behaviour = { ...wellBehaved, ...change }
  const flushLedger = () => undefined
  const shared = { ledger, flushLedger, behaviour, seed: 1 }
  const simulator = new Simulator({ ...shared, dialect: read.dialect })
  const key = { keyId: 'switch', secret }
  const { server, port } = await listenForHttp({ simulator, flushLedger, key }, 0)
  const post = (
    path: string,
    content: object,
    nonce: string,
    signedWith = secret as Uint8Array,
  ) => {
    const bytes = Buffer.from(JSON.stringify(content))
    const headers = {
      host: `127.0.0.1:${port}`,
      'content-digest': contentDigest(bytes),
      'idempotency-key': 'k',
    }
    const head = { method: 'POST', path, query: '', headers: new Map(Object.entries(headers)) }
    const covered = ['@method', '@target-uri', 'content-digest', 'idempotency-key']
    const signed = signRequest(head, 'http', {
      keyId: 'switch',
      secret: signedWith,
      createdSeconds: 1_795_342_800,
      nonce,
      covered,
    })
    const { signatureInput, signature } = signed
    return fetch(`http://127.0.0.1:${port}${path}`, {
      method: 'POST',
      headers: { ...headers, 'signature-input': signatureInput, signature },
      body: bytes,
    })
  }
  try {
    await run(post, () => [...ledger.entries()])
  } finally {
    simulator.close()
    server.close()
    server.closeAllConnections()
  }
}

test('a signed request is answered and booked once, its repeat with the same', async () => {
  await withIssuer({}, async (post, entries) => {
    const first = await (await post('/v1/authorizations', body, 'a')).json()
    const again = await (await post('/v1/authorizations', body, 'b')).json()
    assert.deepEqual(first, again)
    const { messageType, stan, rrn, amount, responseCode } = first as Record<string, unknown>
    assert.deepEqual(
      [messageType, stan, rrn, amount, responseCode],
      ['0110', '000123', '632610000123', 2_599, '00'],
    )
    assert.deepEqual([entries().length, entries()[0]?.repeats], [1, 1])
  })
})

test('another’s key, a nonce that came before, and no JSON of a message change nothing', async () => {
  await withIssuer({}, async (post, entries) => {
    assert.equal((await post('/v1/echo', { messageType: '0800' }, 'a')).status, 200)
    assert.equal((await post('/v1/authorizations', body, 'a')).status, 401)
    assert.equal((await post('/v1/authorizations', body, 'b', Buffer.alloc(32, 5))).status, 401)
    assert.equal((await post('/v1/authorizations', { amount: 1 }, 'c')).status, 400)
    assert.equal(entries().length, 0)
  })
})

test('partial, of a wrong amount, and unwilling to be told', async () => {
  await withIssuer({ partialPercent: 100 }, async (post) => {
    const answer = (await (await post('/v1/authorizations', body, 'a')).json()) as typeof body
    assert.deepEqual([answer.amount, Object(answer).responseCode], [1_299, '10'])
  })
  await withIssuer({ wrongAmountPercent: 100 }, async (post) => {
    const answer = (await (await post('/v1/authorizations', body, 'a')).json()) as typeof body
    assert.equal(answer.amount, 2_600)
  })
  const advice = { ...body, messageType: '0120', responseCode: '00', approvalCode: 'S1S2S3' }
  await withIssuer({ refuseAdvices: true }, async (post, entries) => {
    const answer = await (await post('/v1/advices', advice, 'a')).json()
    assert.equal(Object(answer).responseCode, '05')
    assert.equal(entries().length, 0)
  })
  await withIssuer({}, async (post, entries) => {
    await post('/v1/advices', advice, 'a')
    await post('/v1/advices', { ...advice, repeat: true }, 'b')
    assert.deepEqual(
      entries().map(({ approvalCode, advice: isAdvice }) => [approvalCode, isAdvice]),
      [['S1S2S3', true]],
    )
  })
})
