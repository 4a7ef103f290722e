// An authorization between ISO 8583 and the fields that HTTP has for it: 0100, 0200, and their
// repeats 0101, 0201.
//
//   2 PAN, or 35 track 2        4 amount   49 currency    18 MCC   22 entry mode   25 condition
//   3 transaction type          7 11 37 the acquirer's numbers     32 institution
//   14 expiry                   41 terminal   42 merchant   43 name and place
//   48 tag 92 the card's code, tag 63 (or 62 part 2) the first transaction of a recurring series
//
// What is read goes through the same checks as an HTTP body. Time and date where the card was (12,
// 13) are not kept: rules use the merchant's time zone. What ISO 8583 has no field for (device,
// customer, 3-D Secure) is absent, which rules see as unknown. Editions of 1993 and 2003 are read
// in the words of 1987 (iso8583/edition-message.ts). What is for the issuer only (DE23, 35, 45, 52,
// 53, 55) is taken along in memory, beside the card.

import { currencyByCode, currencyByNumeric } from '#rules'
import { WIRE_CONDITIONS, WIRE_ENTRY_MODES, WIRE_KINDS } from '../claim.ts'
import type { Refusal } from '../errors.ts'
import { refuse } from '../errors.ts'
import {
  type FieldValue,
  type IsoMessage,
  momentOf,
  PREAUTHORIZATION_1987,
} from '../iso8583/index.ts'
import type { PassThrough } from '../issuers/index.ts'
import {
  type AuthorizationBody,
  type AuthorizationRequest,
  type AuthorizationType,
  type Channel,
  type EntryMode,
  parseAuthorization,
} from '../message.ts'
import { keyOf, type Received, text, textOf } from './iso-received.ts'

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

/** DE25, where no channel of ours has it. */
const TELEPHONE = '07'

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

const ENTRY_BY_CODE = '03'
const ENTRY_UNKNOWN = '000'

/** The MCC of automated cash disbursements. */
const MCC_ATM = '6011'

/** The year is the one that brings DE7 nearest to `nowMs` (milliseconds since 1970). */
export function readIsoAuthorization(
  message: Received,
  institution: string,
  nowMs: number,
): IsoAuthorization | Refusal {
  const field = (number: number) => textOf(message, number)
  const stan = field(11)
  if (!/^[0-9]{6,12}$/.test(stan)) return refuse('missing_field', 'DE11 is required', '11')
  const transmittedAt = transmittedAtOf(message, nowMs)
  if (transmittedAt === undefined) return refuse('invalid_field', 'DE7 is no MMDDhhmmss', '7')
  const type = readType(message)
  if (type === undefined) return refuse('invalid_field', 'DE3 asks for what is not offered', '3')
  const amount = field(4) === '' ? '0' : field(4)
  const currency = currencyByNumeric(field(49))
  const mcc = field(18)
  const rrn = field(37)
  const terminalId = field(41).trim()
  const entryMode = READ_BY[field(22).slice(0, 2)]
  const initialReference = readInitialReference(message)
  const body = {
    type,
    amount: Number(amount),
    // An unknown number is refused as an unknown currency is.
    currency: currency?.code ?? 'XXX',
    channel: readChannel(message, type, mcc),
    card: readCard(message),
    merchant: { id: field(42).trim(), mcc, ...readPlace(field(43)) },
    terminal: {
      ...(terminalId === '' ? {} : { id: terminalId }),
      ...(entryMode === undefined ? {} : { entryMode }),
    },
    ...(initialReference === undefined ? {} : { initialReference }),
    stan: stan.slice(-6),
    ...(rrn === '' ? {} : { rrn }),
    transmittedAt,
  }
  const request = parseAuthorization(body)
  if ('kind' in request) return request
  const passThrough = readPassThrough(message)
  const carried =
    passThrough === undefined ? request : { ...request, card: { ...request.card, passThrough } }
  const compared = [field(3), amount, field(49)]
  return { request: carried, key: keyOf(message, institution), compared }
}

/** DE7 as ISO 8601. */
export function transmittedAtOf(message: Received, nowMs: number): string | undefined {
  const at = momentOf(textOf(message, 7), nowMs)
  return at === undefined ? undefined : new Date(at).toISOString().replace('.000', '')
}

/** DE2, or the PAN of track 2. */
export function cardNumberOf(message: Received): string | undefined {
  return readCard(message).pan
}

/** What is passed on and not looked at; undefined where there is nothing of it. */
export function readPassThrough({ message }: Received): PassThrough | undefined {
  const { fields } = message
  const [cardSequence, track2, track1, pinBlock, securityControl] = [23, 35, 45, 52, 53].map(
    (number) => {
      const value = fields[number]
      return typeof value === 'string' ? value : undefined
    },
  )
  const chip = fields[55]
  const passed: PassThrough = {
    ...(cardSequence === undefined ? {} : { cardSequence }),
    ...(track2 === undefined ? {} : { track2 }),
    ...(track1 === undefined ? {} : { track1 }),
    ...(pinBlock === undefined ? {} : { pinBlock }),
    ...(securityControl === undefined ? {} : { securityControl }),
    ...(chip === undefined ? {} : { chip }),
  }
  return Object.keys(passed).length === 0 ? undefined : passed
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
  fields[3] = WIRE_KINDS[type].processingCode
  fields[4] = String(body.amount).padStart(12, '0')
  fields[7] = numbers.transmittedAt
  fields[11] = numbers.stan
  fields[14] = body.card.expiry
  fields[18] = body.merchant.mcc
  const otherwise = body.channel === 'qr' ? `${ENTRY_BY_CODE}0` : ENTRY_UNKNOWN
  fields[22] = entryMode === undefined ? otherwise : WIRE_ENTRY_MODES[entryMode]
  fields[25] = type === 'preauthorization' ? PREAUTHORIZATION_1987 : WIRE_CONDITIONS[body.channel]
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
  const tagged = (tag: string, value: string | undefined) =>
    value === undefined ? '' : `${tag}${String(value.length).padStart(2, '0')}${value}`
  const private48 = tagged('92', body.card.cvv) + tagged('63', body.initialReference)
  if (private48 !== '') fields[48] = private48
  fields[49] = currency.numeric
  const message = { mti: WIRE_KINDS[type].mti, fields }
  const channel = readChannel({ message }, type, body.merchant.mcc)
  return channel === body.channel ? message : undefined
}

/** DE3, its first two digits, with the MTI and DE25. */
function readType({ message }: Pick<Received, 'message'>): AuthorizationType | undefined {
  switch (text(message.fields[3]).slice(0, 2)) {
    case '00':
      if (message.mti.startsWith('02')) return 'sale'
      return text(message.fields[25]) === PREAUTHORIZATION_1987
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
function readChannel(
  message: Pick<Received, 'message'>,
  type: AuthorizationType,
  mcc: string,
): Channel {
  const condition = textOf(message, 25)
  if (condition === WIRE_CONDITIONS.ecommerce) return 'ecommerce'
  if (condition === WIRE_CONDITIONS.moto || condition === TELEPHONE) return 'moto'
  const readBy = textOf(message, 22).slice(0, 2)
  if (readBy === '81') return 'ecommerce'
  if (readBy === '10') return 'recurring'
  if (readBy === ENTRY_BY_CODE) return 'qr'
  const isUnattendedCash = condition === WIRE_CONDITIONS.atm && type === 'cash_withdrawal'
  return mcc === MCC_ATM || isUnattendedCash ? 'atm' : 'pos'
}

/** DE2 and DE14, or what track 2 (DE35) says: PAN, `=` or `D`, YYMM. */
function readCard(message: Received): AuthorizationBody['card'] {
  const track = /^([0-9]{12,19})[=D]([0-9]{4})/.exec(textOf(message, 35))
  const pan = textOf(message, 2) || track?.[1]
  const expiry = textOf(message, 14) || track?.[2]
  const cvv = readCardCode(message.message.fields[48])
  return {
    ...(pan === undefined ? {} : { pan }),
    ...(expiry === undefined ? {} : { expiry }),
    ...(cvv === undefined ? {} : { cvv }),
  }
}

/** DE48, subelement 92. */
function readCardCode(field: FieldValue | undefined): string | undefined {
  const value = subelement(field, '92')
  return value !== undefined && /^[0-9]{3,4}$/.test(value) ? value : undefined
}

/**
 * What names the first transaction of a series that the cardholder agreed to: Mastercard's trace id
 * (DE48, subelement 63) or Visa's transaction identifier (DE62, part 2).
 */
function readInitialReference({ message }: Received): string | undefined {
  const ofVisa = message.fields[62]
  const named =
    subelement(message.fields[48], '63') ??
    (typeof ofVisa === 'object' ? text(ofVisa.get('2')) : undefined)
  return named?.trim() || undefined
}

/** As a dialect has divided the field, or as text in tag 2, length 2, value. */
function subelement(field: FieldValue | undefined, tag: string): string | undefined {
  if (field === undefined) return undefined
  if (typeof field !== 'string') {
    const value = field.get(tag)
    return value instanceof Map ? [...value.values()].map(text).join('') : text(value) || undefined
  }
  for (let at = 0; at + 4 <= field.length; ) {
    const length = Number(field.slice(at + 2, at + 4))
    if (!Number.isInteger(length) || at + 4 + length > field.length) return undefined
    if (field.startsWith(tag, at)) return field.slice(at + 4, at + 4 + length)
    at += 4 + length
  }
  return undefined
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
