// What an issuer knows for certain: every request that it decided and every reversal that it took.
// The books of a load run and the exactly-once tests are judged by it, so it is kept apart from
// the switch: in this process, and in an append-only NDJSON file that is read back at a restart.
//
// One line is one event, in the order in which they happened:
//   {"event":"request","sequence":1,"key":"1|000001|1122100000|12345678901",...}
//   {"event":"repeat","key":"..."}                      the same request came again
//   {"event":"reversal","original":"...","stan":...}    took effect, was refused or came early
//   {"event":"capture","original":"...","amount":...}   an advice (0220): taken, or refused
//   {"event":"request","advice":true,...}              decided by others (0120, 0220), booked

import { createHmac } from 'node:crypto'
import { maskPan } from '#switch'
import { earlyReversalsMax, ledgerEntriesMax } from './limits.ts'

/** What identifies a request on the wire; a reversal names it again in DE90. */
export interface RequestNumbers {
  /** Four digits. */
  readonly mti: string
  /** DE11. */
  readonly stan: string
  /** DE7. */
  readonly transmittedAt: string
  /** DE32; absent is the empty string. */
  readonly acquiringInstitution: string
}

/** An authorization or financial request as the issuer saw it. Amounts in minor units. */
export interface LedgerRequest extends RequestNumbers {
  readonly rrn: string
  readonly processingCode: string
  readonly amount: number
  readonly currency: string
  readonly terminalId: string
  readonly merchantId: string
  /** The PAN in clear: masked and hashed here, kept nowhere. */
  readonly pan: string
  /** DE25: 06 is a pre-authorization. Absent where the message has none. */
  readonly conditionCode?: string
  /** What a refund or an increment belongs to (DE90); null for a payment's first request. */
  readonly original: RequestNumbers | null
}

/** A request and what became of it. */
export interface LedgerEntry {
  /** Counts up from 1 by request; a reader asks for what came after a number. */
  readonly sequence: number
  readonly key: string
  readonly mti: string
  readonly stan: string
  readonly transmittedAt: string
  readonly rrn: string
  readonly processingCode: string
  /** What was asked. */
  readonly amount: number
  /** What was approved: less than `amount` with DE39 10, 0 where declined. */
  readonly approvedAmount: number
  readonly currency: string
  readonly terminalId: string
  readonly merchantId: string
  readonly maskedPan: string
  /** Equal for equal PANs within one life of the process; its key is never written. */
  readonly cardToken: string
  readonly responseCode: string
  readonly conditionCode?: string
  /** Told by an advice (0120, 0220): decided without this issuer. Absent: asked. */
  readonly advice?: true
  /** DE38; null where declined. Unique within a ledger, but for what an advice brings. */
  readonly approvalCode: string | null
  /** How often the same request came again; it gets the same answer. */
  repeats: number
  readonly reversals: LedgerReversal[]
  /** Key of the entry that a refund or an increment belongs to; null for a first request. */
  readonly original: string | null
  readonly captures: LedgerCapture[]
  /** Refunds and increments that name this entry, by their keys. */
  readonly steps: string[]
}

/** A reversal of one entry; those with other wire numbers are other reversals. */
export interface LedgerReversal {
  readonly stan: string
  readonly transmittedAt: string
  /** DE39 of its first answer. */
  readonly responseCode: string
  /** True for the one that undid an approval, all of it. */
  readonly effective: boolean
  /** Of a partial reversal (DE95): what it gave back. */
  readonly releasedAmount?: number
  repeats: number
}

/** A capture advice of one entry. */
export interface LedgerCapture {
  readonly stan: string
  readonly transmittedAt: string
  readonly amount: number
  /** DE39 of its first answer; the money was taken where it is 00. */
  readonly responseCode: string
  repeats: number
}

/** What a payment comes to at the issuer, minor units. */
export interface Position {
  /** Increments included. */
  readonly authorized: number
  readonly captured: number
  readonly reversed: number
  readonly refunded: number
}

export interface LedgerSummary {
  readonly sequence: number
  readonly requests: number
  readonly approvals: number
  readonly declines: number
  readonly repeats: number
  /** Reversals that undid an approval. */
  readonly reversals: number
  /** Reversals with other numbers of something that was undone already. */
  readonly secondReversals: number
  /** Reversals of a part (DE95). */
  readonly partialReversals: number
  /** Reversals that named no known original when they came. */
  readonly earlyReversals: number
  /** Approvals of money that stand. */
  readonly liveApprovals: number
  /** Entries dropped from memory: the books of their time can't be judged. */
  readonly forgotten: number
}

/** DE39 values with which an issuer approves money (85 counts for verification only). */
const approvalCodes: ReadonlySet<string> = new Set(['00', '08', '10', '11'])

/** DE39 of a reversal whose original is not known. */
const originalNotFound = '25'
/** DE39 of a reversal that changes nothing: already undone, or never approved. */
const noActionTaken = '21'
/** DE39 of a request whose reversal came first. */
const duplicate = '94'
/** DE39 of a capture of what does not stand, and of one above it. */
const invalidTransaction = '12'
const invalidAmount = '13'
/** DE3, first two digits: a refund. */
const refundCode = '20'

/**
 * `0100` and its repeat `0101` are one request, so the key takes the message class (second digit).
 * DE32 stands in DE90 right-justified with zeros, so leading zeros don't count.
 */
export function requestKey(numbers: RequestNumbers): string {
  const institution = numbers.acquiringInstitution.replace(/^0+/, '')
  return `${numbers.mti[1]}|${numbers.stan}|${numbers.transmittedAt}|${institution}`
}

export interface LedgerOptions {
  /** Takes each line, newline included. Lines must be kept in order. */
  readonly append: (line: string) => void
  /** Key for card tokens: random bytes made at start. */
  readonly tokenKey: Uint8Array
  /** Where approval codes start, 0 to 36^6 - 1; random, so that ledgers don't share codes. */
  readonly approvalCodeStart: number
}

type LedgerLine =
  | ({ readonly event: 'request' } & Omit<
      LedgerEntry,
      'repeats' | 'reversals' | 'captures' | 'steps'
    >)
  | { readonly event: 'repeat'; readonly key: string }
  | ({ readonly event: 'reversal'; readonly original: string } & Omit<LedgerReversal, 'repeats'>)
  | ({ readonly event: 'capture'; readonly original: string } & Omit<LedgerCapture, 'repeats'>)

const approvalCodeSpace = 36 ** 6
/** Prime to 36^6, so that counting in its steps visits every code once. */
const approvalCodeStep = 1_000_000_007

export class Ledger {
  readonly #entries = new Map<string, LedgerEntry>()
  readonly #early = new Map<string, LedgerReversal[]>()
  readonly #tokens = new Map<string, string>()
  readonly #options: LedgerOptions
  #sequence = 0
  #approvals = 0
  #repeats = 0
  #effectiveReversals = 0
  #secondReversals = 0
  #partialReversals = 0
  #earlyReversals = 0
  #liveApprovals = 0
  #forgotten = 0
  #approvalNumber: number

  constructor(options: LedgerOptions) {
    this.#options = options
    this.#approvalNumber = options.approvalCodeStart % approvalCodeSpace
  }

  /** The entry of a request that was decided already. */
  find(numbers: RequestNumbers): LedgerEntry | undefined {
    return this.#entries.get(requestKey(numbers))
  }

  /**
   * Decides a request once. A repeat finds its entry unchanged; one whose reversal came first is
   * declined 94 whatever `responseCode` says.
   */
  decide(request: LedgerRequest, responseCode: string): LedgerEntry {
    const key = requestKey(request)
    const known = this.#entries.get(key)
    if (known !== undefined) {
      this.#repeat(known)
      this.#write({ event: 'repeat', key })
      return known
    }
    const early = this.#early.get(key)
    const code = early === undefined ? responseCode : duplicate
    const approved = approvalCodes.has(code)
    const approvalCode = approved ? this.#nextApprovalCode() : null
    const line = { ...this.#lineOf(request, code), approvalCode }
    const entry = this.#add(line)
    this.#write(line)
    return entry
  }

  #lineOf(request: LedgerRequest, code: string) {
    return {
      event: 'request' as const,
      sequence: this.#sequence + 1,
      key: requestKey(request),
      mti: request.mti,
      stan: request.stan,
      transmittedAt: request.transmittedAt,
      rrn: request.rrn,
      processingCode: request.processingCode,
      amount: request.amount,
      approvedAmount: approvedAmount(code, request.amount),
      currency: request.currency,
      terminalId: request.terminalId,
      merchantId: request.merchantId,
      maskedPan: maskPan(request.pan),
      cardToken: this.#token(request.pan),
      responseCode: code,
      ...(request.conditionCode === undefined ? {} : { conditionCode: request.conditionCode }),
      original: request.original === null ? null : requestKey(request.original),
    }
  }

  /**
   * Books what was decided in this issuer's place, once, and says its DE39: 00, repeats too; 94 where
   * its reversal came first.
   */
  advise(request: LedgerRequest, decided: string, approvalCode: string): string {
    const key = requestKey(request)
    const known = this.#entries.get(key)
    if (known !== undefined) {
      this.#repeat(known)
      this.#write({ event: 'repeat', key })
      return '00'
    }
    if (this.#early.has(key)) return duplicate
    const line = {
      ...this.#lineOf(request, decided),
      approvalCode: approvalCodes.has(decided) ? approvalCode : null,
      advice: true as const,
    }
    this.#add(line)
    this.#write(line)
    return '00'
  }

  /**
   * Takes a reversal of `original` and says its DE39: 00 undone (the same reversal again: the
   * 21 nothing to undo, 25 original not known (yet), which is remembered. `replacementAmount` (DE95):
   * what is to stand; null takes all of it back.
   */
  reverse(
    original: RequestNumbers,
    reversal: { readonly stan: string; readonly transmittedAt: string },
    replacementAmount: number | null = null,
  ): string {
    const key = requestKey(original)
    const entry = this.#entries.get(key)
    const list = entry?.reversals ?? this.#early.get(key)
    const same = list?.find(
      (it) => it.stan === reversal.stan && it.transmittedAt === reversal.transmittedAt,
    )
    if (same !== undefined) {
      same.repeats++
      // One that came early is done once its original was met and declined.
      return same.responseCode === originalNotFound && entry !== undefined
        ? '00'
        : same.responseCode
    }
    if (entry !== undefined && replacementAmount !== null) {
      return this.#release(entry, reversal, replacementAmount)
    }
    const effective = entry !== undefined && isLive(entry)
    const responseCode = entry === undefined ? originalNotFound : effective ? '00' : noActionTaken
    const { stan, transmittedAt } = reversal
    const line = {
      event: 'reversal' as const,
      original: key,
      stan,
      transmittedAt,
      responseCode,
      effective,
    }
    this.#addReversal(line)
    this.#write(line)
    return responseCode
  }

  /** Gives back what is above `replacementAmount`; one that came late finds less standing: 21. */
  #release(
    entry: LedgerEntry,
    { stan, transmittedAt }: { readonly stan: string; readonly transmittedAt: string },
    replacementAmount: number,
  ): string {
    const { authorized, reversed } = this.position(entry)
    const releasedAmount = Math.max(0, authorized - reversed - replacementAmount)
    const responseCode = releasedAmount > 0 && isLive(entry) ? '00' : noActionTaken
    const line = {
      event: 'reversal' as const,
      original: entry.key,
      stan,
      transmittedAt,
      responseCode,
      effective: false,
      releasedAmount: responseCode === '00' ? releasedAmount : 0,
    }
    this.#addReversal(line)
    this.#write(line)
    return responseCode
  }

  /**
   * Takes a capture advice of `original` and says its DE39: 00 taken (the same again: the same), 25
   * original not known, 12 it does not stand, 13 more than is left of it.
   */
  capture(
    original: RequestNumbers,
    advice: { readonly stan: string; readonly transmittedAt: string; readonly amount: number },
  ): string {
    const entry = this.#entries.get(requestKey(original))
    if (entry === undefined) return originalNotFound
    const { stan, transmittedAt, amount } = advice
    const same = entry.captures.find((it) => it.stan === stan && it.transmittedAt === transmittedAt)
    if (same !== undefined) {
      same.repeats++
      return same.responseCode
    }
    const { authorized, captured, reversed } = this.position(entry)
    const isWithin = amount <= authorized - captured - reversed
    const responseCode = !isLive(entry) ? invalidTransaction : isWithin ? '00' : invalidAmount
    const line = { event: 'capture' as const, original: entry.key, ...advice, responseCode }
    entry.captures.push({ stan, transmittedAt, amount, responseCode, repeats: 0 })
    this.#write(line)
    return responseCode
  }

  /** What a first request and all that followed it come to. */
  position(entry: LedgerEntry): Position {
    const steps = entry.steps.flatMap((key) => this.#entries.get(key) ?? [])
    return positionOf(entry, steps)
  }

  /** Takes back the lines of an earlier life; stops at the first that is not whole. */
  replay(text: string): { readonly lines: number; readonly cutBytes: number } {
    let lines = 0
    let position = 0
    while (position < text.length) {
      const end = text.indexOf('\n', position)
      if (end === -1) break
      const line = JSON.parse(text.slice(position, end)) as LedgerLine
      if (line.event === 'request') this.#add(line)
      else if (line.event === 'reversal') this.#addReversal(line)
      else if (line.event === 'capture') {
        const { event: _, original, ...facts } = line
        this.#entries.get(original)?.captures.push({ ...facts, repeats: 0 })
      } else {
        const entry = this.#entries.get(line.key)
        if (entry !== undefined) this.#repeat(entry)
      }
      lines++
      position = end + 1
    }
    return { lines, cutBytes: Buffer.byteLength(text.slice(position)) }
  }

  /** Entries whose sequence is above `after`, oldest first. */
  *entries(after = 0): Generator<LedgerEntry> {
    for (const entry of this.#entries.values()) if (entry.sequence > after) yield entry
  }

  summary(): LedgerSummary {
    return {
      sequence: this.#sequence,
      requests: this.#sequence,
      approvals: this.#approvals,
      declines: this.#sequence - this.#approvals,
      repeats: this.#repeats,
      reversals: this.#effectiveReversals,
      secondReversals: this.#secondReversals,
      partialReversals: this.#partialReversals,
      earlyReversals: this.#earlyReversals,
      liveApprovals: this.#liveApprovals,
      forgotten: this.#forgotten,
    }
  }

  #add(line: Extract<LedgerLine, { event: 'request' }>): LedgerEntry {
    const { event: _, ...facts } = line
    const reversals = this.#early.get(line.key) ?? []
    // Absent in what an older simulator wrote.
    const original = line.original ?? null
    const entry: LedgerEntry = {
      ...facts,
      original,
      repeats: 0,
      reversals,
      captures: [],
      steps: [],
    }
    if (original !== null) this.#entries.get(original)?.steps.push(line.key)
    this.#early.delete(line.key)
    this.#sequence = line.sequence
    if (line.approvalCode !== null) {
      this.#approvals++
      if (line.advice === undefined) this.#approvalNumber = Number.parseInt(line.approvalCode, 36)
      if (line.approvedAmount > 0) this.#liveApprovals++
    }
    this.#entries.set(line.key, entry)
    if (this.#entries.size > ledgerEntriesMax) this.#forget()
    return entry
  }

  #addReversal(line: Extract<LedgerLine, { event: 'reversal' }>): void {
    const { event: _, original, ...facts } = line
    const reversal: LedgerReversal = { ...facts, repeats: 0 }
    const entry = this.#entries.get(original)
    if (entry === undefined) {
      this.#earlyReversals++
      const list = this.#early.get(original)
      if (list !== undefined) list.push(reversal)
      else this.#early.set(original, [reversal])
      if (this.#early.size > earlyReversalsMax) this.#early.delete(firstKey(this.#early))
      return
    }
    if (reversal.releasedAmount !== undefined) {
      this.#partialReversals++
    } else if (reversal.effective) {
      this.#effectiveReversals++
      this.#liveApprovals--
    } else if (entry.reversals.length > 0) {
      this.#secondReversals++
    }
    entry.reversals.push(reversal)
  }

  #repeat(entry: LedgerEntry): void {
    entry.repeats++
    this.#repeats++
  }

  #forget(): void {
    this.#entries.delete(firstKey(this.#entries))
    this.#forgotten++
  }

  #write(line: LedgerLine): void {
    this.#options.append(`${JSON.stringify(line)}\n`)
  }

  /** Six characters of 0-9 and A-Z that no other approval of this ledger has. */
  #nextApprovalCode(): string {
    this.#approvalNumber = (this.#approvalNumber + approvalCodeStep) % approvalCodeSpace
    return this.#approvalNumber.toString(36).toUpperCase().padStart(6, '0')
  }

  #token(pan: string): string {
    const known = this.#tokens.get(pan)
    if (known !== undefined) return known
    const hash = createHmac('sha256', this.#options.tokenKey).update(pan).digest('hex')
    const token = hash.slice(0, 16)
    if (this.#tokens.size >= earlyReversalsMax) this.#tokens.delete(firstKey(this.#tokens))
    this.#tokens.set(pan, token)
    return token
  }
}

/** Money that is approved and not undone. An inquiry holds no money. */
export function isLive(
  entry: Pick<LedgerEntry, 'approvalCode' | 'approvedAmount' | 'reversals'>,
): boolean {
  if (entry.approvalCode === null || entry.approvedAmount === 0) return false
  return !entry.reversals.some((reversal) => reversal.effective)
}

/** What a first request comes to with the refunds and increments that name it. */
export function positionOf(entry: LedgerEntry, steps: readonly LedgerEntry[]): Position {
  const live = steps.filter(isLive)
  const isRefund = ({ processingCode }: LedgerEntry) => processingCode.startsWith(refundCode)
  const increments = sum(live.filter((step) => !isRefund(step)).map((step) => step.approvedAmount))
  const authorized = entry.approvedAmount + increments
  const released = sum(entry.reversals.map(({ releasedAmount }) => releasedAmount ?? 0))
  const taken = entry.captures.filter(({ responseCode }) => responseCode === '00')
  return {
    authorized,
    captured: sum(taken.map(({ amount }) => amount)),
    reversed: isLive(entry) ? released : authorized,
    refunded: sum(live.filter(isRefund).map((step) => step.approvedAmount)),
  }
}

function sum(amounts: readonly number[]): number {
  return amounts.reduce((total, amount) => total + amount, 0)
}

/** DE39 10 approves half, the way a prepaid card with too little on it would. */
function approvedAmount(responseCode: string, amount: number): number {
  if (!approvalCodes.has(responseCode)) return 0
  return responseCode === '10' ? Math.floor(amount / 2) : amount
}

function firstKey(map: ReadonlyMap<string, unknown>): string {
  return map.keys().next().value ?? ''
}
