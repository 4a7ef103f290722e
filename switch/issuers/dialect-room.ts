// What only passes through, as far as an issuer's dialect has room for it. Dialects divide chip data
// and the card's own code in different ways, or have no place for them; each is asked once.
//
//   chip        DE55: tags; hex; or a data set that holds the tags (VIP style)
//   card code   DE48: tag 92 in text; or subelement 92 behind a category code (Mastercard style)
//   series      DE48: 63 in the same form; or DE62 part 2 (VIP style)
//   track 2     DE35: with = or D between PAN and expiry

import {
  type Dialect,
  type Edition,
  editionOf,
  type FieldParts,
  type FieldValue,
  measureTlv,
  mtiIn,
  readTlv,
  writeTlv,
} from '../iso8583/index.ts'

export interface DialectRoom {
  readonly edition: Edition
  /** DE22: three digits, or four with a zero behind them (VIP style). */
  readonly entryModeDigits: 3 | 4
  /** DE25 of 1987; later editions say it in DE22 and DE24. */
  readonly condition: boolean
  readonly cardSequence: boolean
  readonly track1: boolean
  readonly track2: '=' | 'D' | null
  readonly chip: 'tags' | 'hex' | 'data_set' | null
  readonly cardCode: 'text' | 'subelements' | null
  /** Where the first of a series is named: in DE48 in the form of the code, or in DE62. */
  readonly series: 'additional_data' | 'identifier' | null
}

/** The data set of DE55 that chip data stands in, VIP style. */
const CHIP_DATA_SET = '01'

const SAMPLE_TAGS: FieldParts = new Map([['9F26', '0011223344556677']])

/** Asks a dialect what it has room for, by writing samples. */
export function roomOf(dialect: Dialect): DialectRoom {
  const edition = editionOf(dialect)
  const mti = mtiIn(edition, '0100')
  const takes = (field: number, value: FieldValue): boolean => {
    const fields: (FieldValue | undefined)[] = []
    fields[field] = value
    return dialect.encode({ mti, fields }).ok
  }
  const first = <Form extends string>(
    field: number,
    forms: readonly (readonly [Form, FieldValue])[],
  ) => forms.find(([, value]) => takes(field, value))?.[0] ?? null
  return {
    edition,
    entryModeDigits: edition.year === 1987 && !takes(22, '051') && takes(22, '0510') ? 4 : 3,
    condition: edition.year !== 1987 || takes(25, '00'),
    cardSequence: takes(23, '001'),
    track1: takes(45, 'B4761739001010119^CARD/TEST^2912201'),
    track2: first(35, [
      ['=', '4761739001010119=2912201'],
      ['D', '4761739001010119D2912201'],
    ]),
    chip: first(55, [
      ['tags', SAMPLE_TAGS],
      ['data_set', new Map([[CHIP_DATA_SET, SAMPLE_TAGS]])],
      ['hex', '9F26080011223344556677'],
    ]),
    // The edition of 2003 has a place of its own, which the carrying over knows.
    cardCode:
      edition.year === 2003
        ? 'text'
        : first(48, [
            ['text', tagged('92', '123')],
            ['subelements', elementsOf('R', '123', undefined)],
          ]),
    series: takes(62, new Map([['2', '123456789012345']]))
      ? 'identifier'
      : first(48, [
          ['additional_data', tagged('63', 'MCC0000011122')],
          ['additional_data', elementsOf('R', undefined, 'MCC0000011122')],
        ]),
  }
}

/** DE35 as the dialect writes its separator; undefined where it has no DE35. */
export function trackIn({ track2 }: DialectRoom, track: string): string | undefined {
  return track2 === null ? undefined : track.replace(/[=D]/, track2)
}

/** DE55 in the form of the dialect; undefined where it can't be had. */
export function chipIn({ chip }: DialectRoom, value: FieldValue): FieldValue | undefined {
  if (chip === null) return undefined
  if (chip === 'hex') return chipHex(value)
  const tags = tagsOf(value)
  if (tags === undefined) return undefined
  return chip === 'tags' ? tags : new Map([[CHIP_DATA_SET, tags]])
}

/** DE55 as hex; undefined where its tags can't be written. */
export function chipHex(value: FieldValue): string | undefined {
  return typeof value === 'string' ? value : hexOf(tagsOf(value))
}

/** DE55 of an answer as a map of tags; as it came where it can't be read as one. */
export function chipOf(value: FieldValue): FieldValue {
  return tagsOf(value) ?? value
}

/**
 * DE48 with the card's own code (CVC 2 and its like) and what names the first of a series;
 * undefined where there is none of it, or no place.
 */
export function additionalDataIn(
  { cardCode, series }: DialectRoom,
  code: string | undefined,
  reference: string | undefined,
  isCardPresent: boolean,
): FieldValue | undefined {
  const isText = cardCode === 'text'
  const form = isText ? TEXT_REFERENCE : TRACE_IDENTIFIER
  const fits = series === 'additional_data' && form.test(reference ?? '')
  const named = fits ? reference : undefined
  if (cardCode === null || (code ?? named) === undefined) return undefined
  return isText
    ? tagged('92', code) + tagged('63', named)
    : elementsOf(isCardPresent ? 'R' : 'T', code, named)
}

/** What a field of text, and the trace identifier of 15 characters, can hold. */
const TEXT_REFERENCE = /^[ -~]{1,64}$/
const TRACE_IDENTIFIER = /^[ -~]{1,15}$/

/** DE62, part 2: fifteen digits; undefined where there is no place, or it is something else. */
export function identifierIn(
  { series }: DialectRoom,
  reference: string | undefined,
): FieldValue | undefined {
  const isOne = series === 'identifier' && /^[0-9]{15}$/.test(reference ?? '')
  return isOne ? new Map([['2', reference as string]]) : undefined
}

/** Tag, a length of two digits, value; empty where there is none. */
function tagged(tag: string, value: string | undefined): string {
  return value === undefined ? '' : `${tag}${String(value.length).padStart(2, '0')}${value}`
}

/** Behind the transaction category code: R retail, T without the card. 63 has parts of 9 and 6. */
function elementsOf(
  category: 'R' | 'T',
  code: string | undefined,
  reference: string | undefined,
): FieldParts {
  const parts = new Map<string, FieldValue>([['TCC', category]])
  const trace = reference?.padEnd(15)
  if (trace !== undefined) {
    parts.set(
      '63',
      new Map([
        ['1', trace.slice(0, 9)],
        ['2', trace.slice(9)],
      ]),
    )
  }
  if (code !== undefined) parts.set('92', code)
  return parts
}

function tagsOf(value: FieldValue): FieldParts | undefined {
  if (typeof value === 'string') {
    if (!/^([0-9A-F]{2})+$/.test(value)) return undefined
    const bytes = Buffer.from(value, 'hex')
    const read = readTlv(bytes, value, 0, bytes.length)
    return read instanceof Map ? read : undefined
  }
  const dataSet = value.get(CHIP_DATA_SET)
  return dataSet === undefined || typeof dataSet === 'string' ? value : dataSet
}

function hexOf(tags: FieldParts | undefined): string | undefined {
  const size = tags === undefined ? 'absent' : measureTlv(tags)
  if (tags === undefined || typeof size === 'string') return undefined
  const bytes = Buffer.alloc(size)
  writeTlv(bytes, 0, tags)
  return bytes.toString('hex').toUpperCase()
}
