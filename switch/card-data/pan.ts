// Card numbers: branded, checked, and masked wherever they could be printed.

import { inspect } from 'node:util'
import { passesLuhn } from '#rules'

export { passesLuhn }

/**
 * A PAN in memory. It prints, logs and serializes as its mask; `reveal()` is the only way to the
 * digits, so a search for `reveal` finds every place that touches them.
 */
export class Pan {
  readonly #digits: string

  private constructor(digits: string) {
    this.#digits = digits
  }

  /** The PAN, or undefined where the text is not 12 to 19 digits with a valid Luhn digit. */
  static parse(text: string): Pan | undefined {
    return /^[0-9]{12,19}$/.test(text) && passesLuhn(text) ? new Pan(text) : undefined
  }

  /** The digits in clear: for the issuer's message, encryption and tokenization only. */
  reveal(): string {
    return this.#digits
  }

  /** The digits that select the issuer: 8, or 6 where the PAN is shorter than 16 digits. */
  get bin(): string {
    return this.#digits.slice(0, this.#digits.length >= 16 ? 8 : 6)
  }

  /** `476173******0119`: the first six and the last four digits. */
  get masked(): string {
    return maskPan(this.#digits)
  }

  toString(): string {
    return this.masked
  }

  toJSON(): string {
    return this.masked
  }

  [inspect.custom](): string {
    return this.masked
  }
}

/** Keeps the first six and last four digits (PCI DSS 3.4.1). */
export function maskPan(digits: string): string {
  return `${digits.slice(0, 6)}${'*'.repeat(Math.max(0, digits.length - 10))}${digits.slice(-4)}`
}
