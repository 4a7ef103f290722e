// What was asked and what became of it, read from the log alone, also beside a running switch: in
// order of arrival, each claim with its outcome. An acquirer's advice begins a payment like a claim,
// and velocity counted it: it is one record with its outcome.

import type { Disk } from '../ports.ts'
import { openForReading } from './audit.ts'
import { Fifo } from './fifo.ts'
import { type AcceptedRecord, decodeRecord, kindOfRecord, type LogRecord } from './log-record.ts'
import type { LogProblem } from './segment-log.ts'
import type { Intent, Label, Outcome } from './transaction-store.ts'

export interface PastTransaction {
  readonly intent: Intent
  /** Null where there is none yet. */
  readonly outcome: Outcome | null
}

export interface History {
  /** Bytes of the log when it was opened, and how many were read so far. */
  readonly bytes: number
  readonly bytesRead: number
  /** Set once reading has stopped at it. */
  readonly problem: { readonly message: string } | undefined
  /** Yields authorizations and advices, some hundred at a time, steps of a payment left out. */
  transactions(): AsyncGenerator<readonly PastTransaction[], void, undefined>
}

export type HistoryOpened =
  | { readonly ok: true; readonly history: History }
  | { readonly ok: false; readonly problem: LogProblem }

/** Claims that wait for their outcome, 2 kB each; the oldest goes without when there are more. */
const openClaimsMax = 100_000
/** Transactions that wait to be taken, before the reader pauses. */
const readyMax = 1_024

/** Reads nothing yet. `transactions` closes the log at its end. */
export async function openHistory(disk: Disk): Promise<HistoryOpened> {
  const opened = await openForReading(disk)
  if (!opened.ok) return opened
  return { ok: true, history: new LogHistory(opened.log) }
}

type OpenLog = Extract<Awaited<ReturnType<typeof openForReading>>, { ok: true }>['log']

interface Waiting {
  readonly intent: Intent
  outcome: Outcome | null
  isDone: boolean
}

class LogHistory implements History {
  readonly #log: OpenLog
  /** In order of their claims. */
  readonly #claims = new Fifo<Waiting>()
  readonly #open = new Map<string, Waiting>()
  #ready: PastTransaction[] = []
  #problem: LogProblem | undefined
  #bytesRead = 0
  #isLeft = false
  #wakeReader: (() => void) | undefined
  #wakeTaker: (() => void) | undefined

  constructor(log: OpenLog) {
    this.#log = log
  }

  get bytes(): number {
    return this.#log.bytes
  }

  get bytesRead(): number {
    return this.#bytesRead
  }

  get problem(): LogProblem | undefined {
    return this.#problem
  }

  async *transactions(): AsyncGenerator<readonly PastTransaction[], void, undefined> {
    let isEnded = false
    const scanned = this.#scan().finally(() => {
      isEnded = true
      this.#wakeTaker?.()
    })
    try {
      for (;;) {
        const taken = this.#ready
        this.#ready = []
        this.#wakeReader?.()
        if (taken.length > 0) yield taken
        else if (isEnded) break
        else {
          await new Promise<void>((resolve) => {
            this.#wakeTaker = resolve
            if (this.#ready.length > 0 || isEnded) resolve()
          })
        }
      }
    } finally {
      // Whoever left early lets the reader end, too.
      this.#isLeft = true
      this.#wakeReader?.()
      await scanned
      await this.#log.close()
    }
  }

  async #scan(): Promise<void> {
    this.#problem = await this.#log.scan(0, (_, payload) => {
      if (this.#isLeft) return undefined
      this.#bytesRead += payload.length
      const kind = kindOfRecord(payload)
      if (kind !== 'claim' && kind !== 'outcome' && kind !== 'accepted') return undefined
      this.#take(decodeRecord(payload))
      if (this.#ready.length === 0) return undefined
      this.#wakeTaker?.()
      if (this.#ready.length < readyMax) return undefined
      return new Promise<void>((resolve) => {
        this.#wakeReader = resolve
      })
    })
    for (const { intent, outcome } of this.#drain()) this.#ready.push({ intent, outcome })
  }

  #take(record: LogRecord): void {
    if (record.kind === 'claim' && record.intent.payment === undefined) {
      const waiting = { intent: record.intent, outcome: null, isDone: false }
      this.#claims.push(waiting)
      this.#open.set(record.intent.id, waiting)
    } else if (record.kind === 'outcome') {
      const waiting = this.#open.get(record.outcome.id)
      if (waiting === undefined) return
      this.#open.delete(record.outcome.id)
      waiting.outcome = record.outcome
      waiting.isDone = true
    } else if (isToldPayment(record)) {
      this.#claims.push({ intent: record.intent, outcome: record.outcome, isDone: true })
    } else return
    for (;;) {
      const first = this.#claims.first
      if (first === undefined) return
      if (!first.isDone && this.#claims.length <= openClaimsMax) return
      this.#claims.shift()
      this.#open.delete(first.intent.id)
      this.#ready.push({ intent: first.intent, outcome: first.outcome })
    }
  }

  *#drain(): Generator<Waiting, void, undefined> {
    for (let next = this.#claims.shift(); next !== undefined; next = this.#claims.shift())
      yield next
  }
}

/** Captures, reversals and tombstones are accepted, too: they begin no payment. */
function isToldPayment(record: LogRecord): record is AcceptedRecord {
  return record.kind === 'accepted' && record.intent.kind === 'advice'
}

export type TransactionFound =
  | { readonly ok: true; readonly found: readonly PastTransaction[] }
  | { readonly ok: false; readonly problem: LogProblem }

/** Transactions of one id are one; an RRN may have been used more than once. */
const foundMax = 100

/**
 * The authorization with this id, or those with this RRN, newest last. Reads the whole log, but
 * decodes only what has the text in its bytes.
 */
export async function findInHistory(disk: Disk, idOrRrn: string): Promise<TransactionFound> {
  const opened = await openForReading(disk)
  if (!opened.ok) return opened
  const found = new Map<string, PastTransaction>()
  const bytes = Buffer.from(idOrRrn)
  try {
    const problem = await opened.log.scan(0, (_, payload) => {
      const view = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength)
      const isNamed = view.includes(bytes)
      if (!isNamed && ![...found.keys()].some((id) => view.includes(id))) return undefined
      const record = decodeRecord(payload)
      if (record.kind === 'claim' && record.intent.payment === undefined) {
        const { intent } = record
        const isMeant = intent.id === idOrRrn || intent.rrn === idOrRrn
        if (isMeant && found.size < foundMax) found.set(intent.id, { intent, outcome: null })
      } else if (record.kind === 'outcome') {
        const past = found.get(record.outcome.id)
        if (past !== undefined) {
          found.set(record.outcome.id, { intent: past.intent, outcome: record.outcome })
        }
      } else if (isToldPayment(record)) {
        const { intent, outcome } = record
        const isMeant = intent.id === idOrRrn || intent.rrn === idOrRrn
        if (isMeant && found.size < foundMax) found.set(intent.id, { intent, outcome })
      }
      return undefined
    })
    if (problem !== undefined) return { ok: false, problem }
    return { ok: true, found: [...found.values()] }
  } finally {
    await opened.log.close()
  }
}

export type LabelsRead =
  | { readonly ok: true; readonly labels: readonly Label[] }
  | { readonly ok: false; readonly problem: LogProblem }

/** Every label, in the order in which they were recorded. */
export async function readStoredLabels(disk: Disk): Promise<LabelsRead> {
  const opened = await openForReading(disk)
  if (!opened.ok) return opened
  const labels: Label[] = []
  try {
    const problem = await opened.log.scan(0, (_, payload) => {
      if (kindOfRecord(payload) !== 'label') return undefined
      const record = decodeRecord(payload)
      if (record.kind === 'label') labels.push(record.label)
      return undefined
    })
    return problem === undefined ? { ok: true, labels } : { ok: false, problem }
  } finally {
    await opened.log.close()
  }
}
