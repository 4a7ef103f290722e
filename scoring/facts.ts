// What conditions and features read of one request, built once: the request's own values, and what
// the analysts' lists say of them. Absent is undefined (text) or NaN (numbers), never zero.

import { createLocalTime, type Lists, type LocalTime, type RuleFacts } from '#rules'
import type { ScoringRequest } from './request.ts'

/** What facts look up beside the request. */
export interface FactSource extends Pick<Lists, 'baseAmount' | 'countryOfBin' | 'countryOfIp'> {
  readonly localTime: LocalTime
}

/** The analysts' lists, and the time zones of the runtime. */
export function factSource(lists: Lists): FactSource {
  const { baseAmount, countryOfBin, countryOfIp } = lists
  return { baseAmount, countryOfBin, countryOfIp, localTime: createLocalTime() }
}

/** One object shape for all messages. */
export function factsOf(request: ScoringRequest, source: FactSource): RuleFacts {
  const { card, merchant, terminal, device, customer, threeDs, arrivedAtMs } = request
  const { timeZone } = merchant
  return {
    type: request.type,
    amount: request.amount,
    currency: request.currency,
    baseAmount: source.baseAmount(request.amount, request.currency, arrivedAtMs),
    channel: request.channel,
    acquirer: request.acquirer,
    localHour: timeZone === undefined ? Number.NaN : source.localTime.hour(timeZone, arrivedAtMs),
    localWeekday:
      timeZone === undefined ? Number.NaN : source.localTime.weekday(timeZone, arrivedAtMs),
    card: {
      bin: card.bin,
      // The list knows the issuer; what the acquirer says is a fallback.
      country: source.countryOfBin(card.bin) ?? card.country,
      token: card.token,
      expiry: card.expiry,
    },
    merchant: {
      id: merchant.id,
      mcc: merchant.mcc,
      name: merchant.name,
      city: merchant.city,
      country: merchant.country,
    },
    terminal: { id: terminal?.id, entryMode: terminal?.entryMode },
    device: {
      id: device?.id,
      ip: device?.ip,
      ipCountry: device?.ipCountry ?? ipCountry(device?.ip, source),
      userAgent: device?.userAgent,
    },
    customer: { id: customer?.id, email: customer?.email, country: customer?.country },
    threeDs: { version: threeDs?.version, eci: threeDs?.eci, status: threeDs?.status },
  }
}

function ipCountry(ip: string | undefined, source: FactSource): string | undefined {
  return ip === undefined ? undefined : source.countryOfIp(ip)
}
