// A message as it may be printed. What is shown in clear is a list of what is known to be harmless,
// so that a private field of a partner nobody has looked at yet stays covered.

import { maskPan, passesLuhn } from '../card-data/index.ts'
import type { FieldParts, FieldValue, IsoMessage } from './message.ts'

/** A message for logs and people: plain JSON, without card data. */
export interface MaskedMessage {
  readonly mti: string
  readonly fields: Readonly<Record<string, MaskedValue>>
}

/** A field's text, or its tags or subfields by their keys. */
export type MaskedValue = string | { readonly [key: string]: MaskedValue }

/**
 * Fields that hold no card data in any edition: amounts, dates, codes, traces, the merchant, the
 * currencies, network management, original data elements. Not 14 (expiry), 34 to 36 and 45 (account
 * and tracks), 46 to 48 and 55 to 63 (private: a CVV may stand there), 52, 53 and 96 (PIN and
 * keys), 72 (file records in 1993), 101 to 103 (files and accounts), 104 to 127 (private).
 */
const shown = new Set([
  ...range(3, 13),
  ...range(15, 33),
  ...range(37, 44),
  ...range(49, 51),
  54,
  ...range(64, 71),
  ...range(73, 95),
  ...range(97, 100),
  128,
])

/**
 * Tags of field 55 that are shown: what the terminal and the cryptogram say about the transaction.
 * Not 57, 5A, 56, 9F6B, 9F1F and 9F20 (account and tracks), 5F20 (name), 5F24 (expiry), nor
 * templates.
 */
const shownTags = new Set(
  (
    '5F2A 5F34 82 84 8A 91 95 9A 9B 9C 9F02 9F03 9F06 9F09 9F10 9F1A 9F1E 9F21 9F26 9F27 9F33 ' +
    '9F34 9F35 9F36 9F37 9F39 9F41 9F53 9F6E'
  ).split(' '),
)

/** DE2 as its first six and last four digits, other card data as its length, the rest as it is. */
export function maskMessage(message: IsoMessage): MaskedMessage {
  const fields: Record<string, MaskedValue> = {}
  message.fields.forEach((value, field) => {
    if (value !== undefined) fields[field] = maskField(field, value)
  })
  return { mti: message.mti, fields }
}

function maskField(field: number, value: FieldValue): MaskedValue {
  if (typeof value !== 'string') return maskParts(field, value)
  if (field === 2) return /^[0-9]{12,19}$/.test(value) ? maskPan(value) : covered(value)
  return shown.has(field) ? maskPansIn(value) : covered(value)
}

/** Subfields are shown where their field is; of a private field each one is covered. */
function maskParts(field: number, parts: FieldParts): MaskedValue {
  const masked: Record<string, MaskedValue> = {}
  for (const [key, value] of parts) {
    if (typeof value !== 'string') masked[key] = maskParts(field === 55 ? 0 : field, value)
    else if (field === 55) masked[key] = shownTags.has(key) ? value : covered(value)
    else masked[key] = isShownInParts(field) ? maskPansIn(value) : covered(value)
  }
  return masked
}

/** As a text 49 is a currency; in parts it is 2003's verification data, with the card's own code. */
function isShownInParts(field: number): boolean {
  return shown.has(field) && field !== 49
}

/** Free text may hold what it should not: a merchant's name with a card number behind it. */
function maskPansIn(text: string): string {
  return text.replace(/(?<![0-9])[0-9]{13,19}(?![0-9])/g, (run) =>
    passesLuhn(run) ? maskPan(run) : run,
  )
}

function covered(value: string): string {
  return `[${value.length} characters removed]`
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, i) => from + i)
}
