// The messages between us and an issuer in the words of ISO 8583:1987: durable numbers in, fields
// out, and back. Pure functions; bytes are the dialect's, and what 1993 and 2003 say in other words
// is carried over by `messageIn` and `messageOf` on the link.
//
//   0100 0200   2 3 4 7 11 14 18 22 25 32 37 41 42 43 48 49; 90 in a refund and an increment; 62
//               where it names the first of a series;
//               23 35 45 52 53 55 as the acquirer sent them
//   0220 0221   2 3 4 7 11 18 22 25 32 37 38 41 42 43 49 90         a capture, a told refund
//   0120 0121 0220 0221   2 3 4 7 11 14 18 22 25 32 37 38 39 41 42 43 48 49; 62: what was decided
//               for it
//   0420 0421   2 3 4 7 11 18 22 25 32 37 41 42 43 49 90; 95 where a part is reversed
//   0800        7 11 70
//   0810        7 11 39 70
//
// Local time (DE12, DE13) and the approval code of a reversed approval are not in the durable
// attempt, so they are left out rather than invented; so is DE25 of an attempt from before it was
// kept. Why an advice was no request (DE25 of later editions) has no field of its own in 1987.

import {
  type FieldValue,
  FUNCTION_CODE,
  type IsoMessage,
  PREAUTHORIZATION_1987,
} from '../iso8583/index.ts'
import type { Attempt, QueuedMessage } from '../store/index.ts'
import {
  additionalDataIn,
  chipIn,
  chipOf,
  type DialectRoom,
  identifierIn,
  trackIn,
} from './dialect-room.ts'
import type { AnswerPassThrough, CardData, DeliveredCard, PassThrough } from './issuer.ts'

/** DE70 of ISO 8583:1987, as far as a link needs it. */
export const NETWORK_CODE = { signOn: '001', signOff: '002', echo: '301' } as const
export type NetworkCode = (typeof NETWORK_CODE)[keyof typeof NETWORK_CODE]

/** DE39 of a network management answer that says yes. */
export const NETWORK_APPROVED = '00'

/** What an answer says, in the terms that matching needs; absent text is empty, no amount is -1. */
export interface ParsedAnswer {
  readonly mti: string
  readonly amount: number
  readonly transmittedAt: string
  readonly stan: string
  readonly rrn: string
  readonly approvalCode: string
  readonly responseCode: string
  /** Without the padding. */
  readonly terminalId: string
  readonly currencyNumeric: string
  /** DE70. */
  readonly networkCode: string
  /** What is for the terminal; undefined where there is none. */
  readonly passThrough: AnswerPassThrough | undefined
}

/** 0100 or 0200 of an attempt. */
export function buildRequest(attempt: Attempt, card: CardData, room: DialectRoom): IsoMessage {
  const fields: (FieldValue | undefined)[] = new Array(63)
  fields[2] = card.pan.reveal()
  fields[3] = attempt.processingCode
  fields[4] = formatAmount(attempt.amount)
  fields[7] = attempt.transmittedAt
  fields[11] = attempt.stan
  fields[14] = card.expiry
  fillAttempt(fields, attempt, room)
  fields[37] = attempt.rrn
  fillOwn(fields, attempt, card.cvv, room)
  if (card.passThrough !== undefined) fillPassThrough(fields, card.passThrough, room)
  if (attempt.originalDataElements !== undefined) fields[90] = attempt.originalDataElements
  return { mti: attempt.mti, fields }
}

/** What an authorization says of itself, asked for or told, and no step of its payment does. */
function fillOwn(
  fields: (FieldValue | undefined)[],
  attempt: Attempt,
  cvv: string | undefined,
  room: DialectRoom,
): void {
  const isStep = attempt.originalDataElements !== undefined
  const reference = isStep ? undefined : attempt.initialReference
  const isPresent = !NOT_PRESENT.test(attempt.entryMode)
  fields[48] = additionalDataIn(room, cvv, reference, isPresent)
  fields[62] = identifierIn(room, reference)
  if (attempt.isPreauthorization === true && !isStep && room.edition.year !== 1987) {
    fields[24] = FUNCTION_CODE.preauthorization
  }
}

/** DE22: keyed in, on file, or e-commerce. */
const NOT_PRESENT = /^(01|10|81)/

/**
 * Each where the dialect has room for it. A PIN and what it is encrypted under are written in any
 * case: an issuer that can't be shown the PIN must not be asked, so the message can't be encoded.
 */
function fillPassThrough(
  fields: (FieldValue | undefined)[],
  { cardSequence, track2, track1, pinBlock, securityControl, chip }: PassThrough,
  room: DialectRoom,
): void {
  if (room.cardSequence) fields[23] = cardSequence
  if (track2 !== undefined) fields[35] = trackIn(room, track2)
  if (room.track1) fields[45] = track1
  fields[52] = pinBlock
  if (pinBlock !== undefined) fields[53] = securityControl
  if (chip !== undefined) fields[55] = chipIn(room, chip)
}

/** 0420, 0220 or 0120 of a queued message, 0421, ... as its repeat: nothing but the MTI differs. */
export function buildQueued(
  message: QueuedMessage,
  card: DeliveredCard,
  isRepeat: boolean,
  room: DialectRoom,
): IsoMessage {
  const original = message.original
  const fields: (FieldValue | undefined)[] = new Array(96)
  fields[2] = card.pan.reveal()
  fields[3] = message.processingCode ?? original.processingCode
  fields[4] = formatAmount(amountOf(message))
  fields[7] = message.transmittedAt
  fields[11] = message.stan
  fillAttempt(fields, original, room)
  fields[37] = message.rrn
  if (message.approvalCode !== undefined) fields[38] = message.approvalCode.padEnd(6)
  if (message.step === 'advice') {
    // It stands for itself: there is no request that the issuer could know.
    fields[14] = card.expiry
    fields[39] = message.responseCode
    fillOwn(fields, original, undefined, room)
    if (room.edition.year !== 1987) fields[25] = message.reasonCode ?? fields[25]
  } else fields[90] = originalDataElements(original)
  if (message.replacementAmount !== undefined) {
    fields[95] = formatReplacementAmounts(message.replacementAmount)
  }
  return { mti: isRepeat ? `${message.mti.slice(0, 3)}1` : message.mti, fields }
}

/** DE4 of a queued message, minor units. */
export function amountOf(message: QueuedMessage): number {
  return message.amount ?? message.original.amount
}

/**
 * DE95 (an 42) of ISO 8583:1987: the actual amount in the transaction's currency 12, in that of
 * settlement 12, two fees of sign and amount 9 each; we know the first, the rest is zeros.
 */
export function formatReplacementAmounts(amount: number): string {
  return formatAmount(amount) + '0'.repeat(30)
}

/** The fields that a request and its reversal share, as they were durable. */
function fillAttempt(
  fields: (FieldValue | undefined)[],
  attempt: Attempt,
  room: DialectRoom,
): void {
  if (attempt.mcc !== '') fields[18] = attempt.mcc
  if (attempt.entryMode !== '') fields[22] = attempt.entryMode.padEnd(room.entryModeDigits, '0')
  if (room.condition) fields[25] = conditionOf(attempt, room)
  if (attempt.acquiringInstitution !== '') fields[32] = attempt.acquiringInstitution
  if (attempt.terminalId !== '') fields[41] = attempt.terminalId.padEnd(8)
  if (attempt.merchantId !== '') fields[42] = attempt.merchantId.padEnd(15)
  if (attempt.merchantNameLocation !== '') fields[43] = attempt.merchantNameLocation.padEnd(40)
  fields[49] = attempt.currencyNumeric
}

/** DE25 of 1987. From 1993 on DE24 says pre-authorization, and DE22 says where the card was. */
function conditionOf(
  { mti, conditionCode, isPreauthorization }: Attempt,
  { edition }: DialectRoom,
): string | undefined {
  const isHold = isPreauthorization === true && mti.startsWith('01')
  return isHold && edition.year === 1987 ? PREAUTHORIZATION_1987 : conditionCode
}

/**
 * DE90 (n 42) of ISO 8583:1987: MTI 4, DE11 6, DE7 10, DE32 11, DE33 11, each institution
 * right-justified with zeros; we forward for nobody, so DE33 is zeros.
 */
export function originalDataElements(original: Attempt): string {
  const acquiring = original.acquiringInstitution.padStart(11, '0')
  return `${original.mti}${original.stan}${original.transmittedAt}${acquiring}00000000000`
}

/** 0800. */
export function buildNetworkRequest(
  code: NetworkCode,
  stan: string,
  transmittedAt: string,
): IsoMessage {
  const fields: (FieldValue | undefined)[] = new Array(71)
  fields[7] = transmittedAt
  fields[11] = stan
  fields[70] = code
  return { mti: '0800', fields }
}

/** 0810 to an issuer's own 0800, its numbers echoed. */
export function buildNetworkAnswer(request: IsoMessage, responseCode: string): IsoMessage {
  const fields: (FieldValue | undefined)[] = new Array(71)
  fields[7] = request.fields[7]
  fields[11] = request.fields[11]
  fields[39] = responseCode
  fields[70] = request.fields[70]
  return { mti: '0810', fields }
}

/**
 * What an answer (0110, 0210, 0230, 0430, 0810) says. Never throws: what is absent matches nothing.
 */
export function parseAnswer(message: IsoMessage): ParsedAnswer {
  return {
    mti: message.mti,
    amount: parseAmount(textOf(message, 4)),
    transmittedAt: textOf(message, 7),
    stan: textOf(message, 11),
    rrn: textOf(message, 37),
    approvalCode: textOf(message, 38).trimEnd(),
    responseCode: textOf(message, 39),
    terminalId: textOf(message, 41).trimEnd(),
    currencyNumeric: textOf(message, 49),
    networkCode: textOf(message, 70),
    passThrough: passThroughOf(message),
  }
}

function passThroughOf(message: IsoMessage): AnswerPassThrough | undefined {
  const chip = message.fields[55]
  const additionalAmounts = textOf(message, 54)
  if (chip === undefined && additionalAmounts === '') return undefined
  return {
    ...(chip === undefined ? {} : { chip: chipOf(chip) }),
    ...(additionalAmounts === '' ? {} : { additionalAmounts }),
  }
}

/** The text of a field; empty where it is absent or has parts. */
export function textOf(message: IsoMessage, field: number): string {
  const value = message.fields[field]
  return typeof value === 'string' ? value : ''
}

/** DE4 (n 12). */
function formatAmount(amount: number): string {
  return String(amount).padStart(12, '0')
}

/** Minor units of DE4, or -1. */
function parseAmount(text: string): number {
  return /^[0-9]{12}$/.test(text) ? Number(text) : -1
}
