// The one definition of the model's inputs: used for live scores, in backtests and for training.
//
// A feature reads the request's facts and velocity aggregates, nothing else, so it is known at the
// moment of the decision. Missing is NaN, never zero: the trees learn what to do with a missing
// value, and a zero would be a claim. A saturated aggregate enters as its lower bound; training
// reads the same lower bound from the same code.

import { type Aggregate, type AggregatePlan, aggregateKey, type RuleFacts } from '#rules'
import { mccRisk } from './mcc-risk.ts'

export interface Feature {
  /** Stable: manifests name it. */
  readonly name: string
  readonly unit: string
  /** Said to an analyst: completes "the model saw ...". */
  readonly meaning: string
  /** What velocity must answer for it. */
  readonly needs: readonly Aggregate[]
  /** Writes the value to `target[column]`. */
  readonly write: WriteFeature
}

/**
 * `needed[from + i]` is the value of the feature's `needs[i]`, NaN where unknown. It writes instead
 * of returning, since a fraction returned by a call that isn't inlined is allocated: 240 bytes a
 * row as measured, none this way.
 */
type WriteFeature = (
  target: Float32Array,
  column: number,
  facts: RuleFacts,
  needed: Float64Array,
  from: number,
) => void

const MINUTE = 60
const HOUR = 3_600
const DAY = 86_400
const WEEK = 7 * DAY
const MONTH = 30 * DAY

type WindowedFunction =
  | 'count'
  | 'sum'
  | 'max'
  | 'declines'
  | 'frauds'
  | 'secondsSinceLast'
  | 'speedKmh'

function aggregate(
  of: WindowedFunction,
  entity: Aggregate['entity'],
  windowSeconds: number,
): Aggregate {
  return { function: of, entity, windowSeconds }
}

function distinct(
  entity: Aggregate['entity'],
  of: Aggregate['entity'],
  windowSeconds: number,
): Aggregate {
  return { function: 'distinct', entity, windowSeconds, of }
}

/** A feature that is one aggregate as it is. */
function velocity(name: string, unit: string, meaning: string, need: Aggregate): Feature {
  return { name, unit, meaning, needs: [need], write: copyNeeded }
}

const copyNeeded: WriteFeature = (target, column, _facts, needed, from) => {
  target[column] = needed[from] as number
}

/** A feature of the request alone; `value` gives a small integer or NaN. */
function fact(
  name: string,
  unit: string,
  meaning: string,
  value: (facts: RuleFacts) => number,
): Feature {
  const write: WriteFeature = (target, column, facts) => {
    target[column] = value(facts)
  }
  return { name, unit, meaning, needs: [], write }
}

const logOfAmount: WriteFeature = (target, column, facts) => {
  target[column] = Math.log1p(facts.baseAmount)
}

/** The base amount over the mean of the entity's earlier attempts in the window. */
function amountToAverage(
  name: string,
  meaning: string,
  entity: Aggregate['entity'],
  windowSeconds: number,
): Feature {
  return {
    name,
    unit: 'ratio',
    meaning,
    needs: [aggregate('sum', entity, windowSeconds), aggregate('count', entity, windowSeconds)],
    write: amountOverEarlierMean,
  }
}

/** Windows include the current attempt, so it is taken out again; no earlier attempt is NaN. */
const amountOverEarlierMean: WriteFeature = (target, column, facts, needed, from) => {
  const earlierSum = (needed[from] as number) - facts.baseAmount
  const earlierCount = (needed[from + 1] as number) - 1
  target[column] =
    earlierCount >= 1 && earlierSum > 0
      ? (facts.baseAmount * earlierCount) / earlierSum
      : Number.NaN
}

/** 1 = as large as anything in the window; the current attempt is one of its values. */
const amountOverMax: WriteFeature = (target, column, facts, needed, from) => {
  const max = needed[from] as number
  target[column] = max > 0 ? facts.baseAmount / max : Number.NaN
}

/** Attempts of the last hour over the day's hourly mean: 1 is even, 24 is all in the last hour. */
const hourlyBurst: WriteFeature = (target, column, _facts, needed, from) => {
  const day = needed[from + 1] as number
  target[column] = day > 0 ? ((needed[from] as number) * 24) / day : Number.NaN
}

/** Known frauds over the entity's attempts of 30 days; both windows are as long. */
const fraudShare: WriteFeature = (target, column, _facts, needed, from) => {
  const attempts = needed[from + 1] as number
  target[column] = attempts > 0 ? (needed[from] as number) / attempts : Number.NaN
}

/** The risk of a terminal or merchant; `kept` says what a ring's count ends at. */
function riskOf(entity: 'terminal' | 'merchant', kept: string): Feature {
  return {
    name: `${entity}_fraud_share_30d`,
    unit: 'ratio',
    meaning: `known frauds at the ${entity} over its attempts of 30 days${kept}`,
    needs: [aggregate('frauds', entity, MONTH), aggregate('count', entity, MONTH)],
    write: fraudShare,
  }
}

function flag(known: string | undefined, value: string): number {
  return known === undefined ? Number.NaN : known === value ? 1 : 0
}

function differ(one: string | undefined, other: string | undefined): number {
  return one === undefined || other === undefined ? Number.NaN : one === other ? 0 : 1
}

function channelFlag(channel: string): Feature {
  return fact(`channel_${channel}`, '0 or 1', `channel is ${channel}`, (facts) =>
    flag(facts.channel, channel),
  )
}

function entryFlag(mode: string, meaning: string): Feature {
  return fact(`entry_${mode}`, '0 or 1', meaning, (facts) => flag(facts.terminal.entryMode, mode))
}

/** The model's inputs, in the order of its columns. A change here needs a newly trained model. */
export const FEATURES: readonly Feature[] = [
  {
    name: 'amount_log',
    unit: 'ln(1 + base minor units)',
    meaning: 'amount in the base currency',
    needs: [],
    write: logOfAmount,
  },
  amountToAverage(
    'amount_to_card_average_24h',
    "amount over the mean of the card's earlier attempts in 24 hours",
    'card',
    DAY,
  ),
  amountToAverage(
    'amount_to_card_average_30d',
    "amount over the mean of the card's earlier attempts in 30 days",
    'card',
    MONTH,
  ),
  {
    name: 'amount_to_card_max_7d',
    unit: 'ratio',
    meaning: "amount over the card's largest in 7 days (1: this is the largest)",
    needs: [aggregate('max', 'card', WEEK)],
    write: amountOverMax,
  },
  amountToAverage(
    'amount_to_customer_average_30d',
    "amount over the mean of the customer's earlier attempts in 30 days",
    'customer',
    MONTH,
  ),
  amountToAverage(
    'amount_to_merchant_average_7d',
    "amount over the mean of the merchant's earlier attempts in 7 days",
    'merchant',
    WEEK,
  ),

  velocity(
    'card_count_10m',
    'attempts',
    'attempts of the card in 10 minutes',
    aggregate('count', 'card', 10 * MINUTE),
  ),
  velocity(
    'card_count_1h',
    'attempts',
    'attempts of the card in 1 hour',
    aggregate('count', 'card', HOUR),
  ),
  velocity(
    'card_count_24h',
    'attempts',
    'attempts of the card in 24 hours',
    aggregate('count', 'card', DAY),
  ),
  velocity(
    'card_count_7d',
    'attempts',
    'attempts of the card in 7 days',
    aggregate('count', 'card', WEEK),
  ),
  velocity(
    'card_sum_24h',
    'base minor units',
    'amount of the card in 24 hours',
    aggregate('sum', 'card', DAY),
  ),
  velocity(
    'card_declines_24h',
    'attempts',
    'declined attempts of the card in 24 hours',
    aggregate('declines', 'card', DAY),
  ),
  velocity(
    'card_merchants_1h',
    'merchants',
    'different merchants of the card in 1 hour',
    distinct('card', 'merchant', HOUR),
  ),
  velocity(
    'card_merchants_24h',
    'merchants',
    'different merchants of the card in 24 hours',
    distinct('card', 'merchant', DAY),
  ),
  velocity(
    'card_seconds_since_last',
    's',
    "time since the card's last attempt, within 30 days",
    aggregate('secondsSinceLast', 'card', MONTH),
  ),
  velocity(
    'card_speed_kmh',
    'km/h',
    "speed between this place and the card's last, within 24 hours",
    aggregate('speedKmh', 'card', DAY),
  ),

  velocity(
    'customer_count_24h',
    'attempts',
    'attempts of the customer in 24 hours',
    aggregate('count', 'customer', DAY),
  ),
  velocity(
    'customer_cards_24h',
    'cards',
    'different cards of the customer in 24 hours',
    distinct('customer', 'card', DAY),
  ),
  velocity(
    'customer_devices_7d',
    'devices',
    'different devices of the customer in 7 days',
    distinct('customer', 'device', WEEK),
  ),
  velocity(
    'customer_seconds_since_last',
    's',
    "time since the customer's last attempt, within 30 days",
    aggregate('secondsSinceLast', 'customer', MONTH),
  ),

  velocity(
    'device_count_10m',
    'attempts',
    'attempts from the device in 10 minutes',
    aggregate('count', 'device', 10 * MINUTE),
  ),
  velocity(
    'device_cards_1h',
    'cards',
    'different cards from the device in 1 hour',
    distinct('device', 'card', HOUR),
  ),
  velocity(
    'device_cards_24h',
    'cards',
    'different cards from the device in 24 hours',
    distinct('device', 'card', DAY),
  ),
  velocity(
    'device_declines_1h',
    'attempts',
    'declined attempts from the device in 1 hour',
    aggregate('declines', 'device', HOUR),
  ),
  velocity(
    'device_seconds_since_last',
    's',
    "time since the device's last attempt, within 30 days",
    aggregate('secondsSinceLast', 'device', MONTH),
  ),
  velocity(
    'ip_count_10m',
    'attempts',
    'attempts from the network address in 10 minutes',
    aggregate('count', 'ip', 10 * MINUTE),
  ),
  velocity(
    'ip_cards_1h',
    'cards',
    'different cards from the network address in 1 hour',
    distinct('ip', 'card', HOUR),
  ),

  velocity(
    'terminal_count_10m',
    'attempts',
    'attempts at the terminal in 10 minutes',
    aggregate('count', 'terminal', 10 * MINUTE),
  ),
  velocity(
    'terminal_cards_1h',
    'cards',
    'different cards at the terminal in 1 hour',
    distinct('terminal', 'card', HOUR),
  ),
  velocity(
    'terminal_declines_1h',
    'attempts',
    'declined attempts at the terminal in 1 hour',
    aggregate('declines', 'terminal', HOUR),
  ),
  {
    name: 'merchant_burst_1h',
    unit: 'ratio',
    meaning: "the merchant's last hour over its hourly mean of 24 hours",
    needs: [aggregate('count', 'merchant', HOUR), aggregate('count', 'merchant', DAY)],
    write: hourlyBurst,
  },

  velocity(
    'terminal_frauds_7d',
    'attempts',
    'known frauds at the terminal in the 7 days that ended a week ago',
    aggregate('frauds', 'terminal', WEEK),
  ),
  velocity(
    'terminal_frauds_30d',
    'attempts',
    'known frauds at the terminal in the 30 days that ended a week ago',
    aggregate('frauds', 'terminal', MONTH),
  ),
  riskOf('terminal', ' (the newest 48)'),
  velocity(
    'merchant_frauds_30d',
    'attempts',
    'known frauds at the merchant in the 30 days that ended a week ago',
    aggregate('frauds', 'merchant', MONTH),
  ),
  riskOf('merchant', ''),

  fact('night', '0 or 1', "midnight to 6 in the merchant's time zone", ({ localHour }) =>
    Number.isNaN(localHour) ? Number.NaN : localHour < 6 ? 1 : 0,
  ),
  fact('weekend', '0 or 1', "Saturday or Sunday in the merchant's time zone", (facts) =>
    Number.isNaN(facts.localWeekday) ? Number.NaN : facts.localWeekday >= 6 ? 1 : 0,
  ),
  channelFlag('pos'),
  channelFlag('ecommerce'),
  channelFlag('atm'),
  channelFlag('moto'),
  channelFlag('recurring'),
  entryFlag('chip', 'read by chip'),
  entryFlag('contactless', 'read contactless'),
  entryFlag('magstripe', 'read from the magnetic stripe'),
  entryFlag('manual', 'typed in at the terminal'),
  entryFlag('stored', 'card details stored by the merchant'),
  fact('card_merchant_country_differ', '0 or 1', 'card and merchant countries differ', (facts) =>
    differ(facts.card.country, facts.merchant.country),
  ),
  fact('card_ip_country_differ', '0 or 1', 'card and network countries differ', (facts) =>
    differ(facts.card.country, facts.device.ipCountry),
  ),
  fact('card_customer_country_differ', '0 or 1', 'card and customer countries differ', (facts) =>
    differ(facts.card.country, facts.customer.country),
  ),
  fact('three_ds_authenticated', '0 or 1', '3-D Secure authenticated the cardholder', (facts) =>
    flag(facts.threeDs.status, 'authenticated'),
  ),
  fact('three_ds_failed', '0 or 1', '3-D Secure authentication failed', (facts) =>
    flag(facts.threeDs.status, 'failed'),
  ),
  fact('mcc_risk', 'group 0 to 4', 'how easily the purchase turns into money', (facts) =>
    mccRisk(facts.merchant.mcc),
  ),
]

/** The names in the order of the model's columns; a manifest must list the same. */
export const FEATURE_NAMES: readonly string[] = FEATURES.map((feature) => feature.name)

/** The aggregates that the features need, without repeats. */
export const FEATURE_AGGREGATES: AggregatePlan = [
  ...new Map(
    FEATURES.flatMap((feature) => feature.needs).map((need) => [aggregateKey(need), need]),
  ).values(),
]

/** Every need of every feature, one after the other, as an index into `FEATURE_AGGREGATES`. */
const NEEDS: Uint16Array = Uint16Array.from(
  FEATURES.flatMap((feature) => feature.needs),
  (need) => FEATURE_AGGREGATES.findIndex((known) => aggregateKey(known) === aggregateKey(need)),
)

/** Where each feature's needs begin in `NEEDS`. */
const NEEDS_FROM: Uint16Array = Uint16Array.from(FEATURES, (_feature, index) =>
  FEATURES.slice(0, index).reduce((sum, feature) => sum + feature.needs.length, 0),
)

/** Values of `NEEDS` for the message in hand. One a thread: `fillFeatures` runs to its end. */
const needed = new Float64Array(NEEDS.length)

/**
 * For each of `FEATURE_AGGREGATES` its slot in a plan that velocity answers (rules and model ask
 * together). Made once a plan. Throws where the plan lacks one: whoever merged it forgot the model.
 */
export function featureSlots(plan: AggregatePlan): Uint16Array {
  const slotByKey = new Map(plan.map((aggregate, slot) => [aggregateKey(aggregate), slot]))
  return Uint16Array.from(FEATURE_AGGREGATES, (aggregate) => {
    const slot = slotByKey.get(aggregateKey(aggregate))
    if (slot === undefined) throw new Error(`the plan lacks ${aggregateKey(aggregate)}`)
    return slot
  })
}

/**
 * Writes one row of the model's input to `target[offset ...]`, `FEATURES.length` values.
 * `aggregates` holds velocity's values in the plan's order, `slots` is `featureSlots(plan)`. Where
 * velocity is missing, `aggregates` is empty and every feature of velocity becomes NaN.
 * Allocates nothing.
 */
export function fillFeatures(
  target: Float32Array,
  offset: number,
  facts: RuleFacts,
  aggregates: Float64Array,
  slots: Uint16Array,
): void {
  for (let i = 0; i < NEEDS.length; i++) {
    const slot = slots[NEEDS[i] as number] as number
    needed[i] = slot < aggregates.length ? (aggregates[slot] as number) : Number.NaN
  }
  for (let i = 0; i < FEATURES.length; i++) {
    const feature = FEATURES[i] as Feature
    feature.write(target, offset + i, facts, needed, NEEDS_FROM[i] as number)
  }
}
