// The lists that rules and scoring look values up in, read from lists/*.csv.

import type { ProblemList, RuleFile } from '../problem.ts'
import { createAddressTable, createCountryOfBin, createCountryOfIp } from './countries.ts'
import { createBaseAmount } from './exchange-rates.ts'
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
  readonly named: ReadonlyMap<string, { has(value: string): boolean }>
}

const reserved: readonly string[] = ['fx', 'bins', 'ip-countries']

/** Reads the files under lists/. Everything wrong is noted, with its line. */
export function createLists(files: readonly RuleFile[], problems: ProblemList): Lists {
  const tables = new Map<string, Table | undefined>()
  for (const file of files) {
    const name = file.name.replace(/^lists\//, '').replace(/\.csv$/, '')
    if (!/^[a-z0-9][a-z0-9-]{0,63}$/.test(name)) {
      const message = 'a list is named in small letters, digits and dashes: lists/open-proxies.csv'
      listProblem(problems, file.name, 1, message, 'bad_list_name')
      continue
    }
    tables.set(name, readTable(file, problems))
  }
  const named = new Map<string, { has(value: string): boolean }>()
  for (const [name, table] of tables) {
    if (!reserved.includes(name)) named.set(name, createNamedList(table, problems))
  }
  return {
    baseAmount: createBaseAmount(tables.get('fx'), problems),
    countryOfBin: createCountryOfBin(tables.get('bins'), problems),
    countryOfIp: createCountryOfIp(tables.get('ip-countries'), problems),
    named,
  }
}

/** A list of values (first column `value`) or of address ranges (first column `cidr`). */
function createNamedList(
  table: Table | undefined,
  problems: ProblemList,
): { has(value: string): boolean } {
  if (table === undefined) return new Set<string>()
  const kind = table.columns[0]
  if (kind === 'cidr') {
    const find = createAddressTable(table, problems, () => true)
    return { has: (value) => find(value) === true }
  }
  if (kind !== 'value') {
    const message = 'the first column of a list is "value" or "cidr"'
    listProblem(problems, table.file, 1, message)
  }
  const values = new Set<string>()
  for (const { line, fields } of table.rows) {
    const value = fields[0] ?? ''
    if (value === '') listProblem(problems, table.file, line, 'the value is empty')
    else if (values.has(value))
      listProblem(problems, table.file, line, 'this value is listed twice')
    else values.add(value)
  }
  return values
}
