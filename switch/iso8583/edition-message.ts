// A message carried over between the words of 1987, in which the switch thinks, and those of 1993
// and 2003. Only what the switch reads or writes is carried: a number may mean something else in
// another edition, so what nobody knows is left behind.
//
//                       1987            1993                2003
//   amount, currency    4, 49           4, 49               4: currency 3, exponent 1, amount 12
//   when                7, 12, 13       7, 12               7, 12
//   merchant            18, 43 n+c+c    26, 43 with \       26, 43 in parts
//   how, where          22, 25          22                  22
//   what for            3, 25 06        24                  24
//   card's own code     48 tag 92       48 tag 92           49 part 2
//   what stands         4, 95           4 stands, 30 was    4 stands, 30 was
//   original            90              56                  56
//   network             70              24                  24

import { currencyByNumeric } from '#rules'
import { actionCodeIn, responseCodeOf } from './action-codes.ts'
import {
  EDITIONS,
  type Edition,
  formatOriginal,
  momentOf,
  mtiIn,
  mtiOf,
  networkCodeIn,
  networkCodeOf,
  parseOriginal,
  sentAtIn,
} from './edition.ts'
import { pointOfServiceIn, pointOfServiceOf } from './entry-mode.ts'
import type { FieldValue, IsoMessage } from './message.ts'

type Fields = (FieldValue | undefined)[]

/** The same number means the same in every edition. */
const SAME = [
  2, 3, 7, 14, 23, 32, 33, 35, 36, 37, 38, 41, 42, 45, 48, 52, 53, 54, 55, 59, 60, 61, 62, 63, 64,
  102, 103, 128,
] as const

/** DE24 of 1993 and 2003: what the message is for. */
export const FUNCTION_CODE = {
  authorization: '100',
  preauthorization: '101',
  increment: '106',
  inquiry: '108',
  financial: '200',
  completion: '201',
  completionOfAnother: '202',
  fullReversal: '400',
  partialReversal: '401',
} as const

/** Estimated amounts: an authorization that is to be completed or made bigger. */
const ESTIMATED: ReadonlySet<string> = new Set(['101', '103', '105', '107'])
/** Supplementary authorizations. */
const INCREMENTS: ReadonlySet<string> = new Set(['106', '107'])

/** DE25. */
export const PREAUTHORIZATION_1987 = '06'

/** DE95 of 1987: n 12 what the amount really was, then 30 that we have no use for. */
const REPLACEMENT_REST = '0'.repeat(30)

/**
 * A message in the words of 1987 as an edition writes it. `nowMs` (milliseconds since 1970) gives
 * dates their year. DE24 of three and DE25 of four digits are taken as they are, where the sender
 * knows better than what the rest says.
 */
export function messageIn(edition: Edition, message: IsoMessage, nowMs: number): IsoMessage {
  if (edition.year === 1987) return message
  const { year } = edition
  const from = message.fields
  const to: Fields = new Array(129)
  for (const field of SAME) to[field] = from[field]
  to[11] = padded(from[11], edition.traceDigits)
  to[12] = sentAtOf(edition, from, nowMs)
  to[26] = from[18]
  const entryMode = textOf(from[22])
  const condition = textOf(from[25])
  if (entryMode !== '') to[22] = pointOfServiceIn(year, { entryMode, condition })
  to[24] = functionCodeOf(edition, message)
  if (condition.length === 4) to[25] = condition
  if (from[39] !== undefined) to[39] = actionCodeIn(edition, textOf(from[39]), message.mti)
  to[43] = placeIn(edition, from[43])
  to[56] = originalIn(edition, message, nowMs)
  writeAmounts(edition, from, to)
  if (year === 2003) writeLongFields(from, to)
  return { mti: mtiIn(edition, message.mti), fields: to }
}

/** A message of an edition in the words of 1987. Never throws: what can't be carried is absent. */
export function messageOf(edition: Edition, message: IsoMessage): IsoMessage {
  if (edition.year === 1987) return message
  const { year } = edition
  const mti = mtiOf(message.mti)
  const from = message.fields
  const to: Fields = new Array(129)
  for (const field of SAME) to[field] = from[field]
  to[11] = year === 2003 ? textOf(from[11]).replace(/^0{6}(?=[0-9]{6}$)/, '') : from[11]
  if (to[11] === '') to[11] = undefined
  const sentAt = textOf(from[12])
  if (sentAt.length === edition.sentAtDigits) {
    to[7] ??= sentAt.slice(-10)
    to[12] = sentAt.slice(-6)
    to[13] = sentAt.slice(-10, -6)
  }
  to[18] = from[26]
  if (from[22] !== undefined) {
    const { entryMode, condition } = pointOfServiceOf(year, textOf(from[22]))
    to[22] = entryMode
    to[25] = condition
  }
  const functionCode = textOf(from[24])
  if (ESTIMATED.has(functionCode)) to[25] = PREAUTHORIZATION_1987
  if (mti[1] === '8') to[70] = networkCodeOf(edition, functionCode)
  if (from[39] !== undefined) to[39] = responseCodeOf(edition, textOf(from[39]))
  to[43] = placeOf(edition, from[43])
  to[90] = originalOf(edition, message)
  readAmounts(edition, functionCode, from, to)
  if (year === 2003) readLongFields(from, to)
  return { mti, fields: to }
}

/** Whether a message of 1993 or 2003 says that it makes an authorization bigger. */
export function isIncrement(edition: Edition, message: IsoMessage): boolean {
  return edition.year !== 1987 && INCREMENTS.has(textOf(message.fields[24]))
}

/** An answer has one only where it echoes it, and in network management. */
function functionCodeOf(edition: Edition, { mti, fields }: IsoMessage): string | undefined {
  const given = textOf(fields[24])
  if (given.length === 3) return given
  if (mti[1] === '8') return networkCodeIn(edition, textOf(fields[70]))
  if (Number(mti[2]) % 2 === 1) return undefined
  const namesOriginal = fields[90] !== undefined
  const type = textOf(fields[3]).slice(0, 2)
  if (mti[1] === '4') {
    return fields[95] === undefined ? FUNCTION_CODE.fullReversal : FUNCTION_CODE.partialReversal
  }
  if (mti[1] === '2') {
    const isCompletion = mti[2] === '2' && namesOriginal && type !== '20'
    return isCompletion ? FUNCTION_CODE.completion : FUNCTION_CODE.financial
  }
  if (type === '31' || type === '33') return FUNCTION_CODE.inquiry
  if (namesOriginal) return FUNCTION_CODE.increment
  return textOf(fields[25]) === PREAUTHORIZATION_1987
    ? FUNCTION_CODE.preauthorization
    : FUNCTION_CODE.authorization
}

/** Local time and date where they are known, else the time of transmission. */
function sentAtOf(edition: Edition, from: Fields, nowMs: number): string | undefined {
  const local = textOf(from[13]) + textOf(from[12])
  const at = momentOf(local.length === 10 ? local : textOf(from[7]), nowMs)
  return at === undefined ? undefined : sentAtIn(edition, at)
}

function originalIn(edition: Edition, message: IsoMessage, nowMs: number): string | undefined {
  const original = parseOriginal(EDITIONS[1987], message)
  if (original === undefined) return undefined
  const at = momentOf(original.sentAt, nowMs)
  if (at === undefined) return undefined
  return formatOriginal(edition, { ...original, sentAt: sentAtIn(edition, at) })
}

function originalOf(edition: Edition, message: IsoMessage): string | undefined {
  const original = parseOriginal(edition, message)
  if (original === undefined) return undefined
  const { mti, stan, sentAt, acquiringInstitution } = original
  return formatOriginal(EDITIONS[1987], {
    mti,
    stan: stan.slice(-6),
    sentAt: sentAt.slice(-10),
    acquiringInstitution,
  })
}

function writeAmounts(edition: Edition, from: Fields, to: Fields): void {
  const amount = textOf(from[4])
  const currency = textOf(from[49])
  const stands = textOf(from[95]).slice(0, 12)
  const write = (digits: string) => amountIn(edition, digits, currency)
  if (edition.year === 1993) to[49] = from[49]
  if (amount === '') return
  to[4] = write(stands === '' ? amount : stands)
  if (stands !== '') to[30] = write(amount) + write('0'.repeat(12))
}

function amountIn({ year }: Edition, digits: string, currency: string): string {
  if (year !== 2003) return digits
  return `${currency}${currencyByNumeric(currency)?.exponent ?? 0}${digits}`
}

/**
 * What DE4 is, and what DE30 says it was: of the two the bigger one was there first, whichever
 * side a partner has it on. DE4 alone is all there is to it.
 */
function readAmounts(edition: Edition, functionCode: string, from: Fields, to: Fields): void {
  const unit = edition.year === 2003 ? 16 : 12
  const amount = textOf(from[4]).slice(-12)
  to[49] = edition.year === 2003 ? textOf(from[4]).slice(0, 3) : from[49]
  if (to[49] === '') to[49] = undefined
  if (amount === '') return
  to[4] = amount
  const other = textOf(from[30]).slice(0, unit).slice(-12)
  const isPartial = functionCode === FUNCTION_CODE.partialReversal
  if (!isPartial || !/^[0-9]{12}$/.test(other) || other === amount) return
  const [stands, was] = other < amount ? [other, amount] : [amount, other]
  to[4] = was
  to[95] = stands + REPLACEMENT_REST
}

/** 1987: name 25, city 13, country 2. */
function placeIn({ year }: Edition, field: FieldValue | undefined): FieldValue | undefined {
  const text = textOf(field)
  if (text === '') return undefined
  const name = text.slice(0, 25).trim()
  const city = text.slice(25, 38).trim()
  const country = text.slice(38, 40)
  if (year === 1993) return `${name}\\\\${city}\\${' '.repeat(13)}${country.padEnd(3)}`
  return new Map([
    ['2', name],
    ['4', city],
    ['7', country.padEnd(3)],
  ])
}

/** A country of three letters has no place in 1987's two, and is left out. */
function placeOf({ year }: Edition, field: FieldValue | undefined): string | undefined {
  if (field === undefined) return undefined
  const parts = typeof field === 'string' ? field.split('\\') : []
  if (year === 1993 && parts.length < 4) return typeof field === 'string' ? field : undefined
  const of = (key: string) => (typeof field === 'string' ? '' : textOf(field.get(key)))
  const [name, city, country] =
    year === 1993
      ? [parts[0] ?? '', parts[2] ?? '', (parts[3] ?? '').slice(-3)]
      : [of('2'), of('4'), of('7')]
  const letters = country.trim()
  return (
    name.trim().slice(0, 25).padEnd(25) +
    city.trim().slice(0, 13).padEnd(13) +
    (letters.length === 2 ? letters : '  ')
  )
}

/** 2003 has longer names for terminal and merchant, and a place for the card's own code. */
function writeLongFields(from: Fields, to: Fields): void {
  if (from[41] !== undefined) to[41] = textOf(from[41]).padEnd(16)
  if (from[42] !== undefined) to[42] = textOf(from[42]).trimEnd()
  const code = /^92(?:03([0-9]{3})|04([0-9]{4}))/.exec(textOf(from[48]))
  if (code === null) return
  to[48] = textOf(from[48]).slice(code[0].length) || undefined
  to[49] = new Map([['2', code[1] ?? code[2] ?? '']])
}

function readLongFields(from: Fields, to: Fields): void {
  if (from[41] !== undefined) to[41] = textOf(from[41]).trimEnd().padEnd(8)
  if (from[42] !== undefined) to[42] = textOf(from[42]).trimEnd().padEnd(15)
  const verification = from[49]
  if (verification === undefined || typeof verification === 'string') return
  const code = textOf(verification.get('2'))
  if (code === '') return
  to[48] = `92${String(code.length).padStart(2, '0')}${code}${textOf(from[48])}`
}

function padded(value: FieldValue | undefined, digits: number): FieldValue | undefined {
  return typeof value === 'string' ? value.padStart(digits, '0') : value
}

function textOf(value: FieldValue | undefined): string {
  return typeof value === 'string' ? value : ''
}
