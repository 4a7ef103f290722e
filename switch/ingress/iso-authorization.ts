// An authorization between ISO 8583:1987 and the fields that HTTP has for it: 0100, 0200, and their
// repeats 0101, 0201.
//
//   2 PAN, or 35 track 2        4 amount   49 currency    18 MCC   22 entry mode   25 condition
//   3 transaction type          7 11 37 the acquirer's numbers     32 institution
//   14 expiry                   41 terminal   42 merchant   43 name and place   48 the card's code
//
// What is read goes through the same checks as an HTTP body. Time and date where the card was (12,
// 13) are not kept: rules use the merchant's time zone. What ISO 8583 has no field for (device,
// customer, 3-D Secure) is absent, which rules see as unknown.

import { currencyByCode, currencyByNumeric } from '#rules'
import type { Refusal } from '../errors.ts'
import { refuse } from '../errors.ts'
import type { FieldValue, IsoMessage } from '../iso8583/index.ts'
import {
  type AuthorizationBody,
  type AuthorizationRequest,
  type AuthorizationType,
  type Channel,
  type EntryMode,
  parseAuthorization,
} from '../message.ts'

export interface IsoAuthorization {
  readonly request: AuthorizationRequest
  /** First three MTI digits, DE11, DE7, DE32, DE41. No HTTP key can have its spaces. */
  readonly key: string
  /** DE3, DE4, DE49: what, besides DE2, makes a message with the same key the same. */
  readonly compared: readonly string[]
}

/** The acquirer's own numbers of one message. */
export interface IsoNumbers {
  /** DE11. */
  readonly stan: string
  /** DE7, MMDDhhmmss in UTC. */
  readonly transmittedAt: string
  /** DE32. */
  readonly institution: string
}

/** DE25. */
const CONDITION = {
  normal: '00',
  unattended: '02',
  preauthorization: '06',
  telephone: '07',
  mailOrder: '08',
  ecommerce: '59',
} as const

/** DE22, its first two digits: how the PAN was read. */
const READ_BY: Readonly<Record<string, EntryMode>> = {
  '01': 'manual',
  '02': 'magstripe',
  '05': 'chip',
  '07': 'contactless',
  '10': 'stored',
  '80': 'magstripe',
  '81': 'ecommerce',
  '90': 'magstripe',
  '91': 'contactless',
  '95': 'chip',
}

/** DE22 of an entry mode, as the issuers' side has it. */
const ENTRY_MODE_FIELD: Readonly<Record<EntryMode, string>> = {
  chip: '051',
  contactless: '071',
  magstripe: '901',
  manual: '010',
  ecommerce: '810',
  stored: '100',
}
const ENTRY_BY_CODE = '03'
const ENTRY_UNKNOWN = '000'

/** The MCC of automated cash disbursements. */
const MCC_ATM = '6011'

/** The year is the one that brings DE7 nearest to `nowMs` (milliseconds since 1970). */
export function readIsoAuthorization(
  message: IsoMessage,
  institution: string,
  nowMs: number,
): IsoAuthorization | Refusal {
  const text = (field: number) => textOf(message.fields[field])
  const stan = text(11)
  const sentAt = text(7)
  if (!/^[0-9]{6}$/.test(stan)) return refuse('missing_field', 'DE11 is required', '11')
  const transmittedAt = readTime(sentAt, nowMs)
  if (transmittedAt === undefined) return refuse('invalid_field', 'DE7 is no MMDDhhmmss', '7')
  const type = readType(message)
  if (type === undefined) return refuse('invalid_field', 'DE3 asks for what is not offered', '3')
  const amount = text(4) === '' ? '0' : text(4)
  const currency = currencyByNumeric(text(49))
  const mcc = text(18)
  const rrn = text(37)
  const terminalId = text(41).trim()
  const entryMode = READ_BY[text(22).slice(0, 2)]
  const body = {
    type,
    amount: Number(amount),
    // An unknown number is refused as an unknown currency is.
    currency: currency?.code ?? 'XXX',
    channel: readChannel(message, type, mcc),
    card: readCard(message),
    merchant: { id: text(42).trim(), mcc, ...readPlace(text(43)) },
    terminal: {
      ...(terminalId === '' ? {} : { id: terminalId }),
      ...(entryMode === undefined ? {} : { entryMode }),
    },
    stan,
    ...(rrn === '' ? {} : { rrn }),
    transmittedAt,
  }
  const request = parseAuthorization(body)
  if ('kind' in request) return request
  const parts = ['iso', message.mti.slice(0, 3), stan, sentAt, institution, text(41).trimEnd()]
  return { request, key: parts.join(' '), compared: [text(3), amount, text(49)] }
}

/** Writes what a test or a load run sends; undefined where ISO 8583:1987 can't say it. */
export function writeIsoAuthorization(
  body: AuthorizationBody,
  numbers: IsoNumbers,
): IsoMessage | undefined {
  const type = body.type ?? 'authorization'
  const entryMode = body.terminal?.entryMode
  const currency = currencyByCode(body.currency)
  if (body.card.pan === undefined || currency === undefined) return undefined
  const fields: (FieldValue | undefined)[] = new Array(50)
  fields[2] = body.card.pan
  fields[3] = PROCESSING_CODES[type]
  fields[4] = String(body.amount).padStart(12, '0')
  fields[7] = numbers.transmittedAt
  fields[11] = numbers.stan
  fields[14] = body.card.expiry
  fields[18] = body.merchant.mcc
  const otherwise = body.channel === 'qr' ? `${ENTRY_BY_CODE}0` : ENTRY_UNKNOWN
  fields[22] = entryMode === undefined ? otherwise : ENTRY_MODE_FIELD[entryMode]
  fields[25] =
    type === 'preauthorization' ? CONDITION.preauthorization : CONDITION_OF_CHANNEL[body.channel]
  fields[32] = numbers.institution
  fields[37] = body.rrn
  fields[41] = body.terminal?.id?.padEnd(8)
  fields[42] = body.merchant.id.padEnd(15)
  const { name, city, country } = body.merchant
  if (name !== undefined || city !== undefined || country !== undefined) {
    const part = (value: string | undefined, length: number) =>
      (value ?? '').slice(0, length).padEnd(length)
    fields[43] = part(name, 25) + part(city, 13) + part(country, 2)
  }
  if (body.card.cvv !== undefined) {
    fields[48] = `92${String(body.card.cvv.length).padStart(2, '0')}${body.card.cvv}`
  }
  fields[49] = currency.numeric
  const message = { mti: isFinancial(type) ? '0200' : '0100', fields }
  return readChannel(message, type, body.merchant.mcc) === body.channel ? message : undefined
}

const PROCESSING_CODES: Readonly<Record<AuthorizationType, string>> = {
  authorization: '000000',
  preauthorization: '000000',
  sale: '000000',
  cash_withdrawal: '010000',
  balance_inquiry: '310000',
  account_verification: '330000',
}

const CONDITION_OF_CHANNEL: Readonly<Record<Channel, string>> = {
  pos: CONDITION.normal,
  ecommerce: CONDITION.ecommerce,
  atm: CONDITION.unattended,
  moto: CONDITION.mailOrder,
  recurring: CONDITION.normal,
  qr: CONDITION.normal,
}

function isFinancial(type: AuthorizationType): boolean {
  return type === 'sale' || type === 'cash_withdrawal'
}

/** DE3, its first two digits, with the MTI and DE25. */
function readType(message: IsoMessage): AuthorizationType | undefined {
  switch (textOf(message.fields[3]).slice(0, 2)) {
    case '00':
      if (message.mti.startsWith('02')) return 'sale'
      return textOf(message.fields[25]) === CONDITION.preauthorization
        ? 'preauthorization'
        : 'authorization'
    case '01':
      return 'cash_withdrawal'
    case '31':
      return 'balance_inquiry'
    case '33':
      return 'account_verification'
    default:
      return undefined
  }
}

/** DE25 where it says so, else DE22, else what DE18 and DE3 suggest. */
function readChannel(message: IsoMessage, type: AuthorizationType, mcc: string): Channel {
  const condition = textOf(message.fields[25])
  if (condition === CONDITION.ecommerce) return 'ecommerce'
  if (condition === CONDITION.mailOrder || condition === CONDITION.telephone) return 'moto'
  const readBy = textOf(message.fields[22]).slice(0, 2)
  if (readBy === '81') return 'ecommerce'
  if (readBy === '10') return 'recurring'
  if (readBy === ENTRY_BY_CODE) return 'qr'
  const isUnattendedCash = condition === CONDITION.unattended && type === 'cash_withdrawal'
  return mcc === MCC_ATM || isUnattendedCash ? 'atm' : 'pos'
}

/** DE2 and DE14, or what track 2 (DE35) says: PAN, `=` or `D`, YYMM. */
function readCard(message: IsoMessage): AuthorizationBody['card'] {
  const track = /^([0-9]{12,19})[=D]([0-9]{4})/.exec(textOf(message.fields[35]))
  const pan = textOf(message.fields[2]) || track?.[1]
  const expiry = textOf(message.fields[14]) || track?.[2]
  const cvv = readCardCode(message.fields[48])
  return {
    ...(pan === undefined ? {} : { pan }),
    ...(expiry === undefined ? {} : { expiry }),
    ...(cvv === undefined ? {} : { cvv }),
  }
}

/** DE48, subelement 92: as text in tag, length, value, or as a dialect has divided it. */
function readCardCode(field: FieldValue | undefined): string | undefined {
  if (field === undefined) return undefined
  if (typeof field !== 'string') {
    const value = field.get('92')
    return typeof value === 'string' && /^[0-9]{3,4}$/.test(value) ? value : undefined
  }
  return /^92(?:03([0-9]{3})|04([0-9]{4}))$/.exec(field)?.slice(1).find(Boolean)
}

/** DE43 of ISO 8583:1987: name 25, city 13, country 2. A part that is not usable is left out. */
function readPlace(field: string): { name?: string; city?: string; country?: string } {
  const name = field.slice(0, 25).trim()
  const city = field.slice(25, 38).trim()
  const country = field.slice(38, 40)
  return {
    ...(name === '' ? {} : { name }),
    ...(city === '' ? {} : { city }),
    ...(/^[A-Z]{2}$/.test(country) ? { country } : {}),
  }
}

/** MMDDhhmmss in UTC, in the year that brings it nearest to now, as ISO 8601. */
function readTime(field: string, nowMs: number): string | undefined {
  const parts = /^(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)$/.exec(field)
  if (parts === null) return undefined
  const [month = 0, day = 0, hour = 0, minute = 0, second = 0] = parts.slice(1).map(Number)
  const thisYear = new Date(nowMs).getUTCFullYear()
  let nearest: number | undefined
  for (const year of [thisYear - 1, thisYear, thisYear + 1]) {
    const at = Date.UTC(year, month - 1, day, hour, minute, second)
    const exact = new Date(at)
    const isDate = exact.getUTCMonth() === month - 1 && exact.getUTCDate() === day
    if (!isDate || hour > 23 || minute > 59 || second > 59) continue
    if (nearest === undefined || Math.abs(at - nowMs) < Math.abs(nearest - nowMs)) nearest = at
  }
  return nearest === undefined ? undefined : new Date(nearest).toISOString().replace('.000', '')
}

function textOf(value: FieldValue | undefined): string {
  return typeof value === 'string' ? value : ''
}
