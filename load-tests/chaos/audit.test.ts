// The auditor finds what it is there for: from books that agree, each kind of discrepancy is forged
// in one of the three, and must be named. Nothing else may be.

import assert from 'node:assert/strict'
import test from 'node:test'
import { type LedgerEntry, type LedgerReversal, requestKey } from '../issuer/index.ts'
import type { Asked, Told } from './asked.ts'
import { audit, DISCREPANCIES, type DiscrepancyKind } from './audit.ts'
import { digestOf, type StoredAttempt, StoredBooks, wireDigestOf } from './stored.ts'

type Json = Record<string, unknown>

/** The three books of a small run; a test forges one of them before they are audited. */
interface Run {
  readonly asked: Asked[]
  /** As the store exports them. */
  readonly records: Json[]
  readonly ledger: LedgerEntry[]
}

const attemptOf = (number: number): StoredAttempt => ({
  issuer: 'demo-a',
  mti: '0100',
  stan: String(number).padStart(6, '0'),
  transmittedAt: '1122100000',
  acquiringInstitution: '100001',
})

const idOf = (number: number) => `auth_${number}`
const codeOf = (number: number) => `CODE0${number}`

const reversalOf = (number: number): LedgerReversal => ({
  stan: String(900_000 + number),
  transmittedAt: '1122100009',
  responseCode: '00',
  effective: true,
  repeats: 0,
})

function entryOf(number: number, change: Partial<LedgerEntry> = {}): LedgerEntry {
  const { mti, stan, transmittedAt } = attemptOf(number)
  return {
    ...{ sequence: number, key: requestKey(attemptOf(number)), mti, stan, transmittedAt },
    ...{ rrn: '', processingCode: '000000', amount: 1_000 + number },
    ...{ approvedAmount: 1_000 + number, currency: '978', terminalId: `T-${number}` },
    ...{ merchantId: 'M', maskedPan: `476173******000${number}`, cardToken: '' },
    ...{ responseCode: '00', approvalCode: codeOf(number), repeats: 0, reversals: [] },
    ...{ original: null, captures: [], steps: [] },
    ...change,
  }
}

function bodyOf(number: number, isApproved: boolean): Json {
  return {
    id: idOf(number),
    type: 'authorization',
    outcome: isApproved ? 'approved' : 'declined',
    responseCode: isApproved ? '00' : '91',
    ...(isApproved ? { approvalCode: codeOf(number) } : {}),
    amount: 1_000 + number,
    rrn: `rrn-${number}`,
    issuer: 'demo-a',
    standIn: false,
    card: { masked: `476173******000${number}` },
  }
}

function toldOf(body: Json): Told {
  return {
    digest: digestOf(JSON.stringify(body)),
    id: String(body.id),
    type: String(body.type),
    outcome: String(body.outcome),
    responseCode: String(body.responseCode),
    issuer: 'demo-a',
    approvalCode: String(body.approvalCode ?? ''),
    amount: Number(body.amount),
    rrn: String(body.rrn ?? ''),
    maskedPan: (body.card as { masked: string } | undefined)?.masked ?? '',
    authorization: String(body.authorization ?? ''),
    standIn: false,
    degraded: [],
  }
}

function askedOf(number: number, body: Json): Asked {
  return {
    idempotencyKey: `key-${number}`,
    kind: 'authorization',
    amount: 1_000 + number,
    maskedPan: `476173******000${number}`,
    terminalId: `T-${number}`,
    rrn: `rrn-${number}`,
    of: null,
    answer: toldOf(body),
    others: [],
    repeats: 1,
    refusal: undefined,
  }
}

function addAuthorization(run: Run, number: number, isApproved: boolean): Asked {
  const body = bodyOf(number, isApproved)
  const id = idOf(number)
  const asked = askedOf(number, body)
  run.asked.push(asked)
  const attempt = attemptOf(number)
  const idempotencyKey = `key-${number}`
  run.records.push({
    kind: 'claim',
    intent: { id, kind: 'financial', idempotencyKey, attempt },
  })
  const message = { transactionId: id, step: 'authorization', issuer: 'demo-a', mti: '0420' }
  const reversal = isApproved ? null : { ...message, original: attempt }
  const { outcome, responseCode } = body
  run.records.push({
    kind: 'outcome',
    outcome: { id, outcome, responseCode, answer: body, reversal },
  })
  run.ledger.push(entryOf(number, isApproved ? {} : { reversals: [reversalOf(number)] }))
  if (!isApproved) run.records.push(deliveryOf(id, 'authorization'))
  return asked
}

const deliveryOf = (transactionId: string, step: string, change: Json = {}): Json => ({
  ...{ kind: 'delivery', transactionId, step, state: 'acknowledged', sends: 1 },
  ...{ lastResponseCode: '00', ...change },
})

function addStep(run: Run, of: Asked, kind: 'capture' | 'reversal', number: number): void {
  const id = `${kind}_${number}`
  const idempotencyKey = `key-${number}-${kind}`
  const amount = 1_000 + number
  const body: Json = {
    ...{ id, type: kind, authorization: idOf(number), outcome: 'approved', responseCode: '00' },
    ...{ amount, issuer: 'demo-a' },
  }
  const { maskedPan, terminalId, rrn } = of
  run.asked.push({
    ...{ idempotencyKey, kind, amount, maskedPan, terminalId, rrn, of, answer: toldOf(body) },
    ...{ others: [], repeats: 0, refusal: undefined },
  })
  const payment = { paymentId: idOf(number), version: 1 }
  const original = attemptOf(number)
  const mti = kind === 'capture' ? '0220' : '0420'
  const reversal = { transactionId: id, step: kind, issuer: 'demo-a', mti, original }
  run.records.push({
    kind: 'accepted',
    intent: { id, kind, idempotencyKey, attempt: null, payment },
    outcome: { id, outcome: 'approved', responseCode: '00', answer: body, reversal },
  })
  run.records.push(deliveryOf(id, kind))
  const entry = run.ledger.find(({ stan }) => stan === original.stan)
  assert.ok(entry !== undefined)
  if (kind === 'reversal') entry.reversals.push(reversalOf(number))
  else {
    const stan = String(800_000 + number)
    const capture = { stan, transmittedAt: '1122100009', amount, responseCode: '00', repeats: 0 }
    entry.captures.push(capture)
  }
}

/** 1 approved; 2 approved and captured; 3 approved and reversed; 4 timed out and reversed by us. */
function goodRun(): Run {
  const run: Run = { asked: [], records: [], ledger: [] }
  addAuthorization(run, 1, true)
  addStep(run, addAuthorization(run, 2, true), 'capture', 2)
  addStep(run, addAuthorization(run, 3, true), 'reversal', 3)
  addAuthorization(run, 4, false)
  return run
}

function judge(run: Run, mustBeEmpty = false) {
  const stored = new StoredBooks()
  for (const record of run.records) stored.take(record)
  const ledgers = [{ issuer: 'demo-a', entries: run.ledger }]
  return audit({ asked: run.asked, stored, ledgers, mustBeEmpty })
}

test('books that agree: nothing is found, and all is counted', () => {
  const found = judge(goodRun(), true)
  assert.deepEqual(found.discrepancies, [])
  assert.ok(found.isClean)
  const { asked, approved, declined, sameAnswers, transactions } = found
  assert.deepEqual([asked, approved, declined, sameAnswers, transactions], [6, 5, 1, 4, 6])
  const { approvalsAtIssuers, liveAtIssuers, reversedAtIssuers } = found
  assert.deepEqual([approvalsAtIssuers, liveAtIssuers, reversedAtIssuers], [4, 2, 2])
})

const at = <T>(list: readonly T[], index: number): T => list[index] as T

/** What is forged, and every kind that it must be found as. */
const forgeries: readonly (readonly [string, (run: Run) => void, readonly DiscrepancyKind[]])[] = [
  [
    'a request without an answer',
    ({ asked }) => {
      at(asked, 5).answer = undefined
    },
    ['never_answered'],
  ],
  [
    'a request refused for good',
    ({ asked }) => {
      Object.assign(at(asked, 5), { answer: undefined, refusal: '422 idempotency_key_reused' })
    },
    ['refused'],
  ],
  [
    'another answer to a retry',
    ({ asked }) => {
      const { answer, others } = at(asked, 0)
      others.push({ ...(answer as Told), digest: 'other' })
    },
    ['answered_differently'],
  ],
  [
    'the answer of another request',
    ({ asked }) => {
      at(asked, 0).answer = at(asked, 1).answer
    },
    // Its own approval is then nobody's, and the other one, which was captured, is told twice.
    [
      ...(['answer_crossed', 'answer_unlike_record', 'approval_answered_twice'] as const),
      ...(['approval_unknown_to_acquirer', 'amounts_differ'] as const),
    ],
  ],
  [
    "an issuer's answer to another card's request",
    ({ ledger }) => {
      const [one, two] = [at(ledger, 0), at(ledger, 1)]
      const { maskedPan, terminalId } = one
      Object.assign(one, { maskedPan: two.maskedPan, terminalId: two.terminalId })
      Object.assign(two, { maskedPan, terminalId })
    },
    ['answer_crossed'],
  ],
  [
    'an answer that was never recorded',
    ({ records }) => {
      records.splice(0, 2)
    },
    ['answer_not_recorded', 'approval_unknown_to_store'],
  ],
  [
    'a record that says something else',
    ({ records }) => {
      const { outcome } = at(records, 1) as { outcome: { answer: Json } }
      outcome.answer = { ...outcome.answer, amount: 1 }
    },
    ['answer_unlike_record'],
  ],
  [
    'a transaction that nobody asked for',
    ({ records }) => {
      const intent = { id: 'auth_x', kind: 'inquiry', idempotencyKey: 'x', attempt: null }
      records.push({ kind: 'claim', intent })
      const outcome = { id: 'auth_x', outcome: 'declined', responseCode: '91', reversal: null }
      records.push({ kind: 'outcome', outcome: { ...outcome, answer: {} } })
    },
    ['recorded_but_never_asked'],
  ],
  [
    'a key that was claimed twice, and approved twice',
    ({ records, ledger }) => {
      const intent = { id: 'auth_x', kind: 'financial', idempotencyKey: 'key-1' }
      records.push({ kind: 'claim', intent: { ...intent, attempt: attemptOf(7) } })
      const outcome = { id: 'auth_x', outcome: 'approved', responseCode: '00', reversal: null }
      records.push({ kind: 'outcome', outcome: { ...outcome, answer: {} } })
      ledger.push(entryOf(7))
    },
    ['key_claimed_twice', 'two_live_approvals', 'approval_unknown_to_acquirer'],
  ],
  [
    'a second live approval by a further attempt',
    ({ records, ledger }) => {
      records.push({ kind: 'attempt', transactionId: idOf(1), attempt: attemptOf(7) })
      ledger.push(entryOf(7))
    },
    ['two_live_approvals', 'approval_unknown_to_acquirer'],
  ],
  [
    'a claim without an outcome',
    ({ records, ledger, asked }) => {
      records.splice(1, 1)
      ledger.splice(0, 1)
      asked.splice(0, 1, { ...at(asked, 0), answer: undefined })
    },
    ['claim_left_open', 'never_answered'],
  ],
  [
    'an approval of what was never sent',
    ({ ledger }) => {
      ledger.push(entryOf(7))
    },
    ['approval_unknown_to_store', 'approval_unknown_to_acquirer'],
  ],
  [
    'a declined one whose approval was not reversed',
    ({ ledger }) => {
      at(ledger, 3).reversals.length = 0
    },
    ['approval_left_standing', 'approval_unknown_to_acquirer'],
  ],
  [
    'a reversed one that still stands at the issuer',
    ({ ledger }) => {
      at(ledger, 2).reversals.length = 0
    },
    ['approval_left_standing', 'approval_unknown_to_acquirer', 'amounts_differ'],
  ],
  [
    'an approved one that the issuer does not know',
    ({ ledger }) => {
      ledger.splice(0, 1)
    },
    ['approved_without_approval'],
  ],
  [
    'an approved one that was reversed',
    ({ ledger }) => {
      at(ledger, 0).reversals.push(reversalOf(1))
    },
    ['approved_but_reversed', 'amounts_differ'],
  ],
  [
    'two reversals of one approval',
    ({ ledger }) => {
      at(ledger, 3).reversals.push({ ...reversalOf(5), effective: false, responseCode: '21' })
    },
    ['reversed_more_than_once'],
  ],
  [
    'a capture of another amount',
    ({ ledger }) => {
      Object.assign(at(at(ledger, 1).captures, 0), { amount: 1_001 })
    },
    ['amounts_differ'],
  ],
  [
    'a capture that is taken twice',
    ({ ledger }) => {
      const { captures } = at(ledger, 1)
      captures.push({ ...at(captures, 0), stan: '700000' })
    },
    ['amounts_differ'],
  ],
  [
    'a message that still waits',
    ({ records }) => {
      records.push(deliveryOf(idOf(4), 'authorization', { state: 'queued', lastResponseCode: '' }))
    },
    ['queue_not_empty'],
  ],
  [
    'a reversal that is answered 25 though the issuer has its original',
    ({ records }) => {
      const change = { state: 'queued', lastResponseCode: '25' }
      records.push(deliveryOf(idOf(4), 'authorization', change))
    },
    ['queue_not_empty'],
  ],
  [
    'a message that was given up',
    ({ records }) => {
      records.push(deliveryOf(idOf(4), 'authorization', { state: 'dead', lastResponseCode: '12' }))
    },
    ['dead_letter'],
  ],
  [
    'a second outcome in the store',
    ({ records }) => {
      records.push(at(records, 1))
    },
    ['store_contradiction'],
  ],
]

for (const [what, forge, kinds] of forgeries) {
  test(`found: ${what}`, () => {
    const run = goodRun()
    forge(run)
    const found = judge(run)
    assert.deepEqual(Object.keys(found.counts).sort(), [...kinds].sort())
    assert.ok(!found.isClean)
    for (const { kind, about } of found.discrepancies) assert.ok(kind in DISCREPANCIES && about)
  })
}

test('every kind is forged above', () => {
  const forged = new Set(forgeries.flatMap(([, , kinds]) => kinds))
  assert.deepEqual([...forged].sort(), Object.keys(DISCREPANCIES).sort())
})

test('a reversal of what never reached its issuer waits, unless the queue must be empty', () => {
  const run = goodRun()
  run.ledger.splice(3, 1)
  run.records.push(
    deliveryOf(idOf(4), 'authorization', { state: 'queued', lastResponseCode: '25' }),
  )
  const found = judge(run)
  assert.deepEqual([found.isClean, found.waitingOut], [true, 1])
  assert.deepEqual(judge(run, true).counts, { queue_not_empty: 1 })
})

/** What the same answer tells over ISO 8583. */
function overIso(asked: Asked): Asked {
  const told = asked.answer as Told
  const digest = wireDigestOf(told)
  const answer = { ...told, digest, id: '', issuer: '', authorization: '', degraded: undefined }
  return { ...asked, answer }
}

test('answers over ISO 8583: their issuer is found by its approval code, their record by what they tell', () => {
  const run = goodRun()
  run.asked.splice(0, 1, overIso(at(run.asked, 0)))
  assert.deepEqual(judge(run).discrepancies, [])
  const [asked] = run.asked as [Asked]
  run.asked[0] = { ...asked, answer: { ...(asked.answer as Told), digest: 'another' } }
  assert.deepEqual(judge(run).counts, { answer_unlike_record: 1 })
  run.asked[0] = asked
  run.ledger.splice(0, 1)
  assert.deepEqual(judge(run).counts, { approved_without_approval: 2 })
})

test('a 91 over ISO 8583 of which nothing is recorded was said at the door', () => {
  const run = goodRun()
  const [asked] = run.asked.slice(-1) as [Asked]
  const iso = overIso(asked)
  run.asked.push({ ...iso, idempotencyKey: 'iso 010 at the door' })
  assert.deepEqual(judge(run).discrepancies, [])
  const approved = { ...(iso.answer as Told), responseCode: '00', outcome: 'approved' }
  run.asked.push({ ...iso, idempotencyKey: 'iso 010 lost', answer: approved })
  assert.deepEqual(Object.keys(judge(run).counts).sort(), [
    'answer_not_recorded',
    'approved_without_approval',
  ])
})

test('what can not be of one store is said', () => {
  const stored = new StoredBooks()
  stored.take({ kind: 'attempt', transactionId: 'auth_x', attempt: attemptOf(1) })
  stored.take(deliveryOf('auth_x', 'authorization'))
  const intent = { id: 'auth_1', kind: 'financial', idempotencyKey: 'k', attempt: attemptOf(1) }
  stored.take({ kind: 'claim', intent })
  stored.take({ kind: 'claim', intent: { ...intent, id: 'auth_2' } })
  stored.take({ kind: 'claim', intent })
  stored.take(deliveryOf('auth_1', 'authorization'))
  assert.equal(stored.contradictions.length, 6, stored.contradictions.join('\n'))
})
