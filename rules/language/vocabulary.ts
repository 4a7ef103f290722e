// Every name that a condition may read, in one table: the type checker, the compiler, the generated
// page (rules/docs/language.md) and "did you mean" all read this, so they can't disagree.

import type { AggregateFunction, Entity } from '../aggregate.ts'

export type ValueKind = 'int' | 'double' | 'string' | 'bool'

/** What a text value must look like to be able to match at all. */
export interface TextShape {
  readonly pattern: RegExp
  /** Said to the analyst: "two capital letters, as DE". */
  readonly looks: string
}

export interface FactName {
  readonly path: string
  readonly kind: ValueKind
  /** True: every authorization has it, so it is never unknown. */
  readonly always: boolean
  readonly meaning: string
  readonly example: string
  /** All values it can have. */
  readonly values?: readonly string[]
  /** Its least and greatest value; numbers without a range are 0 and above. */
  readonly range?: readonly [least: number, greatest: number]
  readonly shape?: TextShape
}

const countryShape: TextShape = { pattern: /^[A-Z]{2}$/, looks: 'two capital letters, as "DE"' }
const mccShape: TextShape = { pattern: /^\d{4}$/, looks: 'four digits, as "5411"' }
const currencyShape: TextShape = { pattern: /^[A-Z]{3}$/, looks: 'three capital letters, as "EUR"' }

const always = true
const optional = false

export const FACT_NAMES: readonly FactName[] = [
  {
    path: 'type',
    kind: 'string',
    always,
    meaning: 'what is asked for',
    example: 'type == "cash_withdrawal"',
    values: [
      'authorization',
      'preauthorization',
      'sale',
      'cash_withdrawal',
      'balance_inquiry',
      'account_verification',
    ],
  },
  {
    path: 'amount',
    kind: 'int',
    always,
    meaning: 'in minor units of `currency`: 2599 EUR is 25.99 euros, 2599 JPY is 2599 yen',
    example: 'amount >= 10000',
  },
  {
    path: 'currency',
    kind: 'string',
    always,
    meaning: 'ISO 4217 letters',
    example: 'currency == "EUR"',
    shape: currencyShape,
  },
  {
    path: 'baseAmount',
    kind: 'int',
    always: optional,
    meaning:
      'the amount in minor units of the base currency, EUR; unknown when lists/fx.csv has no fresh rate',
    example: 'baseAmount >= 50000',
  },
  {
    path: 'channel',
    kind: 'string',
    always,
    meaning: 'where the card was used',
    example: 'channel == "ecommerce"',
    values: ['pos', 'ecommerce', 'atm', 'moto', 'recurring', 'qr'],
  },
  {
    path: 'acquirer',
    kind: 'string',
    always,
    meaning: 'the acquirer that sent it, by its name in the configuration',
    example: 'acquirer == "demo"',
  },
  {
    path: 'localHour',
    kind: 'int',
    always: optional,
    meaning: "hour 0 to 23 in the merchant's time zone",
    example: 'localHour >= 23 || localHour < 5',
    range: [0, 23],
  },
  {
    path: 'localWeekday',
    kind: 'int',
    always: optional,
    meaning: "weekday in the merchant's time zone, Monday 1 to Sunday 7",
    example: 'localWeekday >= 6',
    range: [1, 7],
  },
  {
    path: 'card.bin',
    kind: 'string',
    always,
    meaning: 'the first 8 digits of the card number (6 where it is shorter than 16)',
    example: 'card.bin.startsWith("476173")',
  },
  {
    path: 'card.country',
    kind: 'string',
    always: optional,
    meaning: "the issuer's country, from the request or from lists/bins.csv",
    example: 'card.country == "DE"',
    shape: countryShape,
  },
  {
    path: 'card.token',
    kind: 'string',
    always,
    meaning: 'the keyed token that stands for the card number everywhere',
    example: 'inList(card.token, "stolen-cards")',
  },
  {
    path: 'card.expiry',
    kind: 'string',
    always: optional,
    meaning: 'expiry as YYMM',
    example: 'card.expiry == "2912"',
    shape: { pattern: /^\d{4}$/, looks: 'YYMM, as "2912"' },
  },
  {
    path: 'merchant.id',
    kind: 'string',
    always,
    meaning: "the merchant's identifier (DE42)",
    example: 'merchant.id == "M-1001"',
  },
  {
    path: 'merchant.mcc',
    kind: 'string',
    always,
    meaning: 'merchant category code (DE18), four digits',
    example: 'merchant.mcc in ["6051", "7995"]',
    shape: mccShape,
  },
  {
    path: 'merchant.name',
    kind: 'string',
    always: optional,
    meaning: "the merchant's name",
    example: 'merchant.name.contains("GIFT")',
  },
  {
    path: 'merchant.city',
    kind: 'string',
    always: optional,
    meaning: "the merchant's city",
    example: 'merchant.city == "Berlin"',
  },
  {
    path: 'merchant.country',
    kind: 'string',
    always: optional,
    meaning: "the merchant's country",
    example: 'merchant.country != card.country',
    shape: countryShape,
  },
  {
    path: 'terminal.id',
    kind: 'string',
    always: optional,
    meaning: 'the terminal (DE41)',
    example: 'terminal.id == "T-0001"',
  },
  {
    path: 'terminal.entryMode',
    kind: 'string',
    always: optional,
    meaning: 'how the card was read',
    example: 'terminal.entryMode == "magstripe"',
    values: ['chip', 'contactless', 'magstripe', 'manual', 'ecommerce', 'stored'],
  },
  {
    path: 'device.id',
    kind: 'string',
    always: optional,
    meaning: "the payer's device",
    example: 'has(device.id)',
  },
  {
    path: 'device.ip',
    kind: 'string',
    always: optional,
    meaning: "the payer's address",
    example: 'inList(device.ip, "open-proxies")',
  },
  {
    path: 'device.ipCountry',
    kind: 'string',
    always: optional,
    meaning: 'country of the address, from the request or from lists/ip-countries.csv',
    example: 'device.ipCountry != card.country',
    shape: countryShape,
  },
  {
    path: 'device.userAgent',
    kind: 'string',
    always: optional,
    meaning: "the payer's browser or app, as it names itself",
    example: 'device.userAgent.contains("Headless")',
  },
  {
    path: 'customer.id',
    kind: 'string',
    always: optional,
    meaning: "the merchant's or acquirer's customer",
    example: 'has(customer.id)',
  },
  {
    path: 'customer.email',
    kind: 'string',
    always: optional,
    meaning: "the customer's e-mail address, as it was sent",
    example: 'has(customer.email)',
  },
  {
    path: 'customer.country',
    kind: 'string',
    always: optional,
    meaning: "the customer's country",
    example: 'customer.country != card.country',
    shape: countryShape,
  },
  {
    path: 'threeDs.version',
    kind: 'string',
    always: optional,
    meaning: '3-D Secure version',
    example: 'threeDs.version.startsWith("2.")',
  },
  {
    path: 'threeDs.eci',
    kind: 'string',
    always: optional,
    meaning: 'electronic commerce indicator',
    example: 'threeDs.eci == "05"',
    shape: { pattern: /^\d{2}$/, looks: 'two digits, as "05"' },
  },
  {
    path: 'threeDs.status',
    kind: 'string',
    always: optional,
    meaning: 'outcome of 3-D Secure',
    example: 'threeDs.status == "failed"',
    values: ['authenticated', 'attempted', 'failed', 'unavailable'],
  },
  {
    path: 'score',
    kind: 'double',
    always: optional,
    meaning: "the model's probability of fraud, 0 to 1; unknown when the model is missing",
    example: 'score >= 0.9',
    range: [0, 1],
  },
]

export const factByPath: ReadonlyMap<string, FactName> = new Map(
  FACT_NAMES.map((fact) => [fact.path, fact]),
)

/** The part of a path before the dot, for the names that have fields. */
export const RECORD_NAMES: readonly string[] = [
  ...new Set(
    FACT_NAMES.filter((fact) => fact.path.includes('.')).map(
      (fact) => fact.path.split('.')[0] ?? '',
    ),
  ),
]

/** Which value names the entity in a request. */
export const ENTITY_PATHS: Readonly<Record<Entity, string>> = {
  card: 'card.token',
  customer: 'customer.id',
  device: 'device.id',
  ip: 'device.ip',
  email: 'customer.email',
  terminal: 'terminal.id',
  merchant: 'merchant.id',
  bin: 'card.bin',
}

export interface AggregateFunctionName {
  readonly name: AggregateFunction
  readonly kind: 'int' | 'double'
  /** True: when not all events are kept, the value counted is still a lower bound. */
  readonly lowerBound: boolean
  readonly meaning: string
  readonly example: string
}

export const AGGREGATE_FUNCTIONS: readonly AggregateFunctionName[] = [
  {
    name: 'count',
    kind: 'int',
    lowerBound: true,
    meaning: 'attempts, this one included',
    example: 'count(card, "10m") >= 8',
  },
  {
    name: 'sum',
    kind: 'int',
    lowerBound: true,
    meaning: 'sum of the base amounts, this attempt included, in minor units',
    example: 'sum(customer, "24h") >= 500000',
  },
  {
    name: 'avg',
    kind: 'double',
    lowerBound: false,
    meaning: 'average base amount, this attempt included, in minor units',
    example: 'double(baseAmount) >= 5.0 * avg(card, "30d")',
  },
  {
    name: 'max',
    kind: 'int',
    lowerBound: true,
    meaning: 'largest base amount, this attempt included, in minor units',
    example: 'max(card, "7d") >= 100000',
  },
  {
    name: 'distinct',
    kind: 'int',
    lowerBound: true,
    meaning: 'how many different values of the second entity were seen with the first',
    example: 'distinct(card, merchant, "24h") >= 6',
  },
  {
    name: 'declines',
    kind: 'int',
    lowerBound: true,
    meaning: 'attempts that were declined',
    example: 'declines(card, "1h") >= 4',
  },
  {
    name: 'secondsSinceLast',
    kind: 'double',
    lowerBound: false,
    meaning: 'seconds since the attempt before this one; unknown when there was none in the window',
    example: 'secondsSinceLast(card, "1h") < 5.0',
  },
  {
    name: 'speedKmh',
    kind: 'double',
    lowerBound: false,
    meaning:
      'kilometres an hour between the place before and this one; unknown without a place before or now',
    example: 'speedKmh(card, "6h") > 900.0',
  },
]

export const aggregateFunctionByName: ReadonlyMap<string, AggregateFunctionName> = new Map(
  AGGREGATE_FUNCTIONS.map((entry) => [entry.name, entry]),
)

export interface PlainFunctionName {
  readonly name: string
  readonly signature: string
  readonly meaning: string
  readonly example: string
}

/** The functions that are not aggregates. `text.` marks the ones written after a text. */
export const PLAIN_FUNCTIONS: readonly PlainFunctionName[] = [
  {
    name: 'has',
    signature: 'has(path): bool',
    meaning: 'true when the request has the value; never unknown',
    example: 'has(threeDs.status)',
  },
  {
    name: 'inList',
    signature: 'inList(text or entity, "list"): bool',
    meaning: 'the value is on the list lists/<list>.csv; an entity stands for its own value',
    example: 'inList(merchant, "watched-merchants")',
  },
  {
    name: 'double',
    signature: 'double(int): double',
    meaning: 'a whole number as a decimal number',
    example: 'double(amount) > 99.5',
  },
  {
    name: 'int',
    signature: 'int(double): int',
    meaning: 'a decimal number without its fraction',
    example: 'int(avg(card, "7d")) > 5000',
  },
  {
    name: 'size',
    signature: 'size(text): int',
    meaning: 'number of characters',
    example: 'size(card.bin) == 8',
  },
  {
    name: 'startsWith',
    signature: 'text.startsWith(text): bool',
    meaning: 'the text begins with the other',
    example: 'merchant.mcc.startsWith("60")',
  },
  {
    name: 'endsWith',
    signature: 'text.endsWith(text): bool',
    meaning: 'the text ends with the other',
    example: 'terminal.id.endsWith("9")',
  },
  {
    name: 'contains',
    signature: 'text.contains(text): bool',
    meaning: 'the other text is somewhere inside',
    example: 'merchant.name.contains("CASINO")',
  },
]

export const FUNCTION_NAMES: readonly string[] = [
  ...AGGREGATE_FUNCTIONS.map((entry) => entry.name),
  ...PLAIN_FUNCTIONS.map((entry) => entry.name),
]
