// What honest people, machines and testers do, and how it can look like fraud without being it.

import type { Purchase, ThreeDsStatus } from './purchase.ts'
import type { SeededRandom } from './random.ts'
import {
  type Card,
  type Channel,
  type Customer,
  createCard,
  createDevice,
  type Device,
  draw,
  drawElsewhere,
  drawHome,
  type EntryMode,
  type Merchant,
  type World,
} from './world.ts'

export const HOUR_MS = 3_600_000
export const DAY_MS = 24 * HOUR_MS

/** Shopping by month (January first): December is the season. */
const MONTH_FACTORS = [0.92, 0.9, 0.96, 0.98, 1, 1.02, 1.04, 1.02, 0.98, 1, 1.12, 1.3] as const

/** Shopping by day of the week (Sunday first). */
const WEEKDAY_FACTORS = [0.85, 0.92, 0.94, 0.96, 1, 1.15, 1.25] as const

/** Honest declines: funds, limit, PIN, expiry, do not honour. */
const DECLINE_CODES = ['51', '51', '51', '51', '61', '55', '54', '05'] as const
const DECLINE_SHARE = 0.035

/** All purchases that a customer begins on the day that starts at `dayMs`. */
export function planCustomerDay(
  random: SeededRandom,
  world: World,
  customer: Customer,
  day: number,
  dayMs: number,
  plan: (purchase: Purchase) => void,
): void {
  if (day < customer.firstDay) return
  const date = new Date(dayMs)
  const season =
    (MONTH_FACTORS[date.getUTCMonth()] as number) * (WEEKDAY_FACTORS[date.getUTCDay()] as number)
  // Once in a while a day in town: many purchases in a few hours.
  const spree = random.chance(0.004)
  const count = spree ? 5 + random.below(6) : random.poisson(customer.perDay * season)
  const spreeHour = random.between(10, 16)
  for (let i = 0; i < count; i++) {
    const merchant = chooseMerchant(random, world, customer, day, spree)
    const hour = spree ? spreeHour + random.between(0, 3) : localHour(random, merchant)
    buy(random, world, customer, merchant, atLocalHour(dayMs, hour, merchant), plan)
  }
  for (const { merchant, dayOfMonth, amount } of customer.subscriptions) {
    if (date.getUTCDate() !== dayOfMonth) continue
    const atMs = atLocalHour(dayMs, localHour(random, merchant), merchant)
    const [card] = customer.cards as readonly [Card]
    plan(purchaseOf(random, customer, card, merchant, atMs, amount))
  }
}

function chooseMerchant(
  random: SeededRandom,
  world: World,
  customer: Customer,
  day: number,
  spree: boolean,
): Merchant {
  const { trip } = customer
  const city = day >= trip.from && day < trip.to ? trip.city : customer.city
  if (spree || random.chance(customer.inShops)) {
    const kind = random.next()
    const channel = spree || kind < 0.92 ? 'pos' : kind < 0.97 ? 'atm' : 'qr'
    return local(world, channel, city.name, random)
  }
  return remote(world, random.chance(0.96) ? 'ecommerce' : 'moto', random)
}

export function local(
  world: World,
  channel: Channel,
  cityName: string,
  random: SeededRandom,
): Merchant {
  const list = world.localMerchants.get(`${channel} ${cityName}`)
  if (list === undefined) throw new Error(`no ${channel} merchants in ${cityName}`)
  return draw(list, random)
}

export function remote(world: World, channel: Channel, random: SeededRandom): Merchant {
  const list = world.merchantsByChannel.get(channel)
  if (list === undefined) throw new Error(`no ${channel} merchants`)
  return draw(list, random)
}

/** One purchase with what often follows: a retry after a decline, more of the same in a game. */
function buy(
  random: SeededRandom,
  world: World,
  customer: Customer,
  merchant: Merchant,
  atMs: number,
  plan: (purchase: Purchase) => void,
): void {
  const card = random.pick(customer.cards)
  const amount = amountAt(random, merchant, customer.spending * (random.chance(0.01) ? 6 : 1))
  let purchase = purchaseOf(random, customer, card, merchant, atMs, amount, world)
  plan(purchase)
  if (merchant.trade.name === 'games' && random.chance(0.06)) {
    for (let i = 3 + random.below(10); i > 0; i--) {
      const next = purchase.atMs + 5_000 + random.exponential(40_000)
      const price = amountAt(random, merchant, 0.5)
      purchase = { ...purchase, atMs: next, amount: price, responseCode: '00' }
      plan(purchase)
    }
  }
  for (let tries = 0; purchase.responseCode !== '00' && tries < 4; tries++) {
    if (random.chance(0.45)) break
    const next = purchase.atMs + 6_000 + random.exponential(50_000)
    const other = random.chance(0.5) ? random.pick(customer.cards) : purchase.card
    const responseCode = random.chance(0.5) ? '00' : purchase.responseCode
    purchase = { ...purchase, atMs: next, card: other, responseCode }
    plan(purchase)
  }
}

function purchaseOf(
  random: SeededRandom,
  customer: Customer,
  card: Card,
  merchant: Merchant,
  atMs: number,
  amount: number,
  world?: World,
): Purchase {
  const threeDs = threeDsOf(random, merchant)
  return {
    atMs,
    kind: 'genuine',
    card,
    merchant,
    till: random.below(merchant.terminals.length),
    amount,
    entryMode: entryModeOf(random, merchant.trade.channel, amount),
    customer: { id: customer.id, email: customer.email, country: customer.city.country },
    device:
      merchant.trade.channel === 'recurring' ? undefined : payerDevice(random, customer, world),
    threeDs,
    responseCode: threeDs === 'failed' ? '05' : honestAnswer(random),
  }
}

/** The customer's device at home, on a mobile network that many share, or a new one. */
function payerDevice(random: SeededRandom, customer: Customer, world: World | undefined): Device {
  if (random.chance(0.015)) return createDevice(random, customer.city.country)
  const device = random.pick(customer.devices)
  const shared = world?.mobileIps.get(customer.city.country)
  return shared !== undefined && random.chance(0.35)
    ? { id: device.id, ip: random.pick(shared), ipCountry: device.ipCountry }
    : device
}

export function honestAnswer(random: SeededRandom): string {
  return random.chance(DECLINE_SHARE) ? random.pick(DECLINE_CODES) : '00'
}

function threeDsOf(random: SeededRandom, merchant: Merchant): ThreeDsStatus | undefined {
  if (!merchant.sends.threeDs || random.chance(0.5)) return undefined
  const at = random.next()
  if (at < 0.9) return 'authenticated'
  return at < 0.96 ? 'attempted' : at < 0.98 ? 'unavailable' : 'failed'
}

export function entryModeOf(
  random: SeededRandom,
  channel: Channel,
  amount: number,
): EntryMode | undefined {
  const at = random.next()
  if (channel === 'pos') {
    if (at < 0.02) return 'magstripe'
    if (at < 0.03) return 'manual'
    return at < (amount <= 5_000 ? 0.8 : 0.25) ? 'contactless' : 'chip'
  }
  if (channel === 'atm') return at < 0.015 ? 'magstripe' : at < 0.12 ? 'contactless' : 'chip'
  if (channel === 'ecommerce') return at < 0.05 ? undefined : at < 0.65 ? 'ecommerce' : 'stored'
  if (channel === 'recurring') return 'stored'
  return channel === 'moto' ? 'manual' : undefined
}

/** Minor units: the trade's median by the merchant's prices, rounded as the trade rounds. */
export function amountAt(random: SeededRandom, merchant: Merchant, factor: number): number {
  const { medianAmount, spread, roundTo } = merchant.trade
  const amount = random.logNormal(medianAmount * merchant.priceLevel * factor, spread)
  return Math.min(2_000_000, Math.max(roundTo, 50, Math.round(amount / roundTo) * roundTo))
}

/** A local hour in the trade's day, mostly its middle; now and then any hour. */
export function localHour(random: SeededRandom, merchant: Merchant): number {
  const [from, to] = merchant.trade.hours
  if (random.chance(0.02)) return random.between(0, 24)
  return from + ((to - from) * (random.next() + random.next())) / 2
}

/** Hours of the merchant's clock on the day that starts at `dayMs` (UTC); never before it. */
export function atLocalHour(dayMs: number, hour: number, merchant: Merchant): number {
  const sinceMidnight = (hour - merchant.city.utcOffsetHours) * HOUR_MS
  return dayMs + Math.round(sinceMidnight < 0 ? sinceMidnight + DAY_MS : sinceMidnight)
}

/** Purchases that belong to no known customer. `scale` is 1 at 6,000 customers. */
export function planStrangers(
  random: SeededRandom,
  world: World,
  dayMs: number,
  scale: number,
  plan: (purchase: Purchase) => void,
): void {
  for (let i = random.poisson(60 * scale); i > 0; i--) planGuest(random, world, dayMs, plan)
  for (let i = random.poisson(2.5 * scale); i > 0; i--) planTrial(random, world, dayMs, plan)
  if (random.chance(0.3 * scale)) planCrowd(random, world, dayMs, plan)
  if (random.chance(0.5 * scale)) planSale(random, world, dayMs, plan)
}

/** A tourist or a guest: a card that was never seen, one to five purchases. */
function planGuest(
  random: SeededRandom,
  world: World,
  dayMs: number,
  plan: (purchase: Purchase) => void,
): void {
  const guest = stranger(random)
  for (let i = 1 + random.below(5); i > 0; i--) {
    const merchant = random.chance(0.6)
      ? local(world, 'pos', guest.city.name, random)
      : remote(world, 'ecommerce', random)
    const atMs = atLocalHour(dayMs, localHour(random, merchant), merchant)
    plan(
      purchaseOf(
        random,
        guest,
        random.pick(guest.cards),
        merchant,
        atMs,
        amountAt(random, merchant, 1),
      ),
    )
  }
}

function stranger(random: SeededRandom): Customer {
  const city = drawHome(random)
  const country = random.chance(0.3) ? drawElsewhere(random, city).country : city.country
  const id = random.hex8()
  return {
    id: `customer-${id}`,
    email: `${id}@example.com`,
    city,
    cards: [createCard(random, country)],
    devices: [createDevice(random, random.chance(0.2) ? country : city.country)],
    perDay: 1,
    spending: 1,
    inShops: 0.5,
    firstDay: 0,
    trip: { from: 0, to: 0, city },
    subscriptions: [],
  }
}

/** Somebody tries a till or an integration: one to four cards, the same purchase over and over. */
function planTrial(
  random: SeededRandom,
  world: World,
  dayMs: number,
  plan: (purchase: Purchase) => void,
): void {
  const tester = stranger(random)
  const cards = [...tester.cards]
  if (random.chance(0.4))
    for (let i = random.below(4); i > 0; i--)
      cards.push(createCard(random, cards[0]?.country ?? 'DE'))
  const channel = random.chance(0.65) ? 'pos' : 'ecommerce'
  const chosen =
    channel === 'pos'
      ? local(world, 'pos', tester.city.name, random)
      : remote(world, channel, random)
  // What a test sends is complete: the customer's device and address at a till, too.
  const complete = {
    ...chosen.sends,
    terminal: true,
    customer: true,
    device: 'customer',
    ip: 'customer',
  } as const
  const merchant = random.chance(0.6) ? { ...chosen, sends: complete } : chosen
  const fixed = amountAt(random, merchant, 1)
  let atMs = dayMs + Math.round(random.between(0, DAY_MS * 0.95))
  const first = purchaseOf(random, tester, cards[0] as Card, merchant, atMs, fixed)
  for (let i = 2 + random.below(40); i > 0; i--) {
    const amount = random.chance(0.7) ? fixed : amountAt(random, merchant, 1)
    const card = random.pick(cards)
    plan({ ...first, atMs, card, amount, responseCode: honestAnswer(random) })
    atMs += 100 + Math.round(random.exponential(random.pick([300, 3_000, 20_000])))
  }
}

/** A gate at a stadium or a station: hundreds of taps at one terminal. */
function planCrowd(
  random: SeededRandom,
  world: World,
  dayMs: number,
  plan: (purchase: Purchase) => void,
): void {
  const gate = local(world, 'pos', drawHome(random).name, random)
  let atMs = atLocalHour(dayMs, random.between(8, 21), gate)
  const gapMs = random.between(500, 6_000)
  const till = random.below(gate.terminals.length)
  for (let i = 80 + random.below(250); i > 0; i--) {
    const guest = stranger(random)
    const purchase = purchaseOf(
      random,
      guest,
      guest.cards[0] as Card,
      gate,
      atMs,
      amountAt(random, gate, 0.5),
    )
    plan({ ...purchase, till, customer: undefined, entryMode: 'contactless' })
    atMs += 50 + Math.round(random.exponential(gapMs))
  }
}

/**
 * A sale, or a ticket office at ten o'clock: a crowd of new cards, customers and devices online.
 */
function planSale(
  random: SeededRandom,
  world: World,
  dayMs: number,
  plan: (purchase: Purchase) => void,
): void {
  const chosen = remote(world, 'ecommerce', random)
  // Ticket offices put the buyer in a queue and often send their own server's address, or nothing.
  const ip = random.pick(['customer', 'customer', 'shop', 'none'] as const)
  const customer = random.chance(0.6)
  const device = ip === 'customer' ? 'customer' : 'none'
  const shop = { ...chosen, sends: { ...chosen.sends, ip, device, customer } } as const
  let atMs = atLocalHour(dayMs, random.between(8, 21), shop)
  const gapMs = random.between(100, 8_000)
  for (let i = 80 + random.below(200); i > 0; i--) {
    const guest = random.chance(0.5) ? stranger(random) : random.pick(world.customers)
    const amount = amountAt(random, shop, 1)
    plan(purchaseOf(random, guest, random.pick(guest.cards), shop, atMs, amount, world))
    atMs += 20 + Math.round(random.exponential(gapMs))
  }
}
