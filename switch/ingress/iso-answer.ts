// What an acquirer's ISO 8583 message is answered: its own numbers back, our DE39, in its edition.

import { ERRORS, type ErrorCode, type ErrorKind } from '../errors.ts'
import { type FieldValue, type IsoMessage, messageIn } from '../iso8583/index.ts'
import { chipIn, type DialectRoom } from '../issuers/index.ts'
import type { Reply } from '../respond.ts'
import { type Received, text } from './iso-received.ts'

/** DE39 that the listener itself gives. */
export const ISO_CODE = {
  approved: '00',
  merchant: '03',
  transaction: '12',
  format: '30',
  unavailable: '91',
  fault: '96',
} as const

/**
 * DE39 of a refusal that has none of its own. Null: not answered at all, because the outcome isn't
 * known, and whatever DE39 said would be taken for it.
 */
const REFUSAL_CODES: Readonly<Partial<Record<ErrorCode, string | null>>> = {
  invalid_pan: '14',
  invalid_amount: '13',
  invalid_expiry: ISO_CODE.format,
  idempotency_key_reused: '94',
  overloaded: ISO_CODE.unavailable,
  draining: ISO_CODE.unavailable,
  store_unavailable: ISO_CODE.unavailable,
  outcome_unknown: null,
  idempotency_key_in_progress: null,
  authorization_in_progress: null,
}

/** Fields that an answer repeats as they came. Card data only where the network's rules want it. */
const ECHOED_1987 = [2, 3, 4, 7, 11, 12, 13, 32, 37, 41, 42, 49, 70] as const
/** DE24 only in network management, where it says what is answered. */
const ECHOED_LATER = [2, 3, 4, 7, 11, 12, 32, 37, 41, 42, 49] as const

/** Whether a message asks for something, or answers. */
export function isRequest(mti: string): boolean {
  return Number(mti[2]) % 2 === 0
}

/** 0110 to 0100 and to its repeat 0101; 0432 to an issuer's 0422. */
export function answerMti(mti: string): string {
  return `${mti.slice(0, 2)}${Number(mti[2]) + 1}${Number(mti[3]) & ~1}`
}

/** `more`, in the words of 1987, stands over what is echoed. */
export function answerTo(
  { edition, raw, message }: Received,
  responseCode: string,
  more: Readonly<Record<number, FieldValue>> = {},
): IsoMessage {
  const fields: (FieldValue | undefined)[] = new Array(129)
  for (const field of ECHOED_1987) fields[field] = message.fields[field]
  fields[39] = responseCode
  for (const [field, value] of Object.entries(more)) fields[Number(field)] = value
  const mti = answerMti(message.mti)
  if (edition.year === 1987) return { mti, fields }
  const answer = messageIn(edition, { mti, fields }, 0)
  // As they came: a date or an amount that was read and written again may look different.
  for (const field of ECHOED_LATER) {
    if (more[field] === undefined) answer.fields[field] = raw.fields[field]
  }
  // 2003 has the card's own code in DE49, which goes back to nobody.
  if (edition.year === 2003) answer.fields[49] = undefined
  if (more[4] !== undefined) answer.fields[30] = originalAmount(raw)
  return answer
}

/** DE39 of an edition as it is, where its table has no word of 1987 for it. */
export function answerWithCode(to: Received, code: string): IsoMessage {
  const answer = answerTo(to, ISO_CODE.fault)
  answer.fields[39] = code
  return answer
}

/** DE30 of a partial approval: what was asked for; the half for reconciliation is zeros. */
function originalAmount(raw: IsoMessage): string {
  const amount = text(raw.fields[4])
  return amount + (amount.length === 16 ? amount.slice(0, 4) : '') + '0'.repeat(12)
}

/** The answer to what was asked; undefined where there must be none. */
export function answerReply(to: Received, reply: Reply, room: DialectRoom): IsoMessage | undefined {
  if (reply.kind === 'refused') {
    const code = refusalCode(reply.code)
    // Accepted durably, or not answered: its sender goes on repeating, and nothing is lost.
    const isForNow = code === ISO_CODE.unavailable || reply.code === 'payment_in_progress'
    const mustNotFail = isAccepted(to.message.mti) && isForNow
    return code === null || mustNotFail ? undefined : answerTo(to, code)
  }
  const { amount, requestedAmount, approvalCode, responseCode, rrn } = reply.body
  const more: Record<number, FieldValue> = {}
  if (typeof amount === 'number' && requestedAmount !== undefined) {
    more[4] = String(amount).padStart(12, '0')
  }
  if (typeof approvalCode === 'string') more[38] = approvalCode.padEnd(6)
  // Ours where it sent none, so that it can be asked about.
  if (to.message.fields[37] === undefined && typeof rrn === 'string') more[37] = rrn
  const { chip, additionalAmounts } = reply.passThrough ?? {}
  if (additionalAmounts !== undefined) more[54] = additionalAmounts
  const chipHere = chip === undefined ? undefined : chipIn(room, chip)
  if (chipHere !== undefined) more[55] = chipHere
  return answerTo(to, String(responseCode), more)
}

/** Reversals and advices: told, not asked. */
export function isAccepted(mti: string): boolean {
  return /^0(?:[12]2|4[02])/.test(mti)
}

/** 30, format error, unless the refusal has a code of its own. */
export function refusalCode(code: ErrorCode): string | null {
  const own = REFUSAL_CODES[code]
  if (own !== undefined) return own
  const kind: ErrorKind = ERRORS[code]
  return kind.responseCode ?? ISO_CODE.format
}
