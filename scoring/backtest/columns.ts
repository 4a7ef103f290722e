// The layout of a data file: its columns are the request's own paths, and a few that say what became
// of the payment. One table: the reader, the writer and the documented page are made from it.

import { currencyByCode, type FactName, factByPath, isCardNumber, RISK_OUTCOMES } from '#rules'

export type Cell = string | number | undefined

export interface Column {
  readonly name: string
  readonly required: boolean
  readonly meaning: string
  /** What a value looks like, for whoever gets a line refused. */
  readonly looks: string
  /** Its value; undefined where the text is none. */
  readonly read: (text: string) => Cell
}

const textMax = 512

function textColumn(name: string, required: boolean, meaning: string): Column {
  const read = (text: string) => (text.length <= textMax ? text : undefined)
  return { name, required, meaning, looks: `a text of at most ${textMax} characters`, read }
}

function oneOf(name: string, required: boolean, meaning: string, words: readonly string[]): Column {
  const known = new Set(words)
  const read = (text: string) => (known.has(text) ? text : undefined)
  return { name, required, meaning, looks: `one of ${words.join(', ')}`, read }
}

function matching(
  name: string,
  required: boolean,
  meaning: string,
  pattern: RegExp,
  looks: string,
): Column {
  const read = (text: string) => (pattern.test(text) ? text : undefined)
  return { name, required, meaning, looks, read }
}

/** A column that is a name of the language. */
function fact(name: string, required = false): Column {
  const { meaning, values, shape } = factByPath.get(name) as FactName
  if (values !== undefined) return oneOf(name, required, meaning, values)
  if (shape !== undefined) return matching(name, required, meaning, shape.pattern, shape.looks)
  return textColumn(name, required, meaning)
}

const timeLooks = 'a time as 2026-11-22T10:00:00Z, or seconds or milliseconds since 1970'

function time(name: string, required: boolean, meaning: string): Column {
  return { name, required, meaning, looks: timeLooks, read: readTime }
}

/** Milliseconds since 1970. Without a zone a time would be that of whoever runs the command. */
function readTime(text: string): number | undefined {
  if (/^\d{10}(\.\d+)?$/.test(text)) return Math.round(Number(text) * 1_000)
  if (/^\d{13}$/.test(text)) return Number(text)
  if (!/^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)$/.test(text)) {
    return undefined
  }
  const atMs = Date.parse(text)
  return Number.isNaN(atMs) ? undefined : atMs
}

function degrees(name: string, max: number, meaning: string): Column {
  const read = (text: string) => {
    const value = Number(text)
    return Math.abs(value) <= max ? value : undefined
  }
  return { name, required: false, meaning, looks: `a number from -${max} to ${max}`, read }
}

const amount: Column = {
  ...fact('amount', true),
  looks: 'a whole number of minor units, 2599 for 25.99',
  read: (text) => (/^\d{1,15}$/.test(text) ? Number(text) : undefined),
}

const currency: Column = {
  ...fact('currency', true),
  looks: 'ISO 4217 letters',
  read: (text) => currencyByCode(text)?.code,
}

const token: Column = {
  ...fact('card.token', true),
  meaning: 'what stands for the card number; never the number itself',
  looks: 'a token of at most 512 characters, not a card number',
  read: (text) => (text.length <= textMax && !isCardNumber(text) ? text : undefined),
}

/** All columns, in the order of the documented layout. */
export const COLUMNS: readonly Column[] = [
  textColumn('id', false, 'names the payment in reports and labels; its line number if left out'),
  time('arrivedAt', true, 'when it arrived; a file is in this order'),
  textColumn('acquirer', false, 'the acquirer that sent it; "data" if left out'),
  fact('type'),
  amount,
  currency,
  fact('channel', true),
  token,
  matching('card.bin', true, 'the first 6 to 8 digits', /^\d{6,8}$/, '6 to 8 digits'),
  fact('card.country'),
  fact('card.expiry'),
  fact('merchant.id', true),
  fact('merchant.mcc', true),
  fact('merchant.name'),
  fact('merchant.city'),
  fact('merchant.country'),
  degrees('merchant.latitude', 90, 'degrees north'),
  degrees('merchant.longitude', 180, 'degrees east'),
  textColumn('merchant.timeZone', false, 'IANA name, as Europe/Berlin; gives the local hour'),
  fact('terminal.id'),
  fact('terminal.entryMode'),
  fact('device.id'),
  fact('device.ip'),
  fact('device.ipCountry'),
  fact('device.userAgent'),
  fact('customer.id'),
  fact('customer.email'),
  fact('customer.country'),
  fact('threeDs.version'),
  fact('threeDs.eci'),
  fact('threeDs.status'),
  textColumn('rrn', false, 'DE37; labels may name it instead of the id'),
  oneOf('outcome', false, 'how it ended', ['approved', 'declined', 'challenged']),
  matching(
    'responseCode',
    false,
    'DE39; 00 is approved, and says it where there is no outcome',
    /^[0-9A-Z]{2,3}$/,
    'two or three characters',
  ),
  time('answeredAt', false, 'when the outcome was known; a second after arrival if left out'),
  oneOf('risk.outcome', false, 'what rules and model had said then', RISK_OUTCOMES),
  matching(
    'label.kind',
    false,
    'the truth: genuine, or a kind of fraud',
    /^[a-z][a-z0-9_]{0,63}$/,
    'a snake_case word, as genuine or stolen_card',
  ),
  time('label.knownAt', false, 'when the truth was known'),
]

/** Where a column stands in `COLUMNS`. Throws for a name that is none: a bug. */
export function columnIndex(name: string): number {
  const index = COLUMNS.findIndex((column) => column.name === name)
  if (index === -1) throw new Error(`${name} is no column`)
  return index
}
