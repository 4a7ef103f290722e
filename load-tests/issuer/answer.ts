// What an issuer answers to one message, in the words of ISO 8583:1987 whatever dialect or JSON it
// came in. Pure but for the ledger, which it writes.

import type { FieldValue, IsoMessage } from '#switch'
import type { Ledger, LedgerRequest, RequestNumbers } from './ledger.ts'

/** DE3, first two digits. */
const refundCode = '20'

/** Fields that an answer repeats: what the switch matches by, and what identifies the card. */
const echoedFields = [2, 3, 4, 7, 11, 32, 37, 41, 42, 49, 55] as const

export type AnswerResult =
  | { readonly kind: 'answer'; readonly message: IsoMessage }
  /** Not something that an issuer answers: an answer, or a class that it does not know. */
  | { readonly kind: 'ignored'; readonly mti: string }

/** Answers `message`; `responseCode` is asked only for a request that the ledger has not seen. */
export function answerTo(
  message: IsoMessage,
  ledger: Ledger,
  responseCode: (amount: number) => string,
): AnswerResult {
  switch (message.mti.slice(0, 3)) {
    case '010':
    case '020':
      return answerRequest(message, ledger, responseCode)
    case '012':
    case '022':
      return answerAdvice(message, ledger)
    case '040':
    case '042':
      return answerReversal(message, ledger)
    case '080':
      return answerNetwork(message)
    default:
      return { kind: 'ignored', mti: message.mti }
  }
}

function answerRequest(
  message: IsoMessage,
  ledger: Ledger,
  responseCode: (amount: number) => string,
): AnswerResult {
  const amount = Number(text(message, 4))
  const entry = ledger.decide(requestIn(message), responseCode(amount))
  const answer = echo(message)
  if (entry.approvalCode !== null) {
    answer.fields[38] = entry.approvalCode
    answer.fields[4] = String(entry.approvedAmount).padStart(12, '0')
  }
  answer.fields[39] = entry.responseCode
  return { kind: 'answer', message: answer }
}

/** A no to an advice, whatever it says. */
export function refusalOf(message: IsoMessage): AnswerResult {
  const answer = echo(message)
  answer.fields[39] = '05'
  return { kind: 'answer', message: answer }
}

function requestIn(message: IsoMessage): LedgerRequest {
  return {
    mti: message.mti,
    stan: text(message, 11),
    transmittedAt: text(message, 7),
    acquiringInstitution: text(message, 32),
    rrn: text(message, 37),
    processingCode: text(message, 3),
    amount: Number(text(message, 4)),
    currency: text(message, 49),
    terminalId: text(message, 41).trimEnd(),
    merchantId: text(message, 42).trimEnd(),
    pan: text(message, 2),
    ...(message.fields[25] === undefined ? {} : { conditionCode: text(message, 25) }),
    original: parseOriginal(text(message, 90)) ?? null,
  }
}

function answerReversal(message: IsoMessage, ledger: Ledger): AnswerResult {
  const answer = echo(message)
  const original = parseOriginal(text(message, 90))
  answer.fields[39] =
    original === undefined
      ? '30'
      : ledger.reverse(
          original,
          { stan: text(message, 11), transmittedAt: text(message, 7) },
          parseReplacement(text(message, 95)),
        )
  return { kind: 'answer', message: answer }
}

/** With DE90 it captures or refunds what that names; with DE39 it tells what was decided. */
function answerAdvice(message: IsoMessage, ledger: Ledger): AnswerResult {
  const answer = echo(message)
  const original = parseOriginal(text(message, 90))
  const decided = text(message, 39)
  // Without an original it tells what was decided in our place, which DE39 says.
  answer.fields[39] =
    original === undefined
      ? decided === ''
        ? '30'
        : ledger.advise(requestIn(message), decided, text(message, 38).trimEnd())
      : text(message, 3).startsWith(refundCode)
        ? ledger.advise(requestIn(message), '00', '')
        : ledger.capture(original, {
            stan: text(message, 11),
            transmittedAt: text(message, 7),
            amount: Number(text(message, 4)),
          })
  return { kind: 'answer', message: answer }
}

/** DE95: its first twelve digits are the amount that is to stand; null where it is absent. */
function parseReplacement(replacementAmounts: string): number | null {
  return /^[0-9]{12}/.test(replacementAmounts) ? Number(replacementAmounts.slice(0, 12)) : null
}

function answerNetwork(message: IsoMessage): AnswerResult {
  const answer = echo(message)
  if (message.fields[70] !== undefined) answer.fields[70] = message.fields[70]
  answer.fields[39] = '00'
  return { kind: 'answer', message: answer }
}

/** DE90, 42 digits: MTI 4, DE11 6, DE7 10, DE32 11, DE33 11 (ISO 8583:1987). */
export function parseOriginal(originalDataElements: string): RequestNumbers | undefined {
  if (!/^[0-9]{42}$/.test(originalDataElements)) return undefined
  return {
    mti: originalDataElements.slice(0, 4),
    stan: originalDataElements.slice(4, 10),
    transmittedAt: originalDataElements.slice(10, 20),
    acquiringInstitution: originalDataElements.slice(20, 31),
  }
}

function echo(message: IsoMessage): IsoMessage {
  const fields: (FieldValue | undefined)[] = []
  for (const field of echoedFields) {
    const value = message.fields[field]
    if (value !== undefined) fields[field] = value
  }
  return { mti: answerMti(message.mti), fields }
}

/** 0100 and its repeat 0101 are answered 0110; 0420 and 0421 by 0430, 0220 by 0230, ... */
function answerMti(mti: string): string {
  return `${mti.slice(0, 2)}${Number(mti[2]) + 1}0`
}

function text(message: IsoMessage, field: number): string {
  const value = message.fields[field]
  return typeof value === 'string' ? value : ''
}
