// What everybody knows, side by side: the acquirers' answers, the issuers' accounts, what the switch
// queued. Each note checks what can be checked at once; `audit.ts` compares the whole at the end.

import type { QueuedMessage } from '../../store/index.ts'
import type { PayEntry, StepEntry } from './plan.ts'
import type { Trace } from './trace.ts'

/** The promises that are watched, by the numbers that docs/reliability.md gives them. */
export const INVARIANTS = {
  crossed: 1,
  approval_lost: 2,
  key_answered_twice: 3,
  queue_stuck: 4,
  books_differ: 5,
  late_answer: 6,
  not_empty: 7,
  /** Something threw, or the switch could not start again. */
  bug: 0,
} as const
export type Invariant = keyof typeof INVARIANTS

export interface Violation {
  readonly invariant: Invariant
  readonly message: string
  readonly atMs: number
}

/** What one acquirer knows of one request that it sent, under one key. */
export interface Request {
  readonly entry: PayEntry | StepEntry
  readonly acquirer: string
  readonly key: string
  /** The first answer, as text; every further one must be the same. */
  answer: string | undefined
  body: Readonly<Record<string, unknown>> | undefined
  /** A refusal that is the last word: nothing was taken. */
  refusedWith: string | undefined
  isDone: boolean
  /** A reversal of it was answered. */
  reversalAnswered: boolean
  /** Of a step over ISO 8583, whose answer does not say it. */
  stepAmount: number | undefined
}

interface Queued {
  readonly wire: string
  readonly text: string
  /** Equal for what one flush made durable: such messages may leave in either order. */
  readonly order: number
  /** The issuer has said something else than "busy". */
  isAnswered: boolean
}

export class Books {
  readonly violations: Violation[] = []
  readonly faults: Record<string, number> = {}
  /** What the workload did, by kind: a promise about what never happened is worth nothing. */
  readonly work: Record<string, number> = {}
  readonly requests = new Map<string, Request>()
  /** By issuer and card, what must reach it, in the order in which it became durable. */
  readonly #queues = new Map<string, Queued[]>()
  readonly #cardOf = new Map<string, string>()
  /** What may have left, by its numbers; and of what the reversal is durable. */
  readonly #attempts = new Set<string>()
  readonly #undone = new Set<string>()
  readonly #givenTo = new Map<string, string>()
  /** Attempts that an issuer approved, by payment. */
  readonly #approvals = new Map<string, string[]>()
  readonly #trace: Trace
  readonly #nowMs: () => number

  constructor(trace: Trace, nowMs: () => number) {
    this.#trace = trace
    this.#nowMs = nowMs
  }

  violate(invariant: Invariant, message: string): void {
    this.violations.push({ invariant, message, atMs: this.#nowMs() })
    this.#trace.add(`VIOLATION ${invariant}: ${message}`)
  }

  fault(kind: string): void {
    this.faults[kind] = (this.faults[kind] ?? 0) + 1
    this.#trace.add(`fault ${kind}`)
  }

  note(kind: string): void {
    this.work[kind] = (this.work[kind] ?? 0) + 1
  }

  /** An answer to a request: the first one counts, and every other is the same. */
  answered(request: Request, text: string, body: Readonly<Record<string, unknown>>): void {
    const payment = this.#givenTo.get(String(body.approvalCode))
    const own = request.entry.kind === 'pay' ? request.entry.id : request.entry.of
    if (payment !== undefined && payment !== own) {
      this.violate('crossed', `${request.key} is answered with ${payment}'s approval: ${text}`)
    }
    if (request.answer === undefined) {
      request.answer = text
      request.body = body
    } else if (request.answer !== text) {
      this.violate('key_answered_twice', `${request.key}: ${request.answer}, then ${text}`)
    }
  }

  /** Became durable just now, after all that was noted before. */
  queued(message: QueuedMessage, card: string, order = this.#nowMs()): void {
    const wire = wireOf(message)
    if (this.#cardOf.has(wire)) return
    const key = `${message.issuer} ${card}`
    this.#cardOf.set(wire, key)
    const text = `${message.mti} ${message.step} of ${message.transactionId}`
    const queue = this.#queues.get(key) ?? []
    queue.push({ wire, text, order, isAnswered: false })
    this.#queues.set(key, queue)
  }

  /** A new life has read its queue: that order is the one that counts. */
  queueRead(messages: readonly { message: QueuedMessage; card: string }[]): void {
    const answered = new Set<string>()
    for (const queue of this.#queues.values()) {
      for (const { wire, isAnswered } of queue) if (isAnswered) answered.add(wire)
    }
    this.#queues.clear()
    this.#cardOf.clear()
    for (const [i, { message, card }] of messages.entries()) {
      this.queued(message, card, i - messages.length)
    }
    for (const queue of this.#queues.values()) {
      for (const one of queue) one.isAnswered = answered.has(one.wire)
    }
  }

  unqueued(message: QueuedMessage): void {
    const wire = wireOf(message)
    const key = this.#cardOf.get(wire)
    if (key === undefined) return
    this.#cardOf.delete(wire)
    const queue = (this.#queues.get(key) ?? []).filter((one) => one.wire !== wire)
    if (queue.length === 0) this.#queues.delete(key)
    else this.#queues.set(key, queue)
  }

  /** An issuer's approval code, which no other payment gets. */
  given(approvalCode: string, payment: string): void {
    this.#givenTo.set(approvalCode, payment)
  }

  /** An attempt, or a message's original, is durable. `undone`: so is a reversal of it. */
  durable(
    attempt: Pick<QueuedMessage, 'issuer' | 'stan' | 'transmittedAt'>,
    undone: boolean,
  ): void {
    const wire = wireOf(attempt)
    this.#attempts.add(wire)
    if (undone) this.#undone.add(wire)
  }

  /** Its bytes came to an issuer: they were durable before. */
  asked(wire: string, key: string): void {
    if (this.#attempts.has(wire)) return
    this.violate('approval_lost', `${wire} (${key}) left before it was durable`)
  }

  /** Of one payment one approval at most stands: before the next one the reversal is durable. */
  approved(payment: string, wire: string): void {
    const approvals = this.#approvals.get(payment) ?? []
    this.#approvals.set(payment, approvals)
    const live = approvals.find((one) => !this.#undone.has(one))
    approvals.push(wire)
    if (live !== undefined && !this.#undone.has(wire)) {
      this.violate('key_answered_twice', `${payment} is approved as ${live} and as ${wire}`)
    }
  }

  /** A queued message reached its issuer: what was queued before it about its card came first. */
  delivered(wire: string): void {
    const key = this.#cardOf.get(wire)
    // Acknowledged meanwhile, and on its way twice.
    if (key === undefined) return
    const queue = this.#queues.get(key) ?? []
    const own = queue.find((one) => one.wire === wire)
    for (const one of queue) {
      if (one.isAnswered || own === undefined || one.order >= own.order) continue
      this.violate('queue_stuck', `${wire} overtook ${one.wire} (${one.text}) of ${key}`)
    }
  }

  /** The issuer said its word on it. */
  settled(wire: string): void {
    const key = this.#cardOf.get(wire)
    const queued = this.#queues.get(key ?? '')?.find((one) => one.wire === wire)
    if (queued !== undefined) queued.isAnswered = true
  }
}

/** A message by the numbers that it has on the wire: issuer, DE11, DE7. */
export function wireOf({
  issuer,
  stan,
  transmittedAt,
}: Pick<QueuedMessage, 'issuer' | 'stan' | 'transmittedAt'>): string {
  return `${issuer} ${stan} ${transmittedAt}`
}
