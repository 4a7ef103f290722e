// The life of a payment from end to end: a message type at a time, then kill -9 in the middle of
// many, judged by the issuer's own books, to the cent.

import assert from 'node:assert/strict'
import test, { after, before } from 'node:test'
import { type AcquirerPayment, balancePayments } from '../driver/payment-books.ts'
import { type LedgerEntry, positionOf } from '../issuer/index.ts'
import { pause } from '../processes/index.ts'
import { type Answer, eventually, post, purchase, type System, startSystem } from './system.ts'

let system: System
before(async () => {
  system = await startSystem({ issuerTimeoutMs: 2_000 })
})
after(() => system?.stop())

interface Totals {
  readonly state: string
  readonly authorized: number
  readonly captured: number
  readonly reversed: number
  readonly refunded: number
}

function totalsOf(answer: Answer): Totals {
  assert.equal(answer.status, 200, answer.bytes.toString('utf8'))
  return answer.body.payment as Totals
}

async function pay(
  number: number,
  changes: object = {},
): Promise<Readonly<Record<string, unknown>>> {
  const body = { ...purchase(number, 200_000 + number), ...changes }
  const { body: answer } = await system.post(`pay-${number}`, body)
  assert.equal(answer.outcome, 'approved')
  return answer
}

/** What the issuer has of this payment. */
async function atIssuer(approvalCode: unknown) {
  const ledger = await system.demoA.ledger()
  const first = ledger.find((entry) => entry.approvalCode === approvalCode)
  assert.ok(first !== undefined)
  return { first, ...positionOf(first, stepsOf(first, ledger)) }
}

function stepsOf(first: LedgerEntry, ledger: readonly LedgerEntry[]): LedgerEntry[] {
  return ledger.filter(({ original }) => original === first.key)
}

test('0220: captured in two parts, the rest given back; found again by id', async () => {
  const paid = await pay(1)
  const first = await system.step(paid.id, 'captures', 'c-1', { amount: 100_000 })
  assert.equal(totalsOf(first).state, 'partly_captured')
  const second = await system.step(paid.id, 'captures', 'c-2', { amount: 50_000 })
  const rest = await system.step(paid.id, 'reversals', 'r-1')
  assert.equal(totalsOf(second).captured, 150_000)
  assert.deepEqual(totalsOf(rest), {
    state: 'captured',
    authorized: 200_001,
    captured: 150_000,
    reversed: 50_001,
    refunded: 0,
  })
  await eventually(async () => {
    const { captured, reversed } = await atIssuer(paid.approvalCode)
    assert.deepEqual([captured, reversed], [150_000, 50_001])
  })
  const again = await system.step(paid.id, 'captures', 'c-1', { amount: 100_000 })
  assert.ok(again.bytes.equals(first.bytes))
  assert.equal(again.headers.get('idempotent-replayed'), 'true')
  const byId = [
    `/v1/authorizations/${first.body.id}`,
    `/v1/authorizations/${paid.id}/captures/${first.body.id}`,
  ]
  for (const path of byId) assert.ok((await system.get(path)).bytes.equals(first.bytes), path)
  const wrong = [
    `/v1/authorizations/${paid.id}/refunds/${first.body.id}`,
    '/v1/authorizations/cap_00000000000000000000000000',
  ]
  for (const path of wrong) assert.equal((await system.get(path)).status, 404, path)
  const byRrn = await system.get(`/v1/authorizations?rrn=${paid.rrn}`)
  assert.deepEqual(byRrn.body.authorizations, [paid])
  assert.deepEqual(byRrn.body.steps, [first.body, second.body, rest.body])
})

test('0420: reversed whole, once', async () => {
  const paid = await pay(2)
  assert.equal(totalsOf(await system.step(paid.id, 'reversals', 'r-2')).state, 'reversed')
  const second = await system.step(paid.id, 'reversals', 'r-2-again')
  assert.deepEqual(
    [second.status, second.body.code, second.body.responseCode],
    [409, 'already_reversed', '94'],
  )
  await eventually(async () => {
    const { first } = await atIssuer(paid.approvalCode)
    assert.deepEqual(
      first.reversals.map(({ effective }) => effective),
      [true],
    )
  })
})

test('0200 with processing code 20: refunded', async () => {
  const paid = await pay(3, { type: 'sale' })
  const refunded = await system.step(paid.id, 'refunds', 'f-3', { amount: 50_000 })
  assert.match(String(refunded.body.approvalCode), /^[0-9A-Z]{6}$/)
  assert.equal(totalsOf(refunded).refunded, 50_000)
  assert.equal((await atIssuer(paid.approvalCode)).refunded, 50_000)
})

test('0100 with the original’s data: a pre-authorization grows', async () => {
  const paid = await pay(4, { type: 'preauthorization' })
  const grown = await system.step(paid.id, 'increments', 'i-4', { amount: 99 })
  assert.equal(totalsOf(grown).authorized, 200_103)
  assert.equal((await atIssuer(paid.approvalCode)).authorized, 200_103)
})

test('what a payment does not allow: its own code, status and DE39, nothing forwarded', async () => {
  const held = await pay(5)
  const sold = await pay(6, { type: 'sale' })
  const declined = (await system.post('pay-7', purchase(7, 1051, '541333'))).body
  const { messages } = await system.demoA.status()
  const refused = async (id: unknown, steps: string, body: object = {}) => {
    const answer = await system.step(id, steps, `${id} ${steps}`.replaceAll(' ', '-'), body)
    assert.match(answer.headers.get('content-type') ?? '', /problem\+json/)
    return [answer.status, answer.body.code, answer.body.responseCode]
  }
  assert.deepEqual(await refused(held.id, 'captures', { amount: 200_006 }), [
    422,
    'capture_above_authorized',
    '13',
  ])
  assert.deepEqual(await refused(sold.id, 'refunds', { amount: 200_007 }), [
    422,
    'refund_above_captured',
    '13',
  ])
  assert.deepEqual(await refused(sold.id, 'captures'), [409, 'capture_not_needed', '12'])
  assert.deepEqual(await refused(declined.id, 'reversals'), [409, 'payment_not_approved', '12'])
  const nobody = 'auth_00000000000000000000000000'
  assert.deepEqual(await refused(nobody, 'reversals'), [404, 'not_found', '25'])
  assert.deepEqual((await refused(held.id, 'captures', { amount: 1.5 })).slice(0, 1), [422])
  assert.deepEqual(await refused(held.id, 'captures', { amuont: 1 }), [
    422,
    'unknown_field',
    undefined,
  ])
  assert.equal((await system.demoA.status()).messages, messages)
})

test('reversed without its id: in flight, and before it has come', async () => {
  const reverse = (number: number, key: string) =>
    post(
      system.running.url,
      key,
      {
        amount: 200_000 + number,
        currency: 'EUR',
        original: { idempotencyKey: `pay-${number}`, transmittedAt: new Date().toISOString() },
      },
      {},
      '/v1/reversals',
    )
  const send = (number: number) => system.post(`pay-${number}`, purchase(number, 200_000 + number))
  await system.demoA.setBehaviour({ delayMs: 500 })
  const { requests } = await system.demoA.status()
  const paying = send(8)
  while ((await system.demoA.status()).requests === requests) await pause(5)
  assert.equal((await reverse(8, 'early-8')).body.responseCode, '00')
  const paid = await paying
  await system.demoA.setBehaviour({ delayMs: 0 })
  assert.deepEqual([paid.body.outcome, paid.body.responseCode], ['declined', '94'])
  await eventually(async () => {
    const [entry] = (await system.demoA.ledger()).filter(({ amount }) => amount === 200_008)
    assert.ok(entry?.reversals.length === 1 && entry.reversals[0]?.effective === true, 'not yet')
  })

  assert.equal((await reverse(9, 'early-9')).body.responseCode, '00')
  const late = await send(9)
  assert.deepEqual(
    [late.status, late.body.outcome, late.body.responseCode],
    [200, 'declined', '94'],
  )
  assert.ok(!(await system.demoA.ledger()).some(({ amount }) => amount === 200_009))
})

const COUNT = 120

/** One payment of each kind: what is asked of it, in order. */
const PLANS: readonly (readonly [type: string, ...steps: (readonly [string, object])[]])[] = [
  [
    'authorization',
    ['captures', { amount: 1_000 }],
    ['captures', {}],
    ['refunds', { amount: 700 }],
  ],
  ['authorization', ['reversals', { amount: 500 }], ['captures', {}]],
  ['preauthorization', ['increments', { amount: 5_000 }], ['captures', {}]],
  ['preauthorization', ['increments', { amount: 5_000 }], ['reversals', {}]],
  ['sale', ['refunds', { amount: 900 }], ['refunds', {}]],
  ['sale', ['reversals', {}]],
]

/** Goes through a plan; `isRetried`: again and again until each step has its word. */
async function goThrough(number: number, isRetried: boolean): Promise<AcquirerPayment | undefined> {
  const [type, ...steps] = PLANS[number % PLANS.length] as (typeof PLANS)[number]
  const paid = await answered(isRetried, () =>
    system.post(`plan-${number}`, { ...purchase(number, 300_000 + number), type }),
  )
  if (paid === undefined || paid.body.outcome !== 'approved') return undefined
  const takesAtOnce = type === 'sale'
  const authorized = 300_000 + number
  let totals = { authorized, captured: takesAtOnce ? authorized : 0, reversed: 0, refunded: 0 }
  for (const [index, [kind, body]] of steps.entries()) {
    const step = await answered(isRetried, () =>
      system.step(paid.body.id, kind, `plan-${number}-${index}`, body),
    )
    if (step === undefined) return undefined
    totals = step.body.payment as typeof totals
  }
  const { issuer, approvalCode } = paid.body
  return { ...totals, issuer: String(issuer), approvalCode: String(approvalCode), takesAtOnce }
}

async function answered(
  isRetried: boolean,
  send: () => Promise<Answer>,
): Promise<Answer | undefined> {
  for (let tries = 0; tries < 100; tries++) {
    try {
      const answer = await send()
      if (answer.status === 200) return answer
      assert.ok([409, 503].includes(answer.status), answer.bytes.toString('utf8'))
    } catch (error) {
      if (error instanceof assert.AssertionError || isRetried) throw error
      return undefined
    }
    if (!isRetried) return undefined
    await pause(100)
  }
  assert.fail('no answer after 100 tries')
}

test('killed in the middle of many payments: every cent is where the acquirer was told', async () => {
  const before = (await system.demoA.status()).sequence
  await system.demoA.setBehaviour({ delayMs: 20, latePercent: 30, lateMs: 400 })
  const numbers = Array.from({ length: COUNT }, (_, i) => 1_000 + i)
  const running = Promise.all(numbers.map((number) => goThrough(number, false)))
  while ((await system.demoA.status()).sequence < before + COUNT + 20) await pause(5)
  await system.running.kill('SIGKILL')
  await running
  await system.demoA.setBehaviour({ delayMs: 0, latePercent: 0 })
  await system.restart()

  const payments: AcquirerPayment[] = []
  for (const number of numbers) {
    const payment = await goThrough(number, true)
    if (payment !== undefined) payments.push(payment)
  }
  assert.ok(payments.length > COUNT / 4, `${payments.length} payments were left to judge`)
  await eventually(async () => {
    const entries = await system.demoA.ledger(before)
    const books = balancePayments(payments, [{ issuer: 'demo-a', entries }])
    assert.deepEqual(books.discrepancies, [])
  }, 60_000)
})
