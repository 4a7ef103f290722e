// The generated population: customers with cards and devices, merchants with terminals.

import { CITIES, type City } from './places.ts'
import type { SeededRandom } from './random.ts'

export type Channel = 'pos' | 'ecommerce' | 'atm' | 'moto' | 'recurring' | 'qr'
export type EntryMode = 'chip' | 'contactless' | 'magstripe' | 'manual' | 'ecommerce' | 'stored'

/** A kind of merchant: what people spend there, when and how. */
export interface Trade {
  readonly name: string
  readonly mcc: string
  readonly channel: Channel
  /** Share of the channel's purchases, relative. */
  readonly weight: number
  /** Minor units. */
  readonly medianAmount: number
  /** Sigma of the amount's logarithm. */
  readonly spread: number
  /** Amounts are multiples of this many minor units; 1 where they are free. */
  readonly roundTo: number
  /** Local hours of most purchases. */
  readonly hours: readonly [from: number, to: number]
}

export interface Merchant {
  readonly id: string
  readonly acquirer: string
  readonly trade: Trade
  readonly city: City
  readonly latitude: number
  readonly longitude: number
  /** Around 1: cheap and dear shops of one trade. */
  readonly priceLevel: number
  /** How often it is chosen, relative. */
  readonly popularity: number
  readonly terminals: readonly string[]
  /** ISO 4217. */
  readonly currency: string
  /** What its acquirer passes on. */
  readonly sends: {
    readonly place: boolean
    readonly timeZone: boolean
    readonly terminal: boolean
    readonly customer: boolean
    readonly country: boolean
    /** Whose device: the customer's, the till's own, or none. */
    readonly device: 'customer' | 'till' | 'none'
    /** Whose address: the customer's, the shop's own server, or none. */
    readonly ip: 'customer' | 'shop' | 'none'
    readonly threeDs: boolean
  }
  /** The address and device that the shop sends where it sends its own. */
  readonly ip: string
  readonly device: string
}

export interface Card {
  readonly token: string
  readonly bin: string
  readonly country: string
  readonly expiry: string
}

export interface Device {
  readonly id: string
  readonly ip: string
  readonly ipCountry: string
}

export interface Customer {
  readonly id: string
  readonly email: string
  readonly city: City
  readonly cards: readonly Card[]
  readonly devices: readonly Device[]
  /** Purchases a day. */
  readonly perDay: number
  /** Around 1: how much of a trade's median they spend. */
  readonly spending: number
  /** Share of purchases in shops; the rest is online. */
  readonly inShops: number
  /** Nobody is seen before this day. */
  readonly firstDay: number
  /** Away from home from the first to before the second day. */
  readonly trip: { readonly from: number; readonly to: number; readonly city: City }
  readonly subscriptions: readonly Subscription[]
}

export interface Subscription {
  readonly merchant: Merchant
  readonly dayOfMonth: number
  readonly amount: number
}

function trade(
  name: string,
  mcc: string,
  channel: Channel,
  weight: number,
  medianAmount: number,
  spread: number,
  hours: readonly [number, number],
  roundTo = 1,
): Trade {
  return { name, mcc, channel, weight, medianAmount, spread, roundTo, hours }
}

export const TRADES: readonly Trade[] = [
  trade('grocery', '5411', 'pos', 30, 2_300, 0.8, [8, 21]),
  trade('restaurant', '5812', 'pos', 10, 3_200, 0.6, [12, 23]),
  trade('fast food', '5814', 'pos', 12, 900, 0.5, [7, 23]),
  trade('bar', '5813', 'pos', 5, 1_700, 0.7, [18, 27]),
  trade('fuel', '5541', 'pos', 7, 5_600, 0.4, [5, 24]),
  trade('pharmacy', '5912', 'pos', 5, 1_700, 0.7, [8, 19]),
  trade('clothing', '5651', 'pos', 5, 5_500, 0.8, [10, 20]),
  trade('electronics', '5732', 'pos', 2, 9_000, 1.1, [10, 20]),
  trade('jewellery', '5944', 'pos', 0.5, 16_000, 1.1, [10, 19]),
  trade('hotel', '7011', 'pos', 1.5, 17_000, 0.7, [7, 22]),
  trade('transit gate', '4111', 'pos', 8, 280, 0.3, [5, 25]),
  trade('vending machine', '5499', 'pos', 4, 200, 0.4, [7, 20]),
  trade('services', '7230', 'pos', 5, 4_200, 0.8, [9, 19]),
  trade('marketplace', '5999', 'ecommerce', 25, 3_800, 1, [8, 24]),
  trade('online fashion', '5691', 'ecommerce', 15, 6_200, 0.7, [8, 24]),
  trade('online electronics', '5732', 'ecommerce', 7, 13_000, 1, [9, 24]),
  trade('games', '5816', 'ecommerce', 12, 1_200, 0.9, [10, 27]),
  trade('gift cards', '5947', 'ecommerce', 3, 3_500, 0.7, [9, 23], 500),
  trade('airline', '4511', 'ecommerce', 3, 21_000, 0.8, [8, 24]),
  trade('food delivery', '5812', 'ecommerce', 14, 2_700, 0.4, [11, 23]),
  trade('rides', '4121', 'ecommerce', 10, 1_500, 0.5, [6, 27]),
  trade('crypto', '6051', 'ecommerce', 1.5, 14_000, 1.1, [8, 26]),
  trade('gambling', '7995', 'ecommerce', 3, 2_500, 0.9, [12, 28], 500),
  trade('charity', '8398', 'ecommerce', 2, 2_000, 0.8, [8, 23], 500),
  trade('top-up', '4814', 'ecommerce', 5, 1_500, 0.4, [8, 23], 500),
  trade('cash machine', '6011', 'atm', 10, 9_000, 0.7, [7, 24], 1_000),
  trade('catalogue', '5964', 'moto', 6, 4_800, 0.7, [9, 19]),
  trade('hotel by phone', '7011', 'moto', 3, 15_000, 0.7, [8, 20]),
  trade('streaming', '4899', 'recurring', 10, 1_099, 0.2, [0, 24]),
  trade('insurance', '6300', 'recurring', 5, 4_900, 0.6, [0, 12]),
  trade('utility', '4900', 'recurring', 5, 8_200, 0.5, [0, 12]),
  trade('market stall', '5999', 'qr', 5, 900, 0.6, [8, 18]),
]

export interface World {
  readonly customers: readonly Customer[]
  readonly merchants: readonly Merchant[]
  readonly merchantsByChannel: ReadonlyMap<Channel, WeightedList<Merchant>>
  /** In a city, per channel that has a place. */
  readonly localMerchants: ReadonlyMap<string, WeightedList<Merchant>>
  /** Addresses that many customers share (mobile networks), by country. */
  readonly mobileIps: ReadonlyMap<string, readonly string[]>
}

/** Items with cumulative weights; drawn in O(log n). */
export interface WeightedList<T> {
  readonly items: readonly T[]
  readonly cumulative: Float64Array
}

export function weighted<T>(items: readonly T[], weightOf: (item: T) => number): WeightedList<T> {
  const cumulative = new Float64Array(items.length)
  let sum = 0
  items.forEach((item, index) => {
    sum += weightOf(item)
    cumulative[index] = sum
  })
  return { items, cumulative }
}

export function draw<T>(list: WeightedList<T>, random: SeededRandom): T {
  const { items, cumulative } = list
  const at = random.next() * (cumulative[cumulative.length - 1] as number)
  let low = 0
  let high = cumulative.length - 1
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((cumulative[middle] as number) > at) high = middle
    else low = middle + 1
  }
  return items[low] as T
}

/** Test BINs only: 476173 and 541333, with two more digits of our own. */
const BINS = ['47617390', '47617301', '47617322', '54133300', '54133390', '54133311'] as const
const ACQUIRERS = ['north', 'south', 'east', 'demo'] as const
const CITY_LIST = weighted(CITIES, (each) => each.weight)
const HOME_COUNT = 12

export function createWorld(random: SeededRandom, customerCount: number, days: number): World {
  const merchants = createMerchants(random, Math.max(150, Math.round(customerCount / 6)))
  const channels = [...new Set(TRADES.map((each) => each.channel))]
  const list = (some: readonly Merchant[]) => weighted(some, (each) => each.popularity)
  const merchantsByChannel = new Map(
    channels.map((channel) => [
      channel,
      list(merchants.filter((each) => each.trade.channel === channel)),
    ]),
  )
  const localMerchants = new Map<string, WeightedList<Merchant>>()
  for (const each of CITIES) {
    for (const channel of ['pos', 'atm', 'qr'] as const) {
      const here = merchants.filter(
        (merchant) => merchant.city === each && merchant.trade.channel === channel,
      )
      localMerchants.set(`${channel} ${each.name}`, list(here))
    }
  }
  const mobileIps = new Map(
    CITIES.map((each) => [each.country, Array.from({ length: 25 }, () => randomIp(random))]),
  )
  const billers = merchantsByChannel.get('recurring') as WeightedList<Merchant>
  const customers = Array.from({ length: customerCount }, (_, index) =>
    createCustomer(random, index, days, billers),
  )
  return { customers, merchants, merchantsByChannel, localMerchants, mobileIps }
}

/** An address of 10.0.0.0/8: never anybody's. */
export function randomIp(random: SeededRandom): string {
  return `10.${random.below(256)}.${random.below(256)}.${1 + random.below(254)}`
}

export function createCard(random: SeededRandom, country: string): Card {
  const expiry = `${27 + random.below(5)}${String(1 + random.below(12)).padStart(2, '0')}`
  return {
    token: `card_${random.hex8()}_${random.hex8()}`,
    bin: random.pick(BINS),
    country,
    expiry,
  }
}

export function createDevice(random: SeededRandom, ipCountry: string): Device {
  return { id: `device-${random.hex8()}-${random.hex8()}`, ip: randomIp(random), ipCountry }
}

/** A home: by weight, among the cities where the issuer's customers live. */
export function drawHome(random: SeededRandom): City {
  for (;;) {
    const each = draw(CITY_LIST, random)
    if (CITIES.indexOf(each) < HOME_COUNT) return each
  }
}

/** A city that is not the given one. */
export function drawElsewhere(random: SeededRandom, not: City): City {
  for (;;) {
    const each = random.pick(CITIES)
    if (each !== not) return each
  }
}

function createCustomer(
  random: SeededRandom,
  index: number,
  days: number,
  billers: WeightedList<Merchant>,
): Customer {
  const home = drawHome(random)
  const abroad = random.chance(0.04) ? drawElsewhere(random, home) : home
  const from = random.below(Math.max(days, 30))
  return {
    id: `customer-${index}`,
    email: `person${index}@example.com`,
    city: home,
    cards: Array.from({ length: random.chance(0.25) ? 2 : 1 }, () =>
      createCard(random, abroad.country),
    ),
    devices: Array.from({ length: random.chance(0.4) ? 2 : 1 }, () =>
      createDevice(random, home.country),
    ),
    perDay: Math.min(8, random.logNormal(1, 0.6)),
    spending: random.logNormal(1, 0.4),
    inShops: random.between(0.35, 0.9),
    firstDay: random.chance(0.25) ? random.below(days) : 0,
    trip: {
      from,
      to: from + 2 + random.below(12),
      city: random.chance(0.6) ? drawElsewhere(random, home) : home,
    },
    subscriptions: Array.from({ length: random.below(4) }, () => {
      const merchant = draw(billers, random)
      return {
        merchant,
        dayOfMonth: 1 + random.below(28),
        amount: Math.round(random.logNormal(merchant.trade.medianAmount, merchant.trade.spread)),
      }
    }),
  }
}

/** Every city has each trade with a place at least once; the rest are spread by size. */
function createMerchants(random: SeededRandom, count: number): Merchant[] {
  const merchants: Merchant[] = []
  for (const each of TRADES) {
    const local = each.channel === 'pos' || each.channel === 'atm' || each.channel === 'qr'
    if (local) for (const place of CITIES) merchants.push(createMerchant(random, each, place))
    else for (let i = 0; i < 4; i++) merchants.push(createMerchant(random, each, drawHome(random)))
  }
  const trades = weighted(TRADES, (each) => each.weight)
  while (merchants.length < count) {
    merchants.push(createMerchant(random, draw(trades, random), draw(CITY_LIST, random)))
  }
  return merchants.map((merchant, index) => ({
    ...merchant,
    id: `M-${1_000 + index}`,
    terminals: Array.from(
      { length: merchant.terminals.length },
      (_, till) => `T${String(index * 10 + till).padStart(7, '0')}`,
    ),
  }))
}

function createMerchant(random: SeededRandom, kind: Trade, place: City): Merchant {
  const hasTill = kind.channel === 'pos' || kind.channel === 'atm' || kind.channel === 'qr'
  return {
    id: '',
    acquirer: random.pick(ACQUIRERS),
    trade: kind,
    city: place,
    latitude: degrees(place.latitude + 0.05 * random.normal()),
    longitude: degrees(place.longitude + 0.07 * random.normal()),
    priceLevel: random.logNormal(1, 0.25),
    popularity: kind.weight * random.logNormal(1, 1),
    // A few charge in a currency for which nobody keeps a rate: their base amount is unknown.
    currency: random.chance(0.015) ? 'CHF' : 'EUR',
    terminals: Array.from({ length: hasTill ? 1 + random.below(6) : 1 }, () => ''),
    sends: random.chance(0.07) ? SENDS_NOTHING : drawSends(random, kind, hasTill),
    ip: randomIp(random),
    device: `device-${random.hex8()}-${random.hex8()}`,
  }
}

/** To 4 decimals: about 10 m. */
function degrees(value: number): number {
  return Math.round(value * 10_000) / 10_000
}

/** What the poorest integration passes on: card, amount and merchant. */
const SENDS_NOTHING: Merchant['sends'] = {
  place: false,
  timeZone: false,
  terminal: false,
  customer: false,
  country: false,
  device: 'none',
  ip: 'none',
  threeDs: false,
}

function drawSends(random: SeededRandom, kind: Trade, hasTill: boolean): Merchant['sends'] {
  const remote = kind.channel === 'ecommerce' || kind.channel === 'recurring'
  const till = random.chance(0.5) ? 'till' : 'customer'
  return {
    place: random.chance(hasTill ? 0.7 : 0.15),
    timeZone: random.chance(0.8),
    terminal: random.chance(hasTill ? 0.93 : 0.4),
    customer: random.chance(remote ? 0.85 : 0.3),
    country: random.chance(0.93),
    device: random.chance(remote ? 0.85 : 0.25) ? (remote ? 'customer' : till) : 'none',
    ip: random.chance(remote ? 0.92 : 0.2) ? (random.chance(0.1) ? 'shop' : 'customer') : 'none',
    threeDs: kind.channel === 'ecommerce' && random.chance(0.6),
  }
}
