// At rest: the acquirers' answers, the switch's records and the issuers' accounts tell one story, to
// the cent.

import { paymentOf } from '../../payment.ts'
import { readSteps } from '../../steps/index.ts'
import type { Transaction } from '../../store/index.ts'
import type { World } from '../../world.ts'
import type { HttpAcquirer } from './acquirer.ts'
import { acquirerSums, type Sums } from './acquirer-sums.ts'
import type { Account, Bank } from './bank.ts'
import type { Books, Request } from './books.ts'

export interface AuditOptions {
  readonly world: World
  readonly books: Books
  readonly banks: readonly Bank[]
  readonly http: HttpAcquirer
}

/** Compares everything with everything; what differs is noted in the books. */
export async function auditBooks(options: AuditOptions): Promise<void> {
  const { world, books, banks, http } = options
  const accounts = new Map<string, Account[]>()
  for (const bank of banks) {
    for (const account of bank.accounts.values()) {
      const list = accounts.get(account.payment) ?? []
      list.push(account)
      accounts.set(account.payment, list)
    }
  }
  for (const [name, request] of books.requests) {
    if (request.entry.kind !== 'pay' || name !== request.entry.id) continue
    const own = accounts.get(request.entry.id) ?? []
    accounts.delete(request.entry.id)
    const transaction = await readByKey(world, request)
    await auditAnswer(books, http, request, transaction)
    if (transaction === undefined) {
      for (const account of own) auditUnknown(books, account)
    } else {
      await auditPayment(options, request, transaction, own)
    }
  }
  for (const [payment] of accounts) {
    books.violate('approval_lost', `an issuer judged ${payment}, which nobody sent`)
  }
}

async function readByKey(world: World, request: Request): Promise<Transaction | undefined> {
  const entry = world.store.findKey(request.acquirer, request.key)
  return entry === undefined ? undefined : world.store.read(entry.transactionId)
}

/** What was answered is what is recorded, and GET says the same. */
async function auditAnswer(
  books: Books,
  http: HttpAcquirer,
  request: Request,
  transaction: Transaction | undefined,
): Promise<void> {
  if (request.answer === undefined) return
  if (transaction?.outcome == null) {
    books.violate('approval_lost', `${request.key} was answered, and is not recorded`)
    return
  }
  const { answer } = transaction.outcome
  if (request.entry.kind === 'pay' && request.entry.door === 'iso') {
    const { responseCode, approvalCode } = request.body ?? {}
    if (responseCode === answer.responseCode && approvalCode === answer.approvalCode) return
    const what = `${request.entry.id} heard ${request.answer}, recorded ${JSON.stringify(answer)}`
    books.violate('key_answered_twice', what)
    return
  }
  const recorded = JSON.stringify(answer)
  if (recorded !== request.answer) {
    books.violate('key_answered_twice', `${request.key}: ${request.answer}, recorded ${recorded}`)
  }
  const got = await http.get(transaction.intent.id)
  if (got?.status !== 200 || got.text !== request.answer) {
    books.violate('approval_lost', `GET of ${request.key} says ${got?.status} ${got?.text}`)
  }
}

function auditUnknown(books: Books, account: Account): void {
  books.violate('approval_lost', `${account.key} of ${account.payment} has no record`)
}

async function auditPayment(
  { world, books }: AuditOptions,
  request: Request,
  authorization: Transaction,
  accounts: readonly Account[],
): Promise<void> {
  const steps = await readSteps(world, authorization)
  for (const transaction of [authorization, ...steps]) {
    if (transaction.outcome === null) {
      books.violate('queue_stuck', `${transaction.intent.id} of ${request.key} is open`)
      return
    }
  }
  auditCrossing(books, request, accounts)
  const byKey = new Map(accounts.map((account) => [nameOf(account.issuer, account.key), account]))
  const kept = new Set<string>()
  for (const transaction of [authorization, ...steps]) {
    const account = auditAttempts(books, transaction, byKey)
    if (account !== undefined) kept.add(nameOf(account.issuer, account.key))
  }
  for (const account of accounts) {
    const isUndone = account.reversedBy !== undefined
    const holds = account.isApproved && account.kind !== 'inquiry' && !isUndone
    if (holds && !kept.has(nameOf(account.issuer, account.key))) {
      books.violate('approval_lost', `${account.key} of ${account.payment} is held for nobody`)
    }
  }
  auditSums(books, world, request, authorization, steps, accounts)
}

/** The approval code in the answer is the one that the issuer gave to this payment. */
function auditCrossing(books: Books, request: Request, accounts: readonly Account[]): void {
  const { body, entry } = request
  if (body === undefined || entry.kind !== 'pay') return
  const isOwn = body.currency === 'EUR' && (body.requestedAmount ?? body.amount) === entry.amount
  if (!isOwn && entry.door === 'http')
    books.violate('crossed', `${request.key} of ${entry.amount}: ${request.answer}`)
  const { approvalCode } = body
  if (approvalCode === undefined) return
  const given = accounts.find((account) => account.approvalCode === approvalCode)
  if (given === undefined || given.pan !== entry.pan) {
    books.violate('crossed', `${request.key} has the approval code ${approvalCode} of another`)
  }
}

/** Returns the approval that the record keeps; all others of its attempts must be undone. */
function auditAttempts(
  books: Books,
  { intent, attempts, outcome }: Transaction,
  accounts: ReadonlyMap<string, Account>,
): Account | undefined {
  let kept: Account | undefined
  const advice = outcome?.advice?.step === 'advice' ? outcome.advice : undefined
  if (advice !== undefined) {
    const { issuer, mti, stan, transmittedAt } = advice
    kept = accounts.get(nameOf(issuer, `${mti} ${stan} ${transmittedAt}`))
    books.note(outcome?.cause === 'stand_in' ? 'stood_in' : 'advices_taken')
    if (kept === undefined) {
      books.violate('books_differ', `${intent.id} was told, its issuer knows nothing of it`)
    }
  }
  for (const [i, attempt] of attempts.entries()) {
    const { issuer, mti, stan, transmittedAt } = attempt
    const account = accounts.get(nameOf(issuer, `${mti} ${stan} ${transmittedAt}`))
    if (account !== undefined && account === kept) continue
    const isLast = i === attempts.length - 1
    const isKept = isLast && outcome?.outcome === 'approved' && advice === undefined
    if (isKept) {
      if (account?.isApproved !== true) {
        books.violate('books_differ', `${intent.id} is approved, its issuer knows nothing of it`)
      }
      kept = account
    } else if (account?.isApproved === true && account.kind !== 'inquiry') {
      if (account.reversedBy === undefined) {
        const what = `${account.key} of ${intent.id} (${outcome?.cause}) was approved`
        books.violate('approval_lost', `${what}, is not recorded so, and was never reversed`)
      }
    }
  }
  return kept
}

function auditSums(
  books: Books,
  world: World,
  request: Request,
  authorization: Transaction,
  steps: readonly Transaction[],
  accounts: readonly Account[],
): void {
  const payment = paymentOf(authorization, steps, world.clock.now())
  if (payment.state === 'inquired') return
  const ours: Sums = payment
  const theirs = issuerSums(accounts, payment.type)
  if (authorization.outcome?.outcome !== 'approved') {
    const held = theirs.authorized - theirs.reversed
    if (held === 0 && theirs.captured === 0) return
  }
  compare(books, request.key, 'switch', ours, 'issuer', theirs)
  const known = acquirerSums(books, request)
  if (known !== undefined) compare(books, request.key, 'switch', ours, 'acquirer', known)
}

function compare(
  books: Books,
  key: string,
  oneName: string,
  one: Sums,
  otherName: string,
  other: Sums,
): void {
  for (const sum of ['authorized', 'captured', 'reversed', 'refunded'] as const) {
    if (one[sum] === other[sum]) continue
    const what = `${sum} of ${key}: ${oneName} ${one[sum]}, ${otherName} ${other[sum]}`
    books.violate('books_differ', what)
  }
}

/** What the issuers hold, took and gave back. */
function issuerSums(accounts: readonly Account[], type: string): Sums {
  let authorized = 0
  let captured = 0
  let refunded = 0
  for (const account of accounts) {
    if (!account.isApproved) continue
    if (account.kind === 'refund' && account.reversedBy === undefined) refunded += account.approved
    if (account.kind === 'increment' && account.reversedBy === undefined) {
      authorized += account.approved
    }
  }
  // Of the attempts at the payment itself one at most stands, or was undone in steps.
  const purchases = accounts.filter(({ kind, isApproved }) => kind === 'purchase' && isApproved)
  const standing = purchases.find(({ reversedBy }) => reversedBy === undefined) ?? purchases.at(-1)
  if (standing === undefined) return { authorized: 0, captured: 0, reversed: 0, refunded: 0 }
  authorized += standing.approved
  for (const amount of standing.captures.values()) captured += amount
  const { reversed } = standing
  const takesAtOnce = type === 'sale' || type === 'cash_withdrawal'
  return {
    authorized,
    captured: takesAtOnce ? authorized - reversed : captured,
    reversed,
    refunded,
  }
}

/** Two issuers' numbers may be the same. */
function nameOf(issuer: string, key: string): string {
  return `${issuer} ${key}`
}
