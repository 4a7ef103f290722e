// Step: which issuer holds the card? A pure lookup by BIN; the longest prefix wins.

import type { Pan } from './card.ts'
import type { Config } from './config/index.ts'

const BIN_DIGITS_MAX = 8

export class Router {
  readonly #issuers = new Map<string, string>()

  constructor(routes: Config['routes']) {
    for (const route of routes) {
      for (const bin of route.bins) this.#issuers.set(bin, route.issuer)
    }
  }

  /** The issuer's name, or undefined where no route holds the BIN. */
  issuerOf(pan: Pan): string | undefined {
    const bin = pan.bin
    for (let digits = Math.min(bin.length, BIN_DIGITS_MAX); digits >= 2; digits--) {
      const issuer = this.#issuers.get(bin.slice(0, digits))
      if (issuer !== undefined) return issuer
    }
    return undefined
  }
}
