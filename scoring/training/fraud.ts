// The frauds that the generator plays, one function a kind. Each has careless and careful forms:
// a model that finds all of them would only show that the game is too easy.

import { amountAt, atLocalHour, DAY_MS, HOUR_MS, local, remote } from './genuine.ts'
import type { FraudKind, Purchase, ThreeDsStatus } from './purchase.ts'
import type { SeededRandom } from './random.ts'
import {
  type Card,
  type Channel,
  type Customer,
  createCard,
  createDevice,
  type Device,
  drawElsewhere,
  drawHome,
  type EntryMode,
  type Merchant,
  randomIp,
  type World,
} from './world.ts'

type Plan = (purchase: Purchase) => void
type PlanFraud = (random: SeededRandom, world: World, dayMs: number, plan: Plan) => void

/** Campaigns a day at 6,000 customers. */
const CAMPAIGNS: ReadonlyArray<readonly [perDay: number, plan: PlanFraud]> = [
  [0.4, planCardTesting],
  [2.2, planStolenCard],
  [3, planAccountTakeover],
  [0.45, planCompromisedTerminal],
  [0.35, planCollusiveMerchant],
  [1, planCashOut],
]

/** The frauds that begin on the day; they may last for days. `scale` is 1 at 6,000 customers. */
export function planFrauds(
  random: SeededRandom,
  world: World,
  dayMs: number,
  scale: number,
  plan: Plan,
): void {
  for (const [perDay, planFraud] of CAMPAIGNS) {
    for (let i = random.poisson(perDay * scale); i > 0; i--) planFraud(random, world, dayMs, plan)
  }
}

interface Attempt {
  readonly kind: FraudKind
  readonly atMs: number
  readonly card: Card
  readonly merchant: Merchant
  readonly amount: number
  readonly entryMode: EntryMode | undefined
  readonly declineShare: number
  readonly codes: readonly string[]
  readonly till?: number
  readonly customer?: Purchase['customer']
  readonly device?: Device
  readonly threeDs?: ThreeDsStatus | undefined
}

function attempt(random: SeededRandom, fields: Attempt): Purchase {
  const { kind, card, merchant, amount, entryMode, customer, device, threeDs } = fields
  const declined = threeDs === 'failed' || random.chance(fields.declineShare)
  return {
    kind,
    card,
    merchant,
    amount,
    entryMode,
    customer,
    device,
    threeDs,
    atMs: Math.round(fields.atMs),
    till: fields.till ?? random.below(merchant.terminals.length),
    responseCode: declined ? random.pick(fields.codes) : '00',
  }
}

/** A remote merchant of one of the trades. */
function shopOf(random: SeededRandom, world: World, names: readonly string[]): Merchant {
  for (;;) {
    const shop = remote(world, 'ecommerce', random)
    if (names.includes(shop.trade.name)) return shop
  }
}

function localOf(
  random: SeededRandom,
  world: World,
  channel: Channel,
  cityName: string,
  names: readonly string[],
): Merchant {
  for (let tries = 0; tries < 200; tries++) {
    const shop = local(world, channel, cityName, random)
    if (names.includes(shop.trade.name)) return shop
  }
  return local(world, channel, cityName, random)
}

/** Guessed card numbers tried with small amounts, from one device or a few, to see which live. */
function planCardTesting(random: SeededRandom, world: World, dayMs: number, plan: Plan): void {
  const shop = shopOf(random, world, ['charity', 'games', 'top-up', 'marketplace'])
  const base = createCard(random, drawHome(random).country)
  const cardsPerDevice = random.pick([1, 5, 1_000, 1_000, 1_000])
  const cardsPerIp = random.pick([3, 1_000, 1_000])
  const fixedAmount = random.chance(0.5) ? 50 + random.below(450) : undefined
  const gapMs = random.pick([1_500, 6_000, 25_000, 90_000])
  const country = drawElsewhere(random, shop.city).country
  let device = createDevice(random, country)
  let atMs = dayMs + random.between(0, 0.9 * DAY_MS)
  const known = random.chance(0.3)
  for (let i = 1, cards = 15 + random.below(60); i <= cards; i++) {
    if (i % cardsPerDevice === 0) device = { ...createDevice(random, country), ip: device.ip }
    if (i % cardsPerIp === 0) device = { ...device, ip: randomIp(random) }
    const card = { ...createCard(random, base.country), bin: base.bin }
    const id = random.hex8()
    const fields = { kind: 'card_testing', atMs, card, merchant: shop, device } as const
    const customer = known ? { id, email: `${id}@example.com`, country: base.country } : undefined
    plan(
      attempt(random, {
        ...fields,
        amount: fixedAmount ?? 50 + random.below(450),
        entryMode: random.chance(0.7) ? 'ecommerce' : 'manual',
        declineShare: 0.72,
        codes: ['14', '14', '54', '05', '82'],
        ...(customer !== undefined && { customer }),
      }),
    )
    atMs += 200 + random.exponential(gapMs)
  }
}

/** A wallet is stolen: purchases below the PIN limit, or dear goods on the magnetic stripe. */
function planStolenCard(random: SeededRandom, world: World, dayMs: number, plan: Plan): void {
  const victim = random.pick(world.customers)
  const card = random.pick(victim.cards)
  const city = random.chance(0.6) ? victim.city : drawElsewhere(random, victim.city)
  const tapping = random.chance(0.6)
  const names = tapping
    ? ['grocery', 'fuel', 'fast food', 'pharmacy', 'clothing', 'bar']
    : ['electronics', 'jewellery', 'clothing', 'fuel']
  let atMs = dayMs + random.between(6, 22) * HOUR_MS
  const count = random.chance(0.15) ? 1 : 3 + random.below(9)
  for (let i = 0; i < count; i++) {
    const merchant = localOf(random, world, 'pos', city.name, names)
    const amount = tapping
      ? Math.round(random.between(1_800, 5_000))
      : amountAt(random, merchant, random.between(1.5, 5))
    plan(
      attempt(random, {
        kind: 'stolen_card',
        atMs,
        card,
        merchant,
        amount,
        entryMode: tapping
          ? 'contactless'
          : random.pick(['magstripe', 'magstripe', 'chip', 'manual']),
        declineShare: i < 3 ? 0.12 : 0.35,
        codes: ['55', '61', '65', '43', '05'],
      }),
    )
    atMs += 60_000 + random.exponential(tapping ? 500_000 : 1_500_000)
  }
}

/** Somebody else logs in: the customer's account, a new device, goods that are easily sold. */
function planAccountTakeover(random: SeededRandom, world: World, dayMs: number, plan: Plan): void {
  const victim = random.pick(world.customers)
  const card = random.pick(victim.cards)
  const ipCountry = random.chance(0.5)
    ? drawElsewhere(random, victim.city).country
    : victim.city.country
  const device = createDevice(random, ipCountry)
  const careful = random.chance(0.25)
  const names = ['online electronics', 'gift cards', 'crypto', 'games', 'marketplace', 'airline']
  let atMs = dayMs + random.between(0, 23) * HOUR_MS
  for (let i = careful ? 1 : 1 + random.below(7); i > 0; i--) {
    const merchant = shopOf(random, world, names)
    const threeDs = takeoverThreeDs(random, merchant)
    plan(
      attempt(random, {
        kind: 'account_takeover',
        atMs,
        card,
        merchant,
        device,
        amount: amountAt(random, merchant, careful ? 1.2 : random.between(1.5, 5)),
        entryMode: random.chance(0.65) ? 'stored' : 'ecommerce',
        customer: { id: victim.id, email: victim.email, country: victim.city.country },
        threeDs,
        declineShare: 0.18,
        codes: ['05', '51', '61', '65'],
      }),
    )
    atMs += 40_000 + random.exponential(900_000)
  }
}

function takeoverThreeDs(random: SeededRandom, merchant: Merchant): ThreeDsStatus | undefined {
  if (!merchant.sends.threeDs || random.chance(0.5)) return undefined
  return random.pick(['authenticated', 'authenticated', 'attempted', 'unavailable', 'failed'])
}

/** A skimmed terminal: cards of people of that city are copied and used elsewhere, days later. */
function planCompromisedTerminal(
  random: SeededRandom,
  world: World,
  dayMs: number,
  plan: Plan,
): void {
  const city = drawHome(random)
  const residents: Customer[] = []
  for (let tries = 0; tries < 600 && residents.length < 12 + random.below(35); tries++) {
    const someone = random.pick(world.customers)
    if (someone.city === city) residents.push(someone)
  }
  const away = drawElsewhere(random, city)
  const atMachines = random.chance(0.6)
  const places = Array.from({ length: 1 + random.below(3) }, () =>
    atMachines
      ? local(world, 'atm', away.name, random)
      : localOf(random, world, 'pos', away.name, ['electronics', 'jewellery', 'clothing']),
  )
  const mode = random.pick(['magstripe', 'magstripe', 'magstripe', 'manual', 'chip'] as const)
  // In one go, or now and then for weeks at the same places.
  const gapMs = random.chance(0.5) ? 600_000 : 20 * HOUR_MS
  let atMs = dayMs + (2 + random.below(6)) * DAY_MS + random.between(17, 28) * HOUR_MS
  for (const resident of residents) {
    const card = random.pick(resident.cards)
    const merchant = random.pick(places)
    for (let i = 1 + random.below(3); i > 0; i--) {
      plan(
        attempt(random, {
          kind: 'compromised_terminal',
          atMs,
          card,
          merchant,
          till: 0,
          amount: atMachines
            ? 10_000 + 10_000 * random.below(5)
            : amountAt(random, merchant, random.between(1.5, 4)),
          entryMode: mode,
          declineShare: 0.35,
          codes: ['55', '62', '61', '51', '05'],
        }),
      )
      atMs += 25_000 + random.exponential(60_000)
    }
    atMs += random.exponential(gapMs)
  }
}

/** A merchant that charges stolen cards itself: dear, round, typed in, with nobody at the till. */
function planCollusiveMerchant(
  random: SeededRandom,
  world: World,
  dayMs: number,
  plan: Plan,
): void {
  const city = drawHome(random)
  const byPhone = random.chance(0.4)
  const merchant = byPhone
    ? remote(world, 'moto', random)
    : localOf(random, world, 'pos', city.name, ['services', 'clothing', 'restaurant', 'bar'])
  const days = random.chance(0.5) ? 2 + random.below(3) : 15 + random.below(25)
  const factor = random.between(2, 7)
  for (let i = 15 + random.below(45); i > 0; i--) {
    const hour = random.chance(0.6) ? random.between(0, 7) : random.between(7, 24)
    const stolen = random.chance(0.5)
      ? random.pick(random.pick(world.customers).cards)
      : createCard(random, drawElsewhere(random, merchant.city).country)
    const amount = amountAt(random, merchant, factor)
    plan(
      attempt(random, {
        kind: 'collusive_merchant',
        atMs: atLocalHour(dayMs + random.below(days) * DAY_MS, hour, merchant),
        card: stolen,
        merchant,
        till: 0,
        amount: random.chance(0.7) ? Math.max(500, Math.round(amount / 500) * 500) : amount,
        entryMode: random.chance(0.8) ? 'manual' : 'magstripe',
        declineShare: 0.25,
        codes: ['05', '14', '51', '54'],
      }),
    )
  }
}

/** Money out before the account closes: machine after machine, or crypto and transfers in a row. */
function planCashOut(random: SeededRandom, world: World, dayMs: number, plan: Plan): void {
  const own = random.pick(world.customers)
  const card = random.chance(0.6) ? random.pick(own.cards) : createCard(random, own.city.country)
  const atMachines = random.chance(0.55)
  const device = createDevice(
    random,
    random.chance(0.6) ? own.city.country : drawElsewhere(random, own.city).country,
  )
  const city = random.chance(0.7) ? own.city : drawElsewhere(random, own.city)
  const amount = 20_000 + 10_000 * random.below(9)
  let atMs = dayMs + random.between(0, 24) * HOUR_MS
  for (let i = 0, count = 3 + random.below(7); i < count; i++) {
    const merchant = atMachines
      ? local(world, 'atm', city.name, random)
      : shopOf(random, world, ['crypto', 'gambling', 'gift cards'])
    plan(
      attempt(random, {
        kind: 'cash_out',
        atMs,
        card,
        merchant,
        device,
        amount: random.chance(0.7) ? amount : 10_000 + 10_000 * random.below(6),
        entryMode: atMachines ? (random.chance(0.3) ? 'magstripe' : 'chip') : 'ecommerce',
        declineShare: i < 2 ? 0.1 : 0.4,
        codes: ['61', '51', '65'],
      }),
    )
    atMs += 90_000 + random.exponential(atMachines ? 700_000 : 240_000)
  }
}
