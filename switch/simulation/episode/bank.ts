// An issuer with accounts, on the simulated network. It judges, holds, takes, gives back, and
// remembers every message by its numbers; what it does wrong, it was told to.

import type { Dialect, FieldValue, Framing, IsoMessage } from '../../iso8583/index.ts'
import type { Address, Connection } from '../../ports.ts'
import { answerOf } from '../issuer.ts'
import { createSeededRandom, type SeededRandom, seedOf } from '../random.ts'
import type { VirtualTime } from '../time.ts'
import type { SimulatedNetwork } from '../transport.ts'
import type { Books } from './books.ts'
import { spoilFrame } from './line-noise.ts'
import type { MessageFaultEntry } from './plan.ts'
import type { Trace } from './trace.ts'

/** One request that the bank has judged, and what followed. Amounts in minor units. */
export interface Account {
  readonly issuer: string
  /** MTI, DE11, DE7: as DE90 names it. */
  readonly key: string
  /** DE42: the payment in the plan. */
  readonly payment: string
  readonly pan: string
  readonly kind: 'purchase' | 'inquiry' | 'refund' | 'increment'
  /** What was approved; 0: declined. */
  readonly approved: number
  readonly isApproved: boolean
  readonly responseCode: string
  readonly approvalCode: string | undefined
  /** What a refund or an increment belongs to. */
  readonly original: string | undefined
  /** Which reversal undid all of it: its DE11 and DE7. */
  reversedBy: string | undefined
  /** What reversals gave back of it and of its increments. */
  reversed: number
  readonly captures: Map<string, number>
}

export interface BankOptions {
  readonly name: string
  readonly address: Address
  readonly network: SimulatedNetwork
  readonly dialect: Dialect
  readonly framing: Framing
  readonly time: VirtualTime
  readonly seed: number
  readonly books: Books
  readonly trace: Trace
  /** Told of the payment's next message, once; shared by all banks. */
  readonly faultOf: (payment: string) => MessageFaultEntry | undefined
}

const SIGN_ON = '001'

export class Bank {
  readonly name: string
  readonly address: Address
  readonly accounts = new Map<string, Account>()
  /** Added to every answer. */
  slowMs = 0
  /** It takes everything and answers nothing. */
  isSilent = false
  received = 0
  readonly #options: BankOptions
  readonly #random: SeededRandom
  readonly #connections: Connection[] = []
  /** What was answered to a queued message, by its numbers: DE39. */
  readonly #told = new Map<string, string>()
  readonly #counts = new Map<string, number>()
  #stopListening: (() => void) | undefined
  #approvals = 0

  constructor(options: BankOptions) {
    this.name = options.name
    this.address = options.address
    this.#options = options
    this.#random = createSeededRandom(seedOf(options.seed, `bank ${options.name}`))
    this.open()
  }

  get openConnections(): number {
    return this.#connections.length
  }

  /** Takes connections. */
  open(): void {
    if (this.#stopListening !== undefined) return
    const { network, framing } = this.#options
    this.#stopListening = network.listen(this.address, (connection) => {
      const splitter = framing.createSplitter(
        (payload) => this.#take(payload, connection),
        () => connection.destroy(),
      )
      return {
        onOpen: () => this.#connections.push(connection),
        onBytes: (bytes) => splitter.push(bytes),
        onClose: () => {
          splitter.stop()
          const at = this.#connections.indexOf(connection)
          if (at >= 0) this.#connections.splice(at, 1)
        },
      }
    })
  }

  /** Takes no connections, and ends those that it has. */
  shut(): void {
    this.#stopListening?.()
    this.#stopListening = undefined
    this.disconnect()
  }

  disconnect(): void {
    for (const connection of [...this.#connections]) connection.destroy()
  }

  #take(payload: Uint8Array, connection: Connection): void {
    const { dialect, trace, books, faultOf } = this.#options
    const decoded = dialect.decode(payload)
    // The line spoils bytes: what follows may have slipped, so nothing more of it is believed.
    if (!decoded.ok) {
      connection.destroy()
      return
    }
    const { message } = decoded
    if (message.mti === '0810') return
    if (message.mti.startsWith('08')) {
      if (this.isSilent && text(message, 70) !== SIGN_ON) return
      this.#send(answerOf(message, '00'), connection, 1)
      return
    }
    const payment = text(message, 42)
    this.received++
    trace.add(`${this.name} gets ${message.mti} ${text(message, 11)} of ${payment}`)
    const fault = faultOf(payment)
    if (fault?.fault === 'request_lost') {
      books.fault('request_lost')
      return
    }
    const isBusy = fault?.fault === 'answer_busy' && /^0[124]2/.test(message.mti)
    if (isBusy) books.fault('answer_busy')
    const answer = isBusy ? answerOf(message, '91') : this.#judge(message, payment)
    if (this.isSilent || answer === undefined) return
    this.#answer(message, answer, connection, isBusy ? undefined : fault)
  }

  /** Sends what was decided, as the fault says. */
  #answer(
    request: IsoMessage,
    answer: IsoMessage,
    connection: Connection,
    fault: MessageFaultEntry | undefined,
  ): void {
    const { books } = this.#options
    const random = createSeededRandom(fault?.seed ?? this.#random.below(2 ** 32))
    const afterMs = 3 + random.below(60) + this.slowMs
    if (fault !== undefined && fault.fault !== 'answer_busy') books.fault(fault.fault)
    switch (fault?.fault) {
      case 'answer_lost':
        return
      case 'answer_late':
        this.#send(answer, connection, 8_000 + random.below(90_000))
        return
      case 'answer_doubled':
        this.#send(answer, connection, afterMs)
        this.#send(answer, connection, afterMs + random.below(20_000))
        return
      case 'answer_reordered':
        this.#send(answer, connection, afterMs + 200 + random.below(4_000))
        return
      case 'answer_wrong':
        this.#send(wrongly(request, answer, random), connection, afterMs)
        return
      case 'answer_corrupted':
      case 'answer_cut':
        this.#sendSpoiled(answer, connection, afterMs, fault.fault, random)
        return
      default:
        this.#send(answer, connection, afterMs)
    }
  }

  #judge(message: IsoMessage, payment: string): IsoMessage | undefined {
    const { mti } = message
    if (mti.startsWith('04')) return this.#reverse(message)
    const isTold = mti.startsWith('012') || mti.startsWith('022')
    if (isTold && text(message, 90) === '') return this.#note(message, payment)
    if (isTold) return this.#capture(message)
    const key = `${mti} ${text(message, 11)} ${text(message, 7)}`
    let account = this.accounts.get(key)
    if (account === undefined) {
      const attempt = `${this.name} ${text(message, 11)} ${text(message, 7)}`
      this.#options.books.asked(attempt, key)
      account = this.#decide(message, key, payment)
      this.accounts.set(key, account)
      if (account.kind === 'purchase' && account.isApproved) {
        this.#options.books.approved(payment, attempt)
      }
    }
    const isPartial = account.responseCode === '10'
    return answerOf(message, account.responseCode, {
      ...(account.approvalCode === undefined ? {} : { 38: account.approvalCode }),
      ...(isPartial ? { 4: String(account.approved).padStart(12, '0') } : {}),
    })
  }

  #decide(message: IsoMessage, key: string, payment: string): Account {
    const { seed, trace } = this.#options
    const nth = this.#counts.get(payment) ?? 0
    this.#counts.set(payment, nth + 1)
    const random = createSeededRandom(seedOf(seed, `${payment} decision ${nth}`))
    const processing = text(message, 3).slice(0, 2)
    const isInquiry = processing === '31' || processing === '33'
    const original = text(message, 90)
    const kind = isInquiry
      ? 'inquiry'
      : original === ''
        ? 'purchase'
        : processing === '20'
          ? 'refund'
          : 'increment'
    const asked = Number(text(message, 4))
    const dice = random.fraction()
    const isPartial = kind === 'purchase' && dice > 0.96 && asked > 1
    const isApproved = dice > 0.1
    const responseCode = isApproved ? (isPartial ? '10' : '00') : random.chance(0.5) ? '51' : '05'
    const approved = !isApproved ? 0 : isPartial ? 1 + random.below(asked - 1) : asked
    const approvalCode = isApproved ? this.#nextApprovalCode() : undefined
    if (approvalCode !== undefined) this.#options.books.given(approvalCode, payment)
    trace.add(`${this.name} decides ${responseCode} ${approved} on ${key} of ${payment}`)
    return {
      issuer: this.name,
      key,
      payment,
      pan: text(message, 2),
      kind,
      approved,
      isApproved,
      responseCode,
      approvalCode,
      original: original === '' ? undefined : originalKey(original),
      reversedBy: undefined,
      reversed: 0,
      captures: new Map(),
    }
  }

  /** Six characters, never twice: it names the approval in every answer. */
  #nextApprovalCode(): string {
    const letter = this.name.slice(-1).toUpperCase()
    return letter + (++this.#approvals).toString(36).toUpperCase().padStart(5, '0')
  }

  #reverse(message: IsoMessage): IsoMessage {
    const { books } = this.#options
    const wire = `${this.name} ${text(message, 11)} ${text(message, 7)}`
    books.delivered(wire)
    const known = this.#told.get(wire)
    if (known !== undefined) return this.#tell(message, wire, known)
    const account = this.accounts.get(originalKey(text(message, 90)))
    if (account === undefined) {
      // Not remembered: it may come yet, and the reversal with it once more.
      books.settled(wire)
      return answerOf(message, '25')
    }
    const stands = text(message, 95)
    if (stands === '') this.#reverseAll(account, wire)
    else this.#reversePart(account, wire, Number(stands.slice(0, 12)))
    return this.#tell(message, wire, '00')
  }

  #reverseAll(account: Account, wire: string): void {
    if (account.reversedBy !== undefined) {
      const both = `${account.reversedBy} and ${wire}`
      this.#options.books.violate('approval_lost', `${account.key} was reversed twice: ${both}`)
    }
    account.reversedBy = wire
    account.reversed = this.#held(account)
  }

  #reversePart(account: Account, wire: string, standing: number): void {
    const reversed = this.#held(account) - standing
    if (reversed <= account.reversed) {
      const what = `${wire} leaves ${standing} of ${account.key}, less stood before`
      this.#options.books.violate('queue_stuck', what)
    }
    account.reversed = reversed
  }

  /** All that was approved for it, before anything was given back. */
  #held(account: Account): number {
    let held = account.approved
    for (const other of this.accounts.values()) {
      const isIts = other.kind === 'increment' && other.original === account.key
      if (isIts && other.reversedBy === undefined) held += other.approved
    }
    return held
  }

  /** An advice: it stands for itself, and what was decided is taken as it is. */
  #note(message: IsoMessage, payment: string): IsoMessage {
    const { books, trace } = this.#options
    const wire = `${this.name} ${text(message, 11)} ${text(message, 7)}`
    books.delivered(wire)
    const key = `${message.mti.slice(0, 3)}0 ${text(message, 11)} ${text(message, 7)}`
    if (!this.accounts.has(key)) {
      const approved = Number(text(message, 4))
      trace.add(`${this.name} is told of ${approved} by ${key} of ${payment}`)
      books.note('advices_delivered')
      this.accounts.set(key, {
        issuer: this.name,
        key,
        payment,
        pan: text(message, 2),
        kind: 'purchase',
        approved,
        isApproved: true,
        responseCode: text(message, 39),
        approvalCode: text(message, 38),
        original: undefined,
        reversedBy: undefined,
        reversed: 0,
        captures: new Map(),
      })
    }
    return this.#tell(message, wire, '00')
  }

  #capture(message: IsoMessage): IsoMessage {
    const { books } = this.#options
    const wire = `${this.name} ${text(message, 11)} ${text(message, 7)}`
    books.delivered(wire)
    const account = this.accounts.get(originalKey(text(message, 90)))
    if (account === undefined || !account.isApproved) {
      books.violate('books_differ', `${wire} captures what ${this.name} never approved`)
      return this.#tell(message, wire, '12')
    }
    if (!this.#told.has(wire)) account.captures.set(wire, Number(text(message, 4)))
    return this.#tell(message, wire, '00')
  }

  #tell(message: IsoMessage, wire: string, responseCode: string): IsoMessage {
    this.#told.set(wire, responseCode)
    this.#options.books.settled(wire)
    return answerOf(message, responseCode)
  }

  #frame(message: IsoMessage): Uint8Array {
    const { dialect, framing } = this.#options
    const encoded = dialect.encode(message)
    if (!encoded.ok) throw new Error(`can't encode: ${encoded.problem.message}`)
    const frame = framing.encode(encoded.bytes)
    if (!frame.ok) throw new Error(`can't frame: ${frame.problem.message}`)
    return frame.bytes
  }

  /** On the connection of its request, or on the newest where that one is gone. */
  #send(message: IsoMessage, connection: Connection, afterMs: number): void {
    this.#options.time.timers.set(afterMs, () => this.#write(connection, this.#frame(message)))
  }

  #sendSpoiled(
    answer: IsoMessage,
    connection: Connection,
    afterMs: number,
    fault: 'answer_corrupted' | 'answer_cut',
    random: SeededRandom,
  ): void {
    const { dialect, time } = this.#options
    const frame = this.#frame(answer)
    time.timers.set(afterMs, () => {
      if (fault === 'answer_corrupted') {
        this.#write(connection, spoilFrame(frame, dialect, random) ?? frame)
      } else {
        this.#write(connection, frame.subarray(0, random.below(frame.length)))
        connection.destroy()
      }
    })
  }

  #write(connection: Connection, frame: Uint8Array): void {
    const isOpen = this.#connections.includes(connection)
    ;(isOpen ? connection : this.#connections.at(-1))?.write(frame)
  }
}

/** An answer that must reach nobody, or that says nothing that is an answer. */
function wrongly(request: IsoMessage, answer: IsoMessage, random: SeededRandom): IsoMessage {
  const changes: Record<number, FieldValue | undefined>[] = [
    { 11: '999999' },
    { 37: '000000000000' },
    { 7: '0101000000' },
    { 41: 'NOBODYS1' },
    { 49: '840' },
    { 4: '000000000001', 39: '00' },
    { 11: String((Number(text(request, 11)) % 999_999) + 1).padStart(6, '0') },
  ]
  const fields = [...answer.fields]
  const change = changes[random.below(changes.length)] ?? {}
  for (const [field, value] of Object.entries(change)) fields[Number(field)] = value
  return { mti: answer.mti, fields }
}

/** DE90 (n 42) begins with MTI 4, DE11 6, DE7 10. */
function originalKey(elements: string): string {
  return `${elements.slice(0, 4)} ${elements.slice(4, 10)} ${elements.slice(10, 20)}`
}

function text(message: IsoMessage, field: number): string {
  const value = message.fields[field]
  return typeof value === 'string' ? value.trimEnd() : ''
}
