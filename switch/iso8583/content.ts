// What the characters of a value may be: the attributes of ISO 8583 (its clause on data
// representation) and its forms of dates. A rule is checked on the value, whatever its encoding.

export const contents = [
  'n',
  'a',
  'an',
  'as',
  'ns',
  'ans',
  'z',
  'xn',
  'MMDD',
  'YYMM',
  'YYMMDD',
  'CCYYMMDD',
  'hhmm',
  'hhmmss',
  'MMDDhhmm',
  'MMDDhhmmss',
  'YYMMDDhhmm',
  'YYMMDDhhmmss',
  'CCYYMMDDhhmmss',
] as const

export type Content = (typeof contents)[number]

const DIGIT = 1
const LETTER = 2
const SPACE = 4
const SPECIAL = 8

/** Index: a character code below 256. Value: what it is; 0 for a control character. */
const kinds = new Uint8Array(256)
for (let code = 0x20; code < 256; code++) {
  if (code < 0x7f || code > 0x9f) kinds[code] = SPECIAL
}
for (const letter of 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz') {
  kinds[letter.charCodeAt(0)] = LETTER
}
for (const digit of '0123456789') kinds[digit.charCodeAt(0)] = DIGIT
kinds[0x20] = SPACE

/** Kinds of characters that an attribute allows. A space pads a and an, as hosts write them. */
const allowed: Readonly<Record<string, number>> = {
  n: DIGIT,
  a: LETTER | SPACE,
  an: LETTER | DIGIT | SPACE,
  as: LETTER | SPECIAL | SPACE,
  ns: DIGIT | SPECIAL | SPACE,
  ans: LETTER | DIGIT | SPECIAL | SPACE,
}

/** The parts of a date's form: two characters each, with the least and the most they may say. */
const dateParts: Readonly<Record<string, readonly [number, number]>> = {
  CC: [0, 99],
  YY: [0, 99],
  MM: [1, 12],
  DD: [1, 31],
  hh: [0, 23],
  mm: [0, 59],
  ss: [0, 59],
}

/** February has 29: a date without a year may mean a leap one. */
const daysOfMonth = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]

/** The index of the first character that breaks the rule; -1 where none does. */
export function contentFault(rule: Content, value: string): number {
  const mask = allowed[rule]
  if (mask !== undefined) return kindFault(value, 0, mask)
  if (rule === 'z') return trackFault(value)
  if (rule !== 'xn') return dateFault(rule, value)
  const sign = value.charCodeAt(0)
  return sign === 0x43 || sign === 0x44 ? kindFault(value, 1, DIGIT) : 0
}

/** What a rule asks for, for people. */
export function contentText(rule: Content): string {
  const texts: Readonly<Record<string, string>> = {
    n: 'digits',
    a: 'letters and spaces',
    an: 'letters, digits and spaces',
    as: 'letters and special characters',
    ns: 'digits and special characters',
    ans: 'letters, digits and special characters, no control characters',
    z: 'digits, and = or D as a separator',
    xn: 'C or D, then digits',
  }
  return texts[rule] ?? `a date or time as ${rule}`
}

function kindFault(value: string, from: number, mask: number): number {
  for (let i = from; i < value.length; i++) {
    const code = value.charCodeAt(i)
    // Beyond Latin 1 (UTF-8 fields only) every character counts as a letter.
    const kind = code < 256 ? (kinds[code] as number) : LETTER
    if ((kind & mask) === 0) return i
  }
  return -1
}

function trackFault(value: string): number {
  for (let i = 0; i < value.length; i++) {
    const code = value.charCodeAt(i)
    if ((code < 0x30 || code > 0x39) && code !== 0x3d && code !== 0x44) return i
  }
  return -1
}

function dateFault(form: string, value: string): number {
  if (value.length !== form.length) return 0
  let month = 0
  for (let i = 0; i < form.length; i += 2) {
    const part = form.slice(i, i + 2)
    const wrong = kindFault(value.slice(i, i + 2), 0, DIGIT)
    if (wrong >= 0) return i + wrong
    const says = Number(value.slice(i, i + 2))
    const [least, most] = dateParts[part] as readonly [number, number]
    if (says < least || says > most) return i
    if (part === 'MM') month = says
    if (part === 'DD' && month > 0 && says > (daysOfMonth[month - 1] as number)) return i
  }
  return -1
}
