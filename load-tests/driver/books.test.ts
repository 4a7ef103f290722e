import assert from 'node:assert/strict'
import test from 'node:test'
import type { LedgerEntry, LedgerReversal } from '../issuer/index.ts'
import { type ApprovedAnswer, balanceBooks, type DiscrepancyKind } from './books.ts'

const maskedPan = '476173******0119'

function approval(code: string, change: Partial<LedgerEntry> = {}): LedgerEntry {
  return {
    sequence: 1,
    key: `1|000001|1122100000|${code}`,
    mti: '0100',
    stan: '000001',
    transmittedAt: '1122100000',
    rrn: '632610000001',
    processingCode: '000000',
    amount: 2599,
    approvedAmount: 2599,
    currency: '978',
    terminalId: 'T1',
    merchantId: 'M1',
    maskedPan,
    cardToken: '00',
    responseCode: '00',
    approvalCode: code,
    repeats: 0,
    reversals: [],
    original: null,
    captures: [],
    steps: [],
    ...change,
  }
}

function answer(code: string, change: Partial<ApprovedAnswer> = {}): ApprovedAnswer {
  return {
    idempotencyKey: `key-${code}`,
    issuer: 'demo-a',
    approvalCode: code,
    amount: 2599,
    terminalId: 'T1',
    maskedPan,
    standIn: false,
    ...change,
  }
}

function reversal(stan: string, effective: boolean): LedgerReversal {
  const responseCode = effective ? '00' : '21'
  return { stan, transmittedAt: '1122100100', responseCode, effective, repeats: 0 }
}

const balance = (answers: ApprovedAnswer[], entries: LedgerEntry[]) =>
  balanceBooks(answers, [{ issuer: 'demo-a', entries }])

test('books balance: answered, reversed once, declined, inquiry', () => {
  const books = balance(
    [answer('A00001'), answer('A00004', { amount: 0 })],
    [
      approval('A00001', { repeats: 2 }),
      approval('A00002', { reversals: [reversal('000009', true)] }),
      approval('A00003', { approvalCode: null, approvedAmount: 0, responseCode: '51' }),
      approval('A00004', { amount: 0, approvedAmount: 0 }),
      // An inquiry that timed out: answered by nobody, and no money.
      approval('A00005', { amount: 0, approvedAmount: 0 }),
    ],
  )
  assert.deepEqual(books, {
    balanced: true,
    approvedAnswers: 2,
    approvals: 2,
    liveApprovals: 1,
    reversedApprovals: 1,
    counts: {},
    discrepancies: [],
  })
})

test('a stand-in approval expects nothing at the issuer', () => {
  assert.equal(balance([answer('STAND1', { standIn: true })], []).balanced, true)
})

test('a partial approval is compared by what was approved', () => {
  const entry = approval('A00001', { approvedAmount: 1299, responseCode: '10' })
  assert.equal(balance([answer('A00001', { amount: 1299 })], [entry]).balanced, true)
  assert.equal(balance([answer('A00001')], [entry]).balanced, false)
})

test('equal approval codes at two issuers are two approvals', () => {
  const books = balanceBooks(
    [answer('A00001'), answer('A00001', { issuer: 'demo-b' })],
    [
      { issuer: 'demo-a', entries: [approval('A00001')] },
      { issuer: 'demo-b', entries: [approval('A00001')] },
    ],
  )
  assert.equal(books.balanced, true)
})

const wrong: readonly {
  readonly kind: DiscrepancyKind
  readonly answers: ApprovedAnswer[]
  readonly entries: LedgerEntry[]
}[] = [
  { kind: 'approved_without_approval', answers: [answer('A00001')], entries: [] },
  {
    kind: 'approved_but_reversed',
    answers: [answer('A00001')],
    entries: [approval('A00001', { reversals: [reversal('000009', true)] })],
  },
  {
    kind: 'approval_answered_twice',
    answers: [answer('A00001'), answer('A00001', { idempotencyKey: 'other' })],
    entries: [approval('A00001')],
  },
  {
    kind: 'answer_crossed',
    answers: [answer('A00001', { terminalId: 'T2' })],
    entries: [approval('A00001')],
  },
  {
    kind: 'answer_crossed',
    answers: [answer('A00001', { maskedPan: '476173******0127' })],
    entries: [approval('A00001')],
  },
  {
    kind: 'answer_crossed',
    answers: [answer('A00001', { amount: 2600 })],
    entries: [approval('A00001')],
  },
  { kind: 'approval_unknown_to_acquirer', answers: [], entries: [approval('A00001')] },
  {
    // A reversal that did not undo it leaves it standing.
    kind: 'approval_unknown_to_acquirer',
    answers: [],
    entries: [approval('A00001', { reversals: [reversal('000009', false)] })],
  },
  {
    kind: 'reversed_more_than_once',
    answers: [],
    entries: [
      approval('A00001', { reversals: [reversal('000009', true), reversal('000010', false)] }),
    ],
  },
]

for (const { kind, answers, entries } of wrong) {
  test(`catches ${kind}`, () => {
    const books = balance(answers, entries)
    assert.equal(books.balanced, false)
    assert.deepEqual(books.counts, { [kind]: 1 })
    assert.equal(books.discrepancies[0]?.kind, kind)
    assert.equal(books.discrepancies[0]?.approvalCode, 'A00001')
  })
}

test('many discrepancies are all counted and some named', () => {
  const entries = Array.from({ length: 100 }, (_, i) => approval(`B${String(i).padStart(5, '0')}`))
  const books = balance([], entries)
  assert.deepEqual(books.counts, { approval_unknown_to_acquirer: 100 })
  assert.equal(books.discrepancies.length, 20)
})
