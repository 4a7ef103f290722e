// DE39 in the three editions: one table, both ways. 1987 calls it response code, later editions
// action code. Sources: the code lists of ISO 8583:1987 (two characters) and 1993 (three digits) as
// they are commonly published; 2003's four digits as jPOS' CMF has them.

import type { Edition } from './edition.ts'

/**
 * 1987, 1993, 2003. From left to right the first row with the code counts, and so from right to
 * left: what several codes of one edition mean alike in another is in several rows. 1A, 65 and 70
 * ask the cardholder for more (step up); 1993 has no word for the first, so it is one of those that
 * the edition leaves to private use (190 to 199).
 */
const ROWS: readonly (readonly [of1987: string, of1993: string, of2003: string])[] = [
  ['00', '000', '0000'],
  ['08', '001', '0001'],
  ['10', '002', '0002'],
  ['11', '003', '0003'],
  ['00', '004', '0004'],
  ['16', '004', '0004'],
  ['00', '005', '0005'],
  ['10', '006', '0006'],
  ['00', '007', '0007'],
  ['85', '000', '0085'],
  ['05', '100', '1000'],
  ['54', '101', '1001'],
  ['59', '102', '1002'],
  ['60', '103', '1003'],
  ['62', '104', '1004'],
  ['66', '105', '1005'],
  ['75', '106', '1006'],
  ['01', '107', '1007'],
  ['02', '108', '1008'],
  ['03', '109', '1009'],
  ['13', '110', '1010'],
  ['14', '111', '1011'],
  ['70', '112', '1012'],
  ['23', '113', '1013'],
  ['39', '114', '1014'],
  ['42', '114', '1014'],
  ['44', '114', '1014'],
  ['52', '114', '1014'],
  ['53', '114', '1014'],
  ['40', '115', '1015'],
  ['51', '116', '1016'],
  ['55', '117', '1017'],
  ['56', '118', '1018'],
  ['57', '119', '1019'],
  ['58', '120', '1020'],
  ['61', '121', '1021'],
  ['63', '122', '1022'],
  ['65', '123', '1023'],
  ['93', '124', '1024'],
  ['62', '125', '1025'],
  ['55', '126', '1026'],
  ['55', '127', '1027'],
  ['63', '128', '1028'],
  ['59', '129', '1029'],
  ['1A', '190', '1067'],
  ['04', '200', '2000'],
  ['33', '201', '2001'],
  ['34', '202', '2002'],
  ['35', '203', '2003'],
  ['36', '204', '2004'],
  ['37', '205', '2005'],
  ['38', '206', '2006'],
  ['07', '207', '2007'],
  ['41', '208', '2008'],
  ['43', '209', '2009'],
  ['34', '210', '2010'],
  ['67', '200', '2000'],
  ['12', '902', '9102'],
  ['19', '903', '9103'],
  ['30', '904', '9100'],
  ['31', '905', '9105'],
  ['90', '906', '9106'],
  ['91', '907', '9107'],
  ['92', '908', '9108'],
  ['96', '909', '9109'],
  ['91', '910', '9110'],
  ['91', '911', '9111'],
  ['91', '912', '9112'],
  ['94', '913', '9113'],
  ['25', '914', '9114'],
  ['95', '915', '9115'],
  ['63', '916', '9116'],
  ['63', '917', '9117'],
  ['96', '918', '9118'],
  ['96', '919', '9119'],
  ['96', '920', '9120'],
  ['96', '921', '9121'],
  ['94', '922', '9122'],
  ['09', '923', '9123'],
  ['93', '950', '9350'],
  ['15', '908', '9108'],
  ['64', '110', '1010'],
  ['68', '911', '9111'],
  ['06', '909', '9109'],
  ['20', '909', '9109'],
  ['22', '909', '9109'],
]

/** What "yes" is in answers to reversals, to network management and to advices. */
const ACCEPTED = {
  1993: { reversal: '400', network: '800', advice: '900' },
  2003: { reversal: '4000', network: '8000', advice: '9000' },
} as const

/** Codes that mean yes only in the answer of a certain class, and 901: liability accepted too. */
const YES: Readonly<Record<1993 | 2003, ReadonlySet<string>>> = {
  1993: new Set(['400', '800', '900', '901']),
  2003: new Set(['4000', '8000', '9000', '9001']),
}

/** DE39 where a message authentication code is wrong. 1987 has security violation only. */
export const MAC_INCORRECT: Readonly<Record<Edition['year'], string>> = {
  1987: '63',
  1993: '916',
  2003: '9116',
}

const to = { 1993: indexBy(0, 1), 2003: indexBy(0, 2) } as const
const from = { 1993: indexBy(1, 0), 2003: indexBy(2, 0) } as const

function indexBy(key: 0 | 1 | 2, value: 0 | 1 | 2): ReadonlyMap<string, string> {
  const index = new Map<string, string>()
  for (const row of ROWS) if (!index.has(row[key])) index.set(row[key], row[value])
  return index
}

/**
 * DE39 of an answer (its MTI in the words of 1987) in an edition. "Yes" is another code for reversals
 * and network management; a code without a row is a decline of the issuer's own: do not honour.
 */
export function actionCodeIn(edition: Edition, code: string, mti: string): string {
  const { year } = edition
  if (year === 1987) return code
  if (code === '00' || code === '21') {
    const { reversal, network, advice } = ACCEPTED[year]
    if (mti[1] === '4') return reversal
    if (mti[1] === '8') return network
    if (mti[2] === '3') return advice
  }
  return to[year].get(code) ?? (year === 1993 ? '100' : '1000')
}

/**
 * DE39 of an edition in the words of 1987. A code without a row means what its first digit says:
 * approved, declined, declined with pick-up; anything else is a fault. What is no code of the
 * edition stays as it is, and is none of 1987 either.
 */
export function responseCodeOf(edition: Edition, code: string): string {
  const { year, codeDigits } = edition
  if (year === 1987 || code.length !== codeDigits || !/^[0-9]+$/.test(code)) return code
  if (YES[year].has(code)) return '00'
  const known = from[year].get(code)
  if (known !== undefined) return known
  // Of 1993 all of 000 to 099 approve; 2003 has 0000 to 0999 for them.
  const byFirstDigit: Readonly<Record<string, string>> = { 0: '00', 1: '05', 2: '04' }
  return byFirstDigit[code[0] ?? ''] ?? '96'
}
