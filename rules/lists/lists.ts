// The lists that rules and scoring look values up in, read from lists/*.csv.

import { type FilesRead, readOnce } from '../files-read.ts'
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
  return Object.hasOwn(RESERVED, name)
}

/** Small letters, digits and dashes: `open-proxies`. */
export const listNamePattern = /^[a-z0-9][a-z0-9-]{0,63}$/

type Reserved = Pick<Lists, 'baseAmount' | 'countryOfBin' | 'countryOfIp'>

/** What a reserved table is read to, by its name. */
const RESERVED: Readonly<
  Record<string, (table: Table | undefined, problems: ProblemList) => Partial<Reserved>>
> = {
  fx: (table, problems) => ({ baseAmount: createBaseAmount(table, problems) }),
  bins: (table, problems) => ({ countryOfBin: createCountryOfBin(table, problems) }),
  'ip-countries': (table, problems) => ({ countryOfIp: createCountryOfIp(table, problems) }),
}

/**
 * Reads the files under lists/. Everything wrong is noted, with its line. With `filesRead` what was
 * read before is not read again.
 */
export function* createLists(
  files: readonly RuleFile[],
  problems: ProblemList,
  filesRead?: FilesRead,
): Steps<Lists> {
  const named = new Map<string, NamedList>()
  const reserved: Partial<Reserved> = {}
  for (const file of files) {
    yield
    const name = file.name.replace(/^lists\//, '').replace(/\.csv$/, '')
    if (!listNamePattern.test(name)) {
      const message = 'a list is named in small letters, digits and dashes: lists/open-proxies.csv'
      listProblem(problems, file.name, 1, message, 'bad_list_name')
      continue
    }
    const reading = { file, purpose: 'list', problems }
    const create = isReservedList(name) ? RESERVED[name] : undefined
    if (create === undefined) {
      const read = () => createNamedList(file, problems)
      named.set(name, yield* readOnce(filesRead, reading, read))
    } else {
      const read = () => readReserved(file, create, problems)
      Object.assign(reserved, yield* readOnce(filesRead, reading, read))
    }
  }
  return {
    baseAmount: reserved.baseAmount ?? createBaseAmount(undefined, problems),
    countryOfBin: reserved.countryOfBin ?? createCountryOfBin(undefined, problems),
    countryOfIp: reserved.countryOfIp ?? createCountryOfIp(undefined, problems),
    named,
  }
}

function* readReserved(
  file: RuleFile,
  create: (table: Table | undefined, problems: ProblemList) => Partial<Reserved>,
  problems: ProblemList,
): Steps<Partial<Reserved>> {
  const table = yield* readTable(file, problems)
  return create(table, problems)
}
