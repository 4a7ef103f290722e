// What an acquirer's ISO 8583:1987 message is answered: its own numbers back, our DE39.

import type { ErrorCode } from '../errors.ts'
import type { FieldValue, IsoMessage } from '../iso8583/index.ts'
import type { Reply } from '../respond.ts'

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
 * DE39 of each refusal. Null: not answered at all, because the outcome isn't known, and whatever
 * DE39 said would be taken for it.
 */
const REFUSAL_CODES: Readonly<Partial<Record<ErrorCode, string | null>>> = {
  invalid_pan: '14',
  invalid_amount: '13',
  idempotency_key_reused: '94',
  overloaded: ISO_CODE.unavailable,
  draining: ISO_CODE.unavailable,
  store_unavailable: ISO_CODE.unavailable,
  outcome_unknown: null,
  idempotency_key_in_progress: null,
  authorization_in_progress: null,
}

/** Fields that an answer repeats as they came. Card data only where the network's rules want it. */
const ECHOED = [2, 3, 4, 7, 11, 12, 13, 32, 37, 41, 42, 49, 70] as const

/** Whether a message asks for something, or answers. */
export function isRequest(mti: string): boolean {
  return Number(mti[2]) % 2 === 0
}

/** 0110 to 0100 and to its repeat 0101; 0432 to an issuer's 0422. */
export function answerMti(mti: string): string {
  return `${mti.slice(0, 2)}${Number(mti[2]) + 1}${Number(mti[3]) & ~1}`
}

/** `more` stands over what is echoed. */
export function answerTo(
  request: IsoMessage,
  responseCode: string,
  more: Readonly<Record<number, string>> = {},
): IsoMessage {
  const fields: (FieldValue | undefined)[] = new Array(71)
  for (const field of ECHOED) fields[field] = request.fields[field]
  fields[39] = responseCode
  for (const [field, value] of Object.entries(more)) fields[Number(field)] = value
  return { mti: answerMti(request.mti), fields }
}

/** The answer to an authorization; undefined where there must be none. */
export function answerReply(request: IsoMessage, reply: Reply): IsoMessage | undefined {
  if (reply.kind === 'refused') {
    const code = refusalCode(reply.code)
    return code === null ? undefined : answerTo(request, code)
  }
  const { amount, approvalCode, responseCode, rrn } = reply.body
  const more: Record<number, string> = {}
  if (typeof amount === 'number' && request.fields[4] !== undefined) {
    more[4] = String(amount).padStart(12, '0')
  }
  if (typeof approvalCode === 'string') more[38] = approvalCode.padEnd(6)
  // Ours where it sent none, so that it can be asked about.
  if (request.fields[37] === undefined && typeof rrn === 'string') more[37] = rrn
  return answerTo(request, String(responseCode), more)
}

/** 30, format error, unless the refusal has a code of its own. */
export function refusalCode(code: ErrorCode): string | null {
  const own = REFUSAL_CODES[code]
  return own === undefined ? ISO_CODE.format : own
}
