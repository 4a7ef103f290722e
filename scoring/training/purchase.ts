// One planned purchase, and the authorization request that it becomes.

import type { ScoringRequest } from '../request.ts'
import type { SeededRandom } from './random.ts'
import type { Card, Device, EntryMode, Merchant } from './world.ts'

/** What analysts call the frauds that the generator plays. */
export const FRAUD_KINDS = [
  'card_testing',
  'stolen_card',
  'account_takeover',
  'compromised_terminal',
  'collusive_merchant',
  'cash_out',
] as const
export type FraudKind = (typeof FRAUD_KINDS)[number]

export type TransactionKind = 'genuine' | FraudKind

/** The values of the contract's `threeDs.status`. */
export type ThreeDsStatus = 'authenticated' | 'attempted' | 'failed' | 'unavailable'

/** A purchase before it is written as a request. */
export interface Purchase {
  readonly atMs: number
  readonly kind: TransactionKind
  readonly card: Card
  readonly merchant: Merchant
  /** Index into the merchant's terminals. */
  readonly till: number
  readonly amount: number
  readonly entryMode: EntryMode | undefined
  /** Whoever pays, where the merchant knows it. */
  readonly customer:
    | { readonly id: string; readonly email: string; readonly country: string }
    | undefined
  /** What the payer uses; the merchant may pass on its own instead, or nothing. */
  readonly device: Device | undefined
  readonly threeDs: ThreeDsStatus | undefined
  /** DE39 that the issuer will give. */
  readonly responseCode: string
}

/** A labelled transaction of the generated stream. */
export interface GeneratedTransaction {
  readonly request: ScoringRequest
  readonly kind: TransactionKind
  /** DE39 of the issuer; 00 is approved. */
  readonly responseCode: string
  /** When the issuer answered, milliseconds since 1970. */
  readonly answeredAtMs: number
  /** When it became known that it was a fraud; NaN where it was none, or nobody ever noticed. */
  readonly knownAtMs: number
}

/** Writes the purchase as its merchant's acquirer would send it. */
export function toTransaction(random: SeededRandom, purchase: Purchase): GeneratedTransaction {
  const { card, merchant } = purchase
  const atMs = Math.round(purchase.atMs)
  const { trade, sends, city } = merchant
  const eventHash = random.hex8() + random.hex8()
  const request: ScoringRequest = {
    id: `auth_${eventHash}`,
    eventHash,
    arrivedAtMs: atMs,
    acquirer: merchant.acquirer,
    type: trade.channel === 'atm' ? 'cash_withdrawal' : 'authorization',
    amount: purchase.amount,
    currency: merchant.currency,
    channel: trade.channel,
    card: {
      token: card.token,
      bin: card.bin,
      expiry: card.expiry,
      ...(random.chance(0.95) && { country: card.country }),
    },
    merchant: {
      id: merchant.id,
      mcc: trade.mcc,
      ...(sends.country && { country: city.country, city: city.name }),
      ...(sends.place && { latitude: merchant.latitude, longitude: merchant.longitude }),
      ...(sends.timeZone && { timeZone: city.timeZone }),
    },
    terminal: {
      ...(sends.terminal && { id: merchant.terminals[purchase.till] as string }),
      ...(purchase.entryMode !== undefined && { entryMode: purchase.entryMode }),
    },
    ...deviceOf(purchase),
    ...customerOf(purchase, random),
    ...(purchase.threeDs !== undefined && {
      threeDs: { version: '2.2.0', status: purchase.threeDs },
    }),
  }
  return {
    request,
    kind: purchase.kind,
    responseCode: purchase.responseCode,
    answeredAtMs: atMs + 200 + random.below(1_500),
    knownAtMs: atMs + labelDelayMs(random, purchase),
  }
}

const DAY_MS = 86_400_000

/**
 * Some call their bank within days, most dispute weeks later, a tenth never; and nobody disputes
 * what was declined.
 */
function labelDelayMs(random: SeededRandom, { kind, responseCode }: Purchase): number {
  if (kind === 'genuine' || responseCode !== '00' || random.chance(0.1)) return Number.NaN
  const days = random.chance(0.3) ? random.exponential(2) : 4 + random.exponential(10)
  return Math.round(days * DAY_MS)
}

function deviceOf(purchase: Purchase): Pick<ScoringRequest, 'device'> {
  const { merchant, device } = purchase
  const { sends, city } = merchant
  const id =
    sends.device === 'till' ? merchant.device : sends.device === 'customer' ? device?.id : undefined
  const own = sends.ip === 'shop' || sends.device === 'till'
  const ip = sends.ip === 'none' ? undefined : own ? merchant.ip : device?.ip
  const ipCountry = ip === undefined ? undefined : own ? city.country : device?.ipCountry
  if (id === undefined && ip === undefined) return {}
  return {
    device: {
      ...(id !== undefined && { id }),
      ...(ip !== undefined && { ip }),
      ...(ipCountry !== undefined && { ipCountry }),
    },
  }
}

function customerOf(purchase: Purchase, random: SeededRandom): Pick<ScoringRequest, 'customer'> {
  const { customer, merchant } = purchase
  if (customer === undefined || !merchant.sends.customer) return {}
  return {
    customer: {
      id: customer.id,
      ...(random.chance(0.7) && { email: customer.email }),
      ...(random.chance(0.6) && { country: customer.country }),
    },
  }
}
