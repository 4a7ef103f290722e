// No card number may stand in a rule, a list or a test: those files are read, mailed and committed.

import type { ProblemList, RuleFile } from './problem.ts'
import { placeAt } from './problem.ts'

/** BINs whose numbers are published for testing and belong to nobody. */
const testPrefixes: readonly string[] = ['476173', '541333', '411111', '424242', '555555', '378282']

// 13 to 19 digits in one run, or in the groups printed on cards (4-4-4-4, 4-6-5); not inside a word
// or a decimal number.
const candidates =
  /(?<![\w.])(?:\d{13,19}|\d{4}([ -])\d{4}\1\d{4}\1\d{4}|\d{4}([ -])\d{6}\2\d{5})(?![\w.]\w)(?!\w)/g

/** The Luhn check digit holds. Source: ISO/IEC 7812-1 annex B. */
function isLuhnValid(digits: string): boolean {
  let sum = 0
  for (let index = 0; index < digits.length; index++) {
    const digit = digits.charCodeAt(digits.length - 1 - index) - 48
    const doubled = index % 2 === 1 ? digit * 2 : digit
    sum += doubled > 9 ? doubled - 9 : doubled
  }
  return sum % 10 === 0
}

/** True for a text that is a card number, of a test BIN or not. */
export function isCardNumber(text: string): boolean {
  const digits = text.replace(/[ -]/g, '')
  return /^\d{13,19}$/.test(digits) && isLuhnValid(digits)
}

/** Notes every Luhn-valid card number outside the published test BINs; never repeats its digits. */
export function refuseCardNumbers(file: RuleFile, problems: ProblemList): void {
  for (const match of file.text.matchAll(candidates)) {
    const digits = match[0].replace(/\D/g, '')
    if (!isLuhnValid(digits) || testPrefixes.some((prefix) => digits.startsWith(prefix))) continue
    problems.add({
      file: file.name,
      ...placeAt(file.text, match.index),
      severity: 'error',
      code: 'card_number',
      message: `this looks like a card number (${digits.length} digits, valid check digit); lists hold tokens`,
    })
  }
}
