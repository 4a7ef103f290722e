// The three editions of ISO 8583, side by side: one place says what differs between them. Messages
// inside the switch are in the words of 1987; `edition-message.ts` carries them over with this.
//
//            request  repeat  advice  reversal   network      DE11  sent at          original
//   1987     0100     0101    0120    0400 0420  0800 DE70    6     DE7  MMDDhhmmss  DE90 n 42
//   1993     1100     1101    1120    1420       1804 DE24    6     DE12 YYMMDD...   DE56 n ..35
//   2003     2100     2101    2120    2420       2804 DE24    12    DE12 CCYYMMDD..  DE56 n ..41

import type { Dialect, IsoMessage } from './message.ts'

export type EditionYear = Dialect['version']

/** What differs in form; codes and fields have tables of their own. */
export interface Edition {
  readonly year: EditionYear
  /** The first digit of an MTI. */
  readonly digit: '0' | '1' | '2'
  /** DE11. */
  readonly traceDigits: 6 | 12
  /** When a request was sent, as its key and its reversal name it. */
  readonly sentAtField: 7 | 12
  readonly sentAtDigits: 10 | 12 | 14
  /** Original data elements. */
  readonly originalField: 90 | 56
  /** DE39. */
  readonly codeDigits: 2 | 3 | 4
  /** The merchant's category. */
  readonly mccField: 18 | 26
  /** What a network management message is about. */
  readonly networkField: 70 | 24
  /** Network management request and its answer. */
  readonly networkMti: string
  readonly networkAnswerMti: string
}

export const EDITIONS: Readonly<Record<EditionYear, Edition>> = {
  1987: {
    year: 1987,
    digit: '0',
    traceDigits: 6,
    sentAtField: 7,
    sentAtDigits: 10,
    originalField: 90,
    codeDigits: 2,
    mccField: 18,
    networkField: 70,
    networkMti: '0800',
    networkAnswerMti: '0810',
  },
  1993: {
    year: 1993,
    digit: '1',
    traceDigits: 6,
    sentAtField: 12,
    sentAtDigits: 12,
    originalField: 56,
    codeDigits: 3,
    mccField: 26,
    networkField: 24,
    networkMti: '1804',
    networkAnswerMti: '1814',
  },
  2003: {
    year: 2003,
    digit: '2',
    traceDigits: 12,
    sentAtField: 12,
    sentAtDigits: 14,
    originalField: 56,
    codeDigits: 4,
    mccField: 26,
    networkField: 24,
    networkMti: '2804',
    networkAnswerMti: '2814',
  },
}

/** The edition that a dialect follows. */
export function editionOf({ version }: Pick<Dialect, 'version'>): Edition {
  return EDITIONS[version]
}

/** 0100 in the words of an edition: 1100, 2100. Network management ends with 4 from 1993 on. */
export function mtiIn(edition: Edition, mti: string): string {
  const isNetwork = mti.startsWith('08') && edition.year !== 1987
  return `${edition.digit}${mti.slice(1, 3)}${isNetwork ? '4' : mti.slice(3)}`
}

/** 1100 in the words of 1987: 0100; 1804 is 0800. */
export function mtiOf(mti: string): string {
  const isNetwork = mti[0] !== '0' && mti[1] === '8' && mti[3] === '4'
  return `0${mti.slice(1, 3)}${isNetwork ? '0' : mti.slice(3)}`
}

/** DE70 of 1987 and DE24 of 1993 and 2003 (ISO 8583:1993, function codes 801 to 831). */
const NETWORK_CODES = [
  ['001', '801'],
  ['002', '802'],
  ['161', '811'],
  ['301', '831'],
] as const

/** Everything in DE70 that carries keys is one thing from 1993 on: 811, key change. */
const KEY_CHANGES: ReadonlySet<string> = new Set(['101', '162', '163', '164'])

/** 001 sign-on, 002 sign-off, 161 key change, 301 echo; another code stays as it is. */
export function networkCodeIn(edition: Edition, code: string): string {
  if (edition.year === 1987) return code
  const same = KEY_CHANGES.has(code) ? '161' : code
  return NETWORK_CODES.find(([of1987]) => of1987 === same)?.[1] ?? code
}

/** The code of 1987 that means the same; another code stays as it is. */
export function networkCodeOf(edition: Edition, code: string): string {
  if (edition.year === 1987) return code
  return NETWORK_CODES.find(([, later]) => later === code)?.[0] ?? code
}

/** What identifies a message that is reversed, captured, refunded or made bigger. */
export interface OriginalElements {
  /** In the words of 1987: 0100, 0200. */
  readonly mti: string
  /** As it stood in DE11: six digits, twelve in 2003. */
  readonly stan: string
  /** As it stood in DE7 (1987) or DE12: see `sentAtDigits`. */
  readonly sentAt: string
  /** DE32 without leading zeros, or empty. */
  readonly acquiringInstitution: string
}

/**
 * DE90 (1987: MTI 4, DE11 6, DE7 10, DE32 and DE33 11 each, right-justified with zeros) or DE56
 * (1993 and 2003: MTI 4, DE11, DE12, and DE32, in 1993 with its two digits of length).
 */
export function formatOriginal(edition: Edition, original: OriginalElements): string {
  const { stan, sentAt, acquiringInstitution } = original
  const mti = mtiIn(edition, original.mti)
  const traced = mti + stan.padStart(edition.traceDigits, '0') + sentAt
  switch (edition.year) {
    case 1987:
      return traced + acquiringInstitution.padStart(11, '0') + '0'.repeat(11)
    case 1993:
      return traced + String(acquiringInstitution.length).padStart(2, '0') + acquiringInstitution
    case 2003:
      return traced + acquiringInstitution
  }
}

/**
 * Undefined where the field is absent or does not name a message: zeros, as some hosts fill it, are
 * nothing. In 1993 the institution may come with or without its length.
 */
export function parseOriginal(edition: Edition, message: IsoMessage): OriginalElements | undefined {
  const text = message.fields[edition.originalField]
  if (typeof text !== 'string') return undefined
  const stanEnd = 4 + edition.traceDigits
  const sentAtEnd = stanEnd + edition.sentAtDigits
  const mti = text.slice(0, 4)
  const stan = text.slice(4, stanEnd)
  const sentAt = text.slice(stanEnd, sentAtEnd)
  if (!/^[0-9]+$/.test(text.slice(0, sentAtEnd)) || text.length < sentAtEnd) return undefined
  if (mti[0] !== edition.digit || mti === '0000' || /^0+$/.test(stan)) return undefined
  const institution = institutionAt(edition, text.slice(sentAtEnd))
  return { mti: mtiOf(mti), stan, sentAt, acquiringInstitution: institution.replace(/^0+/, '') }
}

function institutionAt({ year }: Edition, rest: string): string {
  if (year === 1987) return rest.slice(0, 11)
  const counted = /^([0-9]{2})([0-9]*)$/.exec(rest)
  const isCounted = year === 1993 && counted !== null && Number(counted[1]) === counted[2]?.length
  return isCounted ? (counted?.[2] ?? '') : rest
}

/** DE12 of 1993 and 2003 for a moment, milliseconds since 1970, in UTC; DE7 for 1987. */
export function sentAtIn(edition: Edition, atMs: number): string {
  const digits = new Date(atMs)
    .toISOString()
    .replace(/[^0-9]/g, '')
    .slice(0, 14)
  return digits.slice(14 - edition.sentAtDigits)
}

/** DE7 (MMDDhhmmss, UTC), in the year that brings it nearest to `nearMs`; undefined: no date. */
export function momentOf(transmittedAt: string, nearMs: number): number | undefined {
  const parts = /^(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)$/.exec(transmittedAt)
  if (parts === null) return undefined
  const [month = 0, day = 0, hour = 0, minute = 0, second = 0] = parts.slice(1).map(Number)
  const thisYear = new Date(nearMs).getUTCFullYear()
  let nearest: number | undefined
  for (const year of [thisYear - 1, thisYear, thisYear + 1]) {
    const at = Date.UTC(year, month - 1, day, hour, minute, second)
    const exact = new Date(at)
    const isDate = exact.getUTCMonth() === month - 1 && exact.getUTCDate() === day
    if (!isDate || hour > 23 || minute > 59 || second > 59) continue
    if (nearest === undefined || Math.abs(at - nearMs) < Math.abs(nearest - nearMs)) nearest = at
  }
  return nearest
}

/** DE12 of 1993 or 2003 (YYMMDDhhmmss, CCYYMMDDhhmmss) read as UTC; undefined: no date. */
export function momentOfLocal(sentAt: string): number | undefined {
  const full = sentAt.length === 12 ? `20${sentAt}` : sentAt
  const parts = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)$/.exec(full)
  if (parts === null) return undefined
  const [year, month, day, hour, minute, second] = parts.slice(1)
  const at = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`)
  return Number.isNaN(at) ? undefined : at
}
