// Step: which issuers take the card? A pure lookup by BIN; the longest prefix wins.

import type { Pan } from './card-data/index.ts'
import type { Config } from './config/index.ts'

const BIN_DIGITS_MAX = 8

/** Issuers by name: the first is asked, the others stand by for fail-over, in order. */
export type Route = readonly [first: string, ...failOver: string[]]

export class Router {
  readonly #routes = new Map<string, Route>()

  constructor(routes: Config['routes']) {
    for (const { bins, issuer, failOver } of routes) {
      const route: Route = [issuer, ...(failOver ?? [])]
      for (const bin of bins) this.#routes.set(bin, route)
    }
  }

  /** Undefined where no route holds the BIN. */
  routeOf(pan: Pan): Route | undefined {
    const bin = pan.bin
    for (let digits = Math.min(bin.length, BIN_DIGITS_MAX); digits >= 2; digits--) {
      const route = this.#routes.get(bin.slice(0, digits))
      if (route !== undefined) return route
    }
    return undefined
  }
}
