import assert from 'node:assert/strict'
import { test } from 'node:test'
import { demoPayments } from './demo.ts'
import type { BadLine, PastPayment } from './past-payment.ts'
import { createPaymentReader, type PaymentLayout } from './read-payments.ts'
import { csvHead, csvLine } from './write-payments.ts'

const plainLayout: PaymentLayout = {
  format: 'csv',
  renamed: new Map(),
  defaults: new Map(),
  decimalAmounts: false,
}

async function read(text: string, changes: Partial<PaymentLayout> = {}) {
  const reader = createPaymentReader({ ...plainLayout, ...changes })
  const payments: PastPayment[] = []
  const bad: BadLine[] = []
  async function* bytes() {
    yield Buffer.from(text)
  }
  for await (const some of reader.payments(bytes(), (line) => bad.push(line))) {
    payments.push(...some)
  }
  return { payments, bad, problem: reader.problem?.message, head: reader.head }
}

/** Absent is absent, whether the property is there or not; the event is named by the reader. */
function comparable(payment: PastPayment): unknown {
  const { eventHash: _, ...request } = payment.request
  const empty = (value: unknown) =>
    typeof value === 'object' && value !== null && Object.keys(value).length === 0
  return JSON.parse(JSON.stringify({ ...payment, request }), (_key, value: unknown) =>
    empty(value) ? undefined : value,
  )
}

test('payments that are written are read again the same', async () => {
  const startMs = Date.UTC(2026, 0, 5)
  const written = [...demoPayments({ seed: 3, days: 2, customers: 60, startMs })]
  assert.ok(written.length > 80)
  const { payments, bad } = await read(csvHead + written.map(csvLine).join(''))
  assert.deepEqual(bad, [])
  assert.deepEqual(payments.map(comparable), written.map(comparable))
  assert.equal(new Set(payments.map(({ request }) => request.eventHash)).size, payments.length)
})

const head = 'arrivedAt,amount,currency,channel,card.token,card.bin,merchant.id,merchant.mcc'
const row = '2026-01-05T10:00:00Z,100,EUR,pos,tok_1,47617390,M-1,5411'

test('every bad line is told with its number and column, and never with its value', async () => {
  const lines = [
    [row.replace('100', '1.5'), 'amount'],
    [row.replace('EUR', 'EURO'), 'currency'],
    [row.replace('pos', 'shop'), 'channel'],
    [row.replace('tok_1', '4761739001010119'), 'card.token'],
    [row.replace('47617390', '4761'), 'card.bin'],
    [row.replace('5411', '54'), 'merchant.mcc'],
    [row.replace('Z', ''), 'arrivedAt'],
    [row.replace('M-1', ''), 'merchant.id'],
    [`${row},more`, undefined],
    [row.replace('M-1', '"M-1'), undefined],
  ] as const
  const { payments, bad } = await read(`${head}\n${row}\n${lines.map(([l]) => l).join('\n')}\n`)
  assert.equal(payments.length, 1)
  assert.deepEqual(
    bad.map(({ line, column }) => [line, column] as const).sort(([one], [other]) => one - other),
    lines.map(([, column], index) => [index + 3, column]),
  )
  assert.ok(!JSON.stringify(bad).includes('4761739001010119'))
})

test('a file out of order is told where it goes back', async () => {
  const { bad } = await read(
    `${head}\n${row}\n${row.replace('10:00:00', '09:59:55')}\n${row.replace('10:00', '09:00')}\n`,
  )
  assert.deepEqual(
    bad.map(({ line, column }) => [line, column]),
    [[4, 'arrivedAt']],
  )
})

test('another layout is read with names and values of its own', async () => {
  const text =
    'TX_TIME;TX_AMOUNT;CARD;BIN;SHOP;MCC;TX_FRAUD\n1767607200;25.99;c-1;476173;M-1;5411;stolen_card\n'
  const renamed = new Map([
    ['arrivedAt', 'TX_TIME'],
    ['amount', 'TX_AMOUNT'],
    ['card.token', 'CARD'],
    ['card.bin', 'BIN'],
    ['merchant.id', 'SHOP'],
    ['merchant.mcc', 'MCC'],
  ])
  const defaults = new Map([
    ['currency', 'EUR'],
    ['channel', 'ecommerce'],
  ])
  const { payments, bad, head } = await read(text, { renamed, defaults, decimalAmounts: true })
  assert.deepEqual(bad, [])
  assert.deepEqual(head?.unused, ['TX_FRAUD'])
  const [payment] = payments
  assert.equal(payment?.request.amount, 2_599)
  assert.equal(payment?.request.arrivedAtMs, 1_767_607_200_000)
  assert.equal(payment?.request.id, 'line-2')
  assert.equal(payment?.label, undefined)
})

test('a file without a required column says which, and what it has', async () => {
  const { payments, problem } = await read('time,amount\n1,2\n')
  assert.deepEqual(payments, [])
  assert.match(problem ?? '', /no column arrivedAt, currency.*the file also has time; .*--map/)
})

test('NDJSON is read by nested and by dotted names', async () => {
  const nested = {
    arrivedAt: '2026-01-05T10:00:00Z',
    amount: 100,
    currency: 'EUR',
    channel: 'pos',
    card: { token: 'tok_1', bin: '47617390' },
    merchant: { id: 'M-1', mcc: '5411', latitude: 52.5 },
    responseCode: '51',
  }
  const dotted = { ...nested, card: undefined, 'card.token': 'tok_2', 'card.bin': '47617390' }
  const text = [JSON.stringify(nested), '{', '[]', JSON.stringify(dotted), '{"__proto__": 1}']
  const { payments, bad } = await read(text.join('\n'), { format: 'ndjson' })
  assert.deepEqual(
    payments.map(({ request, outcome }) => [request.card.token, outcome]),
    [
      ['tok_1', 'declined'],
      ['tok_2', 'declined'],
    ],
  )
  assert.equal(payments[0]?.request.merchant.latitude, 52.5)
  assert.deepEqual(
    bad.map(({ line, message }) => [line, message.slice(0, 11)]),
    [
      [2, 'this is no '],
      [3, 'a line is o'],
      [5, 'is required'],
    ],
  )
})
