import { createLocalTime } from '#rules'
import type { FactSource } from '../facts.ts'

/**
 * What generated transactions are read with. Not the analysts' lists, which change: cards and
 * devices carry their country, amounts are in euro, and any other currency has no rate.
 */
export function generatedFactSource(): FactSource {
  return {
    baseAmount: (amount, currency) => (currency === 'EUR' ? amount : Number.NaN),
    countryOfBin: () => undefined,
    countryOfIp: () => undefined,
    localTime: createLocalTime(),
  }
}
