// Reads a whole log for a person: is it whole, what is in it, and all of it as JSON. It reads
// beside a running switch and keeps about 100 bytes a transaction while it does.

import type { Disk, Random } from '../ports.ts'
import { STORE_LIMITS } from './limits.ts'
import { decodeRecord, type LogRecord } from './log-record.ts'
import { type CutTail, type LogProblem, type OpenedLog, SegmentLog } from './segment-log.ts'
import {
  type Delivery,
  type PaymentStep,
  type QueuedMessage,
  queuedBy,
} from './transaction-store.ts'

export interface LogAudit {
  readonly segments: number
  readonly bytes: number
  readonly records: number
  readonly recordsByKind: Readonly<Partial<Record<LogRecord['kind'], number>>>
  readonly bytesByKind: Readonly<Partial<Record<LogRecord['kind'], number>>>
  readonly outcomes: Readonly<Record<string, number>>
  /** Labels by their kind. */
  readonly labels: Readonly<Record<string, number>>
  readonly openClaims: number
  readonly pendingDeliveries: number
  /** Milliseconds since 1970 of the first and last claim; null where there is none. */
  readonly firstClaimAtMs: number | null
  readonly lastClaimAtMs: number | null
  /** Bytes behind the last whole record: being written, or left by a crash and cut at a start. */
  readonly tornTail: CutTail | null
  /** What can't be true of a log that this store wrote; the first 100. */
  readonly contradictions: readonly Contradiction[]
  readonly contradictionCount: number
}

export interface Contradiction {
  readonly position: number
  readonly message: string
}

export type AuditResult =
  | { readonly ok: true; readonly audit: LogAudit }
  | { readonly ok: false; readonly problem: LogProblem }

const CONTRADICTIONS_MAX = 100

/** Never asked: a log that is only read is never named. */
const NO_RANDOM: Random = { fill: (target) => target }

/** Opens the log so that nothing in its folder changes. */
export function openForReading(disk: Disk): Promise<OpenedLog> {
  return SegmentLog.open({ ...STORE_LIMITS, disk, random: NO_RANDOM, readOnly: true })
}

/** Checks every byte of every segment, and that the records tell one story. */
export async function auditLog(disk: Disk): Promise<AuditResult> {
  const opened = await openForReading(disk)
  if (!opened.ok) return opened
  const { log, cutTail } = opened
  const auditor = new Auditor(log.isShortened)
  try {
    const problem = await log.scan(0, (position, payload) => {
      auditor.take(position, decodeRecord(payload), payload.length)
      return undefined
    })
    if (problem !== undefined) return { ok: false, problem }
    return { ok: true, audit: auditor.finish(log, cutTail) }
  } finally {
    await log.close()
  }
}

/** Gives every record to `write`, oldest first, as plain JSON without card ciphertext. */
export async function exportLog(
  disk: Disk,
  write: (record: Readonly<Record<string, unknown>>) => Promise<void> | undefined,
): Promise<LogProblem | undefined> {
  const opened = await openForReading(disk)
  if (!opened.ok) return opened.problem
  try {
    return await opened.log.scan(0, (position, payload) =>
      write({ position, ...plainRecord(decodeRecord(payload)) }),
    )
  } finally {
    await opened.log.close()
  }
}

/** A record as plain JSON, without card ciphertext. */
export function plainRecord(record: unknown): Readonly<Record<string, unknown>> {
  return plain(record) as Readonly<Record<string, unknown>>
}

/**
 * Bytes as hex, typed arrays as arrays (NaN, which is missing, as null), a card as its key's id.
 */
function plain(value: unknown): unknown {
  if (value instanceof Float32Array || value instanceof Float64Array) return [...value]
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex')
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value !== 'object' || value === null) return value
  if ('sealed' in value && 'keyId' in value) return { keyId: value.keyId }
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, plain(part)]))
}

interface Story {
  isOpen: boolean
  /** By step. */
  readonly deliveries: Map<QueuedMessage['step'], Delivery['state']>
  /** Steps that followed it, where it is an authorization. */
  version: number
}

class Auditor {
  readonly #stories = new Map<string, Story>()
  readonly #records: Partial<Record<LogRecord['kind'], number>> = {}
  readonly #bytes: Partial<Record<LogRecord['kind'], number>> = {}
  readonly #outcomes: Record<string, number> = {}
  readonly #labels: Record<string, number> = {}
  readonly #contradictions: Contradiction[] = []
  /** Old segments were removed or compacted: a record's claim may have gone with them. */
  readonly #isShortened: boolean
  #contradictionCount = 0
  #count = 0
  #leaseEpoch = 0
  #firstClaimAtMs: number | null = null
  #lastClaimAtMs: number | null = null

  constructor(isShortened: boolean) {
    this.#isShortened = isShortened
  }

  take(position: number, record: LogRecord, bytes: number): void {
    this.#count++
    this.#records[record.kind] = (this.#records[record.kind] ?? 0) + 1
    this.#bytes[record.kind] = (this.#bytes[record.kind] ?? 0) + bytes
    const wrong = this.#tell(record)
    if (wrong === undefined) return
    this.#contradictionCount++
    if (this.#contradictions.length >= CONTRADICTIONS_MAX) return
    this.#contradictions.push({ position, message: wrong })
  }

  finish(log: SegmentLog, tornTail: CutTail | null): LogAudit {
    let openClaims = 0
    let pendingDeliveries = 0
    for (const { isOpen, deliveries } of this.#stories.values()) {
      if (isOpen) openClaims++
      for (const state of deliveries.values()) if (state === 'queued') pendingDeliveries++
    }
    return {
      segments: log.segments,
      bytes: log.bytes,
      records: this.#count,
      recordsByKind: this.#records,
      bytesByKind: this.#bytes,
      outcomes: this.#outcomes,
      labels: this.#labels,
      openClaims,
      pendingDeliveries,
      firstClaimAtMs: this.#firstClaimAtMs,
      lastClaimAtMs: this.#lastClaimAtMs,
      tornTail,
      contradictions: this.#contradictions,
      contradictionCount: this.#contradictionCount,
    }
  }

  /** Says what is wrong with a record after those before it. */
  #tell(record: LogRecord): string | undefined {
    switch (record.kind) {
      case 'lease': {
        const { leaseEpoch } = record.ownership
        const isOld = leaseEpoch <= this.#leaseEpoch
        this.#leaseEpoch = leaseEpoch
        return isOld ? `lease epoch ${leaseEpoch} was used before` : undefined
      }
      case 'claim': {
        const { id, createdAtMs, payment } = record.intent
        if (this.#stories.has(id)) return `${id} is claimed twice`
        const wrong = payment === undefined ? undefined : this.#step(id, payment)
        if (wrong !== undefined) return wrong
        this.#stories.set(id, { isOpen: true, deliveries: new Map(), version: 0 })
        this.#firstClaimAtMs ??= createdAtMs
        this.#lastClaimAtMs = createdAtMs
        return undefined
      }
      case 'outcome': {
        const { id, outcome } = record.outcome
        this.#outcomes[outcome] = (this.#outcomes[outcome] ?? 0) + 1
        const story = this.#stories.get(id)
        if (story === undefined) return this.#orphan(id)
        if (!story.isOpen) return `${id} has two outcomes`
        story.isOpen = false
        for (const message of queuedBy(record.outcome)) {
          const wrong = this.#queue(message, story)
          if (wrong !== undefined) return wrong
        }
        return undefined
      }
      case 'accepted': {
        const { intent, ownership, outcome } = record
        return (
          this.#tell({ kind: 'claim', intent, ownership }) ??
          this.#tell({ kind: 'outcome', outcome })
        )
      }
      case 'queued': {
        const id = record.message.transactionId
        const story = this.#stories.get(id)
        return story === undefined ? this.#orphan(id) : this.#queue(record.message, story)
      }
      case 'delivery': {
        const story = this.#stories.get(record.transactionId)
        if (story === undefined) return this.#orphan(record.transactionId)
        if (!story.deliveries.has(record.step)) {
          return `${record.transactionId} has no delivery to update`
        }
        story.deliveries.set(record.step, record.state)
        return undefined
      }
      case 'attempt':
      case 'not_sent': {
        const story = this.#stories.get(record.transactionId)
        if (story === undefined) return this.#orphan(record.transactionId)
        return story.isOpen ? undefined : `${record.transactionId} has an attempt after its outcome`
      }
      case 'label': {
        const { transactionId, kind } = record.label
        this.#labels[kind] = (this.#labels[kind] ?? 0) + 1
        return this.#stories.has(transactionId) ? undefined : this.#orphan(transactionId)
      }
      case 'late_answer': {
        const { transactionId } = record.answer
        return this.#stories.has(transactionId) ? undefined : this.#orphan(transactionId)
      }
    }
  }

  #queue(message: QueuedMessage, story: Story): string | undefined {
    const { transactionId, step } = message
    if (story.deliveries.has(step)) return `${transactionId} has its ${step} message queued twice`
    story.deliveries.set(step, 'queued')
    return undefined
  }

  /** One step at a time: each names the version that it makes. */
  #step(id: string, { paymentId, version }: PaymentStep): string | undefined {
    const payment = this.#stories.get(paymentId)
    if (payment === undefined) return this.#orphan(paymentId)
    if (payment.isOpen) return `${id} is a step of ${paymentId}, which is open`
    payment.version++
    if (payment.version === version) return undefined
    return `${id} is step ${version} of ${paymentId}, not ${payment.version}`
  }

  #orphan(id: string): string | undefined {
    return this.#isShortened ? undefined : `${id} was never claimed`
  }
}
