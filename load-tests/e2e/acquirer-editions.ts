// Messages of an acquirer over ISO 8583:1993 and 2003, as end-to-end tests need them: written by
// hand in the words of the edition, not by the switch's own conversion.

import type { FieldValue, IsoMessage } from '#switch'
import { type FieldChange, nextStan, nowOnTheWire } from './acquirer.ts'
import { purchase } from './system.ts'

const n12 = (amount: number) => String(amount).padStart(12, '0')

/** What the two editions write differently. Amounts are minor units of the euro. */
export interface EditionWords {
  /** The first digit of an MTI. */
  readonly digit: '1' | '2'
  readonly stan: (stan: string) => string
  /** DE12, now. */
  readonly local: () => string
  readonly amount: (amount: number) => FieldChange
  /** DE30: what it was. */
  readonly was: (amount: number) => string
  /** DE22: taken from file for a series of payments. */
  readonly recurring: string
}

export const OF_1993: EditionWords = {
  digit: '1',
  stan: (stan) => stan,
  local: () => `26${nowOnTheWire()}`,
  amount: (amount) => ({ 4: n12(amount), 49: '978' }),
  was: (amount) => n12(amount) + n12(0),
  recurring: '099040709000',
}

export const OF_2003: EditionWords = {
  digit: '2',
  stan: (stan) => stan.padStart(12, '0'),
  local: () => `2026${nowOnTheWire()}`,
  amount: (amount) => ({ 4: `9782${n12(amount)}` }),
  was: (amount) => `9782${n12(amount)}9782${n12(0)}`,
  // Four groups of flags, lowest byte first: read from file, not verified, recurring, no security.
  recurring: '40000000010000004000000001000000',
}

/** `functionCode`: DE24; 200 is financial. `number` names the card and is the RRN. */
export function requestIn(
  words: EditionWords,
  number: number,
  amount: number,
  functionCode = '100',
  change: FieldChange = {},
): IsoMessage {
  const { card, merchant } = purchase(number, amount)
  const fields: (FieldValue | undefined)[] = []
  Object.assign(fields, {
    2: card.pan,
    3: '000000',
    ...words.amount(amount),
    7: nowOnTheWire(),
    11: words.stan(nextStan()),
    12: words.local(),
    14: card.expiry,
    24: functionCode,
    26: merchant.mcc,
    32: '100001',
    37: String(number).padStart(12, '0'),
    41: words.digit === '1' ? 'T-1     ' : 'T-1             ',
    42: words.digit === '1' ? merchant.id.padEnd(15) : merchant.id,
    ...change,
  })
  const isFinancial = functionCode === '200'
  return { mti: `${words.digit}${isFinancial ? '2' : '1'}00`, fields }
}

/** A message about an earlier one: its fields, new numbers, DE56. `mti`: the last three digits. */
export function followIn(
  words: EditionWords,
  original: IsoMessage,
  mti: string,
  change: FieldChange = {},
): IsoMessage {
  const fields = [...original.fields]
  fields[7] = nowOnTheWire()
  fields[11] = words.stan(nextStan())
  fields[12] = words.local()
  const { 11: stan, 12: local, 32: institution } = original.fields
  const counted = words.digit === '1' ? `06${institution}` : institution
  fields[56] = `${original.mti}${stan}${local}${counted}`
  fields[24] = '400'
  for (const [field, value] of Object.entries(change)) fields[Number(field)] = value
  return { mti: `${words.digit}${mti}`, fields }
}
