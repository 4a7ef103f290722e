// Card numbers in the texts of rule files: how they are found, and kept out of messages.

/** BINs whose numbers are published for testing and belong to nobody. */
const testPrefixes: readonly string[] = ['476173', '541333', '411111', '424242', '555555', '378282']

// 13 to 19 digits in one run, or in the groups printed on cards (4-4-4-4, 4-6-5); not inside a word
// or a decimal number.
const candidates =
  /(?<![\w.])(?:\d{13,19}|\d{4}([ -])\d{4}\1\d{4}\1\d{4}|\d{4}([ -])\d{6}\2\d{5})(?![\w.]\w)(?!\w)/g

/** The Luhn check of ISO/IEC 7812-1, annex B. `digits` holds decimal digits only. */
export function passesLuhn(digits: string): boolean {
  let sum = 0
  for (let i = digits.length - 1, double = false; i >= 0; i--, double = !double) {
    const digit = digits.charCodeAt(i) - 48
    const doubled = digit * 2
    sum += double ? (doubled > 9 ? doubled - 9 : doubled) : digit
  }
  return sum % 10 === 0
}

/** Luhn-valid card numbers outside the published test BINs, with where they stand. */
export function cardNumbersIn(text: string): readonly { digits: string; index: number }[] {
  const found: { digits: string; index: number }[] = []
  for (const match of text.matchAll(candidates)) {
    const digits = match[0].replace(/\D/g, '')
    if (isForeign(digits)) found.push({ digits, index: match.index })
  }
  return found
}

/** The same text with its card numbers masked: for what is printed, logged or kept. */
export function maskCardNumbers(text: string): string {
  return text.replace(candidates, (run) =>
    isForeign(run.replace(/\D/g, '')) ? '*'.repeat(run.length) : run,
  )
}

function isForeign(digits: string): boolean {
  return passesLuhn(digits) && !testPrefixes.some((prefix) => digits.startsWith(prefix))
}
