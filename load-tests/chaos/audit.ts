// The auditor: three books of one run, kept by three parties that know nothing of each other, held
// against one another.
//
//   what the acquirer asked and was told        asked.ts
//   what the store holds                        stored.ts, from the store's own export
//   what the issuers decided and were told      the simulators' ledgers
//
// Each request must have one answer, each answer its record, each approval of an issuer its
// recorded `approved` or exactly one reversal, and the money must be the same everywhere.

import {
  type AcquirerPayment,
  type ApprovedAnswer,
  balanceBooks,
  balancePayments,
  type IssuerLedger,
} from '../driver/index.ts'
import { isLive, type LedgerEntry, requestKey } from '../issuer/index.ts'
import type { Asked, Told } from './asked.ts'
import { discrepanciesNamedMax } from './limits.ts'
import type { StoredBooks, StoredDelivery, StoredOutcome, StoredTransaction } from './stored.ts'

/** Every kind, with what it says to whoever reads the report. */
export const DISCREPANCIES = {
  never_answered: 'a request has no answer, after all retries',
  refused: 'a request that had to be taken was refused for good',
  answered_differently: 'a retry got another answer than the first',
  answer_crossed: 'an answer is about another request',
  answer_not_recorded: 'an answer rests on nothing in the store',
  answer_unlike_record: 'an answer says other than the store',
  recorded_but_never_asked: 'the store holds what no acquirer asked',
  key_claimed_twice: 'one idempotency key is two transactions',
  two_live_approvals: 'one idempotency key has two approvals that stand',
  claim_left_open: 'a transaction has no outcome',
  approval_unknown_to_store: 'an issuer approved what the store never sent',
  approval_left_standing:
    'an approval stands, and neither a recorded approved nor a reversal ends it',
  approved_without_approval: 'approved, and the issuer has no such approval',
  approved_but_reversed: 'approved, and the issuer was told to undo it',
  approval_answered_twice: 'two approved answers rest on one approval',
  approval_unknown_to_acquirer: 'an approval stands, and no acquirer was told',
  reversed_more_than_once: 'one approval has several reversals',
  amounts_differ: 'acquirer and issuer have other amounts for one payment',
  queue_not_empty: 'a message for an issuer is still queued',
  dead_letter: 'a message for an issuer was given up',
  store_contradiction: 'the store contradicts itself',
} as const

export type DiscrepancyKind = keyof typeof DISCREPANCIES

export interface Discrepancy {
  readonly kind: DiscrepancyKind
  /** Idempotency key, transaction or approval code: what it is about. */
  readonly about: string
  readonly detail: string
}

export interface BooksOfARun {
  readonly asked: readonly Asked[]
  readonly stored: StoredBooks
  readonly ledgers: readonly IssuerLedger[]
  /**
   * A reversal of what never reached its issuer is answered 25 and repeated until no late approval
   * can come any more (ten minutes). True: such a one is a discrepancy, too.
   */
  readonly mustBeEmpty: boolean
}

export interface Audit {
  readonly isClean: boolean
  readonly counts: Readonly<Partial<Record<DiscrepancyKind, number>>>
  /** The first thousand. */
  readonly discrepancies: readonly Discrepancy[]
  readonly asked: number
  readonly approved: number
  readonly declined: number
  /** First answers that came again, byte for byte. */
  readonly sameAnswers: number
  readonly transactions: number
  readonly approvalsAtIssuers: number
  readonly liveAtIssuers: number
  readonly reversedAtIssuers: number
  /** Reversals that wait out the late-answer window: their issuer does not know the original. */
  readonly waitingOut: number
}

export function audit(books: BooksOfARun): Audit {
  const auditor = new Auditor(books)
  auditor.judgeAnswers()
  auditor.judgeStore()
  auditor.judgeIssuers()
  auditor.judgeQueues()
  return auditor.finish()
}

class Auditor {
  readonly #books: BooksOfARun
  readonly #counts: Partial<Record<DiscrepancyKind, number>> = {}
  readonly #discrepancies: Discrepancy[] = []
  readonly #askedByKey = new Map<string, Asked>()
  /** Ledger entries by the stored transaction whose attempt they are. */
  readonly #entries = new Map<StoredTransaction, LedgerEntry[]>()
  readonly #known = new Map<string, LedgerEntry>()
  readonly #approvals = new Map<string, LedgerEntry>()
  #waitingOut = 0
  #approved = 0
  #live = 0

  constructor(books: BooksOfARun) {
    this.#books = books
    for (const asked of books.asked) this.#askedByKey.set(asked.idempotencyKey, asked)
    for (const { issuer, entries } of books.ledgers) {
      for (const entry of entries) {
        this.#known.set(`${issuer} ${entry.key}`, entry)
        if (entry.approvalCode !== null) {
          this.#approvals.set(`${issuer} ${entry.approvalCode}`, entry)
        }
      }
    }
  }

  /** The acquirer's book by itself, and against the store's. */
  judgeAnswers(): void {
    const { asked, stored } = this.#books
    for (const one of asked) {
      const { idempotencyKey: key, answer, refusal } = one
      if (refusal !== undefined) this.#found('refused', key, refusal)
      else if (answer === undefined) this.#found('never_answered', key, one.kind)
      if (answer === undefined) continue
      for (const other of one.others) {
        this.#found('answered_differently', key, `${sayTold(answer)}, then ${sayTold(other)}`)
      }
      const crossed = crossing(one, answer)
      if (crossed !== undefined) this.#found('answer_crossed', key, crossed)
      const [record] = stored.byKey.get(key) ?? []
      if (record === undefined || record.outcome === null) {
        // Over ISO 8583 the door says 91 too, without taking the key.
        const isOfTheDoor = answer.id === '' && answer.responseCode === '91'
        if (!isOfTheDoor) this.#found('answer_not_recorded', key, sayTold(answer))
      } else if (!isRecorded(record.id, record.outcome, answer)) {
        const { outcome, responseCode } = record.outcome
        const recorded = `${record.id} ${outcome} ${responseCode}`
        this.#found('answer_unlike_record', key, `told ${sayTold(answer)}, recorded ${recorded}`)
      }
    }
  }

  /** The store by itself, and against what was asked. */
  judgeStore(): void {
    const { stored } = this.#books
    for (const text of stored.contradictions) this.#found('store_contradiction', 'store', text)
    for (const [key, transactions] of stored.byKey) {
      const ids = transactions.map(({ id }) => id).join(', ')
      if (transactions.length > 1) this.#found('key_claimed_twice', key, ids)
      if (!this.#askedByKey.has(key)) this.#found('recorded_but_never_asked', key, ids)
    }
    for (const { id, outcome, kind } of stored.transactions.values()) {
      if (outcome === null) this.#found('claim_left_open', id, kind)
    }
  }

  /** The issuers' ledgers against the store, then against the acquirer. */
  judgeIssuers(): void {
    const { stored, ledgers } = this.#books
    for (const { issuer, entries } of ledgers) {
      for (const entry of entries) this.#judgeEntry(issuer, entry)
    }
    const undone = new Set<string>()
    for (const { kind, paymentId, outcome } of stored.transactions.values()) {
      const isReversal = kind === 'reversal' && outcome?.outcome === 'approved'
      if (isReversal && paymentId !== null) undone.add(paymentId)
    }
    for (const transactions of stored.byKey.values()) this.#judgeKey(transactions, undone)
    this.#judgeAcquirer()
  }

  judgeQueues(): void {
    for (const { deliveries } of this.#books.stored.transactions.values()) {
      for (const delivery of deliveries.values()) this.#judgeDelivery(delivery)
    }
  }

  finish(): Audit {
    const { asked, stored } = this.#books
    const told = (outcome: string) => asked.filter(({ answer }) => answer?.outcome === outcome)
    return {
      isClean: Object.keys(this.#counts).length === 0,
      counts: this.#counts,
      discrepancies: this.#discrepancies,
      asked: asked.length,
      approved: told('approved').length,
      declined: told('declined').length,
      sameAnswers: asked.reduce((sum, { repeats }) => sum + repeats, 0),
      transactions: stored.transactions.size,
      approvalsAtIssuers: this.#approved,
      liveAtIssuers: this.#live,
      reversedAtIssuers: this.#approved - this.#live,
      waitingOut: this.#waitingOut,
    }
  }

  #judgeEntry(issuer: string, entry: LedgerEntry): void {
    const transaction = this.#books.stored.findRequest(issuer, entry.key)
    if (transaction !== undefined) {
      const list = this.#entries.get(transaction)
      if (list === undefined) this.#entries.set(transaction, [entry])
      else list.push(entry)
    }
    if (entry.approvalCode === null || entry.approvedAmount === 0) return
    this.#approved++
    if (isLive(entry)) this.#live++
    const name = `${issuer} ${entry.approvalCode}`
    if (transaction === undefined) this.#found('approval_unknown_to_store', name, entry.key)
  }

  /** What the issuers have for one key, against its record. */
  #judgeKey(transactions: readonly StoredTransaction[], undone: ReadonlySet<string>): void {
    const entries = transactions.flatMap((one) => this.#entries.get(one) ?? [])
    const live = entries.filter(isLive)
    const [{ idempotencyKey: key }] = transactions as [StoredTransaction]
    const codes = live.map(({ approvalCode }) => approvalCode).join(', ')
    if (live.length > 1) this.#found('two_live_approvals', key, codes)
    for (const { id, kind, outcome } of transactions) {
      if (kind !== 'financial' || outcome === null) continue
      const stands = outcome.outcome === 'approved' && !undone.has(id)
      if (!stands && live.length > 0) this.#found('approval_left_standing', key, `${id}: ${codes}`)
      if (!stands || live.length > 0) continue
      const wasApproved = entries.some(({ approvalCode }) => approvalCode !== null)
      this.#found(wasApproved ? 'approved_but_reversed' : 'approved_without_approval', key, id)
    }
  }

  /** Acquirer and issuer, without the store between them. */
  #judgeAcquirer(): void {
    const { asked, ledgers } = this.#books
    const payments = new Map<Asked, AcquirerPayment>()
    for (const one of asked) if (one.kind === 'authorization') this.#addPayment(payments, one)
    for (const one of asked) if (one.kind !== 'authorization') addStep(payments, one)
    const standing: ApprovedAnswer[] = []
    for (const [one, { issuer, authorized, reversed }] of payments) {
      if (one.answer === undefined || reversed >= authorized) continue
      standing.push({ ...approvedAnswer(one), issuer })
    }
    const books = balanceBooks(standing, ledgers, discrepanciesNamedMax)
    for (const { kind, issuer, approvalCode, idempotencyKey } of books.discrepancies) {
      this.#found(kind, idempotencyKey ?? `${issuer} ${approvalCode}`, `${issuer} ${approvalCode}`)
    }
    const money = balancePayments(payments.values(), ledgers, discrepanciesNamedMax)
    for (const { what, issuer, approvalCode, acquirerHas, issuerHas } of money.discrepancies) {
      // Those are in the books of approvals already.
      if (what === 'unknown_to_issuer' || what === 'unknown_to_acquirer') continue
      const detail = `${what}: ${acquirerHas} here, ${issuerHas} there`
      this.#found('amounts_differ', `${issuer} ${approvalCode}`, detail)
    }
  }

  #addPayment(payments: Map<Asked, AcquirerPayment>, asked: Asked): void {
    const { answer } = asked
    if (answer?.outcome !== 'approved') return
    const { approvalCode, amount } = answer
    const issuer = answer.issuer === '' ? this.#issuerOf(asked.maskedPan, answer) : answer.issuer
    const position = { authorized: amount, captured: 0, reversed: 0, refunded: 0 }
    payments.set(asked, { issuer, approvalCode, takesAtOnce: false, ...position })
  }

  /** ISO 8583 does not say who approved: whoever gave that code, best to that card. */
  #issuerOf(maskedPan: string, { approvalCode }: Told): string {
    const named = this.#books.ledgers.flatMap(({ issuer }) => {
      const entry = this.#approvals.get(`${issuer} ${approvalCode}`)
      return entry === undefined ? [] : [{ issuer, isOfCard: entry.maskedPan === maskedPan }]
    })
    return (named.find(({ isOfCard }) => isOfCard) ?? named[0])?.issuer ?? ''
  }

  #judgeDelivery(delivery: StoredDelivery): void {
    const { transactionId, step, issuer, mti, state, sends, lastResponseCode } = delivery
    if (state === 'acknowledged') return
    const about = `${transactionId} ${step}`
    const detail = `${mti} to ${issuer}, ${sends} sends, last answer ${lastResponseCode ?? 'none'}`
    if (state === 'dead') {
      this.#found('dead_letter', about, detail)
      return
    }
    const isUnknownThere = !this.#known.has(`${issuer} ${requestKey(delivery.original)}`)
    const waits = mti === '0420' && lastResponseCode === '25' && isUnknownThere
    if (waits) this.#waitingOut++
    if (!waits || this.#books.mustBeEmpty) this.#found('queue_not_empty', about, detail)
  }

  #found(kind: DiscrepancyKind, about: string, detail: string): void {
    this.#counts[kind] = (this.#counts[kind] ?? 0) + 1
    if (this.#discrepancies.length >= discrepanciesNamedMax) return
    this.#discrepancies.push({ kind, about, detail })
  }
}

/** Over ISO 8583 an answer has no id, and less is told. */
function isRecorded(id: string, outcome: StoredOutcome, answer: Told): boolean {
  if (answer.id === '') return outcome.wireDigest === answer.digest
  return id === answer.id && outcome.digest === answer.digest
}

/** How an answer is not of its request; undefined where it is. */
function crossing(asked: Asked, told: Told): string | undefined {
  const of = asked.of?.answer
  const pairs: readonly (readonly [string, unknown, unknown])[] = [
    ['type', asked.kind, told.type],
    ['amount', asked.amount, told.amount],
    ['RRN', asked.rrn, asked.kind === 'authorization' ? told.rrn : asked.rrn],
    ['card', asked.maskedPan, asked.kind === 'authorization' ? told.maskedPan : asked.maskedPan],
    ['authorization', told.id === '' ? '' : (of?.id ?? ''), told.authorization],
  ]
  const wrong = pairs.find(([, here, there]) => here !== there)
  return wrong && `${wrong[0]}: asked ${wrong[1]}, told ${wrong[2]}`
}

function sayTold({ id, outcome, responseCode, approvalCode, digest }: Told): string {
  return `${id} ${outcome} ${responseCode} ${approvalCode} (${digest})`.replace('  ', ' ')
}

function addStep(payments: Map<Asked, AcquirerPayment>, { of, kind, answer }: Asked): void {
  const payment = of === null ? undefined : payments.get(of)
  if (of === null || payment === undefined || answer?.outcome !== 'approved') return
  const part = kind === 'capture' ? 'captured' : 'reversed'
  payments.set(of, { ...payment, [part]: payment[part] + answer.amount })
}

function approvedAnswer({ idempotencyKey, terminalId, maskedPan, answer }: Asked): ApprovedAnswer {
  const { issuer, approvalCode, amount, standIn } = answer as Told
  return { idempotencyKey, issuer, approvalCode, amount, terminalId, maskedPan, standIn }
}
