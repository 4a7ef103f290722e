// DE22 in the three editions, as far as a switch must understand it: how the PAN was read, and
// where the cardholder was.
//
//   1987   n 3    two digits how it was read, one whether a PIN can be entered; DE25 n 2 the rest
//   1993   an 12  twelve positions: 4 where the terminal stands, 5 whether the cardholder is there,
//                 6 whether the card is, 7 how it was read
//   2003   b 16   four groups of 32 flags, lowest byte first: how read, verified, where, security
//
// Sources: ISO 8583:1993 annex A with Mastercard's further values of position 5 and 7 (5 e-commerce,
// 7 on file, A and M contactless, S e-commerce); for 2003 the flags of jPOS' CMF.

import type { EditionYear } from './edition.ts'

/** DE22 and DE25 in the words of 1987. */
export interface PointOfService {
  /** Three digits. */
  readonly entryMode: string
  /** Two digits. */
  readonly condition: string
}

/** Two digits of 1987, position 7 of 1993, and the group "how read" of 2003. */
const READ_BY: readonly (readonly [of1987: string, of1993: string, of2003: number])[] = [
  ['00', '0', 1],
  ['01', '6', 1 << 2],
  ['90', '2', 1 << 4],
  ['03', '3', 1 << 3],
  ['05', '5', 1 << 5],
  ['07', 'M', 1 << 1],
  ['91', 'A', 1 << 1],
  ['10', '7', 1 << 6],
  ['81', 'S', 1],
  ['01', '1', 1 << 2],
  ['02', '2', 1 << 4],
  ['80', '2', 1 << 4],
  ['95', '5', 1 << 5],
]

/** DE25 of 1987, position 5 of 1993, and the group "where" of 2003. */
const PLACES: readonly (readonly [of1987: string, of1993: string, of2003: number])[] = [
  ['59', '5', 1 << 4],
  ['08', '2', 1 << 3],
  ['07', '3', 1 << 3],
  ['02', '0', 1 << 2],
  ['00', '0', 1 << 1],
]

const RECURRING_1993 = '4'
const RECURRING_2003 = 1 << 6
const UNATTENDED_1993 = '246'
const STORED = '10'

/** DE22 of 1993 (12 characters) or 2003 (32 of hex). */
export function pointOfServiceIn(
  year: Exclude<EditionYear, 1987>,
  { entryMode, condition }: PointOfService,
): string {
  const readBy = entryMode.slice(0, 2)
  const [, read1993, read2003] = READ_BY.find(([of1987]) => of1987 === readBy) ?? ['', '0', 1]
  const isRecurring = readBy === STORED
  const placed = readBy === '81' ? '59' : condition
  const [, present, place] = PLACES.find(([of1987]) => of1987 === placed) ?? ['', '0', 1]
  const hasPin = entryMode[2] === '1'
  if (year === 2003) {
    const where = isRecurring ? RECURRING_2003 : place
    // What the terminal can do is in DE27 there, and how it was verified is not known.
    return flags(read2003) + flags(1) + flags(where) + flags(1)
  }
  const isUnattended = placed === '02'
  const isAbsent = present !== '0' || isRecurring
  return (
    // What the terminal can do is not told: unknown, but for the PIN.
    (
      `0${hasPin ? '1' : '9'}9` +
      (isAbsent ? '0' : isUnattended ? '2' : '1') +
      (isRecurring ? RECURRING_1993 : present) +
      (isAbsent ? '0' : '1') +
      read1993 +
      '09000'
    ).slice(0, 12)
  )
}

/** What DE22 of 1993 or 2003 says; what it does not say is 00. */
export function pointOfServiceOf(year: Exclude<EditionYear, 1987>, value: string): PointOfService {
  return year === 1993 ? of1993(value) : of2003(value)
}

function of1993(value: string): PointOfService {
  const present = value[4] === 'S' ? '5' : value[4]
  const read = READ_BY.find(([, code]) => code === value[6])?.[0] ?? '00'
  const isRecurring = present === RECURRING_1993
  const place = PLACES.find(([, code]) => code === present && code !== '0')?.[0]
  const isUnattended = UNATTENDED_1993.includes(value[3] || ' ')
  return {
    entryMode: (isRecurring ? STORED : read) + (value[1] === '1' ? '1' : '0'),
    condition: place ?? (isUnattended ? '02' : '00'),
  }
}

function of2003(value: string): PointOfService {
  const how = group(value, 0)
  const where = group(value, 16)
  const read = READ_BY.find(([, , flag]) => flag !== 1 && (how & flag) !== 0)?.[0]
  const isRecurring = (where & RECURRING_2003) !== 0
  const isOnline = (where & (1 << 4)) !== 0
  const place = PLACES.find(([, , flag]) => (where & flag) !== 0)?.[0] ?? '00'
  const digits = isRecurring ? STORED : (read ?? (isOnline ? '81' : '00'))
  return { entryMode: `${digits}0`, condition: place }
}

/** 32 flags, lowest byte first, in upper-case hex. */
function flags(set: number): string {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(set)
  return bytes.toString('hex').toUpperCase()
}

function group(value: string, at: number): number {
  const hex = value.slice(at, at + 8)
  return /^[0-9A-F]{8}$/.test(hex) ? Buffer.from(hex, 'hex').readUInt32LE() : 0
}
