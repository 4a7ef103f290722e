import assert from 'node:assert/strict'
import test from 'node:test'
import { Ledger, type LedgerRequest } from '../issuer/ledger.ts'
import { type AcquirerPayment, balancePayments } from './payment-books.ts'

function request(stan: string, change: Partial<LedgerRequest> = {}): LedgerRequest {
  return {
    mti: '0100',
    stan,
    transmittedAt: '1122100000',
    acquiringInstitution: '100001',
    rrn: '632610000001',
    processingCode: '000000',
    amount: 2599,
    currency: '978',
    terminalId: 'T1',
    merchantId: 'M1',
    pan: '4761739001010119',
    original: null,
    ...change,
  }
}

/** An issuer with one payment: 1,000 captured, 300 of it refunded, 599 reversed. */
function issuer() {
  const ledger = new Ledger({
    append: () => {},
    tokenKey: new Uint8Array(32),
    approvalCodeStart: 1,
  })
  const first = ledger.decide(request('000001'), '00')
  const original = request('000001')
  ledger.capture(original, { stan: '000002', transmittedAt: '1122100000', amount: 1000 })
  ledger.reverse(original, { stan: '000003', transmittedAt: '1122100000' }, 2000)
  ledger.decide(
    request('000004', { mti: '0200', processingCode: '200000', amount: 300, original }),
    '00',
  )
  const payment: AcquirerPayment = {
    issuer: 'demo-a',
    approvalCode: first.approvalCode ?? '',
    takesAtOnce: false,
    authorized: 2599,
    captured: 1000,
    reversed: 599,
    refunded: 300,
  }
  return { ledger, payment, read: () => [{ issuer: 'demo-a', entries: [...ledger.entries()] }] }
}

test('books that agree balance to the cent', () => {
  const { payment, read } = issuer()
  const books = balancePayments([payment], read())
  assert.deepEqual(books.discrepancies, [])
  assert.equal(books.balanced, true)
  assert.deepEqual(books.totals, {
    authorized: 2599,
    captured: 1000,
    reversed: 599,
    refunded: 300,
  })
})

test('one cent of difference is found, in each part', () => {
  for (const part of ['authorized', 'captured', 'reversed', 'refunded'] as const) {
    const { payment, read } = issuer()
    const books = balancePayments([{ ...payment, [part]: payment[part] + 1 }], read())
    assert.deepEqual(
      books.discrepancies.map(({ what, acquirerHas, issuerHas }) => [
        what,
        acquirerHas - issuerHas,
      ]),
      [[part, 1]],
    )
  }
})

test('a payment that one side alone knows, and a step of none', () => {
  const { ledger, payment, read } = issuer()
  const unknown = { ...payment, approvalCode: 'NONE01' }
  assert.deepEqual(
    balancePayments([unknown], read()).discrepancies.map(({ what }) => what),
    ['unknown_to_issuer', 'unknown_to_acquirer'],
  )
  const nobody = { mti: '0200', processingCode: '200000', original: request('000077') }
  ledger.decide(request('000005', nobody), '00')
  const books = balancePayments([payment], read())
  assert.deepEqual(
    books.discrepancies.map(({ what, issuerHas }) => [what, issuerHas]),
    [['names_no_payment', 2599]],
  )
})
