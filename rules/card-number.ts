// No card number may stand in a rule, a list or a test: those files are read, mailed and committed.

import { cardNumbersIn, passesLuhn } from './card-digits.ts'
import type { ProblemList, RuleFile } from './problem.ts'
import { placeAt } from './problem.ts'

/** True for a text that is a card number, of a test BIN or not. */
export function isCardNumber(text: string): boolean {
  const digits = text.replace(/[ -]/g, '')
  return /^\d{13,19}$/.test(digits) && passesLuhn(digits)
}

/** Notes every Luhn-valid card number outside the published test BINs; never repeats its digits. */
export function refuseCardNumbers(file: RuleFile, problems: ProblemList): void {
  for (const { digits, index } of cardNumbersIn(file.text)) {
    problems.add({
      file: file.name,
      ...placeAt(file.text, index),
      severity: 'error',
      code: 'card_number',
      message: `this looks like a card number (${digits.length} digits, valid check digit); lists hold tokens`,
    })
  }
}
