// What the store holds, told by its own export record by record: the auditor's second book.

import { createHash } from 'node:crypto'
import { requestKey } from '../issuer/index.ts'

export interface StoredAttempt {
  readonly issuer: string
  readonly mti: string
  readonly stan: string
  readonly transmittedAt: string
  readonly acquiringInstitution: string
}

export interface StoredOutcome {
  readonly outcome: string
  readonly responseCode: string
  /** Empty where there is none. */
  readonly approvalCode: string
  /** Of the answer as it is sent over HTTP. */
  readonly digest: string
  /** Of what is sent over ISO 8583. */
  readonly wireDigest: string
}

export interface StoredDelivery {
  readonly transactionId: string
  readonly step: string
  readonly issuer: string
  readonly mti: string
  readonly original: StoredAttempt
  state: string
  sends: number
  lastResponseCode: string | null
}

export interface StoredTransaction {
  readonly id: string
  readonly kind: string
  readonly idempotencyKey: string
  /** Of a step: its authorization's id. */
  readonly paymentId: string | null
  readonly attempts: StoredAttempt[]
  outcome: StoredOutcome | null
  /** By step. */
  readonly deliveries: Map<string, StoredDelivery>
}

/** The parts of an exported record that matter here. */
interface ExportedRecord {
  readonly kind?: string
  readonly transactionId?: string
  readonly intent?: {
    readonly id: string
    readonly kind: string
    readonly idempotencyKey: string
    readonly attempt: StoredAttempt | null
    readonly payment?: { readonly paymentId: string }
  }
  readonly attempt?: StoredAttempt
  readonly outcome?: {
    readonly id: string
    readonly outcome: string
    readonly responseCode: string
    readonly answer: Readonly<Record<string, unknown>>
    readonly reversal: ExportedMessage | null
    readonly advice?: ExportedMessage
  }
  readonly message?: ExportedMessage
  readonly step?: string
  readonly state?: string
  readonly sends?: number
  readonly lastResponseCode?: string | null
}

interface ExportedMessage {
  readonly transactionId: string
  readonly step: string
  readonly issuer: string
  readonly mti: string
  readonly original: StoredAttempt
}

/** Names an answer's bytes: sixteen hex digits tell a million answers apart. */
export function digestOf(bytes: Uint8Array | string): string {
  return createHash('sha256').update(bytes).digest('hex').slice(0, 16)
}

/** The same of what an answer over ISO 8583 tells: DE39, DE38, and DE4 where there is DE38. */
export function wireDigestOf(answer: {
  readonly responseCode: string
  readonly approvalCode: string
  readonly amount: number
}): string {
  const { responseCode, approvalCode, amount } = answer
  return digestOf(`${responseCode} ${approvalCode} ${approvalCode === '' ? '' : amount}`)
}

export class StoredBooks {
  readonly transactions = new Map<string, StoredTransaction>()
  /** By idempotency key; more than one would be a key that was claimed twice. */
  readonly byKey = new Map<string, StoredTransaction[]>()
  /** By issuer and the numbers that it knows a request by. */
  readonly byRequest = new Map<string, StoredTransaction>()
  /** What can't be true of a store: a record of what was never claimed, a second outcome. */
  readonly contradictions: string[] = []

  /** Takes the records in the order of the export. */
  take(given: Readonly<Record<string, unknown>>): void {
    const record = given as ExportedRecord
    if (record.intent !== undefined) this.#claim(record.intent)
    if (record.outcome !== undefined) this.#record(record.outcome)
    const transactionId = record.transactionId ?? ''
    if (record.kind === 'attempt' && record.attempt !== undefined) {
      const transaction = this.#find(transactionId, 'an attempt')
      if (transaction !== undefined) this.#attempt(transaction, record.attempt)
    }
    if (record.message !== undefined) this.#queue(record.message)
    if (record.kind === 'delivery') this.#deliver(transactionId, record)
  }

  /** The transaction whose attempt an issuer's ledger calls so. */
  findRequest(issuer: string, key: string): StoredTransaction | undefined {
    return this.byRequest.get(`${issuer} ${key}`)
  }

  #claim(intent: NonNullable<ExportedRecord['intent']>): void {
    const { id, kind, idempotencyKey, attempt, payment } = intent
    const transaction: StoredTransaction = {
      id,
      kind,
      idempotencyKey,
      paymentId: payment?.paymentId ?? null,
      attempts: [],
      outcome: null,
      deliveries: new Map(),
    }
    if (this.transactions.has(id)) this.contradictions.push(`${id} is claimed twice`)
    this.transactions.set(id, transaction)
    const known = this.byKey.get(idempotencyKey)
    if (known === undefined) this.byKey.set(idempotencyKey, [transaction])
    else known.push(transaction)
    if (attempt !== null) this.#attempt(transaction, attempt)
  }

  #attempt(transaction: StoredTransaction, attempt: StoredAttempt): void {
    const { issuer, mti, stan, transmittedAt, acquiringInstitution } = attempt
    const known = { issuer, mti, stan, transmittedAt, acquiringInstitution }
    transaction.attempts.push(known)
    const name = `${issuer} ${requestKey(known)}`
    const other = this.byRequest.get(name)
    if (other !== undefined && other !== transaction) {
      this.contradictions.push(`${other.id} and ${transaction.id} have the same numbers at ${name}`)
    }
    this.byRequest.set(name, transaction)
  }

  #record({ id, outcome, responseCode, answer, reversal, advice }: ExportedOutcome): void {
    const transaction = this.#find(id, 'an outcome')
    if (transaction === undefined) return
    if (transaction.outcome !== null) this.contradictions.push(`${id} has two outcomes`)
    const approvalCode = typeof answer.approvalCode === 'string' ? answer.approvalCode : ''
    transaction.outcome = {
      outcome,
      responseCode,
      approvalCode,
      digest: digestOf(JSON.stringify(answer)),
      wireDigest: wireDigestOf({ responseCode, approvalCode, amount: Number(answer.amount) }),
    }
    for (const message of [reversal, advice]) if (message) this.#queue(message)
  }

  #queue({ transactionId, step, issuer, mti, original }: ExportedMessage): void {
    this.#find(transactionId, 'a queued message')?.deliveries.set(step, {
      transactionId,
      step,
      issuer,
      mti,
      original,
      state: 'queued',
      sends: 0,
      lastResponseCode: null,
    })
  }

  #deliver(transactionId: string, record: ExportedRecord): void {
    const transaction = this.#find(transactionId, 'a delivery')
    if (transaction === undefined) return
    const delivery = transaction.deliveries.get(record.step ?? '')
    if (delivery === undefined) {
      this.contradictions.push(`${transactionId} has no ${record.step} message to deliver`)
      return
    }
    delivery.state = record.state ?? ''
    delivery.sends = record.sends ?? 0
    delivery.lastResponseCode = record.lastResponseCode ?? null
  }

  #find(id: string, what: string): StoredTransaction | undefined {
    const transaction = this.transactions.get(id)
    if (transaction === undefined) this.contradictions.push(`${what} of ${id}, never claimed`)
    return transaction
  }
}

type ExportedOutcome = NonNullable<ExportedRecord['outcome']>
