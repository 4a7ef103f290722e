// What the load asks for. Request `i` is a pure function of (seed, i), so that it can be asked
// again with the same key and compared with the ledgers without being kept.
//
// A card belongs to one customer with one device and one address, lives in one city and shops
// there; a few merchants take most of the trade. Without attacks nothing in it is fraud, so that a
// switch that declines is seen to: fast declines would flatter a measurement. An attack tries many
// cards with small amounts over the internet, all of them on a few devices.

import { mix32 } from '../random.ts'

export interface MixOptions {
  readonly seed: number
  /** Different cards, 1 to 10,000,000. */
  readonly cards: number
  /** Share of cards in BIN 541333 (its demo issuer approves amounts that end in 00), 0 to 100. */
  readonly secondIssuerPercent: number
  /** Start of the run, milliseconds since 1970. */
  readonly startedAtMs: number
  readonly ratePerSecond: number
  /** Terminals of all merchants together; absent: 16,000. */
  readonly terminals?: number | undefined
  /** What a request names beside its card, merchant and BIN; absent: all of them. */
  readonly entities?: readonly MixEntity[] | undefined
  /** Share of requests that are part of an attack, 0 to 100; absent: none. */
  readonly attackPercent?: number | undefined
}

export const MIX_ENTITIES = ['device', 'ip', 'terminal', 'customer', 'email'] as const
export type MixEntity = (typeof MIX_ENTITIES)[number]

/** One request: what is asked for, before any protocol writes it. */
export interface MixedRequest {
  readonly index: number
  /** EUR cents. */
  readonly amount: number
  readonly pan: string
  /** YYMM. */
  readonly expiry: string
  readonly terminalId: string
  readonly isRemote: boolean
  readonly entryMode: 'ecommerce' | 'contactless' | 'chip'
  readonly merchant: Merchant
  readonly home: City
  readonly cardNumber: number
  /** Whose device it comes from: the card's own, or one of the attackers'. */
  readonly deviceNumber: number
  readonly entities: readonly MixEntity[]
  /** Milliseconds since 1970, in whole seconds. */
  readonly sentAtMs: number
  /** JSON that is sent as it is: of a replayed request. */
  readonly body?: string
}

/** Where a card lives and shops. */
export interface City {
  readonly name: string
  readonly country: string
  readonly currency: string
  readonly timeZone: string
  readonly latitude: number
  readonly longitude: number
}

const cities: readonly City[] = [
  city('Berlin', 'DE', 'Europe/Berlin', 52.52, 13.41),
  city('Hamburg', 'DE', 'Europe/Berlin', 53.55, 9.99),
  city('Wien', 'AT', 'Europe/Vienna', 48.21, 16.37),
  city('Lyon', 'FR', 'Europe/Paris', 45.76, 4.84),
  city('Milano', 'IT', 'Europe/Rome', 45.46, 9.19),
  city('Madrid', 'ES', 'Europe/Madrid', 40.42, -3.7),
  city('Porto', 'PT', 'Europe/Lisbon', 41.15, -8.61),
  city('Utrecht', 'NL', 'Europe/Amsterdam', 52.09, 5.12),
]

function city(
  name: string,
  country: string,
  timeZone: string,
  latitude: number,
  longitude: number,
): City {
  return { name, country, currency: 'EUR', timeZone, latitude, longitude }
}

/**
 * Category and share of trade of a merchant: groceries, restaurants, fuel, clothes, books, phones.
 */
const categories = ['5411', '5411', '5812', '5541', '5651', '5942', '5732', '5411'] as const

/**
 * Merchants in each city. By the square below the first takes 3% of its city's trade, the 100th
 * 0.2%.
 */
const merchantsPerCity = 1_000
/** Two for each merchant. */
const terminalsDefault = 16_000
/** Devices that attacks come from. */
const attackDevices = 4
/** Numbers of attackers' devices begin above all cards. */
const attackDeviceBase = 20_000_000

/** The card of that number: 476173 or 541333, nine digits that don't repeat, the Luhn digit. */
export function panOf(bin: string, cardNumber: number): string {
  // Prime to 10^9, so that neighbours look nothing alike and no two numbers meet.
  // Below 2^53 up to 14 million cards.
  const account = (cardNumber * 618_033_989) % 1_000_000_000
  const digits = `${bin}${String(account).padStart(9, '0')}`
  return digits + luhnDigit(digits)
}

/** The check digit of ISO/IEC 7812-1, annex B. */
export function luhnDigit(digits: string): string {
  let sum = 0
  for (let i = digits.length - 1, double = true; i >= 0; i--, double = !double) {
    const value = (digits.charCodeAt(i) - 48) * (double ? 2 : 1)
    sum += value > 9 ? value - 9 : value
  }
  return String((10 - (sum % 10)) % 10)
}

/** The requests of a run, by their numbers: the same number is the same request. */
export type RequestSource = (index: number) => MixedRequest

export function mixedRequest(options: MixOptions, index: number): MixedRequest {
  const { seed } = options
  const cardNumber = mix32(seed, index * 4) % options.cards
  const draw = mix32(seed, index * 4 + 1)
  const isAttack = mix32(seed ^ 0x2545f491, index) % 10_000 < (options.attackPercent ?? 0) * 100
  const card = cardOf(options, cardNumber)
  const isRemote = isAttack || draw % 100 < 35
  const merchant = merchantOf(card.home, mix32(seed, index * 4 + 2))
  const amount = amountOf(mix32(seed, index * 4 + 3), card.isSecond)
  const sentAtMs = options.startedAtMs + Math.floor((index * 1000) / options.ratePerSecond)
  return {
    index,
    amount: isAttack ? 100 : amount,
    pan: card.pan,
    expiry: '2912',
    terminalId: terminalOf(options, merchant, draw >>> 8),
    isRemote,
    entryMode: entryModeOf(isRemote, draw),
    merchant,
    home: card.home,
    cardNumber,
    deviceNumber: isAttack ? attackDeviceBase + (draw % attackDevices) : cardNumber,
    entities: options.entities ?? MIX_ENTITIES,
    sentAtMs: sentAtMs - (sentAtMs % 1000),
  }
}

/** What a card always is, whatever it pays. */
export interface MixedCard {
  readonly pan: string
  readonly isSecond: boolean
  readonly home: City
}

export function cardOf(options: MixOptions, cardNumber: number): MixedCard {
  const trait = mix32(options.seed ^ 0x5bd1e995, cardNumber)
  const isSecond = trait % 100 < options.secondIssuerPercent
  return {
    pan: panOf(isSecond ? '541333' : '476173', cardNumber),
    isSecond,
    home: cities[trait % cities.length] as City,
  }
}

/** DE11: six digits, the same for each repetition. */
export function stanOf(request: MixedRequest): string {
  return String(request.index % 1_000_000).padStart(6, '0')
}

/** The body over HTTP, as text: ASCII by construction. */
export function jsonBodyOf(request: MixedRequest): string {
  if (request.body !== undefined) return request.body
  const { home, merchant, isRemote, entities } = request
  const place = isRemote
    ? ''
    : `,"city":"${home.name}","latitude":${home.latitude},"longitude":${home.longitude}`
  return (
    `{"type":"authorization","amount":${request.amount},"currency":"${home.currency}",` +
    `"channel":"${isRemote ? 'ecommerce' : 'pos'}",` +
    `"card":{"pan":"${request.pan}","expiry":"${request.expiry}","country":"${home.country}"},` +
    `"merchant":{"id":"${merchantIdOf(merchant)}","name":"Shop ${merchant.number}",` +
    `"mcc":"${merchant.category}","country":"${home.country}",` +
    `"timeZone":"${home.timeZone}"${place}},` +
    (entities.includes('terminal')
      ? `"terminal":{"id":"${request.terminalId}","entryMode":"${request.entryMode}"},`
      : '') +
    deviceText(request) +
    customerText(request) +
    (isRemote ? '"threeDs":{"version":"2.2.0","eci":"05","status":"authenticated"},' : '') +
    `"stan":"${stanOf(request)}",` +
    `"rrn":"${String(request.index).padStart(12, '0')}",` +
    `"transmittedAt":"${secondText(request.sentAtMs)}Z"}`
  )
}

function deviceText({ deviceNumber, home, entities }: MixedRequest): string {
  const hasIp = entities.includes('ip')
  if (!entities.includes('device') && !hasIp) return ''
  const id = entities.includes('device') ? `"id":"${deviceIdOf(deviceNumber)}",` : ''
  const ip = hasIp ? `"ip":"${addressOf(deviceNumber)}",` : ''
  return `"device":{${id}${ip}"ipCountry":"${home.country}"},`
}

function customerText({ cardNumber, home, entities }: MixedRequest): string {
  const hasEmail = entities.includes('email')
  if (!entities.includes('customer') && !hasEmail) return ''
  const id = entities.includes('customer') ? `"id":"${customerIdOf(cardNumber)}",` : ''
  const email = hasEmail ? `"email":"${emailOf(cardNumber)}",` : ''
  return `"customer":{${id}${email}"country":"${home.country}"},`
}

export const merchantIdOf = ({ number }: Merchant) => `M${number}`
export const deviceIdOf = (deviceNumber: number) => `D${deviceNumber}`
export const customerIdOf = (cardNumber: number) => `C${cardNumber}`
export const emailOf = (cardNumber: number) => `c${cardNumber}@example.com`

let secondMs = -1
let secondWritten = ''

/** `2026-11-22T10:00:00`, written once a second. */
function secondText(atMs: number): string {
  if (atMs !== secondMs) {
    secondMs = atMs
    secondWritten = new Date(atMs).toISOString().slice(0, 19)
  }
  return secondWritten
}

export interface Merchant {
  readonly number: number
  /** 0 has the most trade in its city. */
  readonly rank: number
  readonly category: string
}

export function merchantOf(home: City, draw: number): Merchant {
  const uniform = draw / 4_294_967_296
  const rank = Math.floor(uniform ** 2 * merchantsPerCity)
  const number = 1000 + cities.indexOf(home) * merchantsPerCity + rank
  return { number, rank, category: categories[rank % categories.length] as string }
}

/** Every terminal there is, for who fills counters before a run. */
export function* terminalsOf(
  options: MixOptions,
): Generator<{ readonly merchant: Merchant; readonly terminalId: string }> {
  for (const home of cities) {
    for (let rank = 0; rank < merchantsPerCity; rank++) {
      // The middle of the draws that mean this merchant.
      const merchant = merchantOf(home, Math.sqrt((rank + 0.5) / merchantsPerCity) * 4_294_967_296)
      const count = terminalCount(options, rank)
      for (let i = 0; i < count; i++) {
        yield { merchant, terminalId: terminalOf(options, merchant, i) }
      }
    }
  }
}

/** A merchant has as many terminals as its share of its city's trade, and at least one. */
function terminalCount(options: MixOptions, rank: number): number {
  const inCity = (options.terminals ?? terminalsDefault) / cities.length
  const share = Math.sqrt((rank + 1) / merchantsPerCity) - Math.sqrt(rank / merchantsPerCity)
  return Math.max(1, Math.min(terminalsOfMerchantMax, Math.round(inCity * share)))
}

/** What four characters tell apart. */
const terminalsOfMerchantMax = 10_000

/** Eight characters, so that no two merchants share one. */
function terminalOf(options: MixOptions, merchant: Merchant, draw: number): string {
  const at = merchant.number.toString(36).toUpperCase().padStart(3, '0')
  return `T${at}${String(draw % terminalCount(options, merchant.rank)).padStart(4, '0')}`
}

function entryModeOf(isRemote: boolean, draw: number): MixedRequest['entryMode'] {
  if (isRemote) return 'ecommerce'
  return draw % 10 < 7 ? 'contactless' : 'chip'
}

/**
 * 12.00 to 90.00, most below 40. The second demo issuer takes the last two digits as its answer, so
 * they are 00 there.
 */
function amountOf(draw: number, isSecond: boolean): number {
  const uniform = draw / 4_294_967_296
  const amount = 1200 + Math.floor(uniform ** 2 * 7800)
  return isSecond ? amount - (amount % 100) : amount
}

/** 198.18.0.0/15 is kept for benchmarks (RFC 2544): 131,072 addresses, a few cards on each. */
function addressOf(deviceNumber: number): string {
  const host = deviceNumber % 131_072
  return `198.${18 + (host >> 16)}.${(host >> 8) & 255}.${host & 255}`
}
