// lists/bins.csv: from,to,country (6 to 8 digits; `to` may be empty) and lists/ip-countries.csv:
// cidr,country. Both answer "which country", both refuse ranges that overlap.

import type { ProblemList } from '../problem.ts'
import { type AddressRange, parseCidr, parseIpv4, parseIpv6 } from './address.ts'
import { createRangeTable, noteOverlaps, type Range, type RangeTable } from './ranges.ts'
import { listProblem, type Table } from './table.ts'

export type CountryLookup = (key: string) => string | undefined

const countryPattern = /^[A-Z]{2}$/
const countryMessage = 'the country is two capital letters (ISO 3166-1), as DE'

/** BIN (6 to 8 digits) to country; a shorter BIN must lie in one range as a whole. */
export function createCountryOfBin(table: Table | undefined, problems: ProblemList): CountryLookup {
  const ranges: Range<number, string>[] = []
  for (const { line, fields } of table?.rows ?? []) {
    if (table === undefined) continue
    const { from, to } = binRange(fields[0] ?? '', fields[1] === '' ? fields[0] : fields[1])
    const country = fields[2] ?? ''
    if (!(from <= to))
      listProblem(problems, table.file, line, 'a BIN range is 6 to 8 digits: from,to')
    else if (!countryPattern.test(country)) listProblem(problems, table.file, line, countryMessage)
    else ranges.push({ from, to, value: country, line })
  }
  checkHeader(table, ['from', 'to', 'country'], problems)
  const lookup = createRangeTable(ranges)
  noteOverlaps(table?.file ?? '', lookup, problems)
  return createBinLookup(lookup)
}

/** Looks up a BIN of 6 to 8 digits in a table of 8 digits: all that it stands for must agree. */
export function createBinLookup<Value>(
  table: RangeTable<number, Value>,
): (bin: string) => Value | undefined {
  return (bin) => {
    const digits = digitsOf(bin)
    if (bin.length === 8) return table.find(digits)
    if (bin.length !== 7 && bin.length !== 6) return undefined
    const size = bin.length === 7 ? 10 : 100
    const value = table.find(digits * size)
    return value === table.find(digits * size + size - 1) ? value : undefined
  }
}

/** The number that the digits write; NaN, which lies in no range, for another character. */
function digitsOf(text: string): number {
  let value = 0
  for (let index = 0; index < text.length; index++) {
    const digit = text.charCodeAt(index) - 48
    if (digit < 0 || digit > 9) return Number.NaN
    value = value * 10 + digit
  }
  return value
}

/** The 8-digit BINs between two of 6 to 8 digits, both included; NaN when one is malformed. */
export function binRange(from: string, to = from): { from: number; to: number } {
  const isBin = (text: string) => /^\d{6,8}$/.test(text)
  if (!isBin(from) || !isBin(to)) return { from: Number.NaN, to: Number.NaN }
  return { from: Number(from.padEnd(8, '0')), to: Number(to.padEnd(8, '9')) }
}

/** IPv4 or IPv6 address to country. */
export function createCountryOfIp(table: Table | undefined, problems: ProblemList): CountryLookup {
  checkHeader(table, ['cidr', 'country'], problems)
  const ranges: { range: AddressRange; value: string; line: number }[] = []
  for (const { line, fields } of table?.rows ?? []) {
    if (table === undefined) continue
    const range = parseCidr(fields[0] ?? '')
    const country = fields[1] ?? ''
    if (!countryPattern.test(country)) listProblem(problems, table.file, line, countryMessage)
    else if (range === undefined) listProblem(problems, table.file, line, cidrMessage)
    else ranges.push({ range, value: country, line })
  }
  return createAddressLookup(table?.file ?? '', ranges, problems)
}

export const cidrMessage =
  'expected a CIDR whose host bits are 0, as 203.0.113.0/24 or 2001:db8::/32'

/** Finds the range that an IPv4 or IPv6 address lies in. Notes ranges that overlap. */
export function createAddressLookup<Value>(
  file: string,
  ranges: readonly { readonly range: AddressRange; readonly value: Value; readonly line: number }[],
  problems: ProblemList,
): (ip: string) => Value | undefined {
  const v4: Range<number, Value>[] = []
  const v6: Range<string, Value>[] = []
  for (const { range, value, line } of ranges) {
    if (range.version === 4) v4.push({ from: range.from, to: range.to, value, line })
    else v6.push({ from: range.from, to: range.to, value, line })
  }
  const [v4Table, v6Table] = [createRangeTable(v4), createRangeTable(v6)]
  noteOverlaps(file, v4Table, problems)
  noteOverlaps(file, v6Table, problems)
  return (ip) => {
    const v4Address = parseIpv4(ip)
    if (!Number.isNaN(v4Address)) return v4Table.find(v4Address)
    const v6Address = parseIpv6(ip)
    return v6Address === undefined ? undefined : v6Table.find(v6Address)
  }
}

function checkHeader(
  table: Table | undefined,
  expected: readonly string[],
  problems: ProblemList,
): void {
  if (table === undefined || expected.every((name, index) => table.columns[index] === name)) return
  listProblem(problems, table.file, 1, `the header starts with ${expected.join(',')}`)
}
