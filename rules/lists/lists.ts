// The lists that rules and scoring look values up in, read from lists/*.csv.

import type { ProblemList, RuleFile } from '../problem.ts'
import type { Steps } from '../steps.ts'
import { createCountryOfBin, createCountryOfIp } from './countries.ts'
import { createBaseAmount } from './exchange-rates.ts'
import { createNamedList, type NamedList } from './named-list.ts'
import { listProblem, readTable, type Table } from './table.ts'

/** Look-ups; each takes well below a microsecond and never throws. */
export interface Lists {
  /**
   * An amount in minor units of `currency` as integer minor units of EUR, by the rate of that time;
   * NaN when lists/fx.csv has no rate or only a stale one.
   */
  baseAmount(amount: number, currency: string, atMs: number): number
  /** ISO 3166-1 letters of the issuer's country for a BIN of 6 to 8 digits. */
  countryOfBin(bin: string): string | undefined
  /** ISO 3166-1 letters for an IPv4 or IPv6 address. */
  countryOfIp(ip: string): string | undefined
  /** The lists that conditions ask by inList(value, "name"): all files but the three above. */
  readonly named: ReadonlyMap<string, NamedList>
}

/** The tables that scoring reads; no condition asks them. */
export function isReservedList(name: string): boolean {
  return name === 'fx' || name === 'bins' || name === 'ip-countries'
}

/** Small letters, digits and dashes: `open-proxies`. */
export const listNamePattern = /^[a-z0-9][a-z0-9-]{0,63}$/

/** Reads the files under lists/. Everything wrong is noted, with its line. */
export function* createLists(files: readonly RuleFile[], problems: ProblemList): Steps<Lists> {
  const tables = new Map<string, Table | undefined>()
  const named = new Map<string, NamedList>()
  for (const file of files) {
    yield
    const name = file.name.replace(/^lists\//, '').replace(/\.csv$/, '')
    if (!listNamePattern.test(name)) {
      const message = 'a list is named in small letters, digits and dashes: lists/open-proxies.csv'
      listProblem(problems, file.name, 1, message, 'bad_list_name')
      continue
    }
    if (isReservedList(name)) tables.set(name, yield* readTable(file, problems))
    else named.set(name, yield* createNamedList(file, problems))
  }
  return {
    baseAmount: createBaseAmount(tables.get('fx'), problems),
    countryOfBin: createCountryOfBin(tables.get('bins'), problems),
    countryOfIp: createCountryOfIp(tables.get('ip-countries'), problems),
    named,
  }
}
